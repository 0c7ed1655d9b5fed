"""The host: a large cell, the neighbourhood of one of its atoms, and what is left of its lattice."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.geometry import minkowski_reduce
from numpy.typing import NDArray

from mlip_autopipec.ace import bonds
from mlip_autopipec.numerics.lattice import PeriodicPoints, primitive_vectors, separating_supercells

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

_CARRIED_WITHIN = 0.35  # of the spacing: some two standard deviations of a crystal that is about to melt
_CARRIED = 0.8  # of the atoms; by chance a translation of a liquid carries about a quarter
_ORDERED = 0.9  # of the carried atoms that meet their own kind
_CHANCE = 0.08  # below what chance gives: beyond the scatter of a few hundred atoms
_DEARER = 1.5  # times the smallest cell is a cell worth that keeps the order of the elements


@dataclass(frozen=True)
class Host:
    """A cell whose three lattice vectors are all periods; a slab has its normal last.

    Parameters
    ----------
    atoms
        The atoms as they came.
    cell
        Lattice vectors in rows in Å, shape ``(3, 3)``. Where a slab is not periodic stands its normal, so
        long that its images are out of each other's sight.
    axes
        Which of the atoms' own lattice vectors each row is.
    spacing
        Median distance of nearest neighbours in Å.
    """

    atoms: Atoms
    cell: Array
    axes: tuple[int, int, int]
    spacing: float

    @classmethod
    def of(cls, atoms: Atoms, reach: float) -> "Host":
        """Describe a cell.

        Parameters
        ----------
        atoms
            Periodic in three directions, or in two.
        reach
            Distance in Å beyond which atoms do not see each other; every atom has a neighbour within it.

        Returns
        -------
        Host
            The same atoms.
        """
        found = bonds(atoms, reach)
        nearest = np.full(len(atoms), np.inf)
        np.minimum.at(nearest, found.i, found.distance)
        spacing = float(np.median(nearest[np.isfinite(nearest)]))
        axes = tuple(int(axis) for axis in np.argsort(~atoms.pbc, kind="stable"))
        cell = atoms.cell.array[list(axes)]
        if not atoms.pbc.all():
            normal = np.cross(cell[0], cell[1])
            normal /= np.linalg.norm(normal)
            cell[2] = normal * (np.ptp(atoms.positions @ normal) + 4.0 * reach)
        return cls(atoms, cell, (axes[0], axes[1], axes[2]), spacing)

    @property
    def slab(self) -> bool:
        """Whether it is periodic in two directions only."""
        return not bool(self.atoms.pbc.all())

    def own_cell(self, cell: Array) -> Array:
        """Put the lattice vectors of a smaller cell in the order, and the handedness, of the atoms' own.

        Parameters
        ----------
        cell
            Lattice vectors in rows in Å, shape ``(3, 3)``.

        Returns
        -------
        numpy.ndarray
            Lattice vectors in rows in Å, shape ``(3, 3)``; the vector along which a slab is not periodic
            is its own.
        """
        own = np.empty((3, 3))
        own[list(self.axes)] = cell
        if self.slab:
            own[self.axes[2]] = self.atoms.cell.array[self.axes[2]]
        elif np.linalg.det(own) < 0.0:
            own = -own
        return own


def surroundings(host: Host, centre: int, reach: float) -> tuple[Array, Ints]:
    """Unfold the neighbourhood of an atom.

    Parameters
    ----------
    host
        The host.
    centre
        Index of the atom.
    reach
        Radius in Å.

    Returns
    -------
    vectors
        From the atom to each of its neighbours in Å, itself first, then the nearest, shape ``(n, 3)``.
    index
        Their indices in the host, shape ``(n,)``; images of one atom have one index.
    """
    found = bonds(host.atoms, reach)
    mine = found.i == centre
    order = np.argsort(found.distance[mine], kind="stable")
    vectors = np.vstack([np.zeros((1, 3)), found.vector[mine][order]])
    return vectors, np.concatenate([[centre], found.j[mine][order]])


def host_vectors(host: Host, start: Atoms) -> Array:
    """Find the lattice of the crystal that the host was when its walk began, strained as the host is now.

    Parameters
    ----------
    host
        The host.
    start
        The same atoms as the walk began.

    Returns
    -------
    numpy.ndarray
        Primitive lattice vectors in rows in Å, shape ``(3, 3)``, whatever elements sit on them.
    """
    before = Host.of(start, 3.0 * host.spacing)
    vectors = primitive_vectors(start.positions, before.cell, 0.2 * before.spacing)
    if before.slab:
        along = np.abs(vectors @ before.cell[2])
        vectors = vectors[np.argsort(along, kind="stable")]
    return np.asarray(vectors @ np.linalg.inv(before.cell) @ host.cell)


def crystal_cell(host: Host, centre: int, vectors: Array, separation: float, most_atoms: int) -> Array | None:
    """Find the smallest supercell of the host's lattice that keeps images apart and fits the host itself.

    It fits where its translations carry the atoms around the centre onto atoms, and onto no fewer of their
    own kind than chance would give: in an ordered compound that leaves its own lattice alone, in a random
    alloy any.

    Parameters
    ----------
    host
        The host.
    centre
        Index of the atom in its middle.
    vectors
        Primitive lattice vectors in rows in Å, shape ``(3, 3)``.
    separation
        Smallest distance of two images in Å.
    most_atoms
        Most atoms that it may hold, about.

    Returns
    -------
    numpy.ndarray or None
        Reduced lattice vectors in rows in Å, shape ``(3, 3)``; none if no such cell is small enough, or the
        crystal did not survive.
    """
    per_cell = len(host.atoms) * abs(np.linalg.det(vectors) / np.linalg.det(host.cell))
    symbols = np.array(host.atoms.get_chemical_symbols())
    by_chance = float(np.square([np.mean(symbols == s) for s in set(symbols)]).sum())
    fits = _fit(host, centre, separation)
    if min(fits(vector)[0] for vector in vectors[: 2 if host.slab else 3]) < _CARRIED:
        return None  # molten
    second, dearest = None, np.inf
    for index, forms in separating_supercells(
        vectors, separation, int(most_atoms / per_cell), slab=host.slab
    ):
        dearest = min(dearest, 2.0 * index)
        if index > dearest:
            break
        for cell in _roundest(forms @ vectors, slab=host.slab):
            carried, alike = np.min([fits(move) for move in cell[: 2 if host.slab else 3]], axis=0)
            if carried < _CARRIED or alike < by_chance - _CHANCE:
                continue
            if alike >= _ORDERED:
                return cell
            if second is None:
                second, dearest = cell, min(dearest, _DEARER * index)
    return second


def _fit(host: Host, centre: int, radius: float) -> Callable[[Array], tuple[float, float]]:
    """Say of a translation which share of the atoms around meets an atom, and of these its kind."""
    numbers = host.atoms.numbers
    around = np.unique(surroundings(host, centre, radius)[1])
    points = host.atoms.positions[around]
    finder = PeriodicPoints(host.atoms.positions, host.cell, _CARRIED_WITHIN * host.spacing)

    def fit(move: Array) -> tuple[float, float]:
        distance, index = finder.nearest(points + move)
        met = np.isfinite(distance)
        alike = numbers[index[met]] == numbers[around[met]]
        return float(met.mean()), float(alike.mean()) if met.any() else 0.0

    return fit


def _roundest(cells: Array, *, slab: bool, most: int = 60) -> list[Array]:
    """Reduce cells of equal volume; those whose images are farthest apart come first."""
    reduced = [reduced_cell(cell, slab=slab) for cell in cells[:: max(1, len(cells) // most)]]
    n = 2 if slab else 3
    return sorted(reduced, key=lambda cell: -np.linalg.norm(cell[:n], axis=1).min().round(6))


def reduced_cell(cell: Array, *, slab: bool) -> Array:
    """Choose the shortest vectors of a lattice.

    Parameters
    ----------
    cell
        Lattice vectors in rows in Å, shape ``(3, 3)``.
    slab
        Whether the third one is to be kept as it is.

    Returns
    -------
    numpy.ndarray
        Lattice vectors of the same lattice, shape ``(3, 3)``.
    """
    return np.asarray(minkowski_reduce(cell, pbc=[True, True, not slab])[0])
