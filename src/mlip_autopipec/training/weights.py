"""How much a label weighs: its distance to the convex hull, and the noise it carries itself."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from ase.symbols import Symbols
from numpy.typing import ArrayLike, NDArray

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.numerics import atomic_fractions, hull_distances

if TYPE_CHECKING:  # `dataset` hands `importance` on to its callers
    from mlip_autopipec.training.dataset import TrainingSet

Array = NDArray[np.float64]


def energy_above_hull(training: "TrainingSet") -> Array:
    """Energy of each structure above the convex hull of the training set.

    For one composition it is the distance to its most stable structure. Elements that are missing as
    structures of their own are no corners of the hull: it spans the compositions that are there.

    Parameters
    ----------
    training
        The training set.

    Returns
    -------
    numpy.ndarray
        Energies in eV/atom, not negative, shape ``(n_structures,)``.
    """
    fractions = atomic_fractions([atoms.get_chemical_symbols() for atoms in training.structures])
    return hull_distances(fractions, training.cohesive_energies())


def importance(training: "TrainingSet", energy_scale: float) -> Array:
    r"""How much looser each structure may be fitted than those on the convex hull.

    .. math:: s_i = 1 + E_{\mathrm{hull}, i} / E_\mathrm{scale}

    multiplies the standard deviations of all rows of structure i, so that what is rarely visited does not
    spoil what is always there.

    Parameters
    ----------
    training
        The training set.
    energy_scale
        Energy above the hull in eV/atom at which the standard deviations double; positive.

    Returns
    -------
    numpy.ndarray
        Dimensionless factors, at least 1, shape ``(n_structures,)``.

    Raises
    ------
    ConfigError
        ``energy_scale`` is not positive.
    """
    if not energy_scale > 0.0:
        raise ConfigError(f"'energy_scale' must be positive, got {energy_scale} eV/atom.")
    return np.asarray(1.0 + energy_above_hull(training) / energy_scale)


def noise_floor(sigma: ArrayLike, noise: ArrayLike) -> Array:
    r"""Widen a standard deviation by the noise of the labels themselves.

    .. math:: \sigma' = \sqrt{\sigma^2 + \sigma_\mathrm{label}^2}

    Parameters
    ----------
    sigma
        Standard deviations of the fit, in any unit; any shape.
    noise
        Standard deviations of the labels (convergence of the oracle), same unit; of a shape that fits.

    Returns
    -------
    numpy.ndarray
        Combined standard deviations in the same unit, of the common shape.

    Raises
    ------
    ConfigError
        One of them is negative or not a finite number.
    """
    for name, value in (("sigma", sigma), ("noise", noise)):
        values = np.asarray(value, dtype=float)
        if not (np.isfinite(values) & (values >= 0.0)).all():
            raise ConfigError(f"{name!r} must be finite and not negative, got {value!r}.")
    return np.asarray(np.hypot(sigma, noise))


def reduced_formula(symbols: Sequence[str]) -> str:
    """Composition in its smallest integers, in Hill order.

    Parameters
    ----------
    symbols
        Chemical symbols of the atoms.

    Returns
    -------
    str
        For example ``"CuZr2"``.

    Examples
    --------
    >>> reduced_formula(["Zr", "Cu", "Zr", "Cu"])
    'CuZr'
    """
    return str(Symbols.fromsymbols(list(symbols)).formula.reduce()[0].format("hill"))
