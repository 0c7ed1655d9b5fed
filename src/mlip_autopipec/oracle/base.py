"""The abstract oracle: what is asked of every code that labels structures."""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
from ase import Atoms
from jobflow import JobConfig, Maker, job
from numpy.typing import NDArray

from mlip_autopipec.ace import closest_pair
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.oracle.failures import failure_recorded
from mlip_autopipec.schemas import AtomicStructure, Correction, Fingerprint, LabelDoc


@dataclass(frozen=True)
class OracleResult:
    """What an oracle computed, before it is checked.

    Parameters
    ----------
    energy
        Energy of the cell in eV, consistent with the forces.
    forces
        Forces in eV/Å, shape ``(n_atoms, 3)``.
    stress
        Stress in eV/Å^3, tension positive, shape ``(3, 3)``; None if the structure is not periodic.
    fingerprint
        Conditions of the calculation.
    scf_iterations
        Number of SCF iterations, where there are any.
    notes
        What a reader of the numbers should know.
    corrections
        Attempts that failed before.
    magnetization
        Total magnetisation in Bohr magnetons a cell, if spin-polarised.
    absolute_magnetization
        Integral of its absolute value in Bohr magnetons a cell, if spin-polarised.
    """

    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None
    fingerprint: Fingerprint
    scf_iterations: int | None = None
    notes: tuple[str, ...] = ()
    corrections: tuple[Correction, ...] = ()
    magnetization: float | None = None
    absolute_magnetization: float | None = None


@dataclass
class OracleMaker(Maker, ABC):
    """Label one structure with energy, forces and stress.

    ``make`` takes the structure and nothing else: a label is identified by its Maker and its structure.

    Parameters
    ----------
    name
        Name of the job.
    min_distance_ratio
        A structure with two atoms closer than this fraction of the sum of their covalent radii is refused
        before anything runs (dimensionless). Codes "converge" such structures to useless numbers.
    max_force
        A result with a larger force is refused, in eV/Å.
    """

    name: str = "label"
    min_distance_ratio: float = 0.45
    max_force: float = 150.0

    # The store, for the reason of a failure.
    @job(output_schema=LabelDoc, data=["structure", "forces"], config=JobConfig(expose_store=True))
    def make(self, structure: AtomicStructure) -> LabelDoc:
        """Label a structure.

        Parameters
        ----------
        structure
            The structure.

        Returns
        -------
        LabelDoc
            Energy, forces and stress with the conditions they were computed under.
        """
        directory = Path.cwd()
        with failure_recorded():
            check_distances(structure.to_ase(), self.min_distance_ratio)
            start = time.perf_counter()
            result = self.compute(structure, directory)
            wall_time = time.perf_counter() - start
            check_result(result, structure, self.max_force, directory)
        return label_document(structure, result, wall_time)

    @abstractmethod
    def compute(self, structure: AtomicStructure, directory: Path) -> OracleResult:
        """Run the code on a structure.

        Parameters
        ----------
        structure
            The structure.
        directory
            Folder to work in.

        Returns
        -------
        OracleResult
            What it computed.
        """

    def check(self, elements: Iterable[str]) -> None:
        """Raise before anything runs if these elements cannot be labelled on this machine.

        Parameters
        ----------
        elements
            Chemical symbols.
        """

    def prepared(self, elements: Iterable[str]) -> Self:
        """Return a checked copy whose settings are the same for all structures of these elements.

        Parameters
        ----------
        elements
            Chemical symbols of the whole data set.

        Returns
        -------
        OracleMaker
            The copy; its labels share one fingerprint.
        """
        self.check(elements)
        return replace(self)


def check_distances(atoms: Atoms, ratio: float) -> None:
    """Refuse a structure with atoms that are too close.

    Parameters
    ----------
    atoms
        The structure.
    ratio
        Smallest accepted distance over the sum of covalent radii, dimensionless.

    Raises
    ------
    CalculationError
        Two atoms are closer.
    """
    close = closest_pair(atoms, ratio)
    if close is None:
        return
    i, j, distance, relative = close
    symbols = atoms.get_chemical_symbols()
    raise CalculationError(
        f"atoms {i} ({symbols[i]}) and {j} ({symbols[j]}) are {distance:.3f} Å apart, {relative:.2f} of the "
        f"sum of their covalent radii; at least {ratio:g} is accepted. Nothing was run.",
        hint="leave the structure out, or lower `min_distance_ratio` if it is meant.",
    )


def check_result(
    result: OracleResult, structure: AtomicStructure, max_force: float, directory: Path | None = None
) -> None:
    """Refuse numbers that cannot be a label.

    Parameters
    ----------
    result
        What the oracle computed.
    structure
        The structure it belongs to.
    max_force
        Largest accepted force in eV/Å.
    directory
        Folder of the calculation, for the message.

    Raises
    ------
    CalculationError
        A number is missing, not finite or too large.
    """
    if np.shape(result.forces) != (structure.n_atoms, 3):
        raise CalculationError(
            f"forces must have shape ({structure.n_atoms}, 3), got {np.shape(result.forces)}.",
            directory=directory,
        )
    if result.stress is not None and np.shape(result.stress) != (3, 3):
        raise CalculationError(
            f"stress must have shape (3, 3), got {np.shape(result.stress)}.", directory=directory
        )
    stress = np.zeros((3, 3)) if result.stress is None else result.stress
    for what, values in (("energy", result.energy), ("forces", result.forces), ("stress", stress)):
        if not np.isfinite(values).all():
            raise CalculationError(
                f"{what} must be finite, got {np.asarray(values).tolist()}.",
                hint="look at the geometry; the oracle may not be defined for it.",
                directory=directory,
            )
    norms = np.linalg.norm(result.forces, axis=1)
    worst = int(np.argmax(norms))
    if norms[worst] > max_force:
        raise CalculationError(
            f"the force on atom {worst} ({structure.symbols[worst]}) is {norms[worst]:.1f} eV/Å; "
            f"at most {max_force:g} is accepted.",
            hint="leave the structure out, or raise `max_force` if it is meant.",
            directory=directory,
        )


def label_document(structure: AtomicStructure, result: OracleResult, wall_time: float) -> LabelDoc:
    """Put a checked result into a document.

    Parameters
    ----------
    structure
        The structure.
    result
        What the oracle computed for it.
    wall_time
        Wall time in s.

    Returns
    -------
    LabelDoc
        The label.
    """
    return LabelDoc(
        structure=structure,
        energy=float(result.energy),
        forces=np.asarray(result.forces, dtype=float).tolist(),
        stress=None if result.stress is None else np.asarray(result.stress, dtype=float).tolist(),
        fingerprint=result.fingerprint,
        wall_time=wall_time,
        scf_iterations=result.scf_iterations,
        magnetization=result.magnetization,
        absolute_magnetization=result.absolute_magnetization,
        corrections=list(result.corrections),
        notes=list(result.notes),
    )
