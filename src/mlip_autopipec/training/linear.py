"""The linear fit itself: weighted rows in, coefficients and active set out."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from ase.stress import full_3x3_to_voigt_6_stress
from numpy.typing import NDArray

from mlip_autopipec.ace import (
    DesignBlock,
    DesignMatrix,
    RowScales,
    active_set_inverse,
    function_counts,
    smoothness_prior,
)
from mlip_autopipec.numerics import EvidenceFit, evidence_ridge
from mlip_autopipec.training.dataset import TrainingSet

Array = NDArray[np.float64]


def weighted_targets(training: TrainingSet, scales: RowScales, factors: Array) -> list[Array]:
    """Labels in the order and weighting of ``DesignBlock.weighted``.

    Parameters
    ----------
    training
        The training set.
    scales
        Standard deviations by kind.
    factors
        One more factor for each structure, dimensionless, shape ``(n_structures,)``.

    Returns
    -------
    list of numpy.ndarray
        One array for each structure.
    """
    targets = []
    for item, energy, factor in zip(training.labels, training.cohesive_energies(), factors, strict=True):
        parts = [np.array([energy / scales.energy]), np.ravel(item.label.forces) / scales.force]
        if item.label.stress is not None:
            parts.append(full_3x3_to_voigt_6_stress(item.label.stress) / scales.stress)
        targets.append(np.concatenate(parts) / factor)
    return targets


def fit_linear(
    basis: Any, blocks: Sequence[DesignBlock], training: TrainingSet, scales: RowScales, factors: Array
) -> EvidenceFit:
    """Fit energies, forces and stresses at once.

    Parameters
    ----------
    basis
        The basis; gives the smoothness prior.
    blocks
        Rows of each structure.
    training
        The training set.
    scales
        Standard deviations by kind.
    factors
        Looseness of each structure, dimensionless, shape ``(n_structures,)``.

    Returns
    -------
    EvidenceFit
        Coefficients in eV and diagnostics; the noise is in units of ``scales``.
    """
    rows = [block.weighted(scales, f) for block, f in zip(blocks, factors, strict=True)]
    targets = weighted_targets(training, scales, factors)
    return evidence_ridge(np.vstack(rows), np.concatenate(targets), smoothness_prior(basis))


def linear_active_set(
    basis: Any, design: DesignMatrix, training: TrainingSet, fit: EvidenceFit, energy_scale: float
) -> dict[str, Array]:
    """Choose the active set of each element among the training environments.

    Parameters
    ----------
    basis
        The basis.
    design
        Computes its functions.
    training
        The training set.
    fit
        Gives noise and prior: a function is resolved where it outgrows the noise over its prior spread.
    energy_scale
        Standard deviation of an energy per atom at unit noise, eV/atom.

    Returns
    -------
    dict
        Inverse of the active set by element, shape ``(n_functions, n_functions)``.
    """
    per_structure = [design.projections(atoms) for atoms in training.structures]
    floors = fit.noise * energy_scale * np.sqrt(fit.prior_precision * smoothness_prior(basis))
    inverses: dict[str, Array] = {}
    start = 0
    for element, count in function_counts(basis).items():
        stop = start + count
        found = [rows[element] for rows in per_structure if element in rows]
        inverses[element] = active_set_inverse(np.vstack(found), floors[start:stop])
        start = stop
    return inverses
