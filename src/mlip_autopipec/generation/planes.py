"""Surfaces and stacking faults of a crystal: plain functions of a crystal and a random generator."""

import numpy as np
from ase import Atoms
from ase.build import surface as cut_along
from pymatgen.core.surface import SlabGenerator
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from mlip_autopipec.generation.variant import Variant, shaken
from mlip_autopipec.numerics import isotropic_repeat

_INDICES = ((1, 0, 0), (1, 1, 0), (1, 1, 1), (0, 0, 1), (1, 0, 1))
_CLOSE_PACKED = {  # planes that glide, by space group (Hirth and Lothe, Theory of Dislocations)
    225: ((1, 1, 1),),
    216: ((1, 1, 1),),
    227: ((1, 1, 1),),
    229: ((1, 1, 0), (1, 1, 2)),
    194: ((0, 0, 1), (1, 0, 0)),
}
# The hollows of close-packed planes, where fcc becomes hcp; half vectors for other lattices.
_GLIDES = ((1 / 3, 1 / 3), (2 / 3, 2 / 3), (1 / 3, 2 / 3), (2 / 3, 1 / 3), (0.5, 0.0), (0.0, 0.5))
_SYMPREC = 1.0e-3


def surface(
    crystal: Atoms, rng: np.random.Generator, *, thickness: float = 7.0, vacuum: float = 10.0
) -> Variant | None:
    """Cut a slab with vacuum, periodic in three dimensions so that stress and k-points stay defined.

    Parameters
    ----------
    crystal
        A periodic crystal.
    rng
        Source of randomness: the plane, its termination, small displacements.
    thickness
        Smallest thickness in Å.
    vacuum
        Width of the vacuum in Å.

    Returns
    -------
    Variant or None
        A slab with the vacuum along its third lattice vector; about as many atoms as the crystal has.
    """
    plane = _INDICES[int(rng.integers(len(_INDICES)))]
    structure = AseAtomsAdaptor.get_structure(conventional(crystal))
    cutter = SlabGenerator(structure, plane, thickness, vacuum, center_slab=True, max_normal_search=1)
    slabs = cutter.get_slabs()
    slab = AseAtomsAdaptor.get_atoms(slabs[int(rng.integers(len(slabs)))], msonable=False)
    wide = plain(slab)
    lengths = np.append(wide.cell.lengths()[:2], np.inf)
    wide = wide.repeat(isotropic_repeat(lengths, len(wide), len(crystal)))
    return Variant(shaken(wide, crystal, rng), f"slab ({_name(plane)}), {vacuum:g} Å of vacuum")


def stacking_fault(crystal: Atoms, rng: np.random.Generator, *, thickness: float = 8.0) -> Variant | None:
    """Let one half of a crystal glide over the other: one generalised stacking fault a cell.

    The cell is cut along the plane that glides and its third lattice vector is tilted by the displacement,
    so that one boundary of the cell becomes the fault and no second one is needed.

    Parameters
    ----------
    crystal
        A periodic crystal.
    rng
        Source of randomness: the plane, the displacement, small displacements of the atoms.
    thickness
        Smallest distance between a fault and its image in Å.

    Returns
    -------
    Variant
        A bulk cell.
    """
    cell = conventional(crystal)
    planes = _CLOSE_PACKED.get(space_group(crystal), _INDICES)
    plane = planes[int(rng.integers(len(planes)))]
    once = cut_along(cell, plane, 1, periodic=True)
    layers = max(1, int(np.ceil(thickness / height(once))))
    faulted = plain(cut_along(cell, plane, layers, periodic=True))
    faulted.positions += rng.random() * faulted.cell.array[2]  # any of its layers may be the one that glides
    faulted.wrap()
    u, v = (*_GLIDES, tuple(rng.random(2)))[int(rng.integers(len(_GLIDES) + 1))]
    tilted = faulted.cell.array
    tilted[2] += u * tilted[0] + v * tilted[1]
    faulted.set_cell(tilted, scale_atoms=False)
    detail = f"({_name(plane)}) glided by {u:.2f} a + {v:.2f} b of its cell"
    return Variant(shaken(faulted, crystal, rng), detail)


def conventional(crystal: Atoms) -> Atoms:
    """Return the standardised conventional cell of a crystal."""
    structure = AseAtomsAdaptor.get_structure(crystal)
    analyzer = SpacegroupAnalyzer(structure, symprec=_SYMPREC)
    return plain(AseAtomsAdaptor.get_atoms(analyzer.get_conventional_standard_structure(), msonable=False))


def space_group(crystal: Atoms) -> int:
    """Return the international number of a crystal's space group."""
    structure = AseAtomsAdaptor.get_structure(crystal)
    return int(SpacegroupAnalyzer(structure, symprec=_SYMPREC).get_space_group_number())


def plain(atoms: Atoms) -> Atoms:
    """Leave tags, arrays and the rest of what libraries attach behind."""
    return Atoms(atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell.array, pbc=True)


def height(atoms: Atoms) -> float:
    """Return the height of a cell over the plane of its first two vectors in Å."""
    a, b, _ = atoms.cell.array
    return float(atoms.get_volume() / np.linalg.norm(np.cross(a, b)))


def _name(plane: tuple[int, int, int]) -> str:
    return "".join(map(str, plane))
