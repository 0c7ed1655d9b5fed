"""Active sets: the environments against which extrapolation is graded."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.errors import FitError
from mlip_autopipec.numerics import maxvol

Array = NDArray[np.float64]


def active_set_inverse(projections: Array, floor: Array) -> Array:
    r"""Invert the active set of one element.

    The candidates are the environments and, as pseudo-observations, one row per function with
    ``floor[k]`` on the diagonal: a direction in which no environment reaches beyond the floor is held by
    its floor row. The set always has full rank, and the grade of an environment,
    :math:`\gamma = \max_k |(B X)_k|`, stays bounded along directions that the prior determines.

    Parameters
    ----------
    projections
        Basis functions of the labelled environments, shape ``(n_environments, n_functions)``.
    floor
        Smallest meaningful size of each function, positive, shape ``(n_functions,)``: the noise of an
        atomic energy in eV over the prior standard deviation of the function's coefficient in eV.

    Returns
    -------
    numpy.ndarray
        Inverse X of the active set, float64 in C order, shape ``(n_functions, n_functions)``.

    Raises
    ------
    FitError
        The set cannot be inverted accurately.
    """
    candidates = np.vstack([projections, np.diag(floor)])
    # Columns are scaled to the same size; MaxVol's choice does not depend on it, its accuracy does.
    scale = np.abs(candidates).max(axis=0)
    scaled = candidates / scale
    rows = maxvol(scaled)
    inverse = np.linalg.inv(scaled[rows]) / scale[:, None]
    residual = np.abs(np.abs(candidates[rows] @ inverse).max(axis=1) - 1.0).max()
    if not residual < 1.0e-6:
        raise FitError(
            f"the active set is too ill-conditioned: gamma of its own rows is off by {residual:.1e}."
        )
    return np.ascontiguousarray(inverse, dtype=np.float64)


def grade(projections: Array, inverse: Array) -> Array:
    r"""Grade environments: :math:`\gamma_i = \max_k |(B_i X)_k|`.

    Parameters
    ----------
    projections
        Basis functions, shape ``(n_environments, n_functions)``.
    inverse
        Inverse of the active set, shape ``(n_functions, n_functions)``.

    Returns
    -------
    numpy.ndarray
        Extrapolation grades, MaxVol scale, shape ``(n_environments,)``.
    """
    return np.asarray(np.abs(projections @ inverse).max(axis=1))


def write_active_set(path: Path, inverses: Mapping[str, Array]) -> None:
    """Write an ``.asi`` file in the layout that the C++ readers need.

    Uncompressed ``npz``, one float64 C-ordered array per element; they read anything else as garbage.

    Parameters
    ----------
    path
        The file.
    inverses
        Inverse of the active set by element.
    """
    arrays = {element: np.ascontiguousarray(x, dtype=np.float64) for element, x in inverses.items()}
    with path.open("wb") as stream:
        np.savez(stream, allow_pickle=False, **arrays)
