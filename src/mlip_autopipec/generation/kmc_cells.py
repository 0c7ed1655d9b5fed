"""The cell of one defect in which kinetic Monte Carlo begins."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import surface as cut_along
from jobflow import Maker, job

from mlip_autopipec.ace import nearest_distance
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation.defects import holes
from mlip_autopipec.numerics import isotropic_repeat
from mlip_autopipec.schemas import AtomicStructure

Defect = Literal["vacancy", "interstitial", "adatom"]

_VACUUM = 10.0  # Å
_LAYERS = 4
_APART = 2.5  # nearest distances between an adatom and its images
_GRID = 12  # sites tried along each edge of the cell of a surface
_ABOVE = 0.85  # of the nearest distance, between an adatom and the atoms it sits on, before it relaxes


@dataclass
class DefectCellMaker(Maker):
    """Put one point defect into a crystal, or one atom on its (100) surface.

    Parameters
    ----------
    name
        Name of the job.
    defect
        ``"vacancy"``, ``"interstitial"`` (in the largest hole) or ``"adatom"``.
    n_atoms
        Smallest number of atoms of the crystal or slab before.
    """

    name: str = "defect cell"
    defect: Defect = "vacancy"
    n_atoms: int = 32

    def __post_init__(self) -> None:
        if self.defect not in ("vacancy", "interstitial", "adatom"):
            raise ConfigError(f"'defect' must be vacancy, interstitial or adatom, got {self.defect!r}.")
        if self.n_atoms < 8:
            raise ConfigError(f"'n_atoms' of a cell with a defect must be at least 8, got {self.n_atoms}.")

    @job(output_schema=AtomicStructure)
    def make(self, crystals: list[AtomicStructure]) -> AtomicStructure:
        """Make the cell.

        Parameters
        ----------
        crystals
            Reference crystals; the first is taken.

        Returns
        -------
        AtomicStructure
            The cell, unrelaxed.
        """
        return AtomicStructure.from_ase(self.cell(crystals[0].to_ase()))

    def cell(self, crystal: Atoms) -> Atoms:
        """Make the cell; what :meth:`make` does, without a workflow.

        Parameters
        ----------
        crystal
            A periodic crystal.

        Returns
        -------
        ase.Atoms
            Periodic in three dimensions.
        """
        if self.defect == "adatom":
            return _with_adatom(crystal, self.n_atoms)
        host = crystal.repeat(isotropic_repeat(crystal.cell.lengths(), len(crystal), self.n_atoms))
        if self.defect == "vacancy":
            del host[0]
        else:
            points, radii = holes(host)
            host += Atoms([host.get_chemical_symbols()[0]], positions=[points[int(np.argmax(radii))]])
        return host


def _with_adatom(crystal: Atoms, n_atoms: int) -> Atoms:
    """Cut a (100) slab and put an atom where most of the surface is farthest from: in a hollow."""
    slab = cut_along(crystal, (1, 0, 0), _LAYERS, vacuum=_VACUUM / 2.0, periodic=True)
    distance = nearest_distance(crystal)
    top = slab.positions[slab.positions[:, 2] > slab.positions[:, 2].max() - 0.3 * distance]
    a, b, _ = slab.cell.array
    sites = np.array([(i * a + j * b) / _GRID for i in range(_GRID) for j in range(_GRID)])
    shifts = np.array([i * a + j * b for i in (-1, 0, 1) for j in (-1, 0, 1)])
    images = (top[None, :, :2] + shifts[:, None, :2]).reshape(-1, 2)
    apart = np.array([np.linalg.norm(images - site[:2], axis=1).min() for site in sites])
    best = int(np.argmax(np.round(apart, 3)))
    height = np.sqrt(max((_ABOVE * distance) ** 2 - apart[best] ** 2, (0.4 * distance) ** 2))
    place = np.append(sites[best][:2], top[:, 2].max() + height)
    lengths = np.append(slab.cell.lengths()[:2], np.inf)
    repeats = np.array(isotropic_repeat(lengths, len(slab), n_atoms))
    # Fewer would bring the adatom next to its own image.
    repeats[:2] = np.maximum(repeats[:2], np.ceil(_APART * distance / lengths[:2]))
    slab = slab.repeat(tuple(int(n) for n in repeats))
    slab += Atoms([slab.get_chemical_symbols()[0]], positions=[place])
    return Atoms(slab.get_chemical_symbols(), positions=slab.positions, cell=slab.cell.array, pbc=True)
