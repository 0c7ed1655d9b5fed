"""Predictions of a delivered potential, from its files as any user would load them."""

from collections.abc import Iterable
from pathlib import Path

from mlip_autopipec.ace import AcePotential, load_potential
from mlip_autopipec.schemas import LabelBatchDoc, LabelledStructure, Origin, ParityPoint, PotentialDoc


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


def parity(
    potential: AcePotential, e0: dict[str, float], labelled: Iterable[LabelledStructure]
) -> list[ParityPoint]:
    """Evaluate labelled structures.

    Parameters
    ----------
    potential
        The potential.
    e0
        Energy of each element's free atom in eV.
    labelled
        The labels.

    Returns
    -------
    list[ParityPoint]
        Prediction beside label.
    """
    points = []
    for item in labelled:
        atoms = item.label.structure.to_ase()
        found = potential.evaluate(atoms, gamma=False)
        stress = -found.virial.flat[[0, 4, 8, 5, 2, 1]] / atoms.get_volume() if atoms.pbc.all() else None
        points.append(
            ParityPoint.from_prediction(item, e0, float(found.energies.sum()), found.forces, stress)
        )
    return points
