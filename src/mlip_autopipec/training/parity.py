"""Predictions of a written potential beside the labels it was made from."""

from collections.abc import Sequence

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.schemas import ParityPoint
from mlip_autopipec.training.dataset import TrainingSet


def parity_points(potential: AcePotential, training: TrainingSet, chosen: Sequence[int]) -> list[ParityPoint]:
    """Set predictions of the written file against their labels.

    Parameters
    ----------
    potential
        The written potential.
    training
        The training set.
    chosen
        Indices of the structures to predict.

    Returns
    -------
    list[ParityPoint]
        Prediction beside label.
    """
    points = []
    for index in chosen:
        atoms = training.structures[index]
        found = potential.evaluate(atoms, gamma=False)
        stress = -found.virial.flat[[0, 4, 8, 5, 2, 1]] / atoms.get_volume() if atoms.pbc.all() else None
        points.append(
            ParityPoint.from_prediction(
                training.labels[index], training.e0, float(found.energies.sum()), found.forces, stress
            )
        )
    return points
