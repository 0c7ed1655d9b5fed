"""MaxVol: the square submatrix of (nearly) largest volume."""

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from mlip_autopipec.errors import FitError

Array = NDArray[np.float64]


def maxvol(matrix: Array, *, tolerance: float = 1.001, max_swaps: int = 1000) -> NDArray[np.int64]:
    r"""Choose the rows of a tall matrix whose square submatrix has nearly the largest determinant.

    Starts from the pivots of an LU factorisation; then, while some :math:`|C_{ij}|` of
    :math:`C = A\,A_\mathrm{rows}^{-1}` exceeds the tolerance, row i takes the place of the chosen row j,
    which multiplies the volume by :math:`|C_{ij}|` [1]_.

    Parameters
    ----------
    matrix
        Matrix A, shape ``(n_rows, n_columns)`` with ``n_rows >= n_columns`` and full column rank.
    tolerance
        Largest :math:`|C_{ij}|` left, dimensionless, at least 1.
    max_swaps
        Number of swaps after which the rows found so far are returned; the volume only ever grows.

    Returns
    -------
    numpy.ndarray
        Indices of the chosen rows, shape ``(n_columns,)``.

    Raises
    ------
    FitError
        The matrix is wide or its columns are linearly dependent.

    References
    ----------
    .. [1] S. A. Goreinov et al., How to find a good submatrix, in Matrix Methods, World Scientific 2010.
    """
    n_rows, n_columns = matrix.shape
    if n_rows < n_columns:
        raise FitError(f"MaxVol needs at least as many rows as columns, got shape {matrix.shape}.")
    lu, pivots, info = linalg.lapack.dgetrf(matrix)
    if info < 0:
        raise FitError(f"LAPACK dgetrf refused argument {-info} of the {matrix.shape} matrix.")
    diagonal = np.abs(np.diag(lu[:n_columns]))
    if not diagonal.min() > diagonal.max() * n_rows * np.finfo(float).eps:  # NaN does not pass either
        raise FitError(f"MaxVol: the columns of the {matrix.shape} matrix are linearly dependent.")
    order = _pivots_to_order(pivots, n_rows)
    rows = order[:n_columns].copy()
    c = np.ascontiguousarray(linalg.solve(matrix[rows].T, matrix.T).T, dtype=np.float64)
    for _ in range(max_swaps):
        # BLAS looks at and changes the matrix in place; numpy would copy it twice a swap
        i, j = divmod(int(linalg.blas.idamax(c.ravel())), n_columns)
        if abs(c[i, j]) <= tolerance:
            break
        rows[j] = i
        row, column = c[i].copy(), c[:, j].copy()
        row[j] -= 1.0
        linalg.blas.dger(-1.0 / c[i, j], row, column, a=c.T, overwrite_a=True)
    return rows


def _pivots_to_order(pivots: NDArray[np.int32], n_rows: int) -> NDArray[np.int64]:
    """Turn LAPACK's sequence of row exchanges into a permutation of the rows."""
    order = np.arange(n_rows)
    for k, pivot in enumerate(pivots):
        order[[k, pivot]] = order[[pivot, k]]
    return order
