"""One structure made from a crystal, and how many of them are made until they are sane."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms

from mlip_autopipec.ace import bonds, nearest_distance
from mlip_autopipec.generation.perturb import rattled

KEEP_APART = 0.75
"""Smallest distance allowed, as a fraction of the crystal's nearest-neighbour distance [1]."""

_TRIES = 20
_SHAKE = 0.03  # of the nearest-neighbour distance: forces that are zero by symmetry teach nothing


@dataclass(frozen=True)
class Variant:
    """A structure made from a crystal.

    Parameters
    ----------
    atoms
        The structure.
    detail
        What was done, for a reader.
    """

    atoms: Atoms
    detail: str


Family = Callable[[Atoms, np.random.Generator], Variant | None]
"""Makes one structure from a crystal at random; none where the crystal or the dice do not allow it."""


def variants(family: Family, crystal: Atoms, n_wanted: int, rng: np.random.Generator) -> list[Variant]:
    """Make sane structures of one family.

    Parameters
    ----------
    family
        Makes one.
    crystal
        What they are made from.
    n_wanted
        How many.
    rng
        Source of randomness.

    Returns
    -------
    list[Variant]
        At most ``n_wanted``; no two atoms are closer than :data:`KEEP_APART` of the crystal's neighbours.
        Fewer if the family keeps failing, e.g. antisites of an element.
    """
    found: list[Variant] = []
    # A hair below: atoms pushed to the limit lie on it within rounding.
    limit = 0.999 * KEEP_APART * nearest_distance(crystal)
    for _ in range(_TRIES * n_wanted):
        if len(found) == n_wanted:
            break
        made = family(crystal, rng)
        if made is not None and nearest_distance(made.atoms) >= limit:
            found.append(made)
    return found


def shaken(atoms: Atoms, crystal: Atoms, rng: np.random.Generator) -> Atoms:
    """Displace the atoms a little.

    Parameters
    ----------
    atoms
        The structure.
    crystal
        What it was made from; sets the scale.
    rng
        Source of randomness.

    Returns
    -------
    ase.Atoms
        The displaced structure, no two atoms closer than :data:`KEEP_APART` of the crystal's neighbours.
    """
    distance = nearest_distance(crystal)
    return rattled(atoms, rng.uniform(0.0, _SHAKE) * distance, rng, keep_apart=KEEP_APART * distance)


def pushed_apart(atoms: Atoms, distance: float, *, n_rounds: int = 200) -> Atoms | None:
    """Move atoms that are too close away from each other, until none is.

    Parameters
    ----------
    atoms
        The structure.
    distance
        Smallest distance wanted, in Å.
    n_rounds
        Rounds after which it is given up.

    Returns
    -------
    ase.Atoms or None
        A moved copy; none if they do not fit.
    """
    result = atoms.copy()
    for _ in range(n_rounds):
        close = bonds(result, distance)
        if not len(close.i):
            return result
        # Each pair is listed from both ends, and each end moves half of what is missing, and a little more.
        missing = 0.5 * (distance - close.distance) + 0.02 * distance
        direction = close.vector / np.maximum(close.distance, 1.0e-3)[:, None]
        np.subtract.at(result.positions, close.i, missing[:, None] * direction)
    return None
