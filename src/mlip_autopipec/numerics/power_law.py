"""How a cost grows with size, from a few measurements of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

_FEWEST = 5  # points, and
_SPAN = 2.0  # largest over smallest size, below which an exponent cannot be told
_STEEPEST = 3.0


@dataclass(frozen=True)
class PowerLaw:
    """``y = prefactor * x ** exponent``.

    Parameters
    ----------
    prefactor
        In the unit of y.
    exponent
        Dimensionless.
    fitted
        Whether the exponent was fitted; otherwise it was taken as given.
    spread
        Factor within which 90 % of the points lie, dimensionless, at least 1.
    n_points
        Number of points.
    """

    prefactor: float
    exponent: float
    fitted: bool
    spread: float
    n_points: int

    def sum_over(self, x: ArrayLike) -> float:
        """Return the sum of y over some x."""
        return float(self.prefactor * np.sum(np.asarray(x, dtype=float) ** self.exponent))


def fit_power_law(x: ArrayLike, y: ArrayLike, exponent: float = 3.0) -> PowerLaw:
    """Fit a power law whose sum over the points is that of the points.

    Parameters
    ----------
    x, y
        Positive numbers, shape ``(n_points,)``.
    exponent
        Taken where fewer than five points, or a span below two, cannot tell one.

    Returns
    -------
    PowerLaw
        The fitted exponent lies between 0 and 3.

    Raises
    ------
    ValueError
        There are no points, or some are not positive.
    """
    x, y = np.asarray(x, dtype=float), np.asarray(y, dtype=float)
    if not len(x) or not (np.all(x > 0) and np.all(y > 0)):
        raise ValueError(f"a power law needs positive points, got {len(x)} with x {x} and y {y}.")
    fitted = len(x) >= _FEWEST and x.max() >= _SPAN * x.min()
    if fitted:
        exponent = float(np.clip(np.polyfit(np.log(x), np.log(y), 1)[0], 0.0, _STEEPEST))
    prefactor = float(y.sum() / np.sum(x**exponent))
    distance = np.abs(np.log(y / (prefactor * x**exponent)))
    return PowerLaw(prefactor, exponent, bool(fitted), float(np.exp(np.quantile(distance, 0.9))), len(x))
