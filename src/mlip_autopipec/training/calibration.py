"""How far the linear fit is off on what it has not seen: groups of labels left out in closed form."""

from collections import defaultdict

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from mlip_autopipec.ace import DesignBlock, RowScales, row_weights
from mlip_autopipec.errors import FitError
from mlip_autopipec.numerics import conformal_quantile
from mlip_autopipec.schemas import ForceErrorCalibration
from mlip_autopipec.training.linear import LinearFit, LinearProblem, Target

Array = NDArray[np.float64]

_ENERGY, _FORCE, _STRESS = 0, 1, 2  # kinds of rows
_MOST_ROWS = 3_000  # of one group when it is left out
_UNKNOWN = 1.0e-10  # of 1 - leverage


def calibrate(
    problem: LinearProblem, fit: LinearFit, *, level: float, n_groups: int, seed: int
) -> ForceErrorCalibration:
    r"""Hold the posterior against labels it has not seen: each group left out in turn, in closed form.

    With :math:`H = R\,C\,R^T / \sigma^2` of a group's weighted rows R, its residuals by the fit to all others
    (at the same noise and prior) are :math:`(1 - H)^{-1} r`, and the covariance of its predictions is
    :math:`\sigma^2 H (1 - H)^{-1}`. The factor that puts the asked share of the atoms' errors below
    factor times standard deviation is a split-conformal quantile. Of a group with more rows than can be left
    out at once only the first structures are, some 3,000 rows.

    Parameters
    ----------
    problem
        What was fitted.
    fit
        The fit.
    level
        Share of atoms whose error shall lie below the estimate.
    n_groups
        Most groups that are left out, chosen at random.
    seed
        Of that choice.

    Returns
    -------
    ForceErrorCalibration
        The factor, and the errors of what was left out.

    Raises
    ------
    FitError
        No energy counts in the fit.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for index, group in enumerate(problem.groups):
        members[group].append(index)
    names = list(members)
    if len(names) > n_groups:
        chosen = np.random.default_rng(seed).choice(len(names), n_groups, replace=False)
        names = [names[i] for i in sorted(chosen)]
    energies, forces, ratios = [], [], []
    for name in names:
        found = _left_out(problem.part(_within(problem, members[name])), fit)
        energies.append(found[0])
        forces.append(found[1])
        noise = fit.solution.noise * problem.scales.force
        error = np.linalg.norm(found[1].reshape(-1, 3), axis=1)
        ratios.append(error / np.sqrt(found[2] + 3.0 * noise**2))
    if not sum(map(len, energies)):
        raise FitError("no label's energy counts in the fit, so no error of an energy can be stated.")
    ratio = np.concatenate(ratios)
    return ForceErrorCalibration(
        level=level,
        scale=conformal_quantile(ratio, level),
        n_atoms=len(ratio),
        energy_rmse=float(np.sqrt(np.mean(np.square(np.concatenate(energies))))),
        force_rmse=float(np.sqrt(np.mean(np.square(np.concatenate(forces))))),
    )


def _within(problem: LinearProblem, indices: list[int]) -> list[int]:
    """Take the first members of a group, as many as can be left out at once."""
    rows = np.cumsum([1 + len(problem.targets[i].forces) + 6 for i in indices])
    return indices[: max(1, int(np.searchsorted(rows, _MOST_ROWS)))]


def _left_out(group: LinearProblem, fit: LinearFit) -> tuple[Array, Array, Array]:
    """Residuals of energies [eV/atom], forces [eV/Å] and force variances of a group that is left out.

    Of rows that do not count in the fit there is no residual.
    """
    blocks: list[DesignBlock] = [
        fit.design.block(atoms, stress=s)
        for atoms, s in zip(group.structures, group.with_stress, strict=True)
    ]
    parts = list(zip(blocks, group.targets, group.factors, strict=True))
    rows = np.vstack([b.weighted(group.scales, f, t.weights) for b, t, f in parts])
    y = np.concatenate([t.weighted(group.scales, f) for _, t, f in parts])
    reduced = rows @ fit.solution.covariance_factor / fit.solution.noise
    inverse = without_leverage(reduced @ reduced.T)
    residual = inverse @ (y - rows @ fit.solution.coefficients)
    spread = fit.solution.noise**2 * (inverse.diagonal() - 1.0)
    scale, kind = np.hstack([_row_scales(t, group.scales, f) for _, t, f in parts])
    residual, spread = residual * scale, spread * scale**2
    return (
        residual[kind == _ENERGY],
        residual[kind == _FORCE],
        spread[kind == _FORCE].reshape(-1, 3).sum(axis=1),
    )


def without_leverage(hat: Array) -> Array:
    """Return the inverse of 1 - H.

    Where a group alone says anything of some direction, such as the first slab among crystals, its leverage
    there is 1 to rounding; it is taken as 1 - 1e-10, and the error expected there is large.

    Parameters
    ----------
    hat
        H, dimensionless, symmetric, shape ``(n_rows, n_rows)``.

    Returns
    -------
    numpy.ndarray
        Dimensionless, of the same shape.
    """
    try:
        factor = linalg.cho_factor(np.eye(len(hat)) - hat)
    except linalg.LinAlgError:
        leverage, vectors = np.linalg.eigh(hat)
        return np.asarray((vectors / np.maximum(1.0 - leverage, _UNKNOWN)) @ vectors.T)
    return np.asarray(linalg.cho_solve(factor, np.eye(len(hat))))


def _row_scales(target: Target, scales: RowScales, factor: float) -> Array:
    """Give standard deviation and kind of each row that counts, shape ``(2, n_rows)``."""
    n = len(target.forces)
    stressed = target.stress is not None
    sigma = np.repeat([scales.energy, scales.force, scales.stress], [1, n, 6 if stressed else 0]) * factor
    kind = np.repeat([_ENERGY, _FORCE, _STRESS], [1, n, 6 if stressed else 0])
    weight = row_weights(target.weights, n // 3, stress=stressed)
    counts = weight > 0.0
    return np.vstack([sigma[counts] / np.sqrt(weight[counts]), kind[counts]])
