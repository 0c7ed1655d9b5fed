"""From label batches to a training set: E0, what is left out and why, how much each label weighs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import get_args

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.ace import bonds
from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.schemas import EnergyShift, Fingerprint, LabelBatchDoc, LabelledStructure
from mlip_autopipec.schemas.dataset import E0Mode
from mlip_autopipec.training.realign import realigned
from mlip_autopipec.training.weights import importance

__all__ = [
    "TrainingSet",
    "assemble",
    "composition_counts",
    "consistent_labels",
    "importance",
    "one_fingerprint",
    "reference_energies",
]

Array = NDArray[np.float64]

_SAME_ATOM = 1.0e-3  # eV: free atoms of one element that differ by more do not come from one oracle


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
    realigned
        Labels of other conditions and how their E0 was shifted.
    """

    labels: list[LabelledStructure]
    structures: list[Atoms]
    e0: dict[str, float]
    e0_source: str
    excluded: list[str] = field(default_factory=list)
    realigned: list[EnergyShift] = field(default_factory=list)

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


def assemble(batches: Sequence[LabelBatchDoc], cutoff: float, *, realign: bool = False) -> TrainingSet:
    """Put batches of labels together.

    Structures in which an atom has no neighbour within the cut-off are left out: isolated atoms give E0,
    the others tell the fit nothing that E0 does not.

    Parameters
    ----------
    batches
        The labels.
    cutoff
        Cut-off radius in Å.
    realign
        Whether labels of other conditions are shifted in E0 instead of refused.

    Returns
    -------
    TrainingSet
        The training set.

    Raises
    ------
    FitError
        There is nothing to fit, or labels were made under different conditions.
    """
    labels, _, shifts = consistent_labels(batches, realign=realign)
    e0, source = reference_energies(labels)
    kept: list[LabelledStructure] = []
    structures: list[Atoms] = []
    excluded: list[str] = []
    for item in labels:
        atoms = item.label.structure.to_ase()
        lonely = len(atoms) - len(set(bonds(atoms, cutoff).i.tolist()))
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
    return TrainingSet(kept, structures, e0, source, excluded, shifts)


def consistent_labels(
    batches: Sequence[LabelBatchDoc], *, realign: bool = False
) -> tuple[list[LabelledStructure], Fingerprint, list[EnergyShift]]:
    """Gather labels of one set of conditions, or bring them to one energy scale.

    Parameters
    ----------
    batches
        The labels.
    realign
        Whether labels of other conditions are shifted in E0 (:func:`~.realign.realigned`) instead of refused.

    Returns
    -------
    labels
        The labels.
    fingerprint
        The conditions of all, or of most where some are realigned.
    shifts
        What was realigned.

    Raises
    ------
    FitError
        There is no label, two were made under different conditions, or they cannot be realigned.
    """
    labels = [item for batch in batches for item in batch.labels]
    if not realign:
        return labels, one_fingerprint(labels), []
    labels, shifts, own = realigned(labels)
    return labels, one_fingerprint(own), shifts


def reference_energies(
    labels: Sequence[LabelledStructure], mode: E0Mode = "auto"
) -> tuple[dict[str, float], str]:
    """Determine E0 of each element.

    Parameters
    ----------
    labels
        All labels.
    mode
        ``"isolated"``: energies of labelled isolated atoms; ``"least_squares"``: of the compositions;
        ``"auto"``: the former if there is an isolated atom of each element, else the latter.

    Returns
    -------
    e0
        Energies in eV by element. Where the compositions cannot tell elements apart, the least-squares
        solution of least norm.
    source
        Which of the two it is, in words.

    Raises
    ------
    ConfigError
        There is no such mode.
    FitError
        Isolated atoms are asked for and not all there, or two of one element have different energies.
    """
    if mode not in get_args(E0Mode):
        raise ConfigError(f"'e0' must be one of {', '.join(get_args(E0Mode))}, got {mode!r}.")
    elements = sorted({symbol for item in labels for symbol in item.label.structure.symbols})
    isolated = {} if mode == "least_squares" else _isolated_energies(labels)
    missing = [element for element in elements if element not in isolated]
    if not missing:
        return {element: isolated[element] for element in elements}, "labelled isolated atoms"
    if mode == "isolated":
        raise FitError(
            f"'e0' isolated needs a labelled isolated atom of each element; {', '.join(missing)} has none "
            f"(labelled: {', '.join(sorted(isolated)) or 'none'}).",
            hint="label the missing atoms with the same oracle, or set e0: auto.",
        )
    counts = composition_counts(labels)
    energies = np.array([item.label.energy for item in labels])
    solution, *_ = np.linalg.lstsq(counts, energies, rcond=None)
    return dict(zip(elements, solution.tolist(), strict=True)), "least squares over the compositions"


def composition_counts(labels: Sequence[LabelledStructure]) -> Array:
    """Count the atoms of each element in each structure.

    Parameters
    ----------
    labels
        The labels.

    Returns
    -------
    numpy.ndarray
        Numbers of atoms, shape ``(n_labels, n_elements)``; elements alphabetically.
    """
    elements = sorted({symbol for item in labels for symbol in item.label.structure.symbols})
    return np.array([[item.label.structure.symbols.count(e) for e in elements] for item in labels], float)


def one_fingerprint(labels: Sequence[LabelledStructure]) -> Fingerprint:
    """Require that all labels were made under the same conditions.

    Parameters
    ----------
    labels
        The labels.

    Returns
    -------
    Fingerprint
        Their conditions, with the pseudopotentials of all elements.

    Raises
    ------
    FitError
        There is no label, or two were made under different conditions.
    """
    if not labels:
        raise FitError("there are no labels to fit.")
    common = labels[0].label.fingerprint
    for other in labels[1:]:
        theirs = other.label.fingerprint
        if theirs == common:
            continue
        if common.differences(theirs):
            # Elements come one by one, so it need not be the first label that disagrees.
            first = next(item for item in labels if item.label.fingerprint.differences(theirs))
            raise FitError(
                f"labels {first.label_id} and {other.label_id} were made under different conditions: "
                + "; ".join(first.label.fingerprint.differences(theirs)),
                hint="label all with one set of oracle settings, or set `realign: true` if only E0 differs.",
            )
        merged = theirs.pseudopotentials | common.pseudopotentials
        common = common.model_copy(update={"pseudopotentials": merged})
    return common


def _isolated_energies(labels: Sequence[LabelledStructure]) -> dict[str, float]:
    found: dict[str, LabelledStructure] = {}
    for item in labels:
        if item.origin != "isolated_atom" or item.label.structure.n_atoms != 1:
            continue
        symbol = item.label.structure.symbols[0]
        first = found.setdefault(symbol, item)
        if abs(first.label.energy - item.label.energy) > _SAME_ATOM:
            raise FitError(
                f"the isolated {symbol} atom has two energies: {first.label.energy:.6f} eV "
                f"({first.label_id}) and {item.label.energy:.6f} eV ({item.label_id}).",
                hint="keep the label of the right spin state and box.",
            )
    return {symbol: item.label.energy for symbol, item in found.items()}
