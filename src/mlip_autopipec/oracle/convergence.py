"""How far labels are from converged: the settings to compare, and what differs between their labels."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from mlip_autopipec.errors import CalculationError, ConfigError
from mlip_autopipec.oracle.base import OracleMaker
from mlip_autopipec.schemas import LabelDoc, ProbeDoc, ProbeRole, ProbeRow

_SPACING = "k_spacing"
_CUTOFFS = ("ecutwfc", "encut")
_WITH_IT = {"ecutwfc": ("ecutrho",), "encut": ()}  # cut-offs that grow with it
_SAME = 1e-9  # eV/Å: closer forces come from the same grid


@dataclass(frozen=True)
class Variant:
    """An oracle with other settings.

    Parameters
    ----------
    role
        What it is there for.
    settings
        k-spacing in 1/Å and cut-off in the unit of the oracle, by name of its field.
    oracle
        The oracle.
    """

    role: ProbeRole
    settings: dict[str, float]
    oracle: OracleMaker


def variants(
    oracle: OracleMaker, spacing_factors: Sequence[float], cutoff_factors: Sequence[float]
) -> list[Variant]:
    """Vary what convergence depends on, one at a time, and both for the reference.

    Parameters
    ----------
    oracle
        The oracle as configured, prepared.
    spacing_factors
        Multiples of its k-spacing, dimensionless.
    cutoff_factors
        Multiples of its cut-off, dimensionless.

    Returns
    -------
    list[Variant]
        First the oracle as it is, last the reference: smallest spacing and largest cut-off.

    Raises
    ------
    ConfigError
        The oracle has neither k-spacing nor cut-off, or no factor makes it finer.
    """
    names = {field.name for field in fields(oracle)}
    cutoff = next((name for name in _CUTOFFS if name in names and getattr(oracle, name) is not None), None)
    if _SPACING not in names and cutoff is None:
        raise ConfigError(
            f"oracle {oracle.name!r} has neither k-points nor a cut-off, so there is nothing to probe; its "
            "labels are as exact as its numbers.",
            hint="probe an oracle that computes DFT: engine 'qe' or 'vasp'.",
        )
    if min(spacing_factors) >= 1.0 or max(cutoff_factors) <= 1.0:
        raise ConfigError(
            "a probe needs a spacing factor below 1 and a cut-off factor above 1, got "
            f"{list(spacing_factors)} and {list(cutoff_factors)}."
        )

    def variant(role: ProbeRole, spacing: float = 1.0, height: float = 1.0) -> Variant:
        changed: dict[str, Any] = {}
        if _SPACING in names:
            changed[_SPACING] = spacing * getattr(oracle, _SPACING)
        shown = dict(changed)
        if cutoff is not None:
            shown[cutoff] = changed[cutoff] = height * getattr(oracle, cutoff)
            for name in _WITH_IT[cutoff]:
                if getattr(oracle, name) is not None:
                    changed[name] = height * getattr(oracle, name)
        return Variant(role, shown, replace(oracle, **changed))

    found = [variant("configured")]
    if _SPACING in names:
        found += [variant("k_spacing", spacing=f) for f in sorted(spacing_factors, reverse=True) if f != 1.0]
    if cutoff is not None:
        found += [variant("cutoff", height=f) for f in sorted(cutoff_factors) if f != 1.0]
    return [*found, variant("reference", min(spacing_factors), max(cutoff_factors))]


def probe_document(
    roles: Sequence[ProbeRole], settings: Sequence[dict[str, float]], labels: Sequence[Sequence[LabelDoc]]
) -> ProbeDoc:
    r"""Compare the labels of each setting with those of the last.

    With :math:`\delta_c` the difference of the energies per atom of cell c, their mean over cells is a
    constant that no potential sees; the noise of an energy is what is left,

    .. math:: \sigma_E = \sqrt{\frac{1}{n - 1} \sum_c (\delta_c - \bar\delta)^2}

    (for two cells, the error of their energy difference over :math:`\sqrt 2`).

    Parameters
    ----------
    roles
        What each setting is there for.
    settings
        The settings; the last is the reference.
    labels
        Labels of the same cells, at least two of the same composition, one sequence for each setting.

    Returns
    -------
    ProbeDoc
        The noise of each setting.

    Raises
    ------
    CalculationError
        There are fewer than two cells, or they differ in composition.
    """
    cells = [label.structure for label in labels[-1]]
    if len(cells) < 2 or len({cell.formula for cell in cells}) > 1:
        raise CalculationError(
            f"a probe compares at least two cells of one composition, got {[c.formula for c in cells]}."
        )
    rows = [
        _row(role, chosen, there, labels[-1])
        for role, chosen, there in zip(roles, settings, labels, strict=True)
    ]
    return ProbeDoc(
        formula=cells[0].formula,
        n_cells=len(cells),
        fingerprint=labels[0][0].fingerprint,
        rows=rows,
        warnings=_warnings(rows, labels),
    )


def _row(
    role: ProbeRole, settings: dict[str, float], labels: Sequence[LabelDoc], reference: Sequence[LabelDoc]
) -> ProbeRow:
    pairs = list(zip(labels, reference, strict=True))
    energies = np.array([(a.energy - b.energy) / a.structure.n_atoms for a, b in pairs])
    forces = _forces(labels) - _forces(reference)
    stresses = [
        np.subtract(a.stress, b.stress) for a, b in pairs if a.stress is not None and b.stress is not None
    ]
    return ProbeRow(
        role=role,
        settings=settings,
        energy_shift=float(energies.mean()),
        energy_noise=float(energies.std(ddof=1)),
        force_noise=float(np.sqrt(np.mean(forces**2))),
        force_max=float(np.abs(forces).max()),
        stress_noise=float(np.sqrt(np.mean(np.square(stresses)))) if stresses else None,
        wall_time=float(np.mean([label.wall_time for label in labels])),
    )


def _forces(labels: Sequence[LabelDoc]) -> np.ndarray:
    return np.concatenate([np.asarray(label.forces) for label in labels])


def _warnings(rows: Sequence[ProbeRow], labels: Sequence[Sequence[LabelDoc]]) -> list[str]:
    """Say where a finer setting changed nothing, which looks like convergence and is none."""
    configured = rows[0]
    return [
        f"{row.role} {row.settings[_SPACING]:.3g} gives the same k-points as "
        f"{configured.settings[_SPACING]:.3g}: that row shows nothing."
        for row, there in zip(rows, labels, strict=True)
        if row.role == "k_spacing" and np.abs(_forces(there) - _forces(labels[0])).max() < _SAME
    ]
