"""Real runs of eOn: `make test-eon` installs it (a minute, 320 MB) and runs these."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.geometry import find_mic

from mlip_autopipec.dynamics import EonKmcMaker, StopRule
from mlip_autopipec.dynamics.eon_output import read_results
from mlip_autopipec.dynamics.eon_programs import which_eon
from mlip_autopipec.dynamics.saddles import minimum_energy_path
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

INSTALLED = which_eon()
pytestmark = [
    pytest.mark.eon,
    pytest.mark.skipif(INSTALLED.value is None, reason=f"no eOn here: {INSTALLED.reason}"),
    pytest.mark.timeout(1200),
]
QUICK = {"n_confirm": 0, "confidence": 0.7, "n_steps": 1, "n_paths": 1, "max_wall_time": 400.0}


def made(folder):
    folder.mkdir()
    return folder


def vacancy():
    atoms = bulk("Cu", cubic=True).repeat(2)
    del atoms[0]
    return atoms


@pytest.fixture(scope="module")
def batch(copper_batch):
    """Labels of copper and of shaken vacancies on their way into the hole."""
    start = vacancy()
    neighbour = int(np.argmin(np.linalg.norm(start.positions, axis=1)))
    candidates = []
    for number, share in enumerate(np.linspace(0.0, 1.0, 9).repeat(3)):
        atoms = start.copy()
        atoms.positions[neighbour] *= 1.0 - share
        atoms.rattle(0.08, seed=number)
        candidates.append(CandidateStructure(structure=AtomicStructure.from_ase(atoms), origin="vacancy"))
    return label_batch(candidates, EMT(), prefix="vacancy")


@pytest.fixture(scope="module")
def potential(copper_batch, batch, tmp_path_factory):
    return LinearAceFitMaker(n_functions=60).fit([copper_batch, batch], tmp_path_factory.mktemp("fit"))


@pytest.fixture(scope="module")
def done(potential, tmp_path_factory):
    work = tmp_path_factory.mktemp("kmc")
    loose = StopRule(gamma=1e6, smallest_distance=0.0)
    maker = EonKmcMaker(stop_rule=loose, **QUICK)
    return maker, maker.explore(potential, AtomicStructure.from_ase(vacancy()), None, work), work


def test_a_vacancy_hops_over_the_oracles_barrier(done):
    _, run, _ = done
    assert (run.end_reason, run.n_steps, len(run.steps)) == ("steps", 1, 1)
    assert run.time == run.steps[0].time > 0.0
    lowest = min(run.events, key=lambda event: event.barrier)
    assert lowest.n_negative_modes == 1
    assert lowest.rate == pytest.approx(1e12 * np.exp(-lowest.barrier / (300 / 11604.5)), rel=1e-3)
    state = next(state for state in run.states if state.id == lowest.state)
    knots = [s.to_ase() for s in (state.structure, lowest.saddle, lowest.product)]
    assert minimum_energy_path(knots, EMT()).barrier == pytest.approx(lowest.barrier, abs=0.1)
    (path,) = run.paths
    assert max(p.energy for p in path.points) == pytest.approx(lowest.barrier, abs=0.02)
    assert run.n_crashed == run.n_halted == 0


def test_a_run_goes_on_from_its_document_and_from_its_folder(done, potential, tmp_path):
    maker, run, _ = done
    more = EonKmcMaker(stop_rule=maker.stop_rule, **(QUICK | {"n_steps": 2, "max_wall_time": 1.0}))
    again = more.explore(potential, AtomicStructure.from_ase(vacancy()), run, tmp_path)
    assert (again.generation, again.end_reason) == (0, "wall_time"), "cut off at once"
    assert again.steps == run.steps
    assert {event.id for event in run.events} <= {event.id for event in again.events}
    assert again.final.formula == "Cu31"
    longer = EonKmcMaker(stop_rule=maker.stop_rule, **QUICK)
    resumed = longer.explore(potential, AtomicStructure.from_ase(vacancy()), None, tmp_path)
    assert resumed.steps[: len(run.steps)] == run.steps, "the folder is taken up as it was left"
    assert resumed.n_force_calls == 0


def test_a_new_potential_searches_known_events_again(done, copper_batch, batch, tmp_path):
    maker, run, _ = done
    newer = LinearAceFitMaker(n_functions=50).fit([copper_batch, batch], tmp_path)
    short = EonKmcMaker(stop_rule=maker.stop_rule, **(QUICK | {"max_wall_time": 1.0, "batch": 2}))
    work = tmp_path / "work"
    work.mkdir()
    again = short.explore(newer, AtomicStructure.from_ase(vacancy()), run, work)
    assert again.generation == 1
    assert again.rechecked
    assert {event.found_in for event in again.rechecked} == {0}
    kept = [event for event in again.rechecked if event.barrier_after is not None]
    assert kept
    assert all(abs(e.barrier_after - e.barrier_before) < 0.1 for e in kept)
    assert again.time == run.time
    assert [e.generation for e in again.events[: len(run.events)]] == [0] * len(run.events)


def test_uncertain_searches_are_handed_back(copper, tmp_path):
    """The potential of perfect copper knows no saddle."""
    maker = EonKmcMaker(stop_rule=StopRule(gamma=10.0), **QUICK)
    run = maker.explore(copper, AtomicStructure.from_ase(vacancy()), None, tmp_path)
    assert run.halted
    assert (run.n_steps, run.n_halted >= 1) == (0, True)
    assert all(frame.origin == "kmc" and frame.gamma > 3.0 for frame in run.frames)
    assert [frame.required for frame in run.frames].count(True) == 1


def test_the_lowest_barrier_is_confirmed(potential, copper_batch, batch, tmp_path):
    """A potential of few functions is off by some 10 meV, which no gamma tells, and learns the difference."""
    start = AtomicStructure.from_ase(vacancy())
    maker = EonKmcMaker(
        stop_rule=StopRule(gamma=1e6, smallest_distance=0.0),
        **(QUICK | {"n_confirm": 3, "barrier_tolerance": 0.005}),
    )
    first = maker.explore(potential, start, None, made(tmp_path / "first"))
    assert (first.end_reason, first.halted, first.n_steps) == ("unconfirmed", True, 0)
    assert len(first.to_confirm) == 1, "all hops are one kind"
    assert [frame.required for frame in first.frames] == [True, True]
    labels = label_batch(first.frames, EMT(), prefix="confirm")
    refitted = LinearAceFitMaker(n_functions=60).fit([copper_batch, batch, labels], tmp_path)
    second = maker.explore(refitted, start, first, made(tmp_path / "second"), [labels])
    (asked,) = second.confirmed
    assert asked.largest_force < 0.5
    error, left = abs(asked.barrier - asked.oracle_barrier), abs(asked.barrier_after - asked.oracle_barrier)
    assert left < max(error, 0.005)
    assert second.end_reason == ("steps" if left <= 0.005 else "unconfirmed")


def test_replicas_leave_a_state_by_dynamics(potential, tmp_path):
    """Hot enough for the vacancy to hop within picoseconds."""
    maker = EonKmcMaker(
        method="parallel_replica",
        temperature=1300.0,
        replica_time=3.0,
        timestep=3.0,
        stop_rule=StopRule(gamma=1e6, smallest_distance=0.0),
        **(QUICK | {"batch": 2}),
    )
    run = maker.explore(potential, AtomicStructure.from_ase(vacancy()), None, tmp_path)
    assert (run.method, run.end_reason, run.n_steps) == ("parallel_replica", "steps", 1)
    (step,) = run.steps
    assert 1e-13 < step.time <= run.time < 1e-9
    assert (step.event, run.events) == (None, [])
    first, last = run.states[0].structure.to_ase(), run.final.to_ase()
    assert run.n_crashed == run.n_halted == 0
    assert run.final.formula == "Cu31"
    moved = np.linalg.norm(find_mic(last.positions - first.positions, first.cell)[0], axis=1)
    assert moved.max() > 1.0


def test_prefactors_can_be_computed(done, potential, tmp_path):
    """Vineyard's, from eOn's own Hessians; of a hop and of the way back they are one."""
    maker, run, _ = done
    computed = replace(maker, prefactor="htst", max_recheck=2, max_wall_time=1.0, batch=1)
    again = computed.explore(
        potential, AtomicStructure.from_ase(vacancy()), run.model_copy(update={"potential": "x"}), tmp_path
    )
    assert {event.outcome for event in again.rechecked} == {"Success"}
    found = [read_results(path) for path in sorted(tmp_path.glob("resume/eon/own/again-*/results.dat"))]
    for results in found:
        forth, back = (results[f"prefactor_{x}"] for x in ("reactant_to_product", "product_to_reactant"))
        assert 1e11 < forth < 1e14
        assert forth == pytest.approx(back, rel=0.1)
