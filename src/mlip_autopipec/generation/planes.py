"""Surfaces and stacking faults of a crystal: plain functions of a crystal and a random generator."""

import numpy as np
from ase import Atoms
from pymatgen.core.surface import SlabGenerator
from pymatgen.io.ase import AseAtomsAdaptor

from mlip_autopipec.generation.oriented import conventional, glided, oriented, plain, plane_name, space_group
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
    return Variant(shaken(wide, crystal, rng), f"slab {plane_name(plane)}, {vacuum:g} Å of vacuum")


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
    planes = _CLOSE_PACKED.get(space_group(crystal), _INDICES)
    plane = planes[int(rng.integers(len(planes)))]
    whole = oriented(crystal, plane, thickness)
    whole.positions += rng.random() * whole.cell.array[2]  # any of its layers may be the one that glides
    whole.wrap()
    u, v = (*_GLIDES, tuple(rng.random(2)))[int(rng.integers(len(_GLIDES) + 1))]
    faulted = glided(whole, u, v)
    lengths = np.append(faulted.cell.lengths()[:2], np.inf)
    faulted = faulted.repeat(isotropic_repeat(lengths, len(faulted), len(crystal)))
    detail = f"{plane_name(plane)} glided by {u:.2f} a + {v:.2f} b of its cell"
    return Variant(shaken(faulted, crystal, rng), detail)
