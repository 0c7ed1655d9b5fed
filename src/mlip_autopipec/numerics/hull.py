"""The convex hull of energies over compositions."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog

from mlip_autopipec.errors import FitError

Array = NDArray[np.float64]

_INFEASIBLE = 2  # linprog's status


def hull_energies(at: Array, fractions: Array, energies: Array) -> Array:
    r"""Energy of the lower convex hull at some compositions.

    .. math:: E_\mathrm{hull}(x) = \min_{\lambda \ge 0} \sum_j \lambda_j E_j, \quad
              \sum_j \lambda_j x_j = x, \quad \sum_j \lambda_j = 1

    is solved as it stands, by the simplex method of HiGHS over the lowest energy of each composition. Unlike
    a hull built from facets (Qhull, pymatgen's phase diagram) this needs neither the elements at its corners
    nor compositions in general position: mixtures of what is there are all that a phase can decay into.

    Parameters
    ----------
    at
        Atomic fractions where the hull is wanted, dimensionless, shape ``(n_wanted, n_elements)``.
    fractions
        Atomic fractions of what spans it, dimensionless, shape ``(n_structures, n_elements)``.
    energies
        Its energies per atom relative to fixed energies of the elements in eV/atom, shape
        ``(n_structures,)``.

    Returns
    -------
    numpy.ndarray
        In eV/atom, shape ``(n_wanted,)``; infinite where no mixture has the composition.

    Raises
    ------
    FitError
        An energy is not a finite number, or the solver fails.
    """
    if not np.isfinite(energies).all():
        raise FitError("the convex hull needs finite energies, got NaN or infinity.")
    points, which = np.unique(np.round(fractions, 12), axis=0, return_inverse=True)
    lowest = np.full(len(points), np.inf)
    np.minimum.at(lowest, which.ravel(), energies)  # numpy 2.0 kept the shape of the input
    wanted, where = np.unique(np.round(at, 12), axis=0, return_inverse=True)
    constraints = np.vstack([points.T, np.ones(len(points))])
    hull = np.empty(len(wanted))
    for index, point in enumerate(wanted):
        hull[index] = own = lowest[(points == point).all(axis=1)].min(initial=np.inf)
        if len(points) == 1 or point.max() == 1.0:
            continue  # nothing mixes to a pure element but itself
        found = linprog(lowest, A_eq=constraints, b_eq=np.append(point, 1.0), method="highs-ds")
        if found.success:
            hull[index] = min(own, found.fun)
        elif np.isfinite(own) or found.status != _INFEASIBLE:
            raise FitError(f"the convex hull at composition {point} cannot be found: {found.message}")
    return hull[where.ravel()]


def hull_distances(fractions: Array, energies: Array) -> Array:
    """Distance of each structure to the lower convex hull of all; see :func:`hull_energies`.

    Parameters
    ----------
    fractions
        Atomic fractions, dimensionless, shape ``(n_structures, n_elements)``.
    energies
        Energies per atom relative to fixed energies of the elements in eV/atom, shape ``(n_structures,)``.

    Returns
    -------
    numpy.ndarray
        Energies above the hull in eV/atom, not negative, shape ``(n_structures,)``.
    """
    return np.asarray(np.maximum(energies - hull_energies(fractions, fractions, energies), 0.0))


def atomic_fractions(symbols: Sequence[Sequence[str]]) -> Array:
    """Fraction of each element in each structure.

    Parameters
    ----------
    symbols
        Chemical symbols of the atoms, one sequence for each structure.

    Returns
    -------
    numpy.ndarray
        Dimensionless, shape ``(n_structures, n_elements)``; elements alphabetically.
    """
    elements = sorted({symbol for names in symbols for symbol in names})
    return np.array([[names.count(e) / len(names) for e in elements] for names in map(list, symbols)])
