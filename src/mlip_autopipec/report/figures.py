"""Figures of the loop: learning, extrapolation, cost.

A figure without data is left out, never drawn empty.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.report.campaign import Campaign, Walk
from mlip_autopipec.report.svg import BLUE, GREEN, INK, ORANGE, YELLOW, Plot, draw, log_scale, shades
from mlip_autopipec.report.words import EV_TO_MEV
from mlip_autopipec.units import FS_TO_PS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Array = NDArray[np.float64]

_MOST_ROWS = 250
_FEWEST_ROWS = 30
_ALL_ROWS = 12_000
_MOST_NAMED = 6
_STYLES = {"linear-ace": "D-", "pacemaker": "*"}
_MOST_BARS = 15


def learning_curve(campaign: Campaign) -> list[Plot]:
    """Draw errors against the number of labels.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    list[Plot]
        Energies in meV/atom and forces in eV/Å; nothing before the first fit.
    """
    if not campaign.fits:
        return []
    held_out = campaign.validation.held_out.learning_curve if campaign.validation else []
    return [
        _learning(
            "learning-energy",
            "energy RMSE [meV/atom]",
            [(fit.n_labels, EV_TO_MEV * fit.errors.energy_rmse) for fit in campaign.fits],
            [(point.n_labels, EV_TO_MEV * point.energy_rmse, point.method) for point in held_out],
        ),
        _learning(
            "learning-force",
            "force RMSE [eV/Å]",
            [(fit.n_labels, fit.errors.force_rmse) for fit in campaign.fits],
            [(point.n_labels, point.force_rmse, point.method) for point in held_out],
        ),
    ]


def gamma(campaign: Campaign) -> list[Plot]:
    """Draw the extrapolation grade along the walks, one figure a temperature.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    list[Plot]
        Gamma against MD time in ps.
    """
    temperatures = sorted({walk.walker.temperature for walk in campaign.walks})
    generations = sorted({walk.generation for walk in campaign.walks})
    colours = dict(zip(generations, shades(len(generations)), strict=True))
    finite = [g for walk in campaign.walks for g in _graded(walk)[1]]
    if not finite:
        return []
    limit = min(walk.gamma_limit for walk in campaign.walks)  # lifted halts raise it along a walk
    met = [halt.gamma for walk in campaign.walks for halt in walk.lifted]
    top, bottom = max([*finite, *met, limit]), min(finite)
    plots = []
    for number, temperature in enumerate(temperatures):
        walks = [walk for walk in campaign.walks if walk.walker.temperature == temperature]
        lifted = ", ○ one that was lifted" if any(walk.lifted for walk in walks) else ""
        caption = f"Largest γ over the atoms along the walks at {temperature:g} K; × marks a halt{lifted}"

        def paint(axes: "Axes", walks: Sequence[Walk] = walks, temperature: float = temperature) -> None:
            _paint_walks(axes, walks, colours)
            axes.axhline(limit, color=INK, linewidth=0.9, linestyle="--", label="limit")
            log_scale(axes, 0.8 * bottom, 1.3 * top)
            axes.set(title=f"{temperature:g} K", xlabel="MD time of the walk [ps]", ylabel="largest γ [1]")

        plots.append(draw(f"gamma-{number}", caption, paint))
    return plots


def cost(campaign: Campaign) -> list[Plot]:
    """Draw where the wall time went.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    list[Plot]
        Wall time of oracle, fit and MD in each generation and in the validation.
    """
    parts: dict[str, tuple[str, list[tuple[int | None, float]]]] = {
        "oracle": (BLUE, [(i.generation, i.entry.label.wall_time) for i in campaign.labels if not i.shared]),
        "fit": (YELLOW, [(f.generation, f.wall_time) for f in (*campaign.fits, *campaign.slow_fits)]),
        "MD": (GREEN, [(walk.generation, walk.wall_time) for walk in campaign.walks]),
    }
    found = {generation for _, entries in parts.values() for generation, _ in entries}
    if not found:
        return []
    bars: list[int | None] = [*sorted(n for n in found if n is not None), *([None] if None in found else [])]
    divisor, unit = _time_unit(campaign.wall_time.total)

    def paint(axes: "Axes") -> None:
        bottom = np.zeros(len(bars))
        for name, (colour, entries) in parts.items():
            height = np.array([sum(t for g, t in entries if g == bar) for bar in bars]) / divisor
            axes.bar(range(len(bars)), height, 0.7, bottom, color=colour, label=name)
            bottom += height
        step = 1 + len(bars) // _MOST_BARS
        shown = [i for i, bar in enumerate(bars) if i % step == 0 or bar is None]
        # A line below the numbers, which it is wider than.
        axes.set_xticks(shown, ["\nvalidation" if bars[i] is None else str(bars[i]) for i in shown])
        axes.grid(visible=False, axis="x")
        axes.set(xlabel="generation", ylabel=f"wall time, summed over jobs [{unit}]")

    caption = "Wall time of each generation, summed over jobs"
    return [draw("cost", caption, paint)]


def _learning(
    name: str, quantity: str, training: list[tuple[int, float]], held_out: list[tuple[int, float, str]]
) -> Plot:
    def paint(axes: "Axes") -> None:
        for method, style in _STYLES.items():
            points = [point[:2] for point in held_out if point[2] == method]
            if points:
                label = "held-out structures" + (", pacemaker" if method == "pacemaker" else "")
                axes.plot(*zip(*points, strict=True), style, color=ORANGE, label=label)
        axes.plot(*zip(*training, strict=True), "o:", color=BLUE, label="training structures")
        every = [error for _, error in training] + [error for _, error, _ in held_out]
        values = [error for error in every if error > 0.0]
        if values and max(values) > 20.0 * min(values):
            log_scale(axes, 0.7 * min(values), 1.4 * max(values))
        else:
            axes.set_ylim(0.0, 1.15 * max(values, default=1.0))
        axes.set(xlabel="labels [1]", ylabel=quantity)
        axes.ticklabel_format(axis="x", useOffset=False)
        axes.locator_params(axis="x", integer=True)

    caption = f"Learning curve: {quantity} against number of labels"
    if held_out:
        caption += "; each generation's potential on the same held-out structures"
    return draw(name, caption, paint)


def _graded(walk: Walk, most: int = _MOST_ROWS) -> tuple[Array, Array]:
    """Return times in ps and gammas of a walk: of every few rows the one with the largest gamma."""
    time = FS_TO_PS * walk.timestep * np.array(walk.thermo.step, dtype=float)
    grades = np.array(walk.thermo.gamma, dtype=float)
    good = np.isfinite(grades) & (grades > 0.0)
    time, grades = time[good], grades[good]
    if len(grades) <= most:
        return time, grades
    groups = np.array_split(np.arange(len(grades)), most)
    kept = np.array([group[np.argmax(grades[group])] for group in groups])
    return time[kept], grades[kept]


def _paint_walks(axes: "Axes", walks: Sequence[Walk], colours: dict[int, str]) -> None:
    present = sorted({walk.generation for walk in walks})
    named = {present[i] for i in np.linspace(0, len(present) - 1, min(len(present), _MOST_NAMED)).astype(int)}
    most = int(np.clip(_ALL_ROWS // len(walks), _FEWEST_ROWS, _MOST_ROWS))
    for walk in walks:
        time, grades = _graded(walk, most)
        label = f"generation {walk.generation}" if walk.generation in named else None
        named.discard(walk.generation)
        axes.plot(time, grades, color=colours[walk.generation], linewidth=0.9, label=label)
        fs = [halt.step * walk.timestep for halt in walk.lifted]
        axes.plot(
            FS_TO_PS * np.array(fs), [halt.gamma for halt in walk.lifted], "o", color=INK, fillstyle="none"
        )
        if walk.halted and len(time):
            axes.plot(time[-1:], grades[-1:], "x", color=INK, markersize=6.0, markeredgewidth=1.4, zorder=4)


def _time_unit(total: float) -> tuple[float, str]:
    if total < 600.0:
        return 1.0, "s"
    return (60.0, "min") if total < 36_000.0 else (3600.0, "h")
