"""What a potential costs, before it is fitted."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.ace.basis import functions
from mlip_autopipec.ace.tables import channels

# Least squares on python-ace's evaluator, one core, energies and forces (benchmarks/evaluation_cost.py):
# µs per neighbour, per neighbour and one-particle function, per factor of a product of A.
_COST = (0.29, 0.0079, 0.0202)


def cost_features(basis: Any, n_neighbours: float) -> NDArray[np.float64]:
    """Count the operations per atom that a basis takes.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``; the average over its elements is taken.
    n_neighbours
        Neighbours of an atom within the cut-off, dimensionless.

    Returns
    -------
    numpy.ndarray
        Neighbours, neighbours times one-particle functions, factors of all products, shape ``(3,)``.
    """
    one_particle = sum(max(l, 0) + 1 for _, l in channels(basis))
    factors = sum(f.rank * f.num_ms_combs for f in functions(basis)) / basis.nelements
    return np.array([n_neighbours, n_neighbours * one_particle, factors])


def evaluation_cost(basis: Any, n_neighbours: float) -> float:
    """Estimate the time of energy and forces.

    A model, not a stopwatch: the same basis gives the same number on every machine.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``.
    n_neighbours
        Neighbours of an atom within the cut-off, dimensionless.

    Returns
    -------
    float
        µs per atom on one core of the machine it was measured on.
    """
    return float(cost_features(basis, n_neighbours) @ np.array(_COST))
