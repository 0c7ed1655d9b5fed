"""Cells that the energy of a defect follows from: nothing in them is left to chance.

Each defect stands beside a perfect cell of the same shape as far as there is one, so that what a finite mesh
of k-points is off by cancels.
"""

import math
from dataclasses import dataclass

import numpy as np
import spglib
from ase import Atoms
from ase.build import make_supercell
from numpy.typing import NDArray
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from mlip_autopipec.ace import bonds, nearest_distance
from mlip_autopipec.errors import StructureError
from mlip_autopipec.generation.planes import conventional, height, plain, space_group
from mlip_autopipec.numerics import isotropic_repeat

Array = NDArray[np.float64]
Plane = tuple[int, int, int]

_SYMPREC = 1.0e-3
_SAME_LAYER = 0.1  # Å
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
    analyzer = SpacegroupAnalyzer(structure, symprec=_SYMPREC)
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
    sites = SpacegroupAnalyzer(structure, symprec=_SYMPREC).get_symmetrized_structure().equivalent_indices
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
        slab, normal = bulk.copy(), _normal(bulk)
        cell = slab.cell.array.copy()
        cell[2] = (height(bulk) + vacuum) * normal
        slab.set_cell(cell, scale_atoms=False)
        found.append(DefectCell(f"surface {_name(plane)}", slab, bulk, 2.0 * _area(bulk)))
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
            faulted = _glided(perfect, u, v)
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
    return [DefectCell(f"stacking fault {_name(plane)}", best[2], best[3], _area(best[3]))]


def oriented(crystal: Atoms, plane: Plane, thickness: float) -> Atoms:
    """Choose a bulk cell whose first two vectors, as short as can be, span a plane.

    Parameters
    ----------
    crystal
        A periodic crystal.
    plane
        Miller indices of the conventional cell.
    thickness
        Smallest height over the plane in Å.

    Returns
    -------
    ase.Atoms
        The bulk cell.
    """
    cell = conventional(crystal)
    found = spglib.standardize_cell(
        (cell.cell.array, cell.get_scaled_positions(), cell.numbers),
        to_primitive=True,
        no_idealize=True,  # else it would be turned
        symprec=_SYMPREC,
    )
    if found is None:
        raise StructureError(f"spglib finds no symmetry in {crystal.symbols}.")
    lattice, positions, numbers = (np.asarray(part) for part in found)
    small = Atoms(numbers, scaled_positions=positions, cell=lattice, pbc=True)
    normal = np.array(plane) @ np.linalg.inv(cell.cell.array).T
    indices = np.rint(12.0 * lattice @ normal).astype(int)
    indices = indices // math.gcd(*(int(i) for i in indices))
    basis = _plane_basis(lattice, indices)
    layers = math.ceil(thickness / (1.0 / np.linalg.norm(np.linalg.inv(lattice) @ indices)) - 1.0e-6)
    vectors = basis @ lattice
    vectors[2] *= max(1, layers)
    vectors[2] -= np.rint(np.linalg.lstsq(vectors[:2].T, vectors[2], rcond=None)[0]) @ vectors[:2]
    whole = np.rint(vectors @ np.linalg.inv(lattice)).astype(int)
    bulk = plain(make_supercell(small, whole))
    bulk.wrap(eps=1.0e-6)
    return bulk


def _plane_basis(lattice: Array, indices: NDArray[np.int_]) -> NDArray[np.int_]:
    """Return the shortest lattice vectors in a plane, and the shortest to the next, as multiples in rows."""
    reach = int(np.abs(indices).max()) + 2
    grid = np.stack(np.meshgrid(*[np.arange(-reach, reach + 1)] * 3, indexing="ij"), axis=-1).reshape(-1, 3)
    order = np.argsort(np.linalg.norm(grid @ lattice, axis=1).round(6), kind="stable")
    grid = grid[order]
    level = grid @ indices
    flat = grid[(level == 0) & grid.any(axis=1)]
    first = flat[0]
    second = next(v for v in flat if np.linalg.norm(np.cross(first, v)) > 0)
    up = grid[level == 1][0]
    basis = np.array([first, second, up])
    return basis if np.linalg.det(basis @ lattice) > 0.0 else np.array([second, first, up])


def layer_gaps(atoms: Atoms) -> list[tuple[float, float]]:
    """Find the gaps between the layers of a cell along the normal of its first two vectors.

    Parameters
    ----------
    atoms
        The cell.

    Returns
    -------
    list
        Width and middle of each distinct gap in Å, from the lowest on.
    """
    whole = height(atoms)
    levels = np.sort((atoms.positions @ _normal(atoms)) % whole)
    edges = np.append(levels, levels[0] + whole)
    widths = np.diff(edges)
    found: dict[float, float] = {}
    for width, low in zip(widths, edges, strict=False):
        if width > _SAME_LAYER:
            found.setdefault(round(float(width), 2), float(low + 0.5 * width))
    return list(found.items())


def cut_at(atoms: Atoms, level: float) -> Atoms:
    """Move a cell's boundary to a height above the plane of its first two vectors, in Å."""
    moved = atoms.copy()
    moved.positions -= level / height(atoms) * atoms.cell.array[2]
    moved.wrap(eps=0.0)
    return moved


def _shifts(steps: int) -> list[tuple[float, float]]:
    return [(i / steps, j / steps) for i in range(steps) for j in range(steps) if i or j]


def _glided(atoms: Atoms, u: float, v: float) -> Atoms:
    """Tilt the third vector: the one boundary of the cell becomes a fault."""
    faulted, cell = atoms.copy(), atoms.cell.array.copy()
    cell[2] += u * cell[0] + v * cell[1]
    faulted.set_cell(cell, scale_atoms=False)
    return faulted


def _bond_lengths(atoms: Atoms, nearest: float) -> Array:
    return np.sort(bonds(atoms, 1.8 * nearest).distance)


def _normal(atoms: Atoms) -> Array:
    a, b, c = atoms.cell.array
    normal = np.cross(a, b)
    normal /= np.linalg.norm(normal)
    return np.asarray(normal if normal @ c > 0.0 else -normal)


def _area(atoms: Atoms) -> float:
    a, b, _ = atoms.cell.array
    return float(np.linalg.norm(np.cross(a, b)))


def _name(plane: Plane) -> str:
    return f"({''.join(map(str, plane))})"
