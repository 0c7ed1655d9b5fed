"""Ridge regression whose strength is set by the evidence."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize

from mlip_autopipec.errors import FitError

Array = NDArray[np.float64]

_LOG_RATIO_BOUNDS = (-42.0, 15.0)  # natural log of lambda relative to the largest squared singular value
_LOG_RATIO_TOLERANCE = 1.0e-4


@dataclass(frozen=True)
class EvidenceFit:
    """Solution of a Bayesian linear regression and what the solver says of it.

    Parameters
    ----------
    coefficients
        Posterior mean, shape ``(n_columns,)``.
    noise
        Evidence-maximising standard deviation of the rows' residuals, in units of ``y``.
    prior_precision
        Evidence-maximising alpha; coefficient k has prior variance ``1 / (alpha * prior[k])``.
    rank
        Numerical rank of the scaled design matrix.
    condition
        Condition number of the regularised normal matrix.
    effective_parameters
        Number of parameters that the data determine, dimensionless.
    log_evidence
        Log marginal likelihood in nat.
    converged
        Whether the evidence maximum lies inside the search interval and was located to tolerance.
    """

    coefficients: Array
    noise: float
    prior_precision: float
    rank: int
    condition: float
    effective_parameters: float
    log_evidence: float
    converged: bool


def evidence_ridge(design: Array, y: Array, prior: Array) -> EvidenceFit:
    r"""Fit :math:`y = A c + \epsilon` with noise and prior strength chosen by the evidence.

    With :math:`c_k \sim N(0, 1/(\alpha p_k))`, :math:`\epsilon \sim N(0, \sigma^2)` and
    :math:`\lambda = \alpha \sigma^2` the marginal likelihood, maximised over :math:`\sigma` in closed
    form, depends on :math:`\lambda` alone [1]_, equations 3.77 to 3.86; that one-dimensional function
    is maximised by bracketing, which unlike the fixed-point iteration cannot diverge.

    Parameters
    ----------
    design
        Matrix A, shape ``(n_rows, n_columns)``; rows already divided by their standard deviations.
    y
        Targets, shape ``(n_rows,)``, divided likewise.
    prior
        Relative prior precisions p, shape ``(n_columns,)``, positive.

    Returns
    -------
    EvidenceFit
        Posterior mean and diagnostics.

    Raises
    ------
    FitError
        Shapes do not agree, a number is not finite, the targets are all zero, or LAPACK failed.

    References
    ----------
    .. [1] C. M. Bishop, Pattern Recognition and Machine Learning, Springer 2006, section 3.5.
    """
    _check(design, y, prior)
    scale = 1.0 / np.sqrt(prior)
    try:
        u, s, vt = linalg.svd(design * scale, full_matrices=False)
    except linalg.LinAlgError as error:
        raise FitError(f"LAPACK could not factorise the {design.shape} design matrix: {error}.") from error
    projected = u.T @ y
    outside = max(float(y @ y - projected @ projected), 0.0)

    largest = float(s[0] ** 2)
    if largest == 0.0:
        raise FitError("the design matrix is zero; the structures have no neighbours within the cut-off.")

    def negative(log_ratio: float) -> float:
        return -_log_evidence(largest * math.exp(log_ratio), s, projected, outside, len(y))[0]

    grid = np.linspace(*_LOG_RATIO_BOUNDS, 58)
    start = int(np.argmin([negative(g) for g in grid]))
    inside = 0 < start < len(grid) - 1
    bracket = (grid[max(start - 1, 0)], grid[min(start + 1, len(grid) - 1)])
    found = optimize.minimize_scalar(
        negative, bounds=bracket, method="bounded", options={"xatol": _LOG_RATIO_TOLERANCE}
    )
    best: float = found.x
    ratio = largest * math.exp(best)
    log_evidence, variance = _log_evidence(ratio, s, projected, outside, len(y))
    filtered = s / (s**2 + ratio)
    return EvidenceFit(
        coefficients=scale * (vt.T @ (filtered * projected)),
        noise=float(np.sqrt(variance)),
        prior_precision=ratio / variance,
        rank=int(np.sum(s > s[0] * max(design.shape) * np.finfo(float).eps)),
        condition=float((largest + ratio) / (s[-1] ** 2 + ratio)),
        effective_parameters=float(np.sum(s * filtered)),
        log_evidence=log_evidence,
        converged=bool(inside and found.success),
    )


def _log_evidence(
    ratio: float, s: Array, projected: Array, outside: float, n_rows: int
) -> tuple[float, float]:
    """Return the log marginal likelihood and the variance that maximises it."""
    misfit = outside + float(np.sum(projected**2 * ratio / (s**2 + ratio)))
    variance = misfit / n_rows
    log_det = float(np.sum(np.log1p(s**2 / ratio)))
    return -0.5 * (n_rows * (math.log(2.0 * math.pi * variance) + 1.0) + log_det), variance


def _check(design: Array, y: Array, prior: Array) -> None:
    if design.shape != (len(y), len(prior)):
        raise FitError(f"design matrix {design.shape} does not fit {len(y)} targets and {len(prior)} priors.")
    for name, array in (("design matrix", design), ("targets", y), ("prior", prior)):
        if not np.isfinite(array).all():
            raise FitError(
                f"the {name} holds {int((~np.isfinite(array)).sum())} numbers that are not finite."
            )
    if (prior <= 0.0).any():
        raise FitError(f"prior precisions must be positive, got {prior.min()}.")
    if not y.any():
        raise FitError("all targets are zero; there is nothing to fit.")
