"""Energies of defects by oracle and potential, from the same unrelaxed cells."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from ase import Atoms
from ase.optimize import BFGS
from jobflow import job

from mlip_autopipec.ace import AceCalculator, AcePotential, load_potential
from mlip_autopipec.generation.defect_cells import (
    DefectCell,
    fault_cells,
    surface_cells,
    vacancy_cells,
)
from mlip_autopipec.generation.oriented import Plane
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    Check,
    CheckKind,
    DefectDoc,
    DefectEnergy,
    LabelBatchDoc,
    Origin,
    PotentialDoc,
)
from mlip_autopipec.units import EV_PER_A2_TO_J_PER_M2
from mlip_autopipec.validation.base import above, check
from mlip_autopipec.validation.property import Observed, PropertyMaker, candidate

_RELAXED = 0.02  # eV/Å
_MOST_STEPS = 200


def defect_energy(cell: DefectCell, defect: float, perfect: float) -> float:
    """Compute the energy of a defect.

    A missing atom of an element goes into the crystal, one of a compound becomes a free atom: the chemical
    potentials of a compound are not known.

    Parameters
    ----------
    cell
        The defect.
    defect, perfect
        Energies of both cells relative to free atoms in eV.

    Returns
    -------
    float
        In eV, or in J/m^2 where the defect has an area.
    """
    if cell.area:
        share = len(cell.atoms) / len(cell.perfect)
        return EV_PER_A2_TO_J_PER_M2 * (defect - share * perfect) / cell.area
    if len(set(cell.perfect.get_chemical_symbols())) > 1:
        return defect - perfect
    return defect - len(cell.atoms) / len(cell.perfect) * perfect


@dataclass
class DefectMaker(PropertyMaker):
    """Compare the energies of defects whose atoms are where the perfect crystal has them.

    Beside it stands what the potential says after it has relaxed the atoms, which is not compared.
    """

    origin: ClassVar[Origin]
    kind: ClassVar[CheckKind]

    @abstractmethod
    def defects(self, crystal: Atoms) -> list[DefectCell]:
        """List the defects.

        Parameters
        ----------
        crystal
            The crystal.

        Returns
        -------
        list[DefectCell]
            None where it has no such defect.
        """

    @property
    @abstractmethod
    def limit(self) -> float:
        """Largest difference that passes, in eV or J/m^2."""

    def cells(self, crystal: Atoms) -> list[CandidateStructure]:
        """List the cells with and without each defect; a perfect cell is named once."""
        found: dict[str, CandidateStructure] = {}
        for defect in self.defects(crystal):
            for atoms, detail in ((defect.perfect, _perfect(defect)), (defect.atoms, defect.name)):
                found.setdefault(detail, candidate(atoms, self.origin, detail))
        return list(found.values())

    @job(output_schema=DefectDoc)
    def make(
        self, potential: PotentialDoc, crystal: AtomicStructure, batch: LabelBatchDoc | None = None
    ) -> DefectDoc:
        """Compute the energies and judge them."""
        atoms = crystal.to_ase()
        names = [cell.detail for cell in self.cells(atoms)]
        mine, theirs = self.observed(potential, crystal, batch)
        ace = load_potential(potential, Path.cwd())
        rows = [
            DefectEnergy(
                name=defect.name,
                unit="J/m^2" if defect.area else "eV",
                n_atoms=len(defect.atoms),
                predicted=_energy(defect, names, mine),
                reference=None if theirs is None else _energy(defect, names, theirs),
                relaxed=_relaxed(ace, defect, names, mine),
            )
            for defect in self.defects(atoms)
        ]
        return DefectDoc(
            kind=self.kind, formula=crystal.formula, energies=rows, checks=list(self._checks(rows))
        )

    def _checks(self, rows: list[DefectEnergy]) -> Iterable[Check]:
        return [
            above(f"energy of {row.name}", row.predicted, None, row.unit, kind=self.kind)
            if row.reference is None
            else check(
                f"energy of {row.name}",
                row.predicted,
                self.limit,
                row.unit,
                reference=row.reference,
                kind=self.kind,
            )
            for row in rows
        ]


@dataclass
class VacancyMaker(DefectMaker):
    """Compare vacancy energies.

    Parameters
    ----------
    vacancy_atoms
        Smallest number of atoms of the cell.
    max_vacancy_error
        Largest difference that passes, in eV.
    """

    name: str = "validate vacancies"
    vacancy_atoms: int = 32
    max_vacancy_error: float = 0.1
    kind: ClassVar[CheckKind] = "vacancy"
    origin: ClassVar[Origin] = "vacancy"

    def defects(self, crystal: Atoms) -> list[DefectCell]:
        """List one vacancy of each kind of site."""
        return vacancy_cells(crystal, self.vacancy_atoms)

    @property
    def limit(self) -> float:
        """Largest difference that passes, in eV."""
        return self.max_vacancy_error


@dataclass
class SurfaceMaker(DefectMaker):
    """Compare surface energies.

    Parameters
    ----------
    planes
        Miller indices of the conventional cell.
    thickness, vacuum
        Of the slab and of what is between it and its image, in Å.
    max_surface_error
        Largest difference that passes, in J/m^2.
    """

    name: str = "validate surfaces"
    planes: tuple[Plane, ...] = ((1, 0, 0), (1, 1, 0), (1, 1, 1))
    thickness: float = 8.0
    vacuum: float = 10.0
    max_surface_error: float = 0.1
    kind: ClassVar[CheckKind] = "surface"
    origin: ClassVar[Origin] = "surface"

    def defects(self, crystal: Atoms) -> list[DefectCell]:
        """List one slab a plane."""
        return surface_cells(crystal, self.planes, self.thickness, self.vacuum)

    @property
    def limit(self) -> float:
        """Largest difference that passes, in J/m^2."""
        return self.max_surface_error


@dataclass
class StackingFaultMaker(DefectMaker):
    """Compare the energy of the stacking fault.

    Parameters
    ----------
    fault_distance
        Smallest distance of a fault from its image in Å.
    max_fault_error
        Largest difference that passes, in J/m^2.
    """

    name: str = "validate stacking faults"
    fault_distance: float = 8.0
    max_fault_error: float = 0.03
    kind: ClassVar[CheckKind] = "stacking_fault"
    origin: ClassVar[Origin] = "stacking_fault"

    def defects(self, crystal: Atoms) -> list[DefectCell]:
        """List the fault, if it is known which planes glide."""
        return fault_cells(crystal, self.fault_distance)

    @property
    def limit(self) -> float:
        """Largest difference that passes, in J/m^2."""
        return self.max_fault_error


def _perfect(defect: DefectCell) -> str:
    return f"crystal for {defect.name}" if defect.area else "crystal"


def _energy(defect: DefectCell, names: list[str], said: list[Observed]) -> float:
    known = dict(zip(names, said, strict=True))
    return defect_energy(defect, known[defect.name].energy, known[_perfect(defect)].energy)


def _relaxed(ace: AcePotential, defect: DefectCell, names: list[str], said: list[Observed]) -> float | None:
    """Let the potential relax the atoms in the given cell; none if that does not come to an end."""
    atoms = defect.atoms.copy()
    atoms.calc = AceCalculator(ace)
    with BFGS(atoms, logfile=None) as relaxation:
        if not relaxation.run(fmax=_RELAXED, steps=_MOST_STEPS):
            return None
    perfect = dict(zip(names, said, strict=True))[_perfect(defect)].energy
    return defect_energy(defect, float(atoms.get_potential_energy()), perfect)
