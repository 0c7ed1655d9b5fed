"""From label batches to a training set: E0, what is left out and why, how much each label weighs."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list
from numpy.typing import NDArray

from mlip_autopipec.errors import FitError
from mlip_autopipec.schemas import LabelBatchDoc, LabelledStructure

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TrainingSet:
    """What a fit is made from.

    Parameters
    ----------
    labels
        The labels that are fitted.
    structures
        Their structures.
    e0
        Energy of each element's free atom in eV.
    e0_source
        How it was obtained.
    excluded
        Labels set aside, one line each.
    """

    labels: list[LabelledStructure]
    structures: list[Atoms]
    e0: dict[str, float]
    e0_source: str
    excluded: list[str] = field(default_factory=list)

    @property
    def elements(self) -> tuple[str, ...]:
        """Elements of the fitted structures, alphabetically."""
        return tuple(sorted(self.e0))

    def cohesive_energies(self) -> Array:
        """Energies relative to the free atoms in eV/atom, shape ``(n_structures,)``."""
        return np.array(
            [
                (item.label.energy - sum(self.e0[s] for s in atoms.get_chemical_symbols())) / len(atoms)
                for item, atoms in zip(self.labels, self.structures, strict=True)
            ]
        )


def assemble(batches: Sequence[LabelBatchDoc], cutoff: float) -> TrainingSet:
    """Put batches of labels together.

    Structures in which an atom has no neighbour within the cut-off are left out: isolated atoms give E0,
    the others tell the fit nothing that E0 does not.

    Parameters
    ----------
    batches
        The labels.
    cutoff
        Cut-off radius in Å.

    Returns
    -------
    TrainingSet
        The training set.

    Raises
    ------
    FitError
        There is nothing to fit, or labels were made under different conditions.
    """
    labels = [item for batch in batches for item in batch.labels]
    _require_one_fingerprint(labels)
    e0, source = reference_energies(labels)
    kept: list[LabelledStructure] = []
    structures: list[Atoms] = []
    excluded: list[str] = []
    for item in labels:
        atoms = item.label.structure.to_ase()
        lonely = len(atoms) - len(set(neighbor_list("i", atoms, cutoff).tolist()))
        if item.origin == "isolated_atom":
            excluded.append(f"{item.label_id} ({item.label.structure.formula}): isolated atom, gives E0")
        elif lonely:
            excluded.append(
                f"{item.label_id} ({item.label.structure.formula}): {lonely} atoms without a neighbour"
            )
        else:
            kept.append(item)
            structures.append(atoms)
    if not kept:
        raise FitError(
            f"none of {len(labels)} labels can be fitted.", hint="label structures with neighbours."
        )
    return TrainingSet(kept, structures, e0, source, excluded)


def reference_energies(labels: Sequence[LabelledStructure]) -> tuple[dict[str, float], str]:
    """Determine E0 of each element.

    Parameters
    ----------
    labels
        All labels.

    Returns
    -------
    e0
        Energies in eV by element: those of labelled isolated atoms if there is one of each element, else
        the least-squares energies of the compositions.
    source
        Which of the two it is, in words.
    """
    elements = sorted({symbol for item in labels for symbol in item.label.structure.symbols})
    isolated = {
        item.label.structure.symbols[0]: item.label.energy
        for item in labels
        if item.origin == "isolated_atom" and item.label.structure.n_atoms == 1
    }
    if set(isolated) == set(elements):
        return {element: isolated[element] for element in elements}, "labelled isolated atoms"
    counts = np.array([[item.label.structure.symbols.count(e) for e in elements] for item in labels], float)
    energies = np.array([item.label.energy for item in labels])
    solution, *_ = np.linalg.lstsq(counts, energies, rcond=None)
    return dict(zip(elements, solution.tolist(), strict=True)), "least squares over the compositions"


def importance(training: TrainingSet, energy_scale: float) -> Array:
    r"""How much looser each structure may be fitted than the most stable one of its composition.

    .. math:: s_i = 1 + (E_i - E_\mathrm{min}) / E_\mathrm{scale}

    multiplies the standard deviations of all rows of structure i, so that what is rarely visited does not
    spoil what is always there.

    Parameters
    ----------
    training
        The training set.
    energy_scale
        Energy above the most stable structure in eV/atom at which the standard deviations double.

    Returns
    -------
    numpy.ndarray
        Dimensionless factors, at least 1, shape ``(n_structures,)``.
    """
    energies = training.cohesive_energies()
    formulas = [atoms.symbols.formula.reduce()[0].format("hill") for atoms in training.structures]
    lowest: dict[str, float] = defaultdict(lambda: np.inf)
    for formula, energy in zip(formulas, energies, strict=True):
        lowest[formula] = min(lowest[formula], energy)
    above = energies - np.array([lowest[formula] for formula in formulas])
    return np.asarray(1.0 + above / energy_scale)


def _require_one_fingerprint(labels: Sequence[LabelledStructure]) -> None:
    if not labels:
        raise FitError("there are no labels to fit.")
    first = labels[0]
    for other in labels[1:]:
        differences = first.label.fingerprint.differences(other.label.fingerprint)
        if differences:
            raise FitError(
                f"labels {first.label_id} and {other.label_id} were made under different conditions: "
                + "; ".join(differences),
                hint="label all structures with one set of oracle settings.",
            )
