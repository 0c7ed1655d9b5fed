"""Predictions of a delivered potential, from its files as any user would load them."""

from pathlib import Path

from mlip_autopipec.ace import AcePotential, load_potential
from mlip_autopipec.schemas import LabelBatchDoc, LabelledStructure, Origin, PotentialDoc


def load(potential: PotentialDoc, directory: Path) -> AcePotential:
    """Write the potential's files and load them.

    Parameters
    ----------
    potential
        The potential.
    directory
        Where its files are written.

    Returns
    -------
    AcePotential
        With its active set and baseline.
    """
    return load_potential(potential, directory)


def of_origin(batch: LabelBatchDoc, origin: Origin) -> list[LabelledStructure]:
    """Pick the labels of one origin.

    Parameters
    ----------
    batch
        The labels.
    origin
        Where the structures come from.

    Returns
    -------
    list[LabelledStructure]
        Those labels.
    """
    return [item for item in batch.labels if item.origin == origin]
