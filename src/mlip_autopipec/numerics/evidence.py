"""Bayesian linear regression from moments, its prior shaped by the evidence."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, optimize
from threadpoolctl import threadpool_limits

from mlip_autopipec.errors import FitError

Array = NDArray[np.float64]

_SMALLEST_PRECISION = 1.0e-11  # of a column's square sum: keeps the condition within double precision
_LARGEST_LOG = 600.0
_MAX_ITERATIONS = 300
_SLOPE = 1.0  # nat per unit of a log precision: the maximum is less than a nat away


class Moments:
    """Normal equations of weighted rows, summed as they come: memory does not grow with the data.

    Parameters
    ----------
    n_columns
        Number of columns of the design matrix.

    Attributes
    ----------
    gram
        ``A.T @ A``, shape ``(n_columns, n_columns)``.
    projection
        ``A.T @ y``, shape ``(n_columns,)``.
    square
        ``y @ y``.
    n_rows
        Number of rows.
    n_counted
        Number of observations that they amount to: rows of weight w count w, as their squares do.
    """

    def __init__(self, n_columns: int) -> None:
        self.gram = np.zeros((n_columns, n_columns), order="F")
        self.projection = np.zeros(n_columns)
        self.square = 0.0
        self.n_rows = 0
        self.n_counted = 0.0

    def add(self, rows: Array, targets: Array, n_counted: float | None = None) -> None:
        """Add rows.

        Parameters
        ----------
        rows
            Rows over their standard deviations, shape ``(n_rows, n_columns)``.
        targets
            Targets over the same, shape ``(n_rows,)``.
        n_counted
            Sum of the weights by whose square roots both were multiplied; none if by nothing.

        Raises
        ------
        FitError
            Shapes do not agree, or a number is not finite.
        """
        if rows.shape != (len(targets), len(self.projection)):
            raise FitError(
                f"rows of shape {rows.shape} do not fit {len(targets)} targets and "
                f"{len(self.projection)} columns."
            )
        projection, square = rows.T @ targets, float(targets @ targets)
        # NaN and infinity survive sums and products: the moments tell of them without a look at each number
        update = linalg.blas.dsyrk(1.0, rows, trans=1, lower=1)
        if not (
            np.isfinite(square) and np.isfinite(projection).all() and np.isfinite(update.diagonal()).all()
        ):
            raise FitError("the design matrix or its targets hold numbers that are not finite.")
        self.gram += np.tril(update) + np.tril(update, -1).T
        self.projection += projection
        self.square += square
        self.n_rows += len(targets)
        self.n_counted += len(targets) if n_counted is None else n_counted


@dataclass(frozen=True)
class PriorModel:
    r"""A family of priors: :math:`\ln\pi_k = o_k + \sum_j F_{kj} \theta_j`.

    :math:`\pi_k` is the precision of coefficient k in units of the precision of a row of unit weight.

    Parameters
    ----------
    features
        F, shape ``(n_columns, n_features)``.
    guess
        Expected theta, shape ``(n_features,)``.
    width
        Standard deviation of the expectation, shape ``(n_features,)``; infinite for none.
    offset
        o, shape ``(n_columns,)``; zero if not given.
    """

    features: Array
    guess: Array
    width: Array
    offset: Array | None = None

    def log_precision(self, theta: Array) -> Array:
        """Evaluate ln pi, shape ``(n_columns,)``."""
        fixed = 0.0 if self.offset is None else self.offset
        return np.asarray(fixed + self.features @ theta)


@dataclass(frozen=True)
class EvidenceFit:
    """Solution of a Bayesian linear regression and what the solver says of it.

    Parameters
    ----------
    coefficients
        Posterior mean, shape ``(n_columns,)``.
    noise
        Evidence-maximising standard deviation of the rows' residuals, in units of ``y``.
    theta
        Evidence-maximising parameters of the prior.
    precision
        Prior precision of each coefficient in units of y^-2, shape ``(n_columns,)``.
    covariance_factor
        U with posterior covariance ``U @ U.T``, upper triangular, shape ``(n_columns, n_columns)``.
    rank
        Number of eigenvalues of the prior-scaled normal matrix above rounding.
    condition
        Condition number of the regularised normal matrix, scaled by the prior.
    effective_parameters
        Number of parameters that the data determine, dimensionless.
    log_evidence
        Log marginal likelihood in nat.
    converged
        Whether the evidence rises by less than one nat per unit of any parameter of the prior.
    """

    coefficients: Array
    noise: float
    theta: Array
    precision: Array
    covariance_factor: Array
    rank: int
    condition: float
    effective_parameters: float
    log_evidence: float
    converged: bool


@dataclass(frozen=True)
class _Solution:
    mean: Array
    variance: float
    log_evidence: float
    gradient: Array
    log_precision: Array


def evidence_fit(moments: Moments, prior: PriorModel, *, noise_floor: float = 0.0) -> EvidenceFit:
    r"""Fit with noise and prior chosen by the evidence.

    With :math:`H = A^T A + \mathrm{diag}(\pi)`, :math:`M = y^T y - b^T H^{-1} b` and
    :math:`\sigma^2 = M / n` in closed form, the log evidence is
    :math:`-\tfrac12 [n \ln 2\pi\sigma^2 + M/\sigma^2 + \ln\det H - \sum_k \ln\pi_k]`, and
    :math:`\partial/\partial\ln\pi_k = \tfrac12 [1 - \pi_k (H^{-1}_{kk} + \mu_k^2/\sigma^2)]`
    ([1]_, section 3.5, with one precision a coefficient). L-BFGS maximises it over theta, with a Gaussian
    expectation of theta that matters only where the data say little.

    Parameters
    ----------
    moments
        Normal equations.
    prior
        The family of priors.
    noise_floor
        Smallest noise that is believed, e.g. of the labels, in units of ``y``.

    Returns
    -------
    EvidenceFit
        Posterior mean, factor of the covariance and diagnostics.

    Raises
    ------
    FitError
        There is nothing to fit, or LAPACK could not factorise the normal matrix.

    References
    ----------
    .. [1] C. M. Bishop, Pattern Recognition and Machine Learning, Springer 2006.
    """
    if not moments.n_rows or moments.square == 0.0:
        raise FitError("all targets are zero; there is nothing to fit.")
    if not moments.gram.any():
        raise FitError("the design matrix is zero; the structures have no neighbours within the cut-off.")

    def negative(theta: Array) -> tuple[float, Array]:
        found = _solve(moments, prior, theta, noise_floor)
        pull = (theta - prior.guess) / prior.width
        gradient = found.gradient - pull / prior.width
        return 0.5 * float(pull @ pull) - found.log_evidence, -gradient

    with threadpool_limits(1, "blas"):  # many threads on few columns wait for each other
        result = optimize.minimize(
            negative,
            prior.guess,
            jac=True,
            method="L-BFGS-B",
            options={"maxiter": _MAX_ITERATIONS, "ftol": 1e-9, "gtol": 1e-3},
        )
    found = _solve(moments, prior, result.x, noise_floor)
    root = np.exp(-0.5 * found.log_precision)
    scaled = moments.gram * root[:, None] * root
    eigenvalues = np.clip(linalg.eigvalsh(scaled), 0.0, None)
    largest = float(eigenvalues[-1])
    # not the factor of the inverse, in which small variances have lost their digits
    lower = linalg.cholesky(scaled + np.eye(len(scaled)), lower=True)
    factor = linalg.solve_triangular(lower, np.eye(len(scaled)), lower=True).T
    return EvidenceFit(
        coefficients=found.mean,
        noise=math.sqrt(found.variance),
        theta=result.x,
        precision=np.exp(found.log_precision) / found.variance,
        covariance_factor=math.sqrt(found.variance) * root[:, None] * factor,
        rank=int(np.sum(eigenvalues > largest * len(eigenvalues) * np.finfo(float).eps)),
        condition=(1.0 + largest) / (1.0 + float(eigenvalues[0])),
        effective_parameters=float(np.sum(eigenvalues / (1.0 + eigenvalues))),
        log_evidence=found.log_evidence,
        converged=bool(np.abs(result.jac).max() < _SLOPE),
    )


def posterior_precision(gram: Array, log_precision: Array) -> Array:
    """Add a prior to normal equations, nowhere weaker than double precision can tell from none.

    Parameters
    ----------
    gram
        ``A.T @ A``, shape ``(n_columns, n_columns)``.
    log_precision
        Of the prior, shape ``(n_columns,)``.

    Returns
    -------
    numpy.ndarray
        Precision of the posterior, shape ``(n_columns, n_columns)``.
    """
    return np.asarray(gram + np.diag(np.exp(_believed(gram, log_precision))))


def _believed(gram: Array, log_precision: Array) -> Array:
    with np.errstate(divide="ignore"):
        smallest = np.log(_SMALLEST_PRECISION * gram.diagonal())
    return np.asarray(np.clip(log_precision, smallest, _LARGEST_LOG))


def _solve(moments: Moments, prior: PriorModel, theta: Array, noise_floor: float) -> _Solution:
    """Solve for one prior; the inverse is that of the prior-scaled normal matrix."""
    asked = prior.log_precision(theta)
    log_precision = _believed(moments.gram, asked)
    root = np.exp(-0.5 * log_precision)
    normal = moments.gram * root[:, None] * root
    normal.flat[:: len(normal) + 1] += 1.0
    factor, info = linalg.lapack.dpotrf(normal, lower=1, clean=0)
    if info:
        raise FitError(f"LAPACK dpotrf could not factorise the normal matrix: info = {info}.")
    scaled, info = linalg.lapack.dpotrs(factor, root * moments.projection, lower=1)
    log_det = 2.0 * float(np.log(factor.diagonal()).sum())
    lower, info_inverse = linalg.lapack.dpotri(factor, lower=1)
    if info or info_inverse:
        raise FitError(f"LAPACK could not invert the normal matrix: info = {info}, {info_inverse}.")
    inverse = np.tril(lower) + np.tril(lower, -1).T
    mean = root * scaled
    # Of second order in the error of the solution, unlike y.y - b.mean.
    fitted = moments.gram @ mean - 2.0 * moments.projection
    misfit = max(moments.square + float(mean @ fitted) + float(scaled @ scaled), 0.0)
    rounding = moments.square / moments.n_counted * 1.0e-13
    variance = max(misfit / moments.n_counted, noise_floor**2, rounding)
    log_evidence = -0.5 * (
        moments.n_counted * math.log(2.0 * math.pi * variance) + misfit / variance + log_det
    )
    slope = 0.5 * (1.0 - inverse.diagonal() - scaled**2 / variance)
    slope[asked != log_precision] = 0.0
    return _Solution(
        mean=mean,
        variance=variance,
        log_evidence=log_evidence,
        gradient=prior.features.T @ slope,
        log_precision=log_precision,
    )
