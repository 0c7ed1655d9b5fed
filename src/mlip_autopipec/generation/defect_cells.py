"""Cells that the energy of a defect follows from: nothing in them is left to chance.

Each defect stands beside a perfect cell of the same shape as far as there is one, so that what a finite mesh
of k-points is off by cancels.
"""

from dataclasses import dataclass

import numpy as np
from ase import Atoms
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from mlip_autopipec.ace import bonds, nearest_distance
from mlip_autopipec.generation.oriented import (
    SYMPREC,
    Array,
    Plane,
    area,
    conventional,
    cut_at,
    glided,
    height,
    layer_gaps,
    normal,
    oriented,
    plain,
    plane_name,
    space_group,
)
from mlip_autopipec.numerics import isotropic_repeat

_BOND = 1.2  # of the nearest distance: what counts as a bond
_NEAREST = 0.9  # of the nearest distance: no fault brings atoms closer

# Planes that glide and the steps of the search for a fault, by space group (Hirth and Lothe).
_GLIDE: dict[int, tuple[Plane, int]] = {
    225: ((1, 1, 1), 3),
    216: ((1, 1, 1), 3),
    227: ((1, 1, 1), 3),
    194: ((0, 0, 1), 3),
    229: ((1, 1, 0), 2),
}
_ELEMENTS_ONLY = (225, 229)  # rock salt and the like do not glide there


@dataclass(frozen=True)
class DefectCell:
    """A cell with one defect.

    Parameters
    ----------
    name
        What it is, such as ``"Cu vacancy"``.
    atoms
        The cell.
    perfect
        The same without the defect.
    area
        Area of the defect in Å^2 (both sides of a slab counted); 0 for a point.
    """

    name: str
    atoms: Atoms
    perfect: Atoms
    area: float = 0.0


def primitive(crystal: Atoms) -> Atoms:
    """Return the standardised primitive cell of a crystal, whose axes are those of its conventional cell."""
    structure = AseAtomsAdaptor.get_structure(crystal)
    analyzer = SpacegroupAnalyzer(structure, symprec=SYMPREC)
    return plain(AseAtomsAdaptor.get_atoms(analyzer.get_primitive_standard_structure(), msonable=False))


def vacancy_cells(crystal: Atoms, n_atoms: int) -> list[DefectCell]:
    """Take one atom of each kind of site out of a supercell.

    Parameters
    ----------
    crystal
        A periodic crystal.
    n_atoms
        Smallest number of atoms of the supercell.

    Returns
    -------
    list[DefectCell]
        One a kind of site.
    """
    cell = conventional(crystal)
    structure = AseAtomsAdaptor.get_structure(cell)
    sites = SpacegroupAnalyzer(structure, symprec=SYMPREC).get_symmetrized_structure().equivalent_indices
    perfect = cell.repeat(isotropic_repeat(cell.cell.lengths(), len(cell), n_atoms))
    found = []
    for number, same in enumerate(sites, start=1):
        symbol, vacant = cell.symbols[same[0]], perfect.copy()
        del vacant[same[0]]
        alike = [s for s in sites if cell.symbols[s[0]] == symbol]
        name = f"{symbol} vacancy" + (f" on site {number}" if len(alike) > 1 else "")
        found.append(DefectCell(name, vacant, perfect))
    return found


def surface_cells(
    crystal: Atoms, planes: tuple[Plane, ...], thickness: float, vacuum: float
) -> list[DefectCell]:
    """Cut slabs where the layers are farthest apart; of compounds they keep the composition.

    Parameters
    ----------
    crystal
        A periodic crystal.
    planes
        Miller indices of the conventional cell.
    thickness
        Smallest thickness in Å.
    vacuum
        Width of the vacuum in Å.

    Returns
    -------
    list[DefectCell]
        One a plane.
    """
    found = []
    for plane in planes:
        bulk = oriented(crystal, plane, thickness)
        bulk = cut_at(bulk, max(layer_gaps(bulk))[1])
        slab = bulk.copy()
        cell = slab.cell.array.copy()
        cell[2] = (height(bulk) + vacuum) * normal(bulk)
        slab.set_cell(cell, scale_atoms=False)
        found.append(DefectCell(f"surface {plane_name(plane)}", slab, bulk, 2.0 * area(bulk)))
    return found


def fault_cells(crystal: Atoms, thickness: float) -> list[DefectCell]:
    """Let a crystal glide to where most bonds are kept: the intrinsic fault of close-packed crystals.

    All thirds (bcc: halves) of the glide plane's vectors are tried, between all layers.

    Parameters
    ----------
    crystal
        A periodic crystal.
    thickness
        Smallest distance between a fault and its image in Å.

    Returns
    -------
    list[DefectCell]
        One, or none where it is not known which planes glide.
    """
    group = space_group(crystal)
    mixed = len(set(crystal.get_chemical_symbols())) > 1
    if group not in _GLIDE or (mixed and group in _ELEMENTS_ONLY):
        return []
    plane, steps = _GLIDE[group]
    whole = oriented(crystal, plane, thickness)
    nearest = nearest_distance(whole)
    perfect_bonds = _bond_lengths(whole, nearest)
    n_bonds = int((perfect_bonds < _BOND * nearest).sum())
    best: tuple[int, float, Atoms, Atoms] | None = None
    for _, at in layer_gaps(whole):
        perfect = cut_at(whole, at)
        for u, v in _shifts(steps):
            faulted = glided(perfect, u, v)
            lengths = _bond_lengths(faulted, nearest)
            same = len(lengths) == len(perfect_bonds) and np.allclose(lengths, perfect_bonds, atol=1.0e-3)
            if same or lengths.min() < _NEAREST * nearest:
                continue
            near = lengths[lengths < _BOND * nearest]
            lost, spread = abs(len(near) - n_bonds), round(float(near.std()), 4)
            if best is None or (lost, spread) < best[:2]:
                best = (lost, spread, faulted, perfect)
    if best is None:
        return []
    return [DefectCell(f"stacking fault {plane_name(plane)}", best[2], best[3], area(best[3]))]


def _shifts(steps: int) -> list[tuple[float, float]]:
    return [(i / steps, j / steps) for i in range(steps) for j in range(steps) if i or j]


def _bond_lengths(atoms: Atoms, nearest: float) -> Array:
    return np.sort(bonds(atoms, 1.8 * nearest).distance)
