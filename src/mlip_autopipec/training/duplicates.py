"""Finding structures that are the same but for a motion or another order of the atoms."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from mlip_autopipec.ace import bonds

Array = NDArray[np.float64]

REACH = 6.0
"""Distances are compared up to here, in Å."""
_N_RANKS = 12


def sorted_distances(atoms: Atoms) -> dict[str, Array]:
    """Sort the interatomic distances of a structure by pair.

    They do not change under translation, rotation, reflection and permutation of like atoms, and if every
    distance changes by less than some amount, so does every entry of the sorted list.

    Parameters
    ----------
    atoms
        The structure.

    Returns
    -------
    dict
        Distances up to ``REACH`` in Å, ascending, by pair ``'A-B'`` (sorted symbols), each counted from
        both its ends; shape ``(n_distances,)``.
    """
    i, j, d, _ = bonds(atoms, REACH)
    symbols = np.array(atoms.get_chemical_symbols())
    found = {}
    for first, second in combinations_with_replacement(sorted(set(symbols.tolist())), 2):
        mask = (symbols[i] == first) & (symbols[j] == second)
        found[f"{first}-{second}"] = np.sort(d[mask])
    return found


def duplicate_pairs(structures: Sequence[Atoms], tolerance: float) -> list[tuple[int, int]]:
    """Find structures that are equal up to translation, rotation, reflection and permutation.

    Two structures of the same atoms are equal if their sorted distances agree, pair by pair. A tree over a
    few entries of the sorted lists proposes; all entries decide. This is faster by orders of magnitude than
    a match of the atoms one by one (pymatgen's ``StructureMatcher``) and as sharp for what dynamics and
    perturbation make. A supercell is not equal to its cell.

    Parameters
    ----------
    structures
        The structures.
    tolerance
        Largest difference between two distances of equal structures in Å.

    Returns
    -------
    list of tuple
        Indices of a duplicate and, before it, of the first structure it equals; each structure is a
        duplicate once at most. In ascending order.
    """
    alike: dict[str, list[int]] = defaultdict(list)
    for index, atoms in enumerate(structures):
        alike[atoms.get_chemical_formula()].append(index)
    found = []
    for members in alike.values():
        if len(members) < 2:
            continue
        sketches = np.array([_sketch(structures[m]) for m in members])
        first_of: dict[int, int] = {}
        proposed = sorted(cKDTree(sketches).query_pairs(tolerance, p=np.inf))
        lists = {k: sorted_distances(structures[members[k]]) for k in {k for pair in proposed for k in pair}}
        for a, b in proposed:
            if b not in first_of and _difference(lists[a], lists[b]) <= tolerance:
                first_of[b] = a
        found += [(members[a], members[b]) for b, a in first_of.items()]
    return sorted(found)


def _sketch(atoms: Atoms) -> Array:
    """Entries of the sorted lists at fixed ranks; where a list is shorter, ``REACH``."""
    ranks = np.unique(np.geomspace(1, 80 * len(atoms), _N_RANKS).astype(int)) - 1
    rows = []
    for distances in sorted_distances(atoms).values():
        row = np.full(len(ranks), REACH)
        there = ranks < len(distances)
        row[there] = distances[ranks[there]]
        rows.append(row)
    return np.concatenate(rows)


def _difference(first: dict[str, Array], second: dict[str, Array]) -> float:
    """Largest difference between entries of equal rank in Å; a distance beyond ``REACH`` counts as that."""
    largest = 0.0
    for pair, mine in first.items():
        length = max(len(mine), len(second[pair]))
        padded = [np.pad(x, (0, length - len(x)), constant_values=REACH) for x in (mine, second[pair])]
        largest = max(largest, float(np.abs(padded[0] - padded[1]).max(initial=0.0)))
    return largest
