"""Structures that are far from the crystal: random symmetric crystals and melts."""

import numpy as np
from ase import Atoms
from ase.geometry import cellpar_to_cell
from ase.spacegroup import Spacegroup
from numpy.typing import NDArray

from mlip_autopipec.ace import nearest_distance
from mlip_autopipec.generation.variant import KEEP_APART, Variant, pushed_apart

Array = NDArray[np.float64]

_TRIES = 50
_MOST_ATOMS = 24  # of a random crystal
_LIQUID_EXPANSION = (1.0, 1.15)  # of the volume; metals expand by 2 to 6 % as they melt, silicon shrinks
_LARGEST_EXPANSION = 1.5  # of the volume of a random crystal, to keep its atoms apart
_GROUPS = 10  # tried before it is given up
_MOST_OPERATIONS = 16  # of its group: more of them hardly ever admit so few atoms


def liquid(crystal: Atoms, rng: np.random.Generator) -> Variant | None:
    """Pack the atoms of a crystal at random, as a melt or a glass has them.

    Parameters
    ----------
    crystal
        A periodic crystal.
    rng
        Source of randomness.

    Returns
    -------
    Variant or None
        As many atoms in a cube of about the same volume, none closer than the hard core; none if it fails.
    """
    expansion = rng.uniform(*_LIQUID_EXPANSION)
    edge = (expansion * crystal.get_volume()) ** (1 / 3)
    atoms = Atoms(
        crystal.get_chemical_symbols(),
        positions=edge * rng.random((len(crystal), 3)),
        cell=[edge] * 3,
        pbc=True,
    )
    core = rng.uniform(KEEP_APART, 0.85) * nearest_distance(crystal)
    packed = pushed_apart(atoms, core)
    if packed is None:
        return None
    packed.wrap()
    return Variant(packed, f"random packing, {expansion:.2f} of the volume, hard core of {core:.2f} Å")


def random_crystal(crystal: Atoms, rng: np.random.Generator) -> Variant | None:
    """Make a crystal of the same composition and of a random space group.

    Random points, some on special positions, are multiplied by the group until the composition is complete,
    as in random structure searching [1]_.

    Parameters
    ----------
    crystal
        A periodic crystal; gives composition and volume.
    rng
        Source of randomness.

    Returns
    -------
    Variant or None
        The crystal; none if none of some groups admits the composition and keeps atoms apart.

    References
    ----------
    .. [1] C. J. Pickard, R. J. Needs, J. Phys.: Condens. Matter 23, 053201 (2011).
    """
    symbols, counts = np.unique(crystal.get_chemical_symbols(), return_counts=True)
    counts = counts // np.gcd.reduce(counts)
    counts = counts * int(rng.integers(1, max(1, _MOST_ATOMS // int(counts.sum())) + 1))
    for _ in range(_GROUPS):
        made = _of_group(_group(rng), crystal, dict(zip(symbols, counts, strict=True)), rng)
        if made is not None:
            return made
    return None


def _of_group(
    group: Spacegroup, crystal: Atoms, counts: dict[str, int], rng: np.random.Generator
) -> Variant | None:
    """Fill a random cell of a group, if it admits the composition and keeps atoms apart."""
    lattice = _lattice(group.no, rng)
    names: list[str] = []
    places: list[Array] = []
    for symbol, count in counts.items():
        found = _orbits(group, int(count), rng)
        if found is None:
            return None
        places += found
        names += [str(symbol)] * int(count)
    atoms = Atoms(names, scaled_positions=places, cell=lattice, pbc=True)
    expansion = _scaled_to(atoms, crystal)
    if expansion > _LARGEST_EXPANSION:
        return None
    return Variant(atoms, f"random crystal of space group {group.no}, {expansion:.2f} of the volume")


def _group(rng: np.random.Generator) -> Spacegroup:
    while True:
        group = Spacegroup(int(rng.integers(2, 231)))
        if len(group.get_op()[0]) <= _MOST_OPERATIONS:
            return group


def _scaled_to(atoms: Atoms, crystal: Atoms) -> float:
    """Scale a cell to the crystal's density or until atoms are apart; return the volume ratio."""
    wanted = crystal.get_volume() / len(crystal)
    scale = (wanted * len(atoms) / atoms.get_volume()) ** (1 / 3)
    atoms.set_cell(scale * atoms.cell.array, scale_atoms=True)
    short = KEEP_APART * nearest_distance(crystal) / max(nearest_distance(atoms), 1.0e-3)
    if 1.0 < short < _LARGEST_EXPANSION:
        atoms.set_cell(short * atoms.cell.array, scale_atoms=True)
    return float(max(short, 1.0) ** 3)


def _orbits(group: Spacegroup, count: int, rng: np.random.Generator) -> list[Array] | None:
    """Fractional coordinates of ``count`` atoms in whole orbits of a group."""
    rotations, translations = group.get_op()
    found: list[Array] = []
    for _ in range(_TRIES):
        if len(found) == count:
            return found
        point = rng.random(3)
        special = rng.random(3) < 0.5
        point[special] = rng.choice([0.0, 0.25, 0.5, 0.75], size=int(special.sum()))
        orbit = np.unique(np.round((rotations @ point + translations) % 1.0, 6) % 1.0, axis=0)
        if len(orbit) <= count - len(found):
            found += list(orbit)
    return found if len(found) == count else None


def _lattice(number: int, rng: np.random.Generator) -> Array:
    """Lattice vectors in rows, with the random ratios and angles that a space group allows."""
    a, b, c = rng.uniform(0.7, 1.4, 3)
    alpha, beta, gamma = rng.uniform(65.0, 115.0, 3)
    systems = (  # last number of the system and its lattice (International Tables, volume A)
        (2, (a, b, c, alpha, beta, gamma)),
        (15, (a, b, c, 90.0, beta, 90.0)),
        (74, (a, b, c, 90.0, 90.0, 90.0)),
        (142, (a, a, c, 90.0, 90.0, 90.0)),
        (194, (a, a, c, 90.0, 90.0, 120.0)),
        (230, (a, a, a, 90.0, 90.0, 90.0)),
    )
    cell = next(cell for last, cell in systems if number <= last)
    return np.array(cellpar_to_cell(cell), dtype=float)
