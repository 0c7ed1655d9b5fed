"""Figures of the potential: parity, equation of state, short range, energy conservation.

A figure without data is left out, never drawn empty.
"""

from collections.abc import Iterable, Sequence
from itertools import cycle
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.report.campaign import Campaign
from mlip_autopipec.report.svg import BLUE, GREY, INK, ORANGE, Plot, draw
from mlip_autopipec.report.words import EV_TO_MEV, ORIGIN_WORDS
from mlip_autopipec.schemas import EosFit, Origin, ParityPoint
from mlip_autopipec.units import EV_PER_A3_TO_GPA, FS_TO_PS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_ORIGIN_COLOURS: dict[Origin, str] = {
    "user": BLUE,
    "strain": "#56b4e9",
    "rattle": "#009e73",
    "vacancy": "#8c564b",
    "interstitial": "#d62728",
    "antisite": "#9467bd",
    "surface": "#17becf",
    "stacking_fault": "#bcbd22",
    "alloy": "#7f7f00",
    "random_crystal": "#1f3a93",
    "liquid": "#5b2c6f",
    "dimer": "#cc79a7",
    "isolated_atom": "#999999",
    "md": ORANGE,
    "kmc": "#e34a33",
    "held_out": INK,
    "eos": "#e69f00",
    "elastic": "#006400",
    "phonon": "#8b0000",
}
_MOST_POINTS = 1500
_HIGHEST_DIMER = 15.0
_LOWEST_DIMER = -30.0


def parity(campaign: Campaign) -> list[Plot]:
    """Draw predictions and errors against the oracle, by origin.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    list[Plot]
        Energies per atom in eV/atom and force components in eV/Å, of training and held-out structures.
    """
    training = campaign.potential.parity if campaign.potential else []
    held_out = campaign.validation.held_out.parity if campaign.validation else []
    groups = {origin: [p for p in training if p.origin == origin] for origin in _ORIGIN_COLOURS}
    groups["held_out"] = list(held_out)
    groups = {origin: points for origin, points in groups.items() if points}
    if not groups:
        return []
    energies = {origin: _energies(points) for origin, points in groups.items()}
    forces = {origin: _forces(points) for origin, points in groups.items()}
    return [
        _scatter("parity-energy", ("energy", "eV/atom"), energies, None),
        _scatter("error-energy", ("energy", "eV/atom"), energies, ("meV/atom", EV_TO_MEV)),
        _scatter("parity-force", ("force component", "eV/Å"), forces, None),
        _scatter("error-force", ("force component", "eV/Å"), forces, ("eV/Å", 1.0)),
    ]


def equation_of_state(campaign: Campaign) -> list[Plot]:
    """Draw energy against volume by oracle and potential, with both fits.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    list[Plot]
        Energies in eV/atom and their differences in meV/atom against volumes in Å^3/atom; nothing before
        the validation.
    """
    if campaign.validation is None:
        return []
    curves = campaign.validation.eos.curves

    def paint(axes: "Axes") -> None:
        for number, eos in enumerate(curves):
            volumes = np.linspace(min(eos.volumes), max(eos.volumes), 80)
            axes.plot(volumes, _birch_murnaghan(eos.reference, volumes), color=BLUE)
            if eos.predicted is not None:
                axes.plot(volumes, _birch_murnaghan(eos.predicted, volumes), color=ORANGE, linestyle="--")
            names = ("oracle", "potential") if number == 0 else (None, None)
            axes.plot(eos.volumes, eos.energies_reference, "o", color=BLUE, label=names[0])
            axes.plot(
                eos.volumes, eos.energies_predicted, "D", color=ORANGE, fillstyle="none", label=names[1]
            )
            if len(curves) > 1:
                lowest = (eos.reference.v0, eos.reference.e0)
                axes.annotate(eos.phase, lowest, (0, 14), textcoords="offset points", ha="center", color=INK)
        axes.set(xlabel="volume [Å³/atom]", ylabel="energy − E₀ [eV/atom]")

    def paint_error(axes: "Axes") -> None:
        axes.axhline(0.0, color=GREY, linewidth=0.8)
        for eos, marker in zip(curves, cycle("Dosv^"), strict=False):
            off = np.subtract(eos.energies_predicted, eos.energies_reference)
            name = eos.phase if len(curves) > 1 else None
            axes.plot(eos.volumes, EV_TO_MEV * off, f"{marker}-", color=ORANGE, label=name)
        axes.set(xlabel="volume [Å³/atom]", ylabel="potential − oracle [meV/atom]")

    names = ", ".join(eos.phase or eos.formula for eos in curves)
    caption = f"Equation of state of {names}: energies relative to free atoms and Birch-Murnaghan fits"
    error_caption = f"What the potential is off by along the equation of state of {names}"
    return [draw("eos", caption, paint), draw("eos-error", error_caption, paint_error)]


def short_range(campaign: Campaign) -> list[Plot]:
    """Draw the dimer curves of the potential, with the labelled dimers.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    list[Plot]
        Energies in eV against distances in Å, one figure a pair; nothing before the validation.
    """
    if campaign.validation is None or campaign.potential is None:
        return []
    stability = campaign.validation.stability
    labelled = _labelled_dimers(campaign)
    plots = []
    for number, (pair, energies) in enumerate(sorted(stability.dimer_energies.items())):
        caption = f"Dimer {pair}: energy relative to free atoms by the potential, and labelled dimers"
        curve = (stability.dimer_distances, energies)
        r_in = campaign.potential.core.r_in.get(pair)
        plots.append(_dimer(f"dimer-{number}", caption, curve, labelled.get(pair, []), r_in))
    return plots


def energy_conservation(campaign: Campaign) -> list[Plot]:
    """Draw the total energy of the constant-energy run.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    list[Plot]
        Total energy in meV/atom against time in ps; nothing before the validation.
    """
    if campaign.validation is None or not campaign.validation.stability.time:
        return []
    run = campaign.validation.stability

    def paint(axes: "Axes") -> None:
        time = FS_TO_PS * np.array(run.time)
        axes.plot(time, EV_TO_MEV * np.array(run.total_energy), color=BLUE, linewidth=0.9)
        axes.ticklabel_format(axis="y", useOffset=False, style="plain")
        axes.set(xlabel="time [ps]", ylabel="total energy − start [meV/atom]")

    caption = f"Constant-energy MD of {run.n_atoms} atoms at about {run.temperature:.0f} K"
    return [draw("nve", caption, paint)]


def _energies(points: Iterable[ParityPoint]) -> tuple[Array, Array]:
    pairs = np.array([(p.energy_reference, p.energy_predicted) for p in points])
    return pairs[:, 0], pairs[:, 1]


def _forces(points: Sequence[ParityPoint]) -> tuple[Array, Array]:
    reference = np.concatenate([p.forces_reference for p in points])
    return reference, np.concatenate([p.forces_predicted for p in points])


def _scatter(
    name: str,
    quantity: tuple[str, str],
    groups: dict[Origin, tuple[Array, Array]],
    error: tuple[str, float] | None,
) -> Plot:
    """Draw predictions against the oracle, or with ``error`` (unit, factor) what they are off by."""
    what, unit = quantity
    share = max(_MOST_POINTS // len(groups), 1)

    def paint(axes: "Axes") -> None:
        for origin, (reference, predicted) in groups.items():
            kept = thinned(predicted - reference, share)
            x, y = reference[kept], predicted[kept]
            own = origin == "held_out"
            axes.plot(
                x,
                y if error is None else error[1] * (y - x),
                linestyle="none",
                color=_ORIGIN_COLOURS[origin],
                label=ORIGIN_WORDS[origin] + (f" ({len(kept)} of {len(x)})" if len(kept) < len(x) else ""),
                markersize=4.0,
                markeredgewidth=0.8,
                zorder=3 if own else 2,
                marker="D" if own else "o",
                fillstyle="none" if own else "full",
            )
        axes.set_xlabel(f"{what}, oracle [{unit}]")
        if error is None:
            axes.axline((0.0, 0.0), slope=1.0, color=GREY, linewidth=0.8, zorder=1)
            axes.set_ylabel(f"{what}, potential [{unit}]")
        else:
            axes.axhline(0.0, color=GREY, linewidth=0.8, zorder=1)
            axes.set_ylabel(f"potential − oracle [{error[0]}]")

    kind = "Parity" if error is None else "Error"
    per_atom = " per atom relative to free atoms" if what == "energy" else "s"
    caption = f"{kind} of the {what}{per_atom}, by origin of the structures"
    return draw(name, caption, paint)


def thinned(errors: Array, most: int) -> NDArray[np.intp]:
    """Choose points to be drawn: the largest errors always, the others evenly.

    Parameters
    ----------
    errors
        Shape ``(n,)``, any unit.
    most
        Largest number of points.

    Returns
    -------
    numpy.ndarray
        Indices in ascending order, the same every time.
    """
    if len(errors) <= most:
        return np.arange(len(errors))
    by_size = np.argsort(-np.abs(errors), kind="stable")
    worst, rest = by_size[: most // 4], np.sort(by_size[most // 4 :])
    spread = rest[np.linspace(0, len(rest) - 1, most - len(worst)).astype(int)]
    return np.unique(np.concatenate([worst, spread]))


def _birch_murnaghan(fit: EosFit, volumes: Array) -> Array:
    r"""Energy per atom in eV: :math:`E_0 + \frac{9 V_0 B_0}{16} [(x-1)^3 B_0' + (x-1)^2 (6-4x)]`."""
    x = (fit.v0 / volumes) ** (2.0 / 3.0)
    scale = 9.0 * fit.v0 * fit.b0 / EV_PER_A3_TO_GPA / 16.0
    return np.asarray(fit.e0 + scale * ((x - 1.0) ** 3 * fit.b0_prime + (x - 1.0) ** 2 * (6.0 - 4.0 * x)))


def _labelled_dimers(campaign: Campaign) -> dict[str, list[tuple[float, float]]]:
    """Return distances in Å and energies relative to E0 in eV of the labelled dimers of each pair."""
    found: dict[str, list[tuple[float, float]]] = {}
    e0 = campaign.potential.e0 if campaign.potential else {}
    for label in campaign.training_labels:
        structure = label.entry.label.structure
        if label.entry.origin == "dimer" and all(symbol in e0 for symbol in structure.symbols):
            distance = float(np.linalg.norm(np.subtract(structure.positions[0], structure.positions[1])))
            energy = label.entry.label.energy - sum(e0[symbol] for symbol in structure.symbols)
            found.setdefault("-".join(sorted(structure.symbols)), []).append((distance, energy))
    return found


def _dimer(
    name: str,
    caption: str,
    curve: tuple[list[float], list[float]],
    labelled: list[tuple[float, float]],
    r_in: float | None,
) -> Plot:
    distances, energies = curve
    lowest = max(min([*energies, *(energy for _, energy in labelled), 0.0]), _LOWEST_DIMER)
    highest = max([_HIGHEST_DIMER, *(1.3 * energy for _, energy in labelled)])

    def paint(axes: "Axes") -> None:
        axes.axhline(0.0, color=GREY, linewidth=0.8)
        # Far above the window nothing is to be seen, but the curve must leave it visibly.
        axes.plot(
            distances, np.clip(energies, 3.0 * _LOWEST_DIMER, 3.0 * highest), color=ORANGE, label="potential"
        )
        if labelled:
            x, y = zip(*labelled, strict=True)
            axes.plot(x, y, "o", color=BLUE, label="oracle")
        if r_in is not None:
            axes.axvline(r_in, color=INK, linewidth=0.9, linestyle="--", label=f"core below {r_in:.2f} Å")
        axes.set_ylim(lowest - 0.05 * (highest - lowest), highest)
        axes.set(xlabel="distance [Å]", ylabel="energy − E₀ [eV]")

    return draw(name, caption, paint)
