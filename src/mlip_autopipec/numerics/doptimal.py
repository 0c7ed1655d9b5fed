"""Greedy D-optimal choice of experiments that each bring several rows."""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from mlip_autopipec.errors import FitError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DesignChoice:
    """Chosen experiments, in the order of choice, and the information of each in nat."""

    indices: list[int]
    gains: list[float]


@dataclass(frozen=True)
class Budget:
    """What a choice may cost, and from which groups it may come.

    Parameters
    ----------
    costs
        Cost of each block, in any unit; none if all cost the same. Then information per cost decides.
    groups
        What each block belongs to; none for no groups.
    most
        Largest number of blocks of a group; groups that are not named have no limit.
    """

    costs: Sequence[float] | None = None
    groups: Sequence[str] | None = None
    most: Mapping[str, int] = field(default_factory=dict)

    def cost(self, index: int) -> float:
        """Cost of a block."""
        return 1.0 if self.costs is None else self.costs[index]

    def allows(self, index: int, chosen: Sequence[int]) -> bool:
        """Whether its group has room for one more block."""
        if self.groups is None or self.groups[index] not in self.most:
            return True
        group = self.groups[index]
        return sum(self.groups[i] == group for i in chosen) < self.most[group]


def greedy_d_optimal(
    blocks: Sequence[Array],
    precision: Array,
    n_choose: int,
    required: Sequence[int] = (),
    budget: Budget | None = None,
) -> DesignChoice:
    r"""Choose the blocks of rows that shrink the posterior of a linear model most.

    The information of block :math:`J` given the posterior covariance :math:`P` is
    :math:`\tfrac12 \ln\det(1 + J P J^T)` nat. It can only fall as others are chosen (submodularity), so
    a stale value is an upper bound and few are evaluated again; the greedy choice reaches at least
    :math:`1 - 1/e` of the optimum [1]_.

    Parameters
    ----------
    blocks
        One matrix per experiment, shape ``(n_rows_i, n_columns)``, rows divided by their standard deviations.
    precision
        Posterior precision matrix before the choice, shape ``(n_columns, n_columns)``.
    n_choose
        Number of blocks to choose.
    required
        Blocks that are chosen first, whatever their information, cost and group.
    budget
        Costs and groups of the others; none if they do not matter. Per cost the greedy choice has no such
        bound, but is the usual one.

    Returns
    -------
    DesignChoice
        At most ``n_choose`` indices; all of ``required`` even if these are more.

    Raises
    ------
    FitError
        The precision matrix is not positive definite, or a block has another number of columns.

    References
    ----------
    .. [1] G. L. Nemhauser, L. A. Wolsey, M. L. Fisher, Math. Program. 14, 265 (1978).
    """
    root = posterior_root(blocks, precision)
    budget = budget or Budget()
    indices: list[int] = []
    gains: list[float] = []
    for index in dict.fromkeys(required):
        gains.append(_gain(blocks[index], root))
        indices.append(index)
        root = conditioned(blocks[index], root)
    queue = [(-np.inf, i) for i in range(len(blocks)) if i not in set(indices)]
    heapq.heapify(queue)
    while queue and len(indices) < n_choose:
        _, index = heapq.heappop(queue)
        if not budget.allows(index, indices):
            continue
        gain = _gain(blocks[index], root)
        worth = gain / budget.cost(index)
        if queue and worth < -queue[0][0]:
            heapq.heappush(queue, (-worth, index))
            continue
        indices.append(index)
        gains.append(gain)
        root = conditioned(blocks[index], root)
    return DesignChoice(indices, gains)


def _gain(block: Array, root: Array) -> float:
    reduced = block @ root
    _, log_det = np.linalg.slogdet(np.eye(len(block)) + reduced @ reduced.T)
    return 0.5 * float(log_det)


def posterior_root(blocks: Sequence[Array], precision: Array) -> Array:
    """Check a design and take the root of its posterior covariance.

    Parameters
    ----------
    blocks
        One matrix per experiment, shape ``(n_rows_i, n_columns)``.
    precision
        Posterior precision matrix, shape ``(n_columns, n_columns)``.

    Returns
    -------
    numpy.ndarray
        R with the covariance R R^T, shape ``(n_columns, n_columns)``.

    Raises
    ------
    FitError
        The precision matrix is not positive definite, or a block has another number of columns.
    """
    for index, block in enumerate(blocks):
        if block.ndim != 2 or block.shape[1] != len(precision):
            raise FitError(f"block {index} has shape {block.shape}, expected (n, {len(precision)}).")
    if not (precision.diagonal() > 0.0).all():
        raise FitError("the prior precision matrix is not positive definite: its diagonal is not positive.")
    scale = 1.0 / np.sqrt(precision.diagonal())  # columns differ by many orders of magnitude
    try:
        lower = linalg.cholesky(precision * scale[:, None] * scale, lower=True)
    except linalg.LinAlgError as error:
        raise FitError(f"the prior precision matrix is not positive definite: {error}.") from error
    return np.asarray(scale[:, None] * linalg.solve_triangular(lower, np.eye(len(precision)), lower=True).T)


def conditioned(block: Array, root: Array) -> Array:
    """Condition the root of the covariance on an experiment; without a difference, nothing cancels.

    Parameters
    ----------
    block
        Its rows over their standard deviations, shape ``(n_rows, n_columns)``.
    root
        As of :func:`posterior_root`.

    Returns
    -------
    numpy.ndarray
        The root afterwards, shape ``(n_columns, n_columns)``.
    """
    reduced = block @ root
    lower = linalg.cholesky(np.eye(len(root)) + reduced.T @ reduced, lower=True)
    return np.asarray(linalg.solve_triangular(lower, root.T, lower=True).T)
