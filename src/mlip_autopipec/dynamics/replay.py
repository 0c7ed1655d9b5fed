"""What a refit did to the frames that asked for it."""

from collections.abc import Iterable

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.schemas import CandidateStructure, ReplayedFrame


def replayed(potential: AcePotential, frames: Iterable[CandidateStructure]) -> list[ReplayedFrame]:
    """Grade the extrapolative frames of an earlier run again.

    Parameters
    ----------
    potential
        The potential that goes on, with its active set.
    frames
        The frames, with the grades they had when they were met.

    Returns
    -------
    list[ReplayedFrame]
        Grades before and after, for frames that had one.

    Raises
    ------
    CalculationError
        The potential cannot be evaluated for a frame that another potential walked through, or has no active
        set.
    """
    found = []
    for frame in frames:
        if frame.gamma is None:
            continue
        gamma = potential.evaluate(frame.structure.to_ase()).gamma
        if gamma is None:
            raise CalculationError("frames can be replayed only with a potential that has its active set.")
        found.append(
            ReplayedFrame(detail=frame.detail, gamma_before=frame.gamma, gamma_after=float(gamma.max()))
        )
    return found
