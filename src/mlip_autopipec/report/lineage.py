"""Where a label comes from and what it did: halted atom, gamma, small cell, oracle, weight, effect."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from jobflow import JobStore

from mlip_autopipec.ace import load_potential
from mlip_autopipec.report.campaign import Campaign, Label
from mlip_autopipec.schemas import (
    EmbeddedCell,
    EmbeddingDoc,
    ExplorationDoc,
    LabelledStructure,
    ParityPoint,
    PotentialDoc,
)
from mlip_autopipec.store import find_outputs, load_output


@dataclass(frozen=True)
class Encounter:
    """The walk that met a structure; temperature in K, ``value`` as ``ExplorationDoc.end_value``."""

    job_id: str
    generation: int
    temperature: float
    detail: str
    n_atoms: int
    end_reason: str
    value: float | None
    gamma_limit: float


@dataclass(frozen=True)
class LabelError:
    """How far a potential is from a label.

    ``energy`` is in eV/atom, ``force_rmse`` of the components and ``atom_force``, of the atom that was most
    uncertain, in eV/Å.
    """

    job_id: str
    energy: float
    force_rmse: float
    atom_force: float | None


@dataclass(frozen=True)
class Lineage:
    """What is known of a label.

    Parameters
    ----------
    label
        The label, with the generation that asked for it.
    encounter
        The walk that met it; none for structures that no walk met.
    atom
        Index of its most uncertain atom, by the potential that had not seen it; none in the first generation.
    gamma
        Grade of that atom, MaxVol scale, dimensionless.
    cell
        The small cell that stands for a larger one; none if it was labelled whole.
    before
        Error of the potential that had not seen it.
    after
        Error of the first that had; none if it was not trained on.
    """

    label: Label
    encounter: Encounter | None
    atom: int | None
    gamma: float | None
    cell: EmbeddedCell | None
    before: LabelError | None
    after: LabelError | None

    def text(self) -> str:
        """Return it in words, one step a line."""
        entry, label = self.label.entry, self.label.entry.label
        when = "validation" if self.label.generation is None else f"generation {self.label.generation}"
        lines = [
            f"label       {entry.label_id}",
            f"asked for   by {when}: {label.structure.formula}, {entry.origin}"
            + (f", {entry.detail}" if entry.detail else ""),
        ]
        lines += [*self._met(), *self._embedded()]
        forces = np.linalg.norm(label.forces, axis=1)
        lines.append(
            f"oracle      {label.fingerprint.code} {label.fingerprint.version}: {label.energy:.6f} eV, "
            f"largest force {forces.max():.3f} eV/Å, {label.wall_time:.3g} s"
            + (f", {len(label.corrections)} corrected attempts" if label.corrections else "")
        )
        lines.append(f"weight      {_weight(entry)}")
        lines += [_effect("before", self.before), _effect("after", self.after)]
        return "\n".join(lines)

    def _met(self) -> list[str]:
        lines = []
        if self.encounter is not None:
            met = self.encounter
            value = "" if met.value is None else f" {met.value:.3g}"
            lines.append(
                f"met by      a walk at {met.temperature:g} K in generation {met.generation} ({met.n_atoms} "
                f"atoms), which ended by {met.end_reason}{value} (gamma limit {met.gamma_limit:.3g}); "
                f"job {met.job_id}"
            )
        if self.atom is not None:
            symbol = self.label.entry.label.structure.symbols[self.atom]
            lines.append(f"uncertain   atom {self.atom} ({symbol}): gamma {self.gamma:.3g}")
        if self.label.entry.gamma is not None:
            lines.append(f"            gamma {self.label.entry.gamma:.3g} when it was met")
        return lines

    def _embedded(self) -> list[str]:
        if self.cell is None:
            return []
        cell = self.cell
        return [
            f"embedded    {cell.n_atoms} of {cell.n_host} atoms ({cell.kind}) around atom {cell.atom}: gamma "
            f"{cell.gamma_host:.3g} -> {cell.gamma:.3g}, basis functions changed by "
            f"{cell.descriptor_difference:.2g}"
        ]


def trace(store: JobStore, campaign: Campaign, label: Label) -> Lineage:
    """Follow a label through a campaign.

    Parameters
    ----------
    store
        A connected store.
    campaign
        The campaign in it.
    label
        One of its labels.

    Returns
    -------
    Lineage
        What is known; the potential before is evaluated on the label, which takes python-ace.
    """
    fits = [fit for fit in campaign.fits if label.generation is not None]
    earlier = [fit for fit in fits if fit.generation < (label.generation or 0)]
    later = [fit for fit in fits if fit.generation >= (label.generation or 0)]
    atom = gamma = before = None
    if earlier:
        document = load_output(store, earlier[-1].job_id)
        atom, gamma, before = _judged(document, earlier[-1].job_id, label.entry)
    after = (
        _trained(load_output(store, later[0].job_id), later[0].job_id, label.entry, atom) if later else None
    )
    encounter, frame = _encounter(store, label)
    return Lineage(label, encounter, atom, gamma, _cell(store, label, frame), before, after)


def _judged(document: PotentialDoc, job_id: str, entry: LabelledStructure) -> tuple[int, float, LabelError]:
    """Grade a label by a potential that has not seen it, and set its prediction against it."""
    with TemporaryDirectory() as folder:
        potential = load_potential(document, Path(folder))
        grades = potential.evaluate(entry.label.structure.to_ase()).gamma
        (point,) = ParityPoint.predict(potential, [entry], document.e0)
    if grades is None:
        raise AssertionError("a fitted potential has an active set")
    atom = int(np.argmax(grades))
    return atom, float(grades[atom]), _error(job_id, point, atom)


def _trained(
    document: PotentialDoc, job_id: str, entry: LabelledStructure, atom: int | None
) -> LabelError | None:
    points = [point for point in document.parity if point.label_id == entry.label_id]
    return _error(job_id, points[0], atom) if points else None


def _error(job_id: str, point: ParityPoint, atom: int | None) -> LabelError:
    difference = np.subtract(point.forces_predicted, point.forces_reference)
    return LabelError(
        job_id=job_id,
        energy=abs(point.energy_predicted - point.energy_reference),
        force_rmse=float(np.sqrt(np.mean(difference**2))),
        atom_force=None if atom is None else float(np.linalg.norm(difference.reshape(-1, 3)[atom])),
    )


def _encounter(store: JobStore, label: Label) -> tuple[Encounter | None, str]:
    """Find the walk among whose frames a label is, whole or embedded; and what the frame is called."""
    entry = label.entry
    for found in find_outputs(store, stage="explore"):
        walk = found.output
        if not isinstance(walk, ExplorationDoc):
            continue
        for frame in [*walk.frames, *([walk.certain] if walk.certain else [])]:
            if frame.group == entry.group and _is_from(entry.detail, frame.detail):
                return Encounter(
                    job_id=found.uuid,
                    generation=found.metadata["generation"],
                    temperature=walk.walker.temperature,
                    detail=frame.detail,
                    n_atoms=frame.structure.n_atoms,
                    end_reason=walk.end_reason,
                    value=walk.end_value,
                    gamma_limit=walk.gamma_limit,
                ), frame.detail
    return None, ""


def _cell(store: JobStore, label: Label, frame: str) -> EmbeddedCell | None:
    """Find the record of the small cell that a label was computed in."""
    n_atoms = label.entry.label.structure.n_atoms
    cells: Sequence[EmbeddedCell] = [
        cell
        for found in find_outputs(store, stage="embed", generation=label.generation)
        if isinstance(found.output, EmbeddingDoc)
        for cell in found.output.cells
        if cell.accepted and cell.detail == frame and cell.n_atoms == n_atoms
    ]
    return cells[0] if frame and cells else None


def _is_from(detail: str, frame: str) -> bool:
    return detail == frame or detail.startswith(f"{frame}, ")


def _weight(entry: LabelledStructure) -> str:
    if entry.weights is None:
        return "all of it counts in full"
    share = float(np.mean(entry.weights.forces))
    energy = "energy and stress count" if entry.weights.energy else "energy and stress do not count"
    factor = entry.weights.energy_factor
    often = f", the energy {factor:.0f} times" if factor != 1.0 else ""
    return f"forces {share:.2f} on average, {energy}{often}"


def _effect(when: str, error: LabelError | None) -> str:
    if error is None:
        return f"{when:12}none" if when == "before" else f"{when:12}not trained on"
    atom = "" if error.atom_force is None else f", of that atom {error.atom_force:.4f} eV/Å"
    return (
        f"{when:12}error {1000 * error.energy:.2f} meV/atom, forces {error.force_rmse:.4f} eV/Å{atom}; "
        f"potential {error.job_id}"
    )
