"""Kinetic Monte Carlo in the report."""

from ase.build import bulk

from mlip_autopipec.report import Campaign, read_campaign, report_page
from mlip_autopipec.report.kmc import barriers, kinetics, paths, trajectory
from mlip_autopipec.schemas import (
    AtomicStructure,
    ConfirmedBarrier,
    KmcDoc,
    KmcEvent,
    KmcStep,
    MinimumEnergyPath,
    PathPoint,
    RecheckedEvent,
    RejectedEvent,
)

CRYSTAL = AtomicStructure.from_ase(bulk("Cu"))


def event(crystal, number, barrier, generation=1):
    return KmcEvent(
        id=f"{generation}.0.{number}",
        state=f"{generation}.0",
        product_state=f"{generation}.1",
        generation=generation,
        found_in=0,
        barrier=barrier,
        reverse_barrier=barrier + 0.01,
        prefactor=1e12,
        rate=0.5,
        n_found=3,
        n_negative_modes=1,
        gamma=2.5,
        saddle=crystal,
        product=crystal,
        mode=[(0.0, 0.0, 1.0)] * crystal.n_atoms,
    )


def step(number, time, energy):
    return KmcStep(
        state=f"1.{number}",
        product_state=f"1.{number + 1}",
        event=f"1.{number}.7",
        step_time=1.0,
        time=time,
        barrier=0.7,
        energy=energy,
    )


def run(crystal, **update):
    path = MinimumEnergyPath(
        event="1.0.7",
        points=[PathPoint(distance=d, energy=e) for d, e in ((0.0, 0.0), (1.2, 0.71), (2.5, 0.0))],
        largest_force=0.02,
    )
    asked = {"event": "0.0.3", "generation": 0, "barrier": 0.7724}
    again = {"event": "0.0.3", "found_in": 0, "barrier_before": 0.7724}
    values = {
        "engine": "eOn 3.6.0",
        "potential": "x",
        "generation": 1,
        "temperature": 300.0,
        "confidence": 0.9,
        "end_reason": "steps",
        "end_detail": "2 steps",
        "time": 3.5,
        "n_steps": 2,
        "states": [],
        "events": [event(crystal, 7, 0.7123), event(crystal, 8, 0.9), event(crystal, 3, 0.5, generation=0)],
        "steps": [step(0, 1.0, -10.0), step(1, 3.5, -9.8)],
        "rejected": [
            RejectedEvent(state="0", reason="2 negative modes at the saddle", barrier=3.5, n_negative_modes=2)
        ],
        "rechecked": [
            RecheckedEvent(**again, barrier_after=0.7704, outcome="Success"),
            RecheckedEvent(**again, barrier_after=None, outcome="not connected"),
        ],
        "confirmed": [
            ConfirmedBarrier(**asked, oracle_barrier=0.7612, largest_force=0.012, barrier_after=0.7633),
            ConfirmedBarrier(**asked, oracle_barrier=None, largest_force=None, barrier_after=None),
        ],
        "paths": [path],
        "outcomes": {"good": 2, "repeat": 5},
        "n_halted": 1,
        "n_stuck": 0,
        "n_crashed": 0,
        "n_force_calls": 1234,
        "gamma_limit": 10.0,
        "gamma_max": 13.5,
        "frames": [],
        "final": crystal,
        "evaluation_time": 1.5,
        "wall_time": 60.0,
    }
    return KmcDoc(**(values | update))


def test_without_it_there_is_no_section(store, generation_zero):
    assert kinetics(read_campaign(store)) == ""
    assert "Kinetic Monte Carlo" not in report_page(read_campaign(store))


def test_the_page_tells_of_runs_events_and_what_was_refused(store, write, generation_zero):
    write(run(CRYSTAL, end_reason="uncertain", time=0.0, steps=[]), "kmc", 0)
    write(run(CRYSTAL), "kmc", 1)
    campaign = read_campaign(store)
    assert [(r.generation, r.end_reason, r.time) for r in campaign.kmc] == [
        (0, "uncertain", 0.0),
        (1, "steps", 3.5),
    ]
    assert [e.barrier for e in campaign.kmc_events] == [0.7123, 0.9, 0.5]
    assert campaign.wall_time.dynamics == 60.0 + 120.0
    page = report_page(campaign)
    assert "Kinetic Monte Carlo at 300 K" in page
    assert "It ended for: steps (2 steps)." in page
    assert "by the oracle between the potential&#x27;s own minimum and saddle" in page
    for words in ("+11.2", "763.3", "+2.1", "0.012", "no label"):
        assert f"<td>{words}</td>" in page, words
    for words in ("712.3", "772.4", "770.4", "gone", "2 negative modes at the saddle", "1234"):
        assert words in page


def test_figures_without_data_are_left_out():
    assert trajectory([]) == barriers(()) == paths([]) == []
    one = event(CRYSTAL, 7, 0.7)
    (histogram,) = barriers((one,))
    assert "barrier [eV]" in histogram.svg
    (plot,) = trajectory([step(0, 1.0, -10.0)])
    assert "simulated time [s]" in plot.svg
    (path,) = paths(run(CRYSTAL).paths)
    assert "1.0.7" in path.caption
    assert Campaign().kmc == ()
