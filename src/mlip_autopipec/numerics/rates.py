"""What counts of events say: upper limits of rates, intervals of shares, errors against a grade."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression
from scipy.stats import binomtest, chi2

Array = NDArray[np.float64]

_FEWEST = 20  # values in a bin, for a quantile worth its name
_MOST_BINS = 20


def rate_limit(n_events: int, exposure: float, confidence: float = 0.95) -> float:
    r"""Largest rate that is compatible with a count (one-sided, exact Poisson).

    :math:`\chi^2_{2n+2}(c) / 2T`; for no event :math:`-\ln(1-c)/T`, the "rule of three" [1]_.

    Parameters
    ----------
    n_events
        Number of events.
    exposure
        Time watched, T, in any unit.
    confidence
        Probability c that the true rate lies below, dimensionless.

    Returns
    -------
    float
        Events per unit of ``exposure``; infinite if nothing was watched.

    References
    ----------
    .. [1] F. Garwood, Biometrika 28, 437 (1936).
    """
    if exposure <= 0.0:
        return float("inf")
    return float(chi2.ppf(confidence, 2 * n_events + 2) / (2.0 * exposure))


def share_interval(n_hits: int, n_trials: int, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of a share that was estimated by counting (Clopper and Pearson, exact).

    Parameters
    ----------
    n_hits
        How often it happened.
    n_trials
        How often it was looked for; with none, nothing is known.
    confidence
        Probability that the true share lies within, dimensionless.

    Returns
    -------
    tuple[float, float]
        Lower and upper bound, dimensionless.
    """
    if n_trials == 0:
        return 0.0, 1.0
    found = binomtest(n_hits, n_trials).proportion_ci(confidence, method="exact")
    return float(found.low), float(found.high)


@dataclass(frozen=True)
class ErrorCurve:
    """Quantile of an error as a rising step function of a grade.

    Parameters
    ----------
    edges
        Smallest grade of each bin, rising, shape ``(n_bins,)``.
    quantiles
        Error that the asked share of the bin stays below, never falling, shape ``(n_bins,)``.
    counts
        Values in each bin, shape ``(n_bins,)``.
    level
        That share, dimensionless.
    """

    edges: Array
    quantiles: Array
    counts: Array
    level: float

    def threshold(self, error: float) -> float | None:
        """Smallest grade from which on the error is exceeded too often.

        Parameters
        ----------
        error
            Largest error that is accepted, in the unit of the curve.

        Returns
        -------
        float or None
            The grade; none if it is not exceeded at any grade that was seen.
        """
        above = np.flatnonzero(self.quantiles > error)
        return float(self.edges[above[0]]) if len(above) else None


def conformal_quantile(values: Array, level: float) -> float:
    r"""Take the split-conformal quantile, the :math:`\lceil c(n+1)\rceil`-th smallest value [1]_.

    Parameters
    ----------
    values
        At least one, shape ``(n,)``.
    level
        Share c of further values that shall lie below, dimensionless.

    Returns
    -------
    float
        The quantile; the largest value where there are too few for the level.

    References
    ----------
    .. [1] J. Lei et al., J. Am. Stat. Assoc. 113, 1094 (2018).
    """
    return float(np.sort(values)[min(int(np.ceil(level * (len(values) + 1))), len(values)) - 1])


def error_curve(grades: Array, errors: Array, level: float) -> ErrorCurve | None:
    r"""Learn how an error grows with a grade, without a model of either.

    In bins of equal count the :func:`conformal_quantile` is taken, and the bins are made monotonic by
    isotonic regression weighted by their counts.

    Parameters
    ----------
    grades
        Shape ``(n,)``.
    errors
        Not negative, shape ``(n,)``.
    level
        Share c of the errors that shall lie below, dimensionless.

    Returns
    -------
    ErrorCurve or None
        The curve; none where there are too few values for a single bin.
    """
    fewest = max(_FEWEST, int(np.ceil(level / (1.0 - level))))  # below, the rank is beyond the largest error
    n_bins = min(_MOST_BINS, len(grades) // fewest)
    if n_bins == 0:
        return None
    order = np.argsort(grades, kind="stable")
    bins = np.array_split(order, n_bins)
    found = [conformal_quantile(errors[b], level) for b in bins]
    counts = np.array([len(b) for b in bins], dtype=float)
    rising = isotonic_regression(np.array(found), weights=counts).x
    return ErrorCurve(np.array([grades[b[0]] for b in bins]), rising, counts, level)
