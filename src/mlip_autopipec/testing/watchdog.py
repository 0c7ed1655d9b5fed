"""What every engine's watchdog keeps to: it stops at the step, and for the reason, that the rule says."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlip_autopipec.dynamics import Signs, StopRule
from mlip_autopipec.testing.require import require

Stop = tuple[int, str | None]
"""Step of the trajectory at which an engine stopped, and why; its last step and None if it did not."""


@dataclass(frozen=True)
class SignsAt:
    """One look at a recorded trajectory.

    Parameters
    ----------
    step
        Step.
    signs
        What is to be seen there.
    """

    step: int
    signs: Signs


def stop_by_verdict(rule: StopRule, looks: Sequence[SignsAt]) -> Stop:
    """Let the rule itself judge look by look; the first is not judged, as ``fix halt`` does not judge it.

    Parameters
    ----------
    rule
        The limits.
    looks
        The trajectory.

    Returns
    -------
    tuple
        Where it stops, and why.
    """
    for look in looks[1:]:
        verdict = rule.verdict(look.signs)
        if verdict is not None:
            return look.step, verdict[0]
    return looks[-1].step, None


@dataclass(frozen=True)
class WatchdogContract:
    """An engine stops where :meth:`StopRule.verdict` does.

    Parameters
    ----------
    stop
        Replays a trajectory in the engine under a rule and says where it stopped, and why.
    """

    stop: Callable[[StopRule, Sequence[SignsAt]], Stop]

    def check(self, rule: StopRule, looks: Sequence[SignsAt]) -> Stop:
        """Feed a trajectory to the rule and to the engine.

        Parameters
        ----------
        rule
            The limits.
        looks
            The trajectory, a look at equal distances in steps.

        Returns
        -------
        tuple
            Where both stop, and why.

        Raises
        ------
        AssertionError
            They differ.
        """
        expected, found = stop_by_verdict(rule, looks), self.stop(rule, looks)
        require(found == expected, f"the engine stops at {found}, the rule at {expected}.")
        return found
