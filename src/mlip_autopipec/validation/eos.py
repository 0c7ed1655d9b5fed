"""Equation of state by oracle and potential, with the same structures and the same fit."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jobflow import Maker, job
from numpy.typing import NDArray

from mlip_autopipec.ace import load_potential
from mlip_autopipec.numerics import fit_birch_murnaghan
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    EosDoc,
    EosFit,
    LabelBatchDoc,
    ParityPoint,
    PotentialDoc,
)
from mlip_autopipec.units import EV_PER_A3_TO_GPA
from mlip_autopipec.validation.base import check, of_origin


def eos_structures(structure: AtomicStructure, n_volumes: int, max_strain: float) -> list[CandidateStructure]:
    """Compress and expand a crystal evenly.

    Parameters
    ----------
    structure
        The crystal.
    n_volumes
        Number of volumes.
    max_strain
        Largest linear strain either way, dimensionless.

    Returns
    -------
    list[CandidateStructure]
        Structures of origin ``eos``, from small to large.
    """
    found = []
    for strain in np.linspace(-max_strain, max_strain, n_volumes):
        atoms = structure.to_ase()
        atoms.set_cell(atoms.cell.array * (1.0 + strain), scale_atoms=True)
        found.append(
            CandidateStructure(
                structure=AtomicStructure.from_ase(atoms),
                origin="eos",
                detail=f"linear strain {strain:+.3f}",
                required=True,
            )
        )
    return found


@dataclass
class EosMaker(Maker):
    """Compare the equation of state of potential and oracle.

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
    """

    name: str = "validate equation of state"
    n_volumes: int = 7
    max_strain: float = 0.04
    max_volume_error: float = 1.0
    max_bulk_modulus_error: float = 8.0

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
            Both curves, both fits and verdicts.
        """
        labelled = of_origin(batch, "eos")
        points = ParityPoint.predict(load_potential(potential, Path.cwd()), labelled, potential.e0)
        volumes = np.array(
            [i.label.structure.to_ase().get_volume() / i.label.structure.n_atoms for i in labelled]
        )
        reference_energies = np.array([p.energy_reference for p in points])
        predicted_energies = np.array([p.energy_predicted for p in points])
        reference, predicted = _fit(volumes, reference_energies), _fit(volumes, predicted_energies)
        return EosDoc(
            formula=labelled[0].label.structure.formula,
            volumes=volumes.tolist(),
            energies_reference=reference_energies.tolist(),
            energies_predicted=predicted_energies.tolist(),
            reference=reference,
            predicted=predicted,
            checks=[
                check(
                    "equilibrium volume",
                    predicted.v0,
                    0.01 * self.max_volume_error * reference.v0,
                    "Å^3/atom",
                    reference=reference.v0,
                    kind="eos",
                ),
                check(
                    "bulk modulus",
                    predicted.b0,
                    0.01 * self.max_bulk_modulus_error * reference.b0,
                    "GPa",
                    reference=reference.b0,
                    kind="eos",
                ),
            ],
        )


def _fit(volumes: NDArray[np.float64], energies: NDArray[np.float64]) -> EosFit:
    found = fit_birch_murnaghan(volumes, energies)
    return EosFit(v0=found.v0, e0=found.e0, b0=found.b0 * EV_PER_A3_TO_GPA, b0_prime=found.b0_prime)
