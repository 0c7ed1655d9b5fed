"""Pairs of atoms within a distance, for any cell and periodicity."""

from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from numpy.typing import NDArray
from vesin import NeighborList

from mlip_autopipec.errors import StructureError

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


class Bonds(NamedTuple):
    """All pairs of atoms within a distance, each from both of its ends.

    Parameters
    ----------
    i
        Index of the first atom of each pair, shape ``(n_bonds,)``.
    j
        Index of the second atom, same shape.
    distance
        In Å, same shape.
    vector
        From the first atom to the second in Å, shape ``(n_bonds, 3)``.
    """

    i: Ints
    j: Ints
    distance: Array
    vector: Array


def bonds(atoms: Atoms, reach: float) -> Bonds:
    """Find all pairs of atoms within a distance, periodic images included.

    By vesin's compiled search, some hundred times as fast as ASE's on a hundred atoms.

    Parameters
    ----------
    atoms
        The structure; any periodicity and handedness.
    reach
        Largest distance in Å.

    Returns
    -------
    Bonds
        The pairs; an atom and its own image are one.

    Raises
    ------
    StructureError
        A position is not finite.
    """
    if not np.isfinite(atoms.positions).all():
        raise StructureError(f"{atoms.get_chemical_formula()} holds positions that are not finite numbers.")
    finder = NeighborList(cutoff=float(reach), full_list=True, n_threads=1)
    i, j, distance, vector = finder.compute(
        points=atoms.positions, box=atoms.cell.array, periodic=list(atoms.pbc), quantities="ijdD"
    )
    return Bonds(i.astype(np.int64), j.astype(np.int64), distance, vector)


def nearest_distance(atoms: Atoms) -> float:
    """Shortest distance between two atoms, periodic images included.

    Parameters
    ----------
    atoms
        The structure.

    Returns
    -------
    float
        In Å.

    Raises
    ------
    StructureError
        It is one atom without periodic images.
    """
    if len(atoms) == 1 and not atoms.pbc.any():
        raise StructureError(f"a free {atoms.symbols[0]} atom has no neighbour.")
    reach = 1.0
    while True:
        distances = bonds(atoms, reach).distance
        if len(distances):
            return float(distances.min())
        reach *= 1.5


def shortest_distances(structures: list[Atoms], cutoff: float) -> dict[str, float]:
    """Find the shortest distance of each pair of elements over all structures.

    Parameters
    ----------
    structures
        The structures.
    cutoff
        Distances beyond this, in Å, are not looked for.

    Returns
    -------
    dict
        Shortest distance in Å by pair ``'A-B'`` (sorted symbols); pairs that never meet are absent.
    """
    found: dict[str, float] = {}
    for atoms in structures:
        i, j, d, _ = bonds(atoms, cutoff)
        symbols = np.array(atoms.get_chemical_symbols())
        for first, second in combinations_with_replacement(sorted(set(symbols)), 2):
            mask = (symbols[i] == first) & (symbols[j] == second)
            if mask.any():
                pair = f"{first}-{second}"
                found[pair] = min(found.get(pair, np.inf), float(d[mask].min()))
    return found


def closest_pair(atoms: Atoms, ratio: float) -> tuple[int, int, float, float] | None:
    """Find the pair that is closest in units of its covalent radii, among those below a ratio.

    Parameters
    ----------
    atoms
        The structure; an atom and its own periodic image are a pair.
    ratio
        Largest distance over the sum of covalent radii, dimensionless.

    Returns
    -------
    tuple[int, int, float, float] | None
        Indices, distance in Å, distance over sum of radii; None if no pair is as close.
    """
    if ratio <= 0.0:
        return None
    radii = covalent_radii[atoms.numbers]
    i, j, distance, _ = bonds(atoms, 2.0 * ratio * float(radii.max()))
    relative = distance / (radii[i] + radii[j])
    if not (relative < ratio).any():
        return None
    worst = int(np.argmin(relative))
    return int(i[worst]), int(j[worst]), float(distance[worst]), float(relative[worst])
