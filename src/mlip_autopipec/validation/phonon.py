"""Phonons by oracle and potential, from the same supercell and displacements."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from jobflow import job

from mlip_autopipec.generation.defect_cells import primitive
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    CheckKind,
    LabelBatchDoc,
    PhononDoc,
    PotentialDoc,
)
from mlip_autopipec.validation.base import above, check
from mlip_autopipec.validation.property import Observed, PropertyMaker, candidate
from mlip_autopipec.validation.vibrations import (
    Frequencies,
    Path,
    brillouin_path,
    displaced_cells,
    frequencies,
    path_distances,
    phonon_model,
    with_forces,
)

_ZERO = 0.01  # THz; acoustic phonons of infinite length are not exactly zero


@dataclass
class PhononMaker(PropertyMaker):
    """Compare phonon bands and look for imaginary frequencies.

    Parameters
    ----------
    phonon_length
        Smallest length of the supercell along each of its vectors, in Å.
    displacement
        In Å.
    n_points
        Wave vectors of each segment of the path.
    max_phonon_error
        Largest root mean square difference of the bands that passes, in percent of the highest frequency.
    max_imaginary
        Largest imaginary frequency that passes, in THz; more than that of the oracle where it has one.
    """

    name: str = "validate phonons"
    phonon_length: float = 10.0
    displacement: float = 0.02
    n_points: int = 31
    max_phonon_error: float = 5.0
    max_imaginary: float = 0.2
    kind: ClassVar[CheckKind] = "phonon"
    packages: ClassVar[tuple[str, ...]] = ("phonopy", "seekpath")

    def cells(self, crystal: Atoms) -> list[CandidateStructure]:
        """List the supercells with one atom displaced."""
        return [
            candidate(atoms, "phonon", f"displacement {number}")
            for number, atoms in enumerate(displaced_cells(self._model(primitive(crystal))), start=1)
        ]

    @job(output_schema=PhononDoc, data=["bands_predicted", "bands_reference"])
    def make(
        self, potential: PotentialDoc, crystal: AtomicStructure, batch: LabelBatchDoc | None = None
    ) -> PhononDoc:
        """Compute the bands and judge them."""
        atoms = primitive(crystal.to_ase())
        mine, theirs = self.observed(potential, crystal, batch)
        path = brillouin_path(atoms, self.n_points)
        found = self._frequencies(atoms, mine, path)
        against = None if theirs is None else self._frequencies(atoms, theirs, path)
        lowest, theirs_lowest = _imaginary(found), None if against is None else _imaginary(against)
        least = (theirs_lowest or 0.0) - self.max_imaginary
        checks = [
            above(
                "phonons: imaginary frequency (negative)",
                lowest,
                least,
                "THz",
                reference=theirs_lowest,
                warn=least - self.max_imaginary,
                kind="phonon",
            )
        ]
        off = None
        if against is not None:
            off = float(np.sqrt(np.mean((found.bands - against.bands) ** 2)))
            top = float(against.bands.max())
            checks.append(
                check(
                    "phonon bands, RMS error", off, 0.01 * self.max_phonon_error * top, "THz", kind="phonon"
                )
            )
        return PhononDoc(
            formula=atoms.get_chemical_formula(),
            supercell=self._repeats(atoms),
            n_cells=len(mine),
            displacement=self.displacement,
            distances=path_distances(path, atoms).tolist(),
            segment_ends=path.ends,
            n_points=self.n_points,
            bands_predicted=found.bands.tolist(),
            bands_reference=None if against is None else against.bands.tolist(),
            dos_frequency=found.dos_frequency.tolist(),
            dos_predicted=found.dos.tolist(),
            dos_frequency_reference=None if against is None else against.dos_frequency.tolist(),
            dos_reference=None if against is None else against.dos.tolist(),
            lowest=found.lowest,
            lowest_reference=None if against is None else against.lowest,
            rms_error=off,
            checks=checks,
        )

    def _repeats(self, crystal: Atoms) -> tuple[int, int, int]:
        a, b, c = (int(np.ceil(self.phonon_length / x - 1.0e-6)) for x in crystal.cell.lengths())
        return a, b, c

    def _model(self, crystal: Atoms) -> Any:
        return phonon_model(crystal, self._repeats(crystal), self.displacement)

    def _frequencies(self, crystal: Atoms, said: list[Observed], path: Path) -> Frequencies:
        return frequencies(with_forces(self._model(crystal), [o.forces for o in said]), path)


def _imaginary(found: Frequencies) -> float:
    """Return the lowest frequency if it is imaginary, as a negative number in THz; else zero."""
    return found.lowest if found.lowest < -_ZERO else 0.0
