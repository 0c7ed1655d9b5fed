"""What may be wrong with labels: impossible numbers, contradictions, duplicates, outliers."""

from collections import Counter
from collections.abc import Iterator, Sequence

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.ace import closest_pair
from mlip_autopipec.errors import FitError
from mlip_autopipec.schemas import DuplicatePair, LabelledStructure, Outlier, OutlierKind
from mlip_autopipec.training.dataset import TrainingSet
from mlip_autopipec.training.duplicates import duplicate_pairs
from mlip_autopipec.training.weights import reduced_formula

Array = NDArray[np.float64]

CONTRADICTION = 0.01
"""Labels of one structure that differ by more, in eV/atom, contradict each other."""
_MAD_TO_SIGMA = 1.4826  # of a normal distribution
_SMALLEST_SIGMA = 1.0e-3  # eV/atom
_FEWEST = 8  # energies that make a median worth comparing with


def check_labels(labels: Sequence[LabelledStructure]) -> None:
    """Refuse labels that no fit can digest.

    Parameters
    ----------
    labels
        The labels.

    Raises
    ------
    FitError
        Two have the same id, or one holds numbers that are not finite or forces of other atoms.
    """
    repeated = [name for name, n in Counter(item.label_id for item in labels).items() if n > 1]
    if repeated:
        raise FitError(
            f"{len(repeated)} labels occur more than once, e.g. {repeated[0]}.", hint="give each batch once."
        )
    for item in labels:
        label = item.label
        where = f"label {item.label_id} ({label.structure.formula})"
        if len(label.forces) != label.structure.n_atoms:
            raise FitError(f"{where} has forces on {len(label.forces)} of {label.structure.n_atoms} atoms.")
        for name, value in (("energy", label.energy), ("forces", label.forces), ("stress", label.stress)):
            if value is not None and not np.isfinite(value).all():
                raise FitError(
                    f"{where}: its {name} must be finite, got NaN or infinity.", hint="label it again."
                )


def find_duplicates(
    labels: Sequence[LabelledStructure], structures: Sequence[Atoms], tolerance: float
) -> list[DuplicatePair]:
    """Find labels of the same structure; see :func:`~.duplicates.duplicate_pairs`.

    Parameters
    ----------
    labels
        The labels.
    structures
        Their structures.
    tolerance
        Largest difference between sorted interatomic distances in Å.

    Returns
    -------
    list[DuplicatePair]
        The pairs.

    Raises
    ------
    FitError
        Two labels of the same structure have different energies.
    """
    found = []
    for a, b in duplicate_pairs(structures, tolerance):
        first, second = labels[a], labels[b]
        difference = (second.label.energy - first.label.energy) / len(structures[a])
        if abs(difference) > CONTRADICTION:
            raise FitError(
                f"labels {first.label_id} and {second.label_id} are of the same structure "
                f"({first.label.structure.formula}), but their energies differ by {difference:.4f} eV/atom; "
                f"at most {CONTRADICTION} is accepted.",
                hint="remove the wrong one; look for other magnetic states and unfinished calculations.",
            )
        same = first.label.structure == second.label.structure
        found.append(
            DuplicatePair(
                first=first.label_id,
                second=second.label_id,
                kind="identical" if same else "equivalent",
                energy_difference=difference,
            )
        )
    return found


def find_outliers(
    training: TrainingSet, min_distance_ratio: float, max_force: float, max_energy_z: float
) -> list[Outlier]:
    """Find labels that are worth a look.

    Parameters
    ----------
    training
        The labels.
    min_distance_ratio
        Smallest usual distance over the sum of the covalent radii, dimensionless.
    max_force
        Largest usual force in eV/Å.
    max_energy_z
        Largest usual distance of an energy from the median of its composition, in robust standard deviations.

    Returns
    -------
    list[Outlier]
        In the order of the labels; a label may appear with several kinds.
    """
    found: list[Outlier] = []
    scores = energy_scores(training)
    for item, atoms, score in zip(training.labels, training.structures, scores.tolist(), strict=True):
        for ratio, detail in _short_distances(atoms, min_distance_ratio):
            found.append(_outlier(item, "short distance", ratio, min_distance_ratio, detail))
        forces = np.linalg.norm(item.label.forces, axis=1)
        atom = int(np.argmax(forces))
        if forces[atom] > max_force:
            detail = f"force of {forces[atom]:.1f} eV/Å on {atoms.symbols[atom]}{atom}"
            found.append(_outlier(item, "large force", float(forces[atom]), max_force, detail))
        if abs(score) > max_energy_z:
            detail = f"energy {score:+.1f} robust standard deviations from the median of its composition"
            found.append(_outlier(item, "unusual energy", score, max_energy_z, detail))
    return found


def energy_scores(training: TrainingSet) -> Array:
    r"""Robust z-scores of the energies per atom within each composition.

    .. math:: z_i = \frac{e_i - \mathrm{med}(e)}{\max(1.4826\,\mathrm{MAD}(e),\ 1\,\mathrm{meV/atom})}

    with the median absolute deviation MAD (Iglewicz and Hoaglin 1993). Zero where there are fewer than eight
    structures of a composition.

    Parameters
    ----------
    training
        The labels.

    Returns
    -------
    numpy.ndarray
        Dimensionless, shape ``(n_structures,)``.
    """
    energies = training.cohesive_energies()
    formulas = np.array([reduced_formula(atoms.get_chemical_symbols()) for atoms in training.structures])
    scores = np.zeros(len(energies))
    for formula in np.unique(formulas):
        mine = formulas == formula
        if mine.sum() >= _FEWEST:
            deviations = energies[mine] - np.median(energies[mine])
            sigma = _MAD_TO_SIGMA * float(np.median(np.abs(deviations)))
            scores[mine] = deviations / max(sigma, _SMALLEST_SIGMA)
    return scores


def _short_distances(atoms: Atoms, ratio: float) -> Iterator[tuple[float, str]]:
    """Yield the shortest of the distances below the limit, if there is any, and a description."""
    found = closest_pair(atoms, ratio)
    if found is not None:
        i, j, distance, relative = found
        pair = f"{atoms.symbols[i]}{i}-{atoms.symbols[j]}{j}"
        yield relative, f"{pair} at {distance:.3f} Å, {relative:.2f} of the sum of covalent radii"


def _outlier(item: LabelledStructure, kind: OutlierKind, value: float, limit: float, detail: str) -> Outlier:
    return Outlier(
        label_id=item.label_id,
        formula=item.label.structure.formula,
        kind=kind,
        value=value,
        limit=limit,
        detail=detail,
    )
