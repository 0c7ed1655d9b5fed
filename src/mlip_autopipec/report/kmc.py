"""Kinetic Monte Carlo: where it went in time, over which barriers, and what it asked for."""

from typing import TYPE_CHECKING

import numpy as np

from mlip_autopipec.report.campaign import Campaign, KmcRun
from mlip_autopipec.report.sections import gallery
from mlip_autopipec.report.svg import BLUE, INK, ORANGE, Plot, draw
from mlip_autopipec.report.tables import Html, element, folded, section, table
from mlip_autopipec.report.words import EV_TO_MEV
from mlip_autopipec.schemas import ConfirmedBarrier, KmcEvent, KmcStep, MinimumEnergyPath

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST_BINS = 30
_MOST_EVENTS = 60


def kinetics(campaign: Campaign) -> Html:
    """Show the runs of kinetic Monte Carlo.

    Parameters
    ----------
    campaign
        The campaign.

    Returns
    -------
    Html
        Figures and tables; empty where there were none.
    """
    if not campaign.kmc:
        return Html("")
    last = campaign.kmc[-1]
    plots = [*trajectory(last.steps), *barriers(campaign.kmc_events), *paths(last.paths)]
    head = (
        *("generation", "searches", "ended by γ", "stuck", "crashed", "largest γ", "steps", "time [s]"),
        *("force calls", "ms a call", "wall [s]", "labels", "end"),
    )
    return section(
        f"Kinetic Monte Carlo at {last.temperature:g} K",
        gallery(plots),
        table(head, [_run_row(campaign, run) for run in campaign.kmc]),
        element("p", f"It ended for: {last.end_reason} ({last.end_detail}).", "note"),
        *_oracle(campaign),
        folded("Events", table(_EVENT_HEAD, map(_event_row, campaign.kmc_events[-_MOST_EVENTS:]))),
        folded("Events of earlier potentials, searched again", table(_AGAIN_HEAD, _again(campaign))),
        folded("Refused as events", table(("generation", "state", "barrier [eV]", "reason"), _no(campaign))),
    )


_ORACLE_HEAD = (
    *("event", "generation", "barrier [meV]", "oracle there [meV]", "error [meV]"),
    *("after learning [meV]", "error left [meV]", "oracle's largest force [eV/Å]"),
)
_EVENT_HEAD = (
    *(
        "event",
        "to",
        "found in",
        "barrier [meV]",
        "back [meV]",
        "prefactor [1/s]",
        "rate [1/s]",
        "times found",
    ),
    *("negative modes", "γ at the saddle"),
)
_AGAIN_HEAD = ("generation", "event", "found in", "before [meV]", "after [meV]", "outcome")


def trajectory(steps: list[KmcStep]) -> list[Plot]:
    """Draw the energy of the states against simulated time.

    Parameters
    ----------
    steps
        The trajectory.

    Returns
    -------
    list[Plot]
        Energies relative to the lowest in eV against s; nothing before the first step.
    """
    if not steps:
        return []
    ends = np.array([step.time for step in steps])
    energies = np.array([step.energy for step in steps])
    energies -= energies.min()
    saddles = energies + np.array([step.barrier for step in steps])

    def paint(axes: "Axes") -> None:
        axes.stairs(energies, [0.0, *ends], baseline=None, color=BLUE, label="state")
        axes.plot(ends, saddles, "^", color=ORANGE, label="saddle that was crossed")
        axes.set(xlabel="simulated time [s]", ylabel="energy above the lowest state [eV]")

    return [draw("kmc-trajectory", "Energy along the kinetic Monte Carlo trajectory", paint)]


def barriers(events: tuple[KmcEvent, ...]) -> list[Plot]:
    """Draw how often which barrier was found.

    Parameters
    ----------
    events
        Events of all generations; those of the last potential are drawn.

    Returns
    -------
    list[Plot]
        A histogram over eV; nothing without events.
    """
    newest = max((event.generation for event in events), default=0)
    heights = [event.barrier for event in events if event.generation == newest]
    if not heights:
        return []

    def paint(axes: "Axes") -> None:
        low, high = min(heights), max(heights)
        edge = max(0.05 * (high - low), 0.01)
        bins = min(_MOST_BINS, 5 + len(heights))
        axes.hist(heights, bins=bins, range=(low - edge, high + edge), color=BLUE, edgecolor=INK)
        axes.set(xlabel="barrier [eV]", ylabel="events [1]")
        axes.locator_params(axis="y", integer=True)
        axes.locator_params(axis="x", nbins=5)

    return [draw("kmc-barriers", "Barriers of all events known to the last potential", paint)]


def paths(found: list[MinimumEnergyPath]) -> list[Plot]:
    """Draw minimum-energy paths.

    Parameters
    ----------
    found
        The paths.

    Returns
    -------
    list[Plot]
        One figure each, eV against Å.
    """
    plots = []
    for number, path in enumerate(found):
        distances = [point.distance for point in path.points]
        energies = [point.energy for point in path.points]

        def paint(axes: "Axes", x: list[float] = distances, y: list[float] = energies) -> None:
            axes.plot(x, y, "o-", color=BLUE)
            axes.set(xlabel="length of the path [Å]", ylabel="energy above the state [eV]")

        caption = f"Minimum-energy path of event {path.event}, forces below {path.largest_force:.2f} eV/Å"
        plots.append(draw(f"kmc-path-{number}", caption, paint))
    return plots


def _run_row(campaign: Campaign, run: KmcRun) -> tuple[object, ...]:
    labels = [
        label
        for label in campaign.training_labels
        if label.entry.origin == "kmc" and label.generation == run.generation + 1
    ]
    return (
        run.generation,
        sum(run.outcomes.values()),
        run.n_halted,
        run.n_stuck,
        run.n_crashed,
        run.gamma_max,
        run.n_steps,
        f"{run.time:.3g}",
        run.n_force_calls,
        f"{run.evaluation_time:.2f}",
        f"{run.wall_time:.0f}",
        len(labels),
        run.end_reason,
    )


def _event_row(event: KmcEvent) -> tuple[object, ...]:
    return (
        event.id,
        event.product_state or "",
        event.found_in,
        f"{EV_TO_MEV * event.barrier:.1f}",
        f"{EV_TO_MEV * event.reverse_barrier:.1f}",
        f"{event.prefactor:.2e}",
        f"{event.rate:.3g}",
        event.n_found,
        event.n_negative_modes,
        f"{event.gamma:.2f}",
    )


def _oracle(campaign: Campaign) -> list[Html]:
    """Compare the lowest barriers with the oracle's."""
    asked = campaign.kmc[-1].confirmed
    if not asked:
        return []
    words = "The lowest barriers, by the oracle between the potential's own minimum and saddle:"
    return [element("p", words, "note"), table(_ORACLE_HEAD, map(_asked_row, asked))]


def _asked_row(asked: ConfirmedBarrier) -> tuple[object, ...]:
    oracle = asked.oracle_barrier
    return (
        asked.event,
        asked.generation,
        f"{EV_TO_MEV * asked.barrier:.1f}",
        _mev(oracle, "no label"),
        _error(asked.barrier, oracle),
        _mev(asked.barrier_after, "gone"),
        _error(asked.barrier_after, oracle),
        "" if asked.largest_force is None else f"{asked.largest_force:.3f}",
    )


def _error(barrier: float | None, oracle: float | None) -> str:
    return "" if barrier is None or oracle is None else f"{EV_TO_MEV * (barrier - oracle):+.1f}"


def _mev(energy: float | None, otherwise: str) -> str:
    return otherwise if energy is None else f"{EV_TO_MEV * energy:.1f}"


def _again(campaign: Campaign) -> list[tuple[object, ...]]:
    return [
        (
            run.generation,
            event.event,
            event.found_in,
            f"{EV_TO_MEV * event.barrier_before:.1f}",
            _mev(event.barrier_after, "gone"),
            event.outcome,
        )
        for run in campaign.kmc
        for event in run.rechecked
    ]


def _no(campaign: Campaign) -> list[tuple[object, ...]]:
    return [(run.generation, x.state, x.barrier, x.reason) for run in campaign.kmc for x in run.rejected]
