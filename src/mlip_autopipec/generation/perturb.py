"""Perturbations of a crystal: plain functions of a structure and a random generator."""

from collections.abc import Sequence
from itertools import combinations_with_replacement

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers, covalent_radii

from mlip_autopipec.ace import bonds


def strained(atoms: Atoms, max_strain: float, rng: np.random.Generator) -> Atoms:
    """Apply a random volume change, a random stretch at constant volume and a random shear.

    Parameters
    ----------
    atoms
        A periodic structure.
    max_strain
        Largest linear strain, dimensionless; stretches and shears are at most half of it.
    rng
        Source of randomness.

    Returns
    -------
    ase.Atoms
        The strained structure.
    """
    strain = np.eye(3) * rng.uniform(-max_strain, max_strain)
    shear = np.triu(rng.uniform(-0.5 * max_strain, 0.5 * max_strain, (3, 3)), 1)
    # Without stretches a cubic crystal never shows its modulus C11 - C12.
    stretch = rng.uniform(-1.0, 1.0, 3)
    stretch -= stretch.mean()
    room = min(0.375 * max_strain, (max_strain - abs(strain[0, 0])) / np.abs(stretch).max())
    strain += shear + shear.T + np.diag(room * stretch)
    result = atoms.copy()
    result.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    return result


def rattled(atoms: Atoms, amplitude: float, rng: np.random.Generator, *, keep_apart: float) -> Atoms:
    """Displace every atom at random, keeping atoms apart.

    Parameters
    ----------
    atoms
        The structure.
    amplitude
        Standard deviation of each Cartesian displacement in Å.
    rng
        Source of randomness.
    keep_apart
        Smallest distance allowed afterwards, in Å; displacements are scaled down until it is kept.

    Returns
    -------
    ase.Atoms
        The displaced structure.
    """
    displacement = rng.normal(0.0, amplitude, (len(atoms), 3))
    for _ in range(20):
        result = atoms.copy()
        result.positions += displacement
        if len(bonds(result, keep_apart).i) == 0:
            return result
        displacement *= 0.8
    return result


def dimers(elements: Sequence[str], ratios: Sequence[float]) -> list[tuple[Atoms, float]]:
    """Build free dimers of every pair.

    Parameters
    ----------
    elements
        Chemical symbols.
    ratios
        Distances as fractions of the sum of the covalent radii, dimensionless.

    Returns
    -------
    list
        Structures without periodicity, each with its distance in Å.
    """
    found = []
    for first, second in combinations_with_replacement(sorted(elements), 2):
        bond = float(sum(covalent_radii[atomic_numbers[s]] for s in (first, second)))
        for ratio in ratios:
            atoms = Atoms([first, second], positions=[[0.0, 0.0, 0.0], [0.0, 0.0, ratio * bond]])
            found.append((atoms, ratio * bond))
    return found
