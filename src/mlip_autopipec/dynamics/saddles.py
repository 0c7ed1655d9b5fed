"""Saddles and the paths over them: plain functions of forces or of an ASE calculator."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from ase.geometry import find_mic
from ase.mep import NEB
from ase.optimize import FIRE
from numpy.typing import NDArray

Array = NDArray[np.float64]

_STEP = 0.01  # Å, of the finite differences
_FLAT = 0.01  # eV/Å^2; what lies between is a translation, or noise
_MOST_ATOMS = 100
_SAME = 0.1  # Å


@dataclass(frozen=True)
class Path:
    """A minimum-energy path.

    Parameters
    ----------
    distances
        Length of the path up to each image in Å, shape ``(n_images,)``.
    energies
        Above the first image in eV, shape ``(n_images,)``.
    largest_force
        Largest force across the path that is left in eV/Å.
    """

    distances: Array
    energies: Array
    largest_force: float

    @property
    def barrier(self) -> float:
        """Highest energy above the first image in eV."""
        return float(self.energies.max())


def count_negative_modes(forces_of: Callable[[Atoms], Array], saddle: Atoms, centre: int) -> int:
    """Count the directions in which the energy of a stationary point falls.

    Up to 100 atoms about the event may move; fixing the others can hide a negative mode but adds none.

    Parameters
    ----------
    forces_of
        Gives the forces in eV/Å on all atoms, shape ``(n_atoms, 3)``.
    saddle
        The stationary point.
    centre
        Index of the atom that moves most in the event.

    Returns
    -------
    int
        Number of eigenvalues of the Hessian below -0.01 eV/Å^2.
    """
    distances = saddle.get_distances(centre, range(len(saddle)), mic=True)
    mobile = np.argsort(distances, kind="stable")[:_MOST_ATOMS]
    rows = []
    for atom in mobile:
        for axis in range(3):
            forces = []
            for sign in (1.0, -1.0):
                moved = saddle.copy()
                moved.positions[atom, axis] += sign * _STEP
                forces.append(forces_of(moved)[mobile].ravel())
            rows.append((forces[1] - forces[0]) / (2.0 * _STEP))
    hessian = np.array(rows)
    return int((np.linalg.eigvalsh((hessian + hessian.T) / 2.0) < -_FLAT).sum())


def most_displaced(first: Atoms, second: Atoms) -> int:
    """Return the index of the atom that moves most between two structures of the same cell."""
    _, lengths = find_mic(second.positions - first.positions, first.cell, pbc=first.pbc)
    return int(np.argmax(lengths))


def same_shape(first: Atoms, second: Atoms) -> bool:
    """Say whether two structures are one but for symmetry and for the order of atoms.

    Parameters
    ----------
    first, second
        Structures of small periodic cells.

    Returns
    -------
    bool
        Whether their distances between all atoms, in order of size, agree to 0.1 Å.
    """
    sorted_distances = []
    for atoms in (first, second):
        pairs = np.triu_indices(len(atoms), 1)
        sorted_distances.append(np.sort(atoms.get_all_distances(mic=True)[pairs]))
    one, other = sorted_distances
    return bool(len(one) == len(other) and np.allclose(one, other, rtol=0.0, atol=_SAME))


def minimum_energy_path(
    knots: list[Atoms],
    calculator: Calculator,
    *,
    n_images: int = 9,
    max_force: float = 0.03,
    max_steps: int = 200,
) -> Path:
    """Relax a climbing-image nudged elastic band.

    Parameters
    ----------
    knots
        Relaxed minima, first and last, and what may lie between, such as the saddle; atoms in one order.
    calculator
        Gives energies and forces.
    n_images
        Images, ends included.
    max_force
        Largest force across the path that may be left in eV/Å.
    max_steps
        Steps of the optimiser at most.

    Returns
    -------
    Path
        The path, as far as it was relaxed: its ``largest_force`` tells.
    """
    images = _along(knots, n_images)
    for image in images:
        image.calc = calculator
    band = NEB(images, climb=True, allow_shared_calculator=True, method="improvedtangent")
    with FIRE(band, logfile=None) as optimiser:
        optimiser.run(fmax=max_force, steps=max_steps)
    energies = np.array([float(image.get_potential_energy()) for image in images])
    lengths = [np.linalg.norm(_difference(b, a)) for a, b in pairwise(images)]
    residual = float(np.linalg.norm(np.reshape(band.get_forces(), (-1, 3)), axis=1).max())
    return Path(np.concatenate([[0.0], np.cumsum(lengths)]), energies - energies[0], residual)


def without_drift(knots: list[Atoms]) -> list[Atoms]:
    """Take out what all atoms move together from one structure to the next; saddle searches drift.

    Parameters
    ----------
    knots
        Structures of one cell, atoms in one order.

    Returns
    -------
    list[ase.Atoms]
        The first as it is, copies of the others.
    """
    found = knots[:1]
    for knot in knots[1:]:
        moved = knot.copy()
        moved.positions -= _difference(knot, found[-1]).mean(axis=0)
        found.append(moved)
    return found


def _difference(later: Atoms, earlier: Atoms) -> Array:
    vectors, _ = find_mic(later.positions - earlier.positions, earlier.cell, pbc=earlier.pbc)
    return np.asarray(vectors)


def _along(knots: list[Atoms], n_images: int) -> list[Atoms]:
    """Place images at equal distances along straight lines between the knots."""
    steps = [_difference(b, a) for a, b in pairwise(knots)]
    lengths = np.array([np.linalg.norm(step) for step in steps])
    ends = np.concatenate([[0.0], np.cumsum(lengths)])
    images = []
    for distance in np.linspace(0.0, ends[-1], n_images):
        leg = min(int(np.searchsorted(ends, distance, side="right")) - 1, len(steps) - 1)
        image = knots[0].copy()
        share = (distance - ends[leg]) / lengths[leg]
        image.positions = knots[0].positions + sum(steps[:leg]) + share * steps[leg]
        images.append(image)
    return images
