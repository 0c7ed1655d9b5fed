"""Lattices and their sublattices: the supercells of a crystal that keep its images apart."""

import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_IMAGES = np.stack(np.meshgrid(*[[-1, 0, 1]] * 3, indexing="ij"), axis=-1).reshape(-1, 3)


def lattice_points(cell: Array) -> Array:
    """Return the 27 lattice points around the origin.

    Parameters
    ----------
    cell
        Reduced lattice vectors in rows in Å, shape ``(3, 3)``; then no other point is a nearest one.

    Returns
    -------
    numpy.ndarray
        In Å, shape ``(27, 3)``.
    """
    return np.asarray(_IMAGES @ cell)


def points_within(cell: Array, radius: float) -> Ints:
    """List the lattice points closer to the origin than a radius, one of each pair of opposite ones.

    Parameters
    ----------
    cell
        Lattice vectors in rows in Å, shape ``(3, 3)``.
    radius
        In Å.

    Returns
    -------
    numpy.ndarray
        Integer coordinates without the origin, nearest first, shape ``(n, 3)``.
    """
    most = np.floor(radius * np.linalg.norm(np.linalg.inv(cell), axis=0)).astype(int)
    axes = [np.arange(-m, m + 1) for m in most]
    points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    points = points[len(points) // 2 + 1 :]  # the order is symmetric about the origin
    lengths = np.linalg.norm(points @ cell, axis=1)
    order = np.argsort(lengths)
    return np.asarray(points[order][lengths[order] < radius], dtype=np.int64)


def hermite_forms(index: int) -> Ints:
    """List all sublattices of an index, each once, by the Hermite normal forms of their bases.

    Parameters
    ----------
    index
        Volume of the supercell in units of the cell.

    Returns
    -------
    numpy.ndarray
        Upper triangular, shape ``(n_sublattices, 3, 3)``; rows are vectors of the supercell.

    Examples
    --------
    >>> len(hermite_forms(2)), len(hermite_forms(4))
    (7, 35)
    """
    found = []
    for a in (d for d in range(1, index + 1) if index % d == 0):
        for d in (d for d in range(1, index // a + 1) if (index // a) % d == 0):
            f = index // (a * d)
            b, c, e = (x.ravel() for x in np.meshgrid(range(d), range(f), range(f), indexing="ij"))
            forms = np.zeros((len(b), 3, 3), dtype=np.int64)
            forms[:, 0, 0], forms[:, 1, 1], forms[:, 2, 2] = a, d, f
            forms[:, 0, 1], forms[:, 0, 2], forms[:, 1, 2] = b, c, e
            found.append(forms)
    return np.concatenate(found)


def contains(forms: Ints, point: Ints) -> NDArray[np.bool_]:
    """Say which sublattices a lattice point belongs to.

    Parameters
    ----------
    forms
        Hermite normal forms, shape ``(n_sublattices, 3, 3)``.
    point
        Integer coordinates, shape ``(3,)``.

    Returns
    -------
    numpy.ndarray
        Shape ``(n_sublattices,)``.
    """
    x, first = np.divmod(point[0], forms[:, 0, 0])
    y, second = np.divmod(point[1] - x * forms[:, 0, 1], forms[:, 1, 1])
    third = (point[2] - x * forms[:, 0, 2] - y * forms[:, 1, 2]) % forms[:, 2, 2]
    return np.asarray((first == 0) & (second == 0) & (third == 0))


def separating_supercells(
    cell: Array, separation: float, largest: int, *, slab: bool = False
) -> Iterator[tuple[int, Ints]]:
    """Find the supercells whose images are at least so far apart, smallest first.

    Parameters
    ----------
    cell
        Lattice vectors in rows in Å, shape ``(3, 3)``.
    separation
        Smallest length of a vector of the superlattice in Å.
    largest
        Largest volume in units of the cell.
    slab
        Whether the third vector is to be kept as it is.

    Yields
    ------
    index
        Volume of the supercells in units of the cell.
    forms
        Their Hermite normal forms, shape ``(n_supercells, 3, 3)``; volumes without any are left out.
    """
    short = points_within(cell, separation)
    # No lattice packs its points more densely than fcc.
    least = math.ceil(separation**3 / math.sqrt(2.0) / abs(np.linalg.det(cell)) * (1.0 - 1.0e-9))
    for index in range(max(least, 1), largest + 1):
        forms = hermite_forms(index)
        if slab:
            forms = forms[(forms[:, 2, 2] == 1)]
        for point in short:
            forms = forms[~contains(forms, point)]
            if not len(forms):
                break
        if len(forms):
            yield index, forms


class PeriodicPoints:
    """Finds the nearest of many points and their images.

    Parameters
    ----------
    points
        In Å, shape ``(n_points, 3)``.
    cell
        Lattice vectors in rows in Å, shape ``(3, 3)``; all three are periods.
    reach
        Largest distance in Å that is asked for.
    """

    def __init__(self, points: Array, cell: Array, reach: float) -> None:
        self._cell = cell
        self._inverse = np.linalg.inv(cell)
        self._reach = reach
        inside = self._wrapped(points)
        margin = reach * np.linalg.norm(self._inverse, axis=0)
        most = np.ceil(margin).astype(int)
        shifts = np.stack(np.meshgrid(*[np.arange(-m, m + 1) for m in most], indexing="ij"), axis=-1)
        images = (inside[None, :, :] + shifts.reshape(-1, 1, 3)).reshape(-1, 3)
        near = ((images > -margin - 1.0e-9) & (images < 1.0 + margin + 1.0e-9)).all(axis=1)
        self._index = np.tile(np.arange(len(points)), len(images) // len(points))[near]
        self._tree = cKDTree(images[near] @ cell)

    def nearest(self, points: Array) -> tuple[Array, Ints]:
        """Find the nearest point to each of some.

        Parameters
        ----------
        points
            In Å, shape ``(n, 3)``.

        Returns
        -------
        distance
            In Å, shape ``(n,)``; infinite beyond the reach.
        index
            Which, shape ``(n,)``; 0 beyond the reach.
        """
        distance, found = self._tree.query(
            self._wrapped(points) @ self._cell, distance_upper_bound=self._reach
        )
        return distance, np.where(np.isfinite(distance), np.append(self._index, 0)[found], 0)

    def _wrapped(self, points: Array) -> Array:
        return np.asarray((points @ self._inverse) % 1.0)


def primitive_vectors(points: Array, cell: Array, tolerance: float) -> Array:
    """Find the smallest lattice that carries a set of points onto itself, whatever sits on them.

    A translation counts if it and its multiples carry nine in ten points onto others: a vacancy does not hide
    the lattice, and the layers of a slab are none.

    Parameters
    ----------
    points
        In Å, shape ``(n_points, 3)``.
    cell
        Lattice vectors in rows in Å, shape ``(3, 3)``.
    tolerance
        Largest distance in Å of a carried point from another.

    Returns
    -------
    numpy.ndarray
        Lattice vectors in rows in Å, shape ``(3, 3)``; the cell itself where nothing smaller is consistent.
    """
    finder = PeriodicPoints(points, cell, tolerance)
    moves = ((points - points[0])[:, None] + lattice_points(cell)[None]).reshape(-1, 3)
    lengths = np.linalg.norm(moves, axis=1)
    order = np.argsort(lengths.round(6), kind="stable")
    chosen: list[Array] = []
    for move in moves[order[lengths[order] > tolerance]]:
        if _independent([*chosen, move]) and _carries(finder, points, move):
            chosen.append(move)
        if len(chosen) == 3:
            break
    if len(chosen) < 3:
        return cell
    exact = cell @ np.linalg.inv(np.array(chosen))
    multiples = np.rint(exact)
    if np.abs(exact - multiples).max() > 0.2:
        return cell
    return np.asarray(np.linalg.solve(multiples, cell))  # free of the points' own noise


def _carries(finder: PeriodicPoints, points: Array, move: Array) -> bool:
    return all(
        np.isfinite(finder.nearest(points + times * move)[0]).mean() >= 0.9 for times in (1, 2, 4, 8, 16)
    )


def _independent(vectors: list[Array]) -> bool:
    scaled = np.array(vectors) / np.linalg.norm(vectors, axis=1)[:, None]
    return bool(np.linalg.svd(scaled, compute_uv=False)[-1] > 0.1)
