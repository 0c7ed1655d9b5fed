"""Cut: fill a small periodic cell with an atom and its surroundings, core first."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.spatial.transform import Rotation

from mlip_autopipec.numerics.lattice import lattice_points
from mlip_autopipec.selection.embedding.host import Host, reduced_cell, surroundings

Array = NDArray[np.float64]
Ints = NDArray[np.int64]
CellKind = Literal["crystal", "box"]

_BETWEEN_SITES = (0.75, 0.7, 0.65, 0.6, 0.55, 0.5)  # of the host's spacing
_SPACINGS = np.linspace(0.9, 0.6, 13)  # of the host's spacing: how close a filling atom may come
_N_SHIFTS = 256  # windows over which the local density is averaged
_N_ORIENTATIONS = 8  # of a box that has no lattice to follow


@dataclass(frozen=True)
class Cut:
    """A small periodic cell cut out of a host.

    Parameters
    ----------
    atoms
        The atoms, the one in the middle first, then by their distance from it.
    kind
        ``"crystal"`` where its lattice is one of the host's, ``"box"`` where it follows the density alone.
    distance
        Of each atom from the one in the middle as in the host, in Å, shape ``(n_atoms,)``.
    index
        Of each atom in the host, shape ``(n_atoms,)``.
    """

    atoms: Atoms
    kind: CellKind
    distance: Array
    index: Ints


@dataclass(frozen=True)
class _Window:
    """The part of the surroundings from which a cell is filled, in the order in which it is."""

    cell: Array
    vectors: Array
    index: Ints
    apart: Array  # distances of atoms and of their images, shape (n, n)
    n_core: int
    n_wanted: int


def cut_crystal(host: Host, centre: int, cell: Array, core: float) -> Cut:
    """Fill a supercell of the host's lattice.

    Parameters
    ----------
    host
        The host.
    centre
        Index of the atom in the middle.
    cell
        Reduced lattice vectors in rows in Å, shape ``(3, 3)``, no image within twice the core's radius.
    core
        Radius in Å within which all stays as it is.

    Returns
    -------
    Cut
        The small cell.
    """
    window = _window(host, centre, cell, core)
    return _cut(host, window, _occupied(host, window), "crystal")


def cut_box(host: Host, centre: int, separation: float, core: float) -> Cut:
    """Fill a dense box with what is around an atom where no lattice is left.

    The box has the shape whose images are farthest apart for its volume (fcc; hexagonal for a slab). Of some
    orientations the one is taken that is filled to the local density with the widest gaps across its
    faces.

    Parameters
    ----------
    host
        The host.
    centre
        Index of the atom in the middle.
    separation
        Distance of its images in Å.
    core
        Radius in Å within which all stays as it is.

    Returns
    -------
    Cut
        The small cell.
    """
    windows = [_window(host, centre, cell, core) for cell in _boxes(host, separation)]
    filled = [(*_fill(host, window), window) for window in windows]
    _, chosen, window = max(filled, key=lambda found: found[0])
    return _cut(host, window, chosen, "box")


def _boxes(host: Host, separation: float) -> list[Array]:
    """Orient a box in several ways, the same each time."""
    if host.slab:
        x = host.cell[0] / np.linalg.norm(host.cell[0])
        y = np.cross(host.cell[2] / np.linalg.norm(host.cell[2]), x)
        angles = np.pi / 3.0 * np.arange(_N_ORIENTATIONS) / _N_ORIENTATIONS
        both = (angles, angles + np.pi / 3.0)
        sides = [separation * (np.outer(np.cos(a), x) + np.outer(np.sin(a), y)) for a in both]
        return [np.array([one, other, host.cell[2]]) for one, other in zip(*sides, strict=True)]
    fcc = separation / np.sqrt(2.0) * np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    turns = Rotation.random(_N_ORIENTATIONS, random_state=0).as_matrix()
    return [reduced_cell(fcc @ turn, slab=False) for turn in turns]


def _window(host: Host, centre: int, cell: Array, core: float) -> _Window:
    """Gather core and buffer, and the atoms beyond that may close a gap, in this order."""
    points = lattice_points(cell)
    points = points[np.abs(points).sum(axis=1) > 0.0]
    if host.slab:
        points = points[np.abs(points @ host.cell[2]) < 1.0e-6]
    reach = _covering(cell, points, host) + 2.0 * host.spacing
    vectors, index = surroundings(host, centre, reach)
    lengths = np.linalg.norm(vectors, axis=1)
    images = cdist(vectors, points)  # = distances of all images from the middle
    beyond = lengths - images.min(axis=1)
    in_core = lengths < core
    fits = in_core | ((beyond < host.spacing) & (images.min(axis=1) >= core))
    rank = np.where(in_core, -np.inf, np.maximum(beyond, 0.1 * host.spacing))
    order = np.lexsort((lengths, rank))
    order = order[fits[order]]
    kept = vectors[order]
    apart = _apart(kept, cell, points)
    return _Window(
        cell, kept, index[order], apart, int(in_core.sum()), _local_number(vectors, points, host.spacing)
    )


def _apart(vectors: Array, cell: Array, points: Array) -> Array:
    """Distance of each atom from the nearest image of each other, in Å."""
    between = (vectors[:, None] - vectors[None]).reshape(-1, 3)
    periods = np.rint(between @ np.linalg.inv(cell))
    between = (
        between - periods @ cell
    )  # so that the nearest of all images is among the nearest lattice points
    squares = np.einsum("ij,ij->i", between, between)
    for point in points:
        moved = between + point
        np.minimum(squares, np.einsum("ij,ij->i", moved, moved), out=squares)
    return np.asarray(np.sqrt(squares).reshape(len(vectors), -1))


def _covering(cell: Array, points: Array, host: Host) -> float:
    """Radius in Å that reaches all of the cell that is nearer to the middle than to any image."""
    if host.slab:
        thickness = np.ptp(host.atoms.positions @ host.cell[2]) / np.linalg.norm(host.cell[2])
        return float(np.hypot(np.linalg.norm(cell[:2], axis=1).max(), thickness))
    grid = (
        np.stack(np.meshgrid(*[np.linspace(0.0, 1.0, 9)] * 3, indexing="ij"), axis=-1).reshape(-1, 3) @ cell
    )
    nearest = cdist(grid, np.vstack([points, np.zeros((1, 3))])).min(axis=1)
    return float(nearest.max()) + 1.0


def _local_number(vectors: Array, points: Array, spacing: float) -> int:
    """Count the atoms that the host has in such a cell, on average over where exactly it is put."""
    rng = np.random.default_rng(0)
    counts = []
    for shift in rng.uniform(-0.5, 0.5, (_N_SHIFTS, 3)) * spacing * np.sqrt(2.0):
        moved = vectors - shift
        counts.append(np.sum(np.linalg.norm(moved, axis=1) <= cdist(moved, points).min(axis=1)))
    return round(float(np.mean(counts)))


def _occupied(host: Host, window: _Window) -> list[int]:
    """Take the core and one atom for each occupied site.

    Images of one site are closer to each other than neighbours are: over a range of spacings in between the
    number of atoms does not change, however many sites are vacant.
    """
    trials = [_spaced(window, spacing * host.spacing) for spacing in _BETWEEN_SITES]
    by_density = len(host.atoms) * abs(np.linalg.det(window.cell) / np.linalg.det(host.cell))
    counts = Counter(len(trial) for trial in trials)
    number = max(counts, key=lambda n: (counts[n], -abs(n - by_density)))
    return next(trial for trial in trials if len(trial) == number)


def _fill(host: Host, window: _Window) -> tuple[tuple[float, float], list[int]]:
    """Take the core, then what keeps its distance; the widest distance that gives the density wins."""
    best: tuple[tuple[float, float], list[int]] | None = None
    for spacing in _SPACINGS:
        chosen = _spaced(window, spacing * host.spacing)
        missing = max(window.n_wanted - len(chosen), 0)
        found = ((-float(missing), float(spacing)), chosen)
        if best is None or found[0] > best[0]:
            best = found
        if not missing:
            break
    if best is None:
        raise AssertionError("there are spacings to be tried")
    return best


def _spaced(window: _Window, spacing: float) -> list[int]:
    chosen = list(range(window.n_core))
    blocked: NDArray[np.bool_] = np.any(window.apart[: window.n_core] < spacing, axis=0)
    for k in range(window.n_core, len(window.vectors)):
        if not blocked[k]:
            chosen.append(k)
            blocked |= window.apart[k] < spacing
    return chosen


def _cut(host: Host, window: _Window, chosen: Sequence[int], kind: CellKind) -> Cut:
    vectors, index = window.vectors[list(chosen)], window.index[list(chosen)]
    distance = np.linalg.norm(vectors, axis=1)
    order = np.argsort(distance, kind="stable")
    vectors, index, distance = vectors[order], index[order], distance[order]
    symbols = balanced(
        np.array(host.atoms.get_chemical_symbols())[index].tolist(),
        host.atoms.get_chemical_symbols(),
        window.n_core,
        1.0 if kind == "crystal" else 0.0,
    )
    atoms = Atoms(
        symbols,
        positions=host.atoms.positions[index[0]] + vectors,
        cell=host.own_cell(window.cell),
        pbc=host.atoms.pbc,
    )
    atoms.wrap(eps=0.0)
    return Cut(atoms, kind, distance, index)


def balanced(symbols: list[str], host: list[str], n_core: int, tolerance: float) -> list[str]:
    """Exchange elements of the outermost atoms until the composition is the host's.

    Parameters
    ----------
    symbols
        Chemical symbols, core first, outermost atom last.
    host
        Chemical symbols of the host.
    n_core
        Number of atoms that stay what they are.
    tolerance
        Number of atoms by which an element may be off, beyond the rounding to whole atoms; a defect in the
        core is one.

    Returns
    -------
    list[str]
        Chemical symbols.

    Examples
    --------
    >>> balanced(["Cu", "Cu", "Ni", "Cu"], ["Cu", "Ni"], 1, 0.5)
    ['Cu', 'Cu', 'Ni', 'Ni']
    """
    found = list(symbols)
    share = {s: n / len(host) for s, n in Counter(host).items()}
    while True:
        counts = Counter(found)
        excess = {s: counts[s] - x * len(found) for s, x in share.items()}
        most, least = max(excess, key=lambda s: excess[s]), min(excess, key=lambda s: excess[s])
        buffer = [k for k in range(n_core, len(found)) if found[k] == most]
        if excess[most] <= tolerance + 0.5 or -excess[least] < 0.5 or not buffer:
            return found
        found[buffer[-1]] = least
