"""Looks at every step: forces for the engine, grades for the watchdog, frames for the oracle."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mlip_autopipec.ace import AcePotential, shortest_distances
from mlip_autopipec.dynamics.lammps_library import ForceResult
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure


@dataclass(frozen=True)
class Frame:
    """A graded step.

    Parameters
    ----------
    step
        Step of the walk.
    atoms
        The structure.
    gamma
        Largest extrapolation grade of its atoms, MaxVol scale.
    """

    step: int
    atoms: Atoms
    gamma: float


class Observer:
    """The force function of an engine that also grades, and keeps what may be worth a label.

    Parameters
    ----------
    potential
        The potential, with its active set.
    r_in
        Distance in Å where the core begins, by pair ``'A-B'``.
    gamma_select
        Grade above which a frame is kept, MaxVol scale.
    gamma_every
        Steps between two grades.
    """

    def __init__(
        self, potential: AcePotential, r_in: Mapping[str, float], gamma_select: float, gamma_every: int
    ) -> None:
        self._potential = potential
        self._r_in = r_in
        self._gamma_select = gamma_select
        self._gamma_every = gamma_every
        self.extrapolative: list[Frame] = []
        self._signals = (float("nan"), float("nan"))
        self.last: Frame | None = None

    def force(self, step: int, atoms: Atoms) -> ForceResult:
        """Evaluate one step; see :class:`~mlip_autopipec.dynamics.lammps_library.ForceResult`."""
        grading = step % self._gamma_every == 0 or self.last is None
        found = self._potential.evaluate(atoms, gamma=grading)
        if found.gamma is not None:
            self._grade(Frame(step, atoms, float(found.gamma.max())), found.shortest)
        return ForceResult(float(found.energies.sum()), found.forces, found.virial, self._signals)

    def _grade(self, frame: Frame, shortest: Mapping[str, float]) -> None:
        ratio = nearest_ratio(shortest, self._r_in)
        # Monte Carlo moves of the engine evaluate trials; what a step really is comes last.
        again = self.last is not None and self.last.step == frame.step
        if again and self.extrapolative and self.extrapolative[-1] is self.last:
            self.extrapolative.pop()
        self.last = frame
        self._signals = (frame.gamma, min(ratio, 1.0e3))
        if frame.gamma > self._gamma_select:
            self.extrapolative.append(frame)


def distance_ratio(atoms: Atoms, r_in: Mapping[str, float]) -> float:
    """Measure how near atoms are.

    Parameters
    ----------
    atoms
        The structure.
    r_in
        Distance in Å where the core begins, by pair ``'A-B'``.

    Returns
    -------
    float
        Smallest distance over that of its pair, dimensionless; infinite if none is within twice as far.
    """
    return nearest_ratio(shortest_distances([atoms], 2.0 * max(r_in.values())), r_in)


def nearest_ratio(shortest: Mapping[str, float], r_in: Mapping[str, float]) -> float:
    """Compare the shortest distances of an evaluation with where the core begins.

    Parameters
    ----------
    shortest
        Shortest distance of each pair ``'A-B'`` in Å.
    r_in
        Distance in Å where the core begins, by pair.

    Returns
    -------
    float
        Smallest distance over that of its pair, dimensionless; infinite if there is none.
    """
    # A pair beyond the cut-off has no distance; it is far enough.
    return min((d / r_in[pair] for pair, d in shortest.items()), default=np.inf)


def candidates(
    frames: Sequence[Frame], end: Frame | None, most: int, spacing: int, *, detail: str, group: str = ""
) -> list[CandidateStructure]:
    """Choose the frames worth a label, in time order.

    Parameters
    ----------
    frames
        Extrapolative frames.
    end
        The frame that halted the walk, which is required; none if it was not halted by gamma.
    most
        Largest number of frames; those of the highest grades stay.
    spacing
        Steps by which they are apart at least.
    detail
        Where they come from, for a reader.
    group
        Trajectory they belong to.

    Returns
    -------
    list[CandidateStructure]
        The frames.
    """
    kept = [end] if end is not None else []
    for frame in sorted(frames, key=lambda frame: -frame.gamma):
        if len(kept) < most and all(abs(frame.step - other.step) >= spacing for other in kept):
            kept.append(frame)
    return [
        CandidateStructure(
            structure=AtomicStructure.from_ase(frame.atoms),
            origin="md",
            detail=f"{detail}, step {frame.step}",
            gamma=frame.gamma,
            group=group,
            required=frame is end,
        )
        for frame in sorted(kept, key=lambda frame: frame.step)
    ]
