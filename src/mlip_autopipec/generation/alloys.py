"""Occupations of a lattice that look random already in a small cell (special quasi-random structures)."""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.core import Element

from mlip_autopipec.ace import bonds
from mlip_autopipec.generation.variant import Variant

_N_SHELLS = 3
_SHELL_WIDTH = 0.1  # Å: distances that are one shell


def alloy(crystal: Atoms, rng: np.random.Generator) -> Variant | None:
    """Occupy the lattice of a metallic compound as a random alloy of the same composition would.

    Parameters
    ----------
    crystal
        A periodic crystal.
    rng
        Source of randomness.

    Returns
    -------
    Variant or None
        The cell with another occupation; none unless it holds several metals and nothing else.
    """
    elements = sorted(set(crystal.get_chemical_symbols()))
    if len(elements) < 2 or not all(Element(symbol).is_metal for symbol in elements):
        return None
    atoms, rest = quasi_random(crystal, crystal.get_chemical_symbols(), rng, n_steps=200)
    return Variant(atoms, f"quasi-random occupation, pair correlations within {rest:.3f}")


def quasi_random(
    lattice: Atoms, symbols: Sequence[str], rng: np.random.Generator, *, n_steps: int = 1000
) -> tuple[Atoms, float]:
    r"""Distribute atoms so that pairs are as frequent as in a random alloy of infinite size.

    Exchanges of two atoms are tried and kept where :math:`\sum_s |\alpha_s| / s` over the first shells does
    not grow, with the Warren-Cowley parameters :math:`\alpha_s^{AB} = 1 - P_s(AB) / x_A x_B` of all pairs,
    where P is the share of a shell's ordered pairs [1]_, [2]_.

    Parameters
    ----------
    lattice
        The sites.
    symbols
        What to put on them, in any order, shape ``(n_sites,)``.
    rng
        Source of randomness.
    n_steps
        Number of exchanges tried.

    Returns
    -------
    atoms
        The occupied lattice.
    deviation
        Largest Warren-Cowley parameter of the shells in absolute value, dimensionless; 0 is perfect.

    References
    ----------
    .. [1] A. Zunger, S.-H. Wei, L. G. Ferreira, J. E. Bernard, Phys. Rev. Lett. 65, 353 (1990).
    .. [2] J. M. Cowley, Phys. Rev. 77, 669 (1950).
    """
    species, kinds = np.unique(np.array(symbols), return_inverse=True)
    kinds = rng.permutation(kinds)
    shells = _shells(lattice)
    score = _score(kinds, shells, len(species))
    for _ in range(n_steps if len(species) > 1 else 0):
        first, second = rng.integers(len(kinds), size=2)
        if kinds[first] == kinds[second]:
            continue
        trial = kinds.copy()
        trial[[first, second]] = trial[[second, first]]
        found = _score(trial, shells, len(species))
        if found[0] <= score[0]:
            kinds, score = trial, found
    atoms = lattice.copy()
    atoms.set_chemical_symbols(species[kinds].tolist())
    return atoms, score[1]


def _shells(lattice: Atoms) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of sites of the first shells of neighbours."""
    reach = 3.0
    while True:
        found = bonds(lattice, reach)
        order = np.sort(found.distance)
        steps = np.flatnonzero(np.diff(order) > _SHELL_WIDTH)
        if len(steps) >= _N_SHELLS:
            break
        reach *= 1.3
    outer = [order[step] + 0.5 * _SHELL_WIDTH for step in steps[:_N_SHELLS]]
    shell = np.searchsorted(outer, found.distance)
    return [(found.i[shell == s], found.j[shell == s]) for s in range(_N_SHELLS)]


def _score(
    kinds: NDArray[np.int64], shells: list[tuple[NDArray[np.int64], NDArray[np.int64]]], n_species: int
) -> tuple[float, float]:
    """Weighted sum and largest of the Warren-Cowley parameters."""
    share = np.bincount(kinds, minlength=n_species) / len(kinds)
    total, largest = 0.0, 0.0
    for number, (i, j) in enumerate(shells, start=1):
        for a, b in combinations_with_replacement(range(n_species), 2):
            seen = np.mean((kinds[i] == a) & (kinds[j] == b))  # each pair is listed from both ends
            alpha = abs(1.0 - seen / (share[a] * share[b]))
            total += alpha / number
            largest = max(largest, alpha)
    return float(total), float(largest)
