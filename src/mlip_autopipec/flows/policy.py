"""Where the next labels are looked for: a policy over explorers, as plain functions of the state."""

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from monty.json import MSONable

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation.search import EXPLORERS
from mlip_autopipec.schemas import (
    ArmError,
    ArmErrorsDoc,
    ArmSearch,
    ArmStatistics,
    ExplorationDoc,
    PolicyDecision,
)

MD = "md"
_UNTRIED = 1.0  # measurements that the optimistic guess for an untried explorer is worth


@dataclass
class ExplorationPolicy(MSONable):
    r"""Divide the labels of a generation between explorers: MD at each temperature, families of structures.

    ``fixed`` without ``arms`` is MD alone. ``fixed`` with ``arms`` keeps their shares over the generations.
    ``adaptive`` is a bandit (Thompson sampling [1]_, with forgetting): the logarithm of an explorer's
    reward, the true force error on what it found per unit of cost, is taken to be normal about a mean
    :math:`m_a` known from :math:`n_a` recent measurements; for each label a value is drawn from
    :math:`N(m_a + \ln w_a, s^2 / n_a)` and the largest wins. Each explorer has one measurement more than
    it made, as good as the best mean of all, so that new ones are tried.

    Parameters
    ----------
    kind
        ``"fixed"`` or ``"adaptive"``.
    arms
        Shares or weights of explorers by name; ``md`` stands for the walks at all temperatures,
        ``md 300 K`` for one. With ``adaptive`` the rest is left out, and 0 forbids an explorer.
    cost
        ``"labels"``, or ``"wall_time"``: labels count by the oracle's time over the mean of their generation,
        which differs between machines.
    memory
        Share of a measurement's weight that is left a generation later, dimensionless.
    spread
        Standard deviation of the logarithm of a single reward, dimensionless.
    floor
        Force error that an explorer is taken to have uncovered where it found nothing uncertain, in eV/Å.
    most_rest
        Generations after which an explorer that rests is tried again.

    References
    ----------
    .. [1] W. R. Thompson, Biometrika 25, 285 (1933).
    """

    kind: Literal["fixed", "adaptive"] = "fixed"
    arms: dict[str, float] = field(default_factory=dict)
    cost: Literal["labels", "wall_time"] = "labels"
    memory: float = 0.7
    spread: float = 0.7
    floor: float = 0.01
    most_rest: int = 3

    def __post_init__(self) -> None:
        if self.kind not in ("fixed", "adaptive"):
            raise ConfigError(f"'policy' must be fixed or adaptive, got {self.kind!r}.")
        unknown = [arm for arm in self.arms if arm not in EXPLORERS and arm.split(" ")[0] != MD]
        if unknown:
            raise ConfigError(
                f"'arms' names unknown explorers: {', '.join(unknown)}.",
                hint=f"accepted are md, md with a temperature like 'md 300 K', {', '.join(EXPLORERS)}.",
            )
        wrong = {arm: x for arm, x in self.arms.items() if not (math.isfinite(x) and x >= 0.0)}
        if wrong or (self.arms and not any(self.arms.values())):
            raise ConfigError(f"'arms' must hold numbers that are not negative nor all 0, got {self.arms}.")
        if not (0.0 < self.memory <= 1.0 and self.spread > 0.0 and self.floor > 0.0 and self.most_rest >= 1):
            raise ConfigError("'memory' must lie in (0, 1], 'spread', 'floor' and 'most_rest' be positive.")

    @property
    def active(self) -> bool:
        """Whether there is anything to decide."""
        return self.kind == "adaptive" or bool(self.arms)

    def weights(self, walks: Iterable[str]) -> dict[str, float]:
        """Weights of all explorers that there are.

        Parameters
        ----------
        walks
            Names of the walks, e.g. ``"md 300 K"``.

        Returns
        -------
        dict
            Positive weights by name, dimensionless. Walks that have none are not left out: they decide when
            the loop ends.
        """
        offered = self.arms or dict.fromkeys((MD, "strain", "rattle"), 1.0)
        names = sorted(set(walks))
        # A share is that of all walks together, a weight multiplies the reward of each.
        each = offered.get(MD, 0.0) / (len(names) if self.kind == "fixed" and names else 1)
        found = {arm: offered.get(arm, each) for arm in names}
        if not any(found.values()):
            found = dict.fromkeys(found, 1.0)
        found |= {arm: x for arm, x in offered.items() if arm in EXPLORERS}
        return {arm: x for arm, x in found.items() if x > 0.0}


def learned(
    arms: Sequence[ArmStatistics],
    policy: ExplorationPolicy,
    paid: ArmErrorsDoc | None,
    quiet: Collection[str],
) -> list[ArmStatistics]:
    """Add what a generation taught of its explorers; what was known fades.

    Parameters
    ----------
    arms
        What was known.
    policy
        The policy.
    paid
        True errors on new labels, if there were any.
    quiet
        Explorers that looked and found nothing uncertain.

    Returns
    -------
    list[ArmStatistics]
        What is known now.
    """
    known = {arm.arm: arm.model_copy(update={"weight": policy.memory * arm.weight}) for arm in arms}
    for error, cost in _costed(policy, paid):
        reward = math.log(max(error.force_error, policy.floor) / cost)
        known[error.arm] = _with(known.get(error.arm), error.arm, reward, error.n_labels)
    for arm in sorted(quiet):
        known[arm] = _with(known.get(arm), arm, math.log(policy.floor), 0)
    return [known[arm] for arm in sorted(known)]


def quiet_arms(runs: Iterable[ExplorationDoc], searches: Iterable[ArmSearch]) -> set[str]:
    """Say which explorers found nothing.

    Parameters
    ----------
    runs
        The walks of a generation.
    searches
        What the other explorers did in it.

    Returns
    -------
    set
        Names.
    """
    runs = list(runs)
    loud = {run.walker.arm for run in runs if run.halted}
    return {run.walker.arm for run in runs} - loud | {s.arm for s in searches if not s.n_uncertain}


def decided(
    policy: ExplorationPolicy,
    arms: Sequence[ArmStatistics],
    walks: Collection[str],
    *,
    n_slots: int,
    generation: int,
    seed: int,
) -> PolicyDecision:
    """Grant the labels of a generation to explorers; the same arguments always give the same.

    Parameters
    ----------
    policy
        The policy.
    arms
        What is known.
    walks
        Names of the walks that are not finished.
    n_slots
        Number of labels.
    generation
        Number of the generation.
    seed
        Seed of the campaign.

    Returns
    -------
    PolicyDecision
        The labels of each explorer. With ``adaptive`` walks without labels rest, though never all of them.
    """
    weights = policy.weights(walks)
    known = {arm: _find(arms, arm) for arm in weights}
    if policy.kind == "fixed":
        slots, words = _shared(known, weights, n_slots), "given shares"
    else:
        rng = np.random.default_rng([seed, generation, 7])
        slots, words = _sampled(policy, known, weights, n_slots, generation, rng)
        if walks and not any(arm in walks for arm in slots):
            walk = min(walks, key=lambda arm: (_find(arms, arm).last_generation, arm))
            slots[walk] = 1
            words += f"; {walk} goes on, as the walks decide about the end"
    return PolicyDecision(
        generation=generation,
        kind=policy.kind,
        slots=slots,
        arms=list(known.values()),
        reason=f"{words}: {_in_words(slots, known)}",
    )


def granted(arms: Sequence[ArmStatistics], decision: PolicyDecision) -> list[ArmStatistics]:
    """Write down which explorers got labels.

    Parameters
    ----------
    arms
        What is known.
    decision
        What was decided.

    Returns
    -------
    list[ArmStatistics]
        The same with slots and the last generation counted.
    """
    names = sorted({arm.arm for arm in arms} | decision.slots.keys())
    found = []
    for arm in (_find(arms, name) for name in names):
        slots = decision.slots.get(arm.arm, 0)
        last = decision.generation if slots else arm.last_generation
        found.append(arm.model_copy(update={"n_slots": arm.n_slots + slots, "last_generation": last}))
    return found


def _costed(policy: ExplorationPolicy, paid: ArmErrorsDoc | None) -> Iterator[tuple[ArmError, float]]:
    """Give each measurement with the cost of its labels, in mean labels of the generation."""
    errors = paid.errors if paid else []
    total = sum(error.n_labels * error.wall_time for error in errors)
    mean = total / max(sum(error.n_labels for error in errors), 1)
    for error in errors:
        timed = policy.cost == "wall_time" and mean > 0.0 and error.wall_time > 0.0
        yield error, error.wall_time / mean if timed else 1.0


def _find(arms: Iterable[ArmStatistics], name: str) -> ArmStatistics:
    return next((arm for arm in arms if arm.arm == name), ArmStatistics(arm=name))


def _with(arm: ArmStatistics | None, name: str, reward: float, n_labels: int) -> ArmStatistics:
    """Add a measurement; one that no label was paid for counts as one."""
    arm = arm or ArmStatistics(arm=name)
    new = max(n_labels, 1)
    weight = arm.weight + new
    mean = (arm.weight * arm.log_reward + new * reward) / weight
    return arm.model_copy(update={"log_reward": mean, "weight": weight, "n_labels": arm.n_labels + n_labels})


def _shared(known: dict[str, ArmStatistics], weights: dict[str, float], n_slots: int) -> dict[str, int]:
    """Give each label to the explorer that is farthest behind its share."""
    total = sum(weights.values())
    given = {arm: known[arm].n_slots for arm in weights}
    slots: dict[str, int] = {}
    for _ in range(n_slots):
        all_given = sum(given.values()) + 1
        arm = max(weights, key=lambda a: (weights[a] / total * all_given - given[a], a))
        given[arm] += 1
        slots[arm] = slots.get(arm, 0) + 1
    return slots


def _sampled(
    policy: ExplorationPolicy,
    known: dict[str, ArmStatistics],
    weights: dict[str, float],
    n_slots: int,
    generation: int,
    rng: np.random.Generator,
) -> tuple[dict[str, int], str]:
    """Grant labels by Thompson sampling, after those that have rested too long."""
    rested = [a for a in weights if generation - known[a].last_generation > policy.most_rest]
    rested.sort(key=lambda a: (known[a].last_generation, -weights[a], a))
    slots = dict.fromkeys(rested[:n_slots], 1)
    best = max((k.log_reward for k in known.values() if k.weight > 0.0), default=0.0)
    names = sorted(weights)
    mean = np.array([_expected(known[a], best) + math.log(weights[a]) for a in names])
    width = np.array([policy.spread / math.sqrt(known[a].weight + _UNTRIED) for a in names])
    for _ in range(n_slots - len(slots)):
        arm = names[int(np.argmax(rng.normal(mean, width)))]
        slots[arm] = slots.get(arm, 0) + 1
    words = f"after the rest of {', '.join(rested[:n_slots])}" if rested else "by the errors uncovered"
    return slots, words


def _expected(arm: ArmStatistics, best: float) -> float:
    """Mean logarithm of the reward, the optimistic guess included."""
    return (arm.weight * arm.log_reward + _UNTRIED * best) / (arm.weight + _UNTRIED)


def _in_words(slots: dict[str, int], known: dict[str, ArmStatistics]) -> str:
    parts = []
    for arm, n in sorted(slots.items(), key=lambda pair: (-pair[1], pair[0])):
        record = known.get(arm) or ArmStatistics(arm=arm)
        seen = f"{math.exp(record.log_reward):.2g} eV/Å a label" if record.weight else "not measured yet"
        parts.append(f"{n} to {arm} ({seen})")
    return ", ".join(parts)
