"""Strains of a crystal that between them show all its elastic constants: plain functions of structures."""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.analysis.elasticity import Strain
from pymatgen.core.tensors import symmetry_reduce
from pymatgen.io.ase import AseAtomsAdaptor

from mlip_autopipec.generation.oriented import SYMPREC

Array = NDArray[np.float64]


@dataclass(frozen=True)
class StrainedCell:
    """A cell under strain, with its atoms where the strain carries them.

    Parameters
    ----------
    strain
        Symmetric strain, dimensionless, shape ``(3, 3)``.
    atoms
        The cell.
    """

    strain: Array
    atoms: Atoms


def distinct_strains(crystal: Atoms, amplitude: float) -> list[Array]:
    """List as few strains as a cell's symmetry allows, in both directions.

    Parameters
    ----------
    crystal
        The crystal. A supercell may have less symmetry than its primitive cell, and then has more strains.
    amplitude
        Size of each strain, dimensionless; of shears half the angle.

    Returns
    -------
    list[numpy.ndarray]
        Symmetric, dimensionless, shape ``(3, 3)``; from these, by symmetry, all six components follow.
    """
    strains = []
    for index in range(6):
        for sign in (1.0, -1.0):
            voigt = np.zeros(6)
            voigt[index] = sign * amplitude * (1.0 if index < 3 else 2.0)
            strains.append(Strain.from_voigt(voigt))
    distinct = symmetry_reduce(strains, AseAtomsAdaptor.get_structure(crystal), symprec=SYMPREC)
    return [np.asarray(strain) for strain in distinct]


def under_strain(crystal: Atoms, strain: Array) -> Atoms:
    """Strain a cell, its atoms with it.

    Parameters
    ----------
    crystal
        The crystal.
    strain
        Symmetric strain, dimensionless, shape ``(3, 3)``.

    Returns
    -------
    ase.Atoms
        The strained cell.
    """
    atoms = crystal.copy()
    atoms.set_cell(crystal.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return atoms


def strained_cells(crystal: Atoms, amplitude: float) -> list[StrainedCell]:
    """Strain a crystal in as few ways as its symmetry allows; see :func:`distinct_strains`."""
    strains = distinct_strains(crystal, amplitude)
    return [StrainedCell(strain, under_strain(crystal, strain)) for strain in strains]
