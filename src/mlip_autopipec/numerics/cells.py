"""Geometry of simulation cells."""

import numpy as np
from numpy.typing import NDArray


def isotropic_repeat(lengths: NDArray[np.float64], n_atoms: int, n_wanted: int) -> tuple[int, int, int]:
    """Choose how often to repeat a cell so that it holds enough atoms and stays as round as it can.

    Parameters
    ----------
    lengths
        Lengths of the lattice vectors in Å, shape ``(3,)``.
    n_atoms
        Number of atoms in the cell.
    n_wanted
        Smallest number of atoms wanted.

    Returns
    -------
    tuple[int, int, int]
        Repeats along each lattice vector; ones if the cell is large enough.

    Examples
    --------
    >>> isotropic_repeat(np.array([5.4, 5.4, 5.4]), 8, 64)
    (2, 2, 2)
    """
    repeat = np.ones(3, dtype=int)
    while n_atoms * repeat.prod() < n_wanted:
        repeat[np.argmin(lengths * repeat)] += 1
    return int(repeat[0]), int(repeat[1]), int(repeat[2])
