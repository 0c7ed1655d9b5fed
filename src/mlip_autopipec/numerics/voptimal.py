"""Greedy V-optimal choice: the experiments after which given predictions are least uncertain."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from mlip_autopipec.errors import FitError
from mlip_autopipec.numerics.doptimal import Budget, DesignChoice, conditioned, posterior_root

Array = NDArray[np.float64]


def greedy_v_optimal(
    blocks: Sequence[Array],
    precision: Array,
    target: Array,
    n_choose: int,
    required: Sequence[int] = (),
    budget: Budget | None = None,
) -> DesignChoice:
    r"""Choose the blocks of rows after which the predictions of a linear model are least uncertain.

    With the posterior covariance :math:`P` the expected squared error of predictions with rows :math:`g_k` is
    :math:`\sum_k g_k P g_k^T = \mathrm{tr}(T P)`, :math:`T = \sum_k g_k^T g_k`. Block :math:`J` lowers it by
    :math:`\mathrm{tr}\left((1 + J P J^T)^{-1} J P T P J^T\right)` [1]_. Unlike information this need not
    fall as others are chosen, so all blocks are looked at each time.

    Parameters
    ----------
    blocks
        One matrix per experiment, shape ``(n_rows_i, n_columns)``, rows divided by their standard deviations.
    precision
        Posterior precision matrix before the choice, shape ``(n_columns, n_columns)``.
    target
        :math:`T`, shape ``(n_columns, n_columns)``.
    n_choose
        Number of blocks to choose.
    required
        Blocks that are chosen first, whatever they bring, cost and belong to.
    budget
        Costs and groups of the others; none if they do not matter.

    Returns
    -------
    DesignChoice
        As of `greedy_d_optimal`, but gains are shares of the expected squared error before the choice.

    Raises
    ------
    FitError
        The precision matrix is not positive definite, a matrix has another number of columns, or nothing is
        to be predicted.

    References
    ----------
    .. [1] K. Chaloner, I. Verdinelli, Stat. Sci. 10, 273 (1995).
    """
    root = posterior_root(blocks, precision)
    if target.shape != precision.shape:
        raise FitError(f"the target has shape {target.shape}, expected {precision.shape}.")
    expected = float(np.einsum("ji,jk,ki", root, target, root))
    if not expected > 0.0:
        raise FitError("V-optimal choice needs predictions whose error can fall; the target has none.")
    budget = budget or Budget()
    indices: list[int] = []
    gains: list[float] = []
    first = list(dict.fromkeys(required))
    while len(indices) < len(first) or len(indices) < n_choose:
        inner = root.T @ target @ root
        if len(indices) < len(first):
            best = first[len(indices)]
        else:
            free = [i for i in range(len(blocks)) if i not in indices and budget.allows(i, indices)]
            if not free:
                break
            worth = [_fall(blocks[i], root, inner) / budget.cost(i) for i in free]
            best = free[int(np.argmax(worth))]
        gains.append(_fall(blocks[best], root, inner) / expected)
        indices.append(best)
        root = conditioned(blocks[best], root)
    return DesignChoice(indices, gains)


def _fall(block: Array, root: Array, inner: Array) -> float:
    reduced = block @ root
    lower = linalg.cholesky(np.eye(len(block)) + reduced @ reduced.T, lower=True)
    solved = linalg.solve_triangular(lower, reduced, lower=True)
    return float(np.sum((solved @ inner) * solved))
