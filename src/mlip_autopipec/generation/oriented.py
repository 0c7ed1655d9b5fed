"""Cells of a crystal along its planes: plain functions of structures."""

import math

import numpy as np
import spglib
from ase import Atoms
from ase.build import make_supercell
from numpy.typing import NDArray
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

Array = NDArray[np.float64]
Plane = tuple[int, int, int]

SYMPREC = 1.0e-3
"""How far from its place an atom may be for a symmetry to be seen, in Å."""

_SAME_LAYER = 0.1  # Å


def conventional(crystal: Atoms) -> Atoms:
    """Return the standardised conventional cell of a crystal."""
    structure = AseAtomsAdaptor.get_structure(crystal)
    analyzer = SpacegroupAnalyzer(structure, symprec=SYMPREC)
    return plain(AseAtomsAdaptor.get_atoms(analyzer.get_conventional_standard_structure(), msonable=False))


def unturned_primitive(crystal: Atoms) -> Atoms:
    """Return a primitive cell of a crystal, as it lies: neither turned nor strained."""
    found = spglib.standardize_cell(
        (crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers),
        to_primitive=True,
        no_idealize=True,
        symprec=SYMPREC,
    )
    if found is None:
        raise AssertionError("a crystal has at least the symmetry of its lattice")
    lattice, positions, numbers = (np.asarray(part) for part in found)
    return Atoms(numbers, scaled_positions=positions, cell=lattice, pbc=True)


def space_group(crystal: Atoms) -> int:
    """Return the international number of a crystal's space group."""
    structure = AseAtomsAdaptor.get_structure(crystal)
    return int(SpacegroupAnalyzer(structure, symprec=SYMPREC).get_space_group_number())


def phase_name(crystal: Atoms) -> str:
    """Name a crystal by composition and space group, such as ``"Si in Fd-3m"``."""
    structure = AseAtomsAdaptor.get_structure(crystal)
    symbol = SpacegroupAnalyzer(structure, symprec=SYMPREC).get_space_group_symbol()
    return f"{structure.reduced_formula} in {symbol}"


def plain(atoms: Atoms) -> Atoms:
    """Leave tags, arrays and the rest of what libraries attach behind."""
    return Atoms(atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell.array, pbc=True)


def height(atoms: Atoms) -> float:
    """Return the height of a cell over the plane of its first two vectors in Å."""
    a, b, _ = atoms.cell.array
    return float(atoms.get_volume() / np.linalg.norm(np.cross(a, b)))


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
    small = unturned_primitive(cell)
    lattice = small.cell.array
    across = np.array(plane) @ np.linalg.inv(cell.cell.array).T
    indices = np.rint(12.0 * lattice @ across).astype(int)
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
    levels = np.sort((atoms.positions @ normal(atoms)) % whole)
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


def glided(atoms: Atoms, u: float, v: float) -> Atoms:
    """Tilt a cell's third vector by fractions of the others: its one boundary becomes a fault."""
    faulted, cell = atoms.copy(), atoms.cell.array.copy()
    cell[2] += u * cell[0] + v * cell[1]
    faulted.set_cell(cell, scale_atoms=False)
    return faulted


def normal(atoms: Atoms) -> Array:
    """Return the unit vector across a cell's first two vectors, on the side of the third."""
    a, b, c = atoms.cell.array
    across = np.cross(a, b)
    across /= np.linalg.norm(across)
    return np.asarray(across if across @ c > 0.0 else -across)


def area(atoms: Atoms) -> float:
    """Return the area of a cell's first two vectors in Å^2."""
    a, b, _ = atoms.cell.array
    return float(np.linalg.norm(np.cross(a, b)))


def plane_name(plane: Plane) -> str:
    """Write Miller indices, such as ``(111)``."""
    return f"({''.join(map(str, plane))})"
