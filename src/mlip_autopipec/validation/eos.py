"""Equations of state by oracle and potential, with the same structures and the same fit."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jobflow import Maker, job
from numpy.typing import NDArray
from pymatgen.core import Composition

from mlip_autopipec.ace import AcePotential, load_potential
from mlip_autopipec.errors import FitError
from mlip_autopipec.generation.oriented import phase_name
from mlip_autopipec.numerics import fit_birch_murnaghan
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    Check,
    EosCurve,
    EosDoc,
    EosFit,
    LabelBatchDoc,
    LabelledStructure,
    ParityPoint,
    PotentialDoc,
)
from mlip_autopipec.units import EV_PER_A3_TO_GPA
from mlip_autopipec.validation.base import check, of_origin

_FIRST = "crystal 001"


def eos_structures(
    structures: Sequence[AtomicStructure], n_volumes: int, max_strain: float
) -> list[CandidateStructure]:
    """Compress and expand crystals evenly.

    Parameters
    ----------
    structures
        The crystals.
    n_volumes
        Number of volumes.
    max_strain
        Largest linear strain either way, dimensionless.

    Returns
    -------
    list[CandidateStructure]
        Structures of origin ``eos`` and of one group a crystal, from small to large.
    """
    found = []
    for number, structure in enumerate(structures, start=1):
        for strain in np.linspace(-max_strain, max_strain, n_volumes):
            atoms = structure.to_ase()
            atoms.set_cell(atoms.cell.array * (1.0 + strain), scale_atoms=True)
            found.append(
                CandidateStructure(
                    structure=AtomicStructure.from_ase(atoms),
                    origin="eos",
                    detail=f"linear strain {strain:+.3f}",
                    group=f"crystal {number:03}",
                    required=True,
                )
            )
    return found


def of_each_crystal(batch: LabelBatchDoc) -> list[list[LabelledStructure]]:
    """Divide the labels of equations of state by crystal.

    Parameters
    ----------
    batch
        The labels.

    Returns
    -------
    list[list[LabelledStructure]]
        Those of the first crystal, be it none, then those of the others.
    """
    labelled = of_origin(batch, "eos")
    others = sorted({item.group for item in labelled} - {_FIRST, ""})
    # No group at all: the label is of a time when only the first crystal had an equation of state.
    first = [item for item in labelled if item.group in (_FIRST, "")]
    return [first, *([item for item in labelled if item.group == group] for group in others)]


def volumes_per_atom(labelled: Sequence[LabelledStructure]) -> NDArray[np.float64]:
    """Return the volumes of labelled structures.

    Parameters
    ----------
    labelled
        The labels.

    Returns
    -------
    numpy.ndarray
        In Å^3/atom, shape ``(n_labels,)``.
    """
    structures = [item.label.structure for item in labelled]
    return np.array([structure.to_ase().get_volume() / structure.n_atoms for structure in structures])


@dataclass
class EosMaker(Maker):
    """Compare equations of state of potential and oracle, and the energies of crystals with each other.

    Parameters
    ----------
    name
        Name of the job.
    n_volumes
        Number of volumes.
    max_strain
        Largest linear strain either way, dimensionless.
    max_volume_error
        Largest relative difference of the equilibrium volume that passes, in percent.
    max_bulk_modulus_error
        Largest relative difference of the bulk modulus that passes, in percent.
    max_phase_error
        Largest difference of the energy of a crystal above the first one, if both have the same composition,
        that passes, in eV/atom.
    """

    name: str = "validate equation of state"
    n_volumes: int = 7
    max_strain: float = 0.04
    max_volume_error: float = 1.0
    max_bulk_modulus_error: float = 8.0
    max_phase_error: float = 0.01

    @job(output_schema=EosDoc)
    def make(self, potential: PotentialDoc, batch: LabelBatchDoc) -> EosDoc:
        """Compare on the strained crystals of a batch.

        Parameters
        ----------
        potential
            The potential.
        batch
            Labels; those of origin ``eos`` count.

        Returns
        -------
        EosDoc
            Curves and fits of both for each crystal, and verdicts. Crystals other than the first whose energy
            has no minimum by the oracle are noted only.

        Raises
        ------
        FitError
            The first crystal's energy has no minimum.
        """
        ace = load_potential(potential, Path.cwd())
        first, *others = of_each_crystal(batch)
        curves, notes = [self._curve(first, ace, potential.e0)], []
        checks = self._judged(curves[0], "")
        for labelled in others:
            try:
                curve = self._curve(labelled, ace, potential.e0)
            except FitError as error:
                name = phase_name(labelled[0].label.structure.to_ase())
                notes.append(f"{name}, by the oracle: {error.args[0]}")
                continue
            curves.append(curve)
            checks += [*self._judged(curve, f" of {curve.phase}"), *self._ordered(curves[0], curve)]
        return EosDoc(curves=curves, notes=notes, checks=checks)

    def _curve(self, labelled: list[LabelledStructure], ace: AcePotential, e0: dict[str, float]) -> EosCurve:
        """Fit the labels of a crystal, which must have a minimum, and what the potential says of them."""
        points = ParityPoint.predict(ace, labelled, e0)
        volumes = volumes_per_atom(labelled)
        by_oracle = np.array([p.energy_reference for p in points])
        by_potential = np.array([p.energy_predicted for p in points])
        reference = _fit(volumes, by_oracle)
        try:
            predicted = _fit(volumes, by_potential)
        except FitError:  # it is judged as a failure
            predicted = None
        return EosCurve(
            reference=reference,
            predicted=predicted,
            formula=labelled[0].label.structure.formula,
            phase=phase_name(labelled[0].label.structure.to_ase()),
            volumes=volumes.tolist(),
            energies_reference=by_oracle.tolist(),
            energies_predicted=by_potential.tolist(),
        )

    def _judged(self, curve: EosCurve, of: str) -> list[Check]:
        reference, predicted = curve.reference, curve.predicted
        tolerated = 0.01 * self.max_volume_error * reference.v0
        if predicted is None:
            lowest = curve.volumes[int(np.argmin(curve.energies_predicted))]
            return [
                Check(
                    name=f"equilibrium volume{of}",
                    kind="eos",
                    value=lowest,
                    reference=reference.v0,
                    limit=tolerated,
                    unit="Å^3/atom",
                    verdict="fail",
                    reason=f"the potential's energy has no minimum; it is least at {lowest:.4g} Å^3/atom",
                )
            ]
        return [
            check(
                f"equilibrium volume{of}",
                predicted.v0,
                tolerated,
                "Å^3/atom",
                reference=reference.v0,
                kind="eos",
            ),
            check(
                f"bulk modulus{of}",
                predicted.b0,
                0.01 * self.max_bulk_modulus_error * reference.b0,
                "GPa",
                reference=reference.b0,
                kind="eos",
            ),
        ]

    def _ordered(self, first: EosCurve, curve: EosCurve) -> list[Check]:
        """Judge the energy above the first crystal, which is defined for the same composition only."""
        alike = Composition(first.formula).reduced_formula == Composition(curve.formula).reduced_formula
        if not alike or first.predicted is None or curve.predicted is None:
            return []
        return [
            check(
                f"energy of {curve.phase} above the first",
                curve.predicted.e0 - first.predicted.e0,
                self.max_phase_error,
                "eV/atom",
                reference=curve.reference.e0 - first.reference.e0,
                kind="eos",
            )
        ]


def _fit(volumes: NDArray[np.float64], energies: NDArray[np.float64]) -> EosFit:
    found = fit_birch_murnaghan(volumes, energies)
    return EosFit(v0=found.v0, e0=found.e0, b0=found.b0 * EV_PER_A3_TO_GPA, b0_prime=found.b0_prime)
