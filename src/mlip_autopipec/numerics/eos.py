"""Equation of state."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.errors import FitError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class BirchMurnaghan:
    """Parameters of a third-order Birch-Murnaghan equation of state: Å^3, eV, eV/Å^3, dimensionless."""

    v0: float
    e0: float
    b0: float
    b0_prime: float


def fit_birch_murnaghan(volumes: Array, energies: Array) -> BirchMurnaghan:
    r"""Fit a third-order Birch-Murnaghan equation of state [1]_.

    The energy is a cubic polynomial in :math:`x = V^{-2/3}`, so the fit is linear; its minimum gives
    :math:`V_0`, the derivatives there :math:`B_0` and :math:`B_0'`.

    Parameters
    ----------
    volumes
        Volumes in Å^3, shape ``(n,)`` with n at least 4.
    energies
        Energies in eV, shape ``(n,)``.

    Returns
    -------
    BirchMurnaghan
        The parameters.

    Raises
    ------
    FitError
        Fewer than four points, or the curve has no minimum inside the range of volumes.

    References
    ----------
    .. [1] F. Birch, Phys. Rev. 71, 809 (1947), equation 14.
    """
    if len(volumes) < 4 or len(volumes) != len(energies):
        raise FitError(
            f"an equation of state needs at least 4 points, got {len(volumes)} and {len(energies)}."
        )
    coefficients = np.polyfit(volumes ** (-2.0 / 3.0), energies, 3)
    first, second, third = (np.poly1d(np.polyder(coefficients, m)) for m in (1, 2, 3))
    real = [float(r.real) for r in first.roots if abs(r.imag) < 1e-12 and r.real > 0.0]
    roots = [r for r in real if float(second(r)) > 0.0]
    inside = [r for r in roots if volumes.min() <= r**-1.5 <= volumes.max()]
    if not inside:
        raise FitError(
            f"the energies have no minimum between {volumes.min():.2f} and {volumes.max():.2f} Å^3.",
            hint="the structure may be unstable for this potential, or the range of volumes too small.",
        )
    x0 = inside[0]
    v0 = float(x0**-1.5)
    curvature, slope = float(second(x0)), float(third(x0))
    # Chain rule from x = V^(-2/3) to V at dE/dx = 0.
    b0 = 4.0 / 9.0 * v0 ** (-7.0 / 3.0) * curvature
    b0_prime = 4.0 + (2.0 / 3.0) * x0 * slope / curvature
    return BirchMurnaghan(v0=v0, e0=float(np.polyval(coefficients, x0)), b0=b0, b0_prime=b0_prime)
