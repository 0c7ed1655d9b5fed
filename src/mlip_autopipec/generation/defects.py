"""Point defects of a crystal: plain functions of a crystal and a random generator."""

import numpy as np
from ase import Atoms
from scipy.spatial import Voronoi

from mlip_autopipec.ace import nearest_distance
from mlip_autopipec.generation.variant import KEEP_APART, Variant, pushed_apart, shaken
from mlip_autopipec.numerics import isotropic_repeat

_FEWEST = 8  # atoms of a cell with a defect; in fewer it is another crystal
_SAME_HOLE = 1.0e-3  # in fractional coordinates


def vacancy(crystal: Atoms, rng: np.random.Generator) -> Variant | None:
    """Take one atom out, or now and then two neighbours.

    Parameters
    ----------
    crystal
        A periodic crystal.
    rng
        Source of randomness.

    Returns
    -------
    Variant or None
        The cell with one or two vacancies, displaced a little.
    """
    host = _host(crystal)
    first = int(rng.integers(len(host)))
    gone = [first]
    if len(host) > 2 * _FEWEST and rng.random() < 0.25:
        distances = host.get_distances(first, range(len(host)), mic=True)
        gone.append(int(np.argsort(distances, kind="stable")[1]))
    missing = " and ".join(host.symbols[i] for i in gone)
    del host[gone]
    return Variant(shaken(host, crystal, rng), f"without {missing}")


def interstitial(crystal: Atoms, rng: np.random.Generator) -> Variant | None:
    """Put one more atom into a hole, and push its neighbours aside.

    Holes are the corners of Voronoi cells, the points farthest from any atom; large ones are likelier.

    Parameters
    ----------
    crystal
        A periodic crystal.
    rng
        Source of randomness.

    Returns
    -------
    Variant or None
        The cell with an interstitial; none where its neighbours cannot make room.
    """
    host = _host(crystal)
    points, radii = holes(host)
    weight = radii**3
    index = int(rng.choice(len(points), p=weight / weight.sum()))
    symbol = str(rng.choice(sorted(set(host.get_chemical_symbols()))))
    host += Atoms([symbol], positions=[points[index]])
    apart = pushed_apart(host, KEEP_APART * nearest_distance(crystal))
    if apart is None:
        return None
    return Variant(shaken(apart, crystal, rng), f"{symbol} in a hole of {radii[index]:.2f} Å")


def antisite(crystal: Atoms, rng: np.random.Generator) -> Variant | None:
    """Exchange two unlike atoms, or put one on the place of another.

    Parameters
    ----------
    crystal
        A periodic crystal.
    rng
        Source of randomness.

    Returns
    -------
    Variant or None
        The cell with wrong atoms; none for an element.
    """
    host = _host(crystal)
    symbols = np.array(host.get_chemical_symbols())
    if len(set(symbols)) < 2:
        return None
    first = int(rng.integers(len(host)))
    second = int(rng.choice(np.flatnonzero(symbols != symbols[first])))
    old, new = str(symbols[first]), str(symbols[second])
    host.symbols[first] = new
    exchange = bool(rng.random() < 0.5)
    if exchange:
        host.symbols[second] = old
    detail = f"{old} and {new} exchanged" if exchange else f"{new} on a place of {old}"
    return Variant(shaken(host, crystal, rng), detail)


def holes(crystal: Atoms) -> tuple[np.ndarray, np.ndarray]:
    """Find the holes of a periodic crystal: corners of its Voronoi cells.

    Parameters
    ----------
    crystal
        The crystal.

    Returns
    -------
    points
        Inside the cell, in Å, shape ``(n_holes, 3)``.
    radii
        Distance to the nearest atom in Å, shape ``(n_holes,)``.
    """
    shifts = np.array(np.meshgrid(*[(-1, 0, 1)] * 3)).reshape(3, -1).T @ crystal.cell.array
    images = (crystal.get_positions(wrap=True)[None] + shifts[:, None]).reshape(-1, 3)
    corners = Voronoi(images).vertices
    fractional = corners @ np.linalg.inv(crystal.cell.array)
    fractional = fractional[((fractional > -_SAME_HOLE) & (fractional < 1.0 - _SAME_HOLE)).all(axis=1)]
    points = np.unique(np.round(fractional, 4), axis=0) @ crystal.cell.array
    radii = np.array([np.linalg.norm(images - point, axis=1).min() for point in points])
    return points, radii


def _host(crystal: Atoms) -> Atoms:
    return crystal.repeat(isotropic_repeat(crystal.cell.lengths(), len(crystal), _FEWEST))
