"""Where the next labels are looked for: a policy over explorers, as plain functions of the state."""

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from monty.json import MSONable

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation.search import EXPLORERS
from mlip_autopipec.schemas import ArmErrorsDoc, ArmStatistics, PolicyDecision

MD = "md"
KMC = "kmc"


@dataclass
class ExplorationPolicy(MSONable):
    """Divide the labels of a generation between explorers: MD at each temperature, families of structures.

    ``fixed`` without ``arms`` is MD alone. ``fixed`` with ``arms`` keeps their shares over the generations.
    With ``adaptive`` all explorers offer uncertain structures in each generation, and the selection decides:
    labels go where they lower the expected error on all that was offered most
    (:class:`~mlip_autopipec.selection.VOptimalSelectionMaker`), whoever offered it.

    Parameters
    ----------
    kind
        ``"fixed"`` or ``"adaptive"``.
    arms
        Shares (fixed) or weights of the errors (adaptive) of explorers by name; ``md`` stands for the walks
        at all temperatures, ``md 300 K`` for one. 0 forbids an explorer beside MD.
    offers
        Uncertain structures that an adaptive policy asks each explorer beside MD for.
    """

    kind: Literal["fixed", "adaptive"] = "fixed"
    arms: dict[str, float] = field(default_factory=dict)
    offers: int = 6

    def __post_init__(self) -> None:
        if self.kind not in ("fixed", "adaptive"):
            raise ConfigError(f"'policy' must be fixed or adaptive, got {self.kind!r}.")
        unknown = [a for a in self.arms if a not in (*EXPLORERS, KMC) and a.split(" ")[0] != MD]
        if unknown:
            raise ConfigError(
                f"'arms' names unknown explorers: {', '.join(unknown)}.",
                hint=f"accepted are md, md with a temperature like 'md 300 K', kmc, {', '.join(EXPLORERS)}.",
            )
        wrong = {arm: x for arm, x in self.arms.items() if not (math.isfinite(x) and x >= 0.0)}
        if wrong or (self.arms and not any(self.arms.values())):
            raise ConfigError(f"'arms' must hold numbers that are not negative nor all 0, got {self.arms}.")
        if self.offers < 1:
            raise ConfigError(f"'offers' must be at least 1, got {self.offers}.")

    @property
    def active(self) -> bool:
        """Whether there is anything to decide."""
        return self.kind == "adaptive" or bool(self.arms)

    def shares(self, walks: Iterable[str]) -> dict[str, float]:
        """Shares of all explorers that there are.

        Parameters
        ----------
        walks
            Names of the walks, e.g. ``"md 300 K"``.

        Returns
        -------
        dict
            Positive shares by name, dimensionless. Walks that have none are not left out: they decide when
            the loop ends.
        """
        offered = self.arms or dict.fromkeys((MD, "strain", "rattle"), 1.0)
        names = sorted(set(walks))
        each = offered.get(MD, 0.0) / max(len(names), 1)
        found = {arm: offered.get(arm, each) for arm in names}
        if not any(found.values()):
            found = dict.fromkeys(found, 1.0)
        found |= {arm: x for arm, x in offered.items() if arm in EXPLORERS}
        return {arm: x for arm, x in found.items() if x > 0.0}


def learned(arms: Sequence[ArmStatistics], paid: ArmErrorsDoc | None, generation: int) -> list[ArmStatistics]:
    """Add what the labels of a generation taught of its explorers.

    Parameters
    ----------
    arms
        What was known.
    paid
        True errors on new labels, if there were any.
    generation
        Number of the generation.

    Returns
    -------
    list[ArmStatistics]
        What is known now.
    """
    known = {arm.arm: arm for arm in arms}
    for error in paid.errors if paid else []:
        arm = _find(arms, error.arm)
        known[error.arm] = arm.model_copy(
            update={
                "n_labels": arm.n_labels + error.n_labels,
                "n_latest": error.n_labels,
                "force_error": error.force_error,
                "force_error_before": error.force_error_before,
                "last_generation": generation,
            }
        )
    return [known[arm] for arm in sorted(known)]


def decided(
    policy: ExplorationPolicy,
    arms: Sequence[ArmStatistics],
    walks: Collection[str],
    *,
    n_slots: int,
    generation: int,
) -> PolicyDecision:
    """Ask explorers for structures.

    Parameters
    ----------
    policy
        The policy.
    arms
        What is known.
    walks
        Names of the walks that are not finished.
    n_slots
        Number of labels of the generation.
    generation
        Its number.

    Returns
    -------
    PolicyDecision
        With fixed shares the labels of each explorer; with ``adaptive`` the structures that each one offers.
    """
    shares = policy.shares(walks)
    known = {arm: _find(arms, arm) for arm in shares}
    if policy.kind == "fixed":
        slots = _shared(known, shares, n_slots)
        words = "given shares"
    else:
        slots = {arm: policy.offers for arm in shares if arm in EXPLORERS}
        words = "all offer, labels go where they lower the expected error most"
    return PolicyDecision(
        generation=generation,
        kind=policy.kind,
        slots=slots,
        arms=list(known.values()),
        reason=f"{words}; {_in_words(known)}",
    )


def granted(arms: Sequence[ArmStatistics], decision: PolicyDecision) -> list[ArmStatistics]:
    """Write down which explorers were asked.

    Parameters
    ----------
    arms
        What is known.
    decision
        What was decided.

    Returns
    -------
    list[ArmStatistics]
        The same with slots counted.
    """
    names = sorted({arm.arm for arm in arms} | decision.slots.keys())
    found = [_find(arms, name) for name in names]
    return [arm.model_copy(update={"n_slots": arm.n_slots + decision.slots.get(arm.arm, 0)}) for arm in found]


def _find(arms: Iterable[ArmStatistics], name: str) -> ArmStatistics:
    return next((arm for arm in arms if arm.arm == name), ArmStatistics(arm=name))


def _shared(known: dict[str, ArmStatistics], shares: dict[str, float], n_slots: int) -> dict[str, int]:
    """Give each label to the explorer that is farthest behind its share."""
    total = sum(shares.values())
    given = {arm: known[arm].n_slots for arm in shares}
    slots: dict[str, int] = {}
    for _ in range(n_slots):
        all_given = sum(given.values()) + 1
        arm = max(shares, key=lambda a: (shares[a] / total * all_given - given[a], a))
        given[arm] += 1
        slots[arm] = slots.get(arm, 0) + 1
    return slots


def _in_words(known: dict[str, ArmStatistics]) -> str:
    """Say what the latest labels of each explorer were worth."""
    last = max((arm.last_generation for arm in known.values()), default=-1)
    parts = []
    for arm in sorted(known.values(), key=lambda arm: (-arm.n_latest, arm.arm)):
        if arm.force_error is None or arm.last_generation < last:
            continue
        fall = "" if arm.force_error_before is None else f", {arm.force_error_before:.2g} a generation before"
        parts.append(f"{arm.n_latest} to {arm.arm} (error {arm.force_error:.2g} eV/Å{fall})")
    return f"last labels: {', '.join(parts)}" if parts else "no label yet"
