"""Labels of several conditions on one scale: a shift of E0 per element, from structures in common."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.errors import FitError
from mlip_autopipec.schemas import EnergyShift, Fingerprint, LabelledStructure

Array = NDArray[np.float64]

_HINT = "label a few structures of each composition, the same ones, under both conditions."


@dataclass
class _Group:
    """Labels of like conditions, with the pseudopotentials of all their elements."""

    fingerprint: Fingerprint
    labels: list[LabelledStructure]

    def takes(self, item: LabelledStructure) -> bool:
        theirs = item.label.fingerprint
        if theirs == self.fingerprint:
            return True
        if self.fingerprint.differences(theirs):
            return False
        merged = theirs.pseudopotentials | self.fingerprint.pseudopotentials
        self.fingerprint = self.fingerprint.model_copy(update={"pseudopotentials": merged})
        return True


def realigned(
    labels: Sequence[LabelledStructure],
) -> tuple[list[LabelledStructure], list[EnergyShift], list[LabelledStructure]]:
    r"""Bring labels of different conditions to the energy scale of those that are most.

    Two oracles that differ in their pseudopotentials or their code give energies that differ first of all by
    a constant for each atom. It is had from the structures i that both have labelled:

    .. math:: \min_d \sum_i \left(\frac{E_i - E_i^\mathrm{ref} - \sum_e n_{ie} d_e}{n_i}\right)^2

    and :math:`\sum_e n_e d_e` is subtracted from every energy of the group. Forces and stresses stay as they
    are. Free atoms are not used, for their difference is often one of spin or box; of the group they are left
    out where the reference has its own. What a constant cannot mend is the residual, which is reported.

    Parameters
    ----------
    labels
        Labels with one or several fingerprints.

    Returns
    -------
    labels
        All labels with the energies of the largest group untouched and those of the others shifted; the notes
        of a shifted label say so. Fingerprints are as they were.
    shifts
        What was done, one document a group.
    untouched
        The labels of the largest group.

    Raises
    ------
    FitError
        The structures in common do not determine the shift of a label.
    """
    groups = _groups(labels)
    if len(groups) < 2:
        return list(labels), [], list(labels)
    reference = max(groups, key=lambda group: len(group.labels))
    elements = sorted({s for item in labels for s in item.label.structure.symbols})
    atoms_there = {item.label.structure.symbols[0] for item in reference.labels if _free(item)}
    moved: dict[int, LabelledStructure] = {id(item): item for item in reference.labels}
    shifts = []
    for group in groups:
        if group is reference:
            continue
        used = [i for i in group.labels if not (_free(i) and i.label.structure.symbols[0] in atoms_there)]
        shift = _shift(reference, group, used, elements)
        shifts.append(shift)
        moved |= {id(item): _shifted(item, shift) for item in used}
    return [moved[id(item)] for item in labels if id(item) in moved], shifts, reference.labels


def _groups(labels: Sequence[LabelledStructure]) -> list[_Group]:
    groups: list[_Group] = []
    for item in labels:
        group = next((group for group in groups if group.takes(item)), None)
        if group is None:
            groups.append(_Group(item.label.fingerprint, [item]))
        else:
            group.labels.append(item)
    return groups


def _shift(
    reference: _Group, group: _Group, used: Sequence[LabelledStructure], elements: Sequence[str]
) -> EnergyShift:
    known = {item.label.structure.digest: item for item in reference.labels if not _free(item)}
    pairs = [(known[d], item) for item in used if (d := item.label.structure.digest) in known]
    rows = _fractions([item for _, item in pairs], elements)
    differences = np.array([(b.label.energy - a.label.energy) / b.label.structure.n_atoms for a, b in pairs])
    solution = np.linalg.lstsq(rows, differences, rcond=None)[0]
    undetermined = _beyond(rows, _fractions(used, elements))
    if undetermined is not None:
        item = used[undetermined]
        raise FitError(
            f"label {item.label_id} ({item.label.structure.formula}) cannot be realigned: the {len(pairs)} "
            "structures labelled under both conditions do not determine its shift. They differ in "
            + "; ".join(reference.fingerprint.differences(group.fingerprint)),
            hint=_HINT,
        )
    residual = rows @ solution - differences
    return EnergyShift(
        differences=reference.fingerprint.differences(group.fingerprint),
        shift={e: float(d) for e, d in zip(elements, solution, strict=True) if _has(used, e)},
        n_labels=len(used),
        n_common=len(pairs),
        residual=float(np.sqrt(np.mean(residual**2))) if len(pairs) > np.linalg.matrix_rank(rows) else None,
    )


def _beyond(rows: Array, wanted: Array) -> int | None:
    """Index of the first composition that is no combination of the rows."""
    basis = np.linalg.svd(rows, full_matrices=False)[2][: np.linalg.matrix_rank(rows)] if len(rows) else rows
    outside = np.linalg.norm(wanted - wanted @ basis.T @ basis, axis=1)
    beyond = np.flatnonzero(outside > 1e-8)
    return int(beyond[0]) if len(beyond) else None


def _fractions(labels: Sequence[LabelledStructure], elements: Sequence[str]) -> Array:
    found = [
        [item.label.structure.symbols.count(e) / item.label.structure.n_atoms for e in elements]
        for item in labels
    ]
    return np.array(found, dtype=float).reshape(len(labels), len(elements))


def _shifted(item: LabelledStructure, shift: EnergyShift) -> LabelledStructure:
    moved = sum(shift.shift[symbol] for symbol in item.label.structure.symbols)
    note = f"realigned: {moved:.6f} eV of E0 subtracted"
    label = item.label.model_copy(
        update={"energy": item.label.energy - moved, "notes": [*item.label.notes, note]}
    )
    return item.model_copy(update={"label": label})


def _free(item: LabelledStructure) -> bool:
    structure = item.label.structure
    return structure.n_atoms == 1 and not any(structure.pbc)


def _has(labels: Sequence[LabelledStructure], element: str) -> bool:
    return any(element in item.label.structure.symbols for item in labels)
