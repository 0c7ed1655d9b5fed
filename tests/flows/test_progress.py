"""What the loop does next: every branch of the transition functions."""

from dataclasses import replace

import pytest
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.progress import (
    LoopLimits,
    Outcome,
    advanced,
    audits,
    halt_rate_limit,
    moved,
    new_round,
)
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    ErrorStatistics,
    ExplorationDoc,
    ThermoTable,
    Walker,
    WorkflowState,
)

ERRORS = ErrorStatistics(
    n_structures=1, energy_rmse=0.1, energy_mae=0.1, force_rmse=0.2, force_mae=0.2, force_max=0.3
)
LIMITS = LoopLimits(quiet_rounds=2, max_labels=50, max_generations=10, max_stuck=2, min_progress=20)
TABLE = ThermoTable(step=[0], temperature=[1.0], potential_energy=[0.0], pressure=[0.0], gamma=[1.0])


def walker(index=0, **kwargs):
    return Walker(index=index, round=0, start=0, temperature=300.0, n_steps=100, seed=5, **kwargs)


def run(of=None, reason="completed", start=0, end=100, gamma=1.5):
    return ExplorationDoc(
        walker=of or walker(),
        engine="test",
        timestep=1.0,
        start_step=start,
        end_step=end,
        end_reason=reason,
        gamma_limit=5.0,
        gamma_start=1.0,
        gamma_max=gamma,
        thermo=TABLE,
        frames=[],
        final=AtomicStructure.from_ase(bulk("Cu")),
        wall_time=0.0,
    )


def state(**kwargs):
    return WorkflowState(**({"seeds": "s", "potentials": ["p"], "walkers": [walker()]} | kwargs))


def step(before, *runs, n_labels=0, n_failed=0, limits=LIMITS):
    ids = [f"run-{r.walker.index}" for r in runs]
    return advanced(before, Outcome(runs, ids, ERRORS, n_labels, n_failed), limits)


# A round


def test_every_crystal_walks_at_every_temperature():
    found = new_round(2, [300.0, 900.0], 50, 3, seed=1)
    assert [(w.index, w.start, w.temperature) for w in found] == [
        (0, 0, 300.0),
        (1, 0, 900.0),
        (2, 1, 300.0),
        (3, 1, 900.0),
    ]
    assert {(w.round, w.n_steps, w.steps_done, w.finished) for w in found} == {(3, 50, 0, False)}


@given(st.integers(0, 2**31), st.integers(0, 20))
def test_seeds_differ_between_walkers_and_rounds_and_repeat(seed, number):
    one, again, later = (new_round(3, [1.0, 2.0], 5, n, seed) for n in (number, number, number + 1))
    assert one == again
    assert len({w.seed for w in one + later}) == 12


# A walker


def test_a_walk_to_its_end_is_finished():
    found = moved(walker(n_stuck=2), run(), "r", LIMITS)
    assert (found.finished, found.given_up, found.steps_done, found.n_stuck, found.n_halts) == (
        True,
        None,
        100,
        0,
        0,
    )
    assert found.resume_from == "r"


def test_a_halt_with_progress_is_resumed_from():
    found = moved(walker(n_stuck=1), run(reason="gamma", start=10, end=30), "r", LIMITS)
    assert (found.finished, found.steps_done, found.resume_from) == (False, 30, "r")
    assert (found.n_halts, found.n_stuck, found.seed) == (1, 0, 5)


def test_a_halt_without_progress_is_resumed_from_and_counted():
    found = moved(walker(n_stuck=1), run(reason="gamma", start=10, end=29), "r", LIMITS)
    assert (found.finished, found.steps_done, found.resume_from, found.n_stuck) == (False, 29, "r", 2)


@pytest.mark.parametrize("reason", ["smallest_distance", "temperature", "lost_atoms", "not_finite"])
def test_a_broken_end_starts_again_with_other_velocities(reason):
    before = walker(steps_done=40, resume_from="old")
    found = moved(before, run(reason=reason, start=40, end=90), "r", LIMITS)
    assert (found.finished, found.steps_done, found.resume_from) == (False, 0, None)
    assert (found.n_halts, found.n_stuck) == (1, 1)
    assert found.seed != before.seed
    third = moved(found, run(reason=reason), "r", LIMITS)
    assert len({before.seed, found.seed, third.seed}) == 3


@pytest.mark.parametrize("reason", ["gamma", "temperature"])
def test_a_walker_without_progress_is_given_up_after_the_limit(reason):
    still = moved(walker(n_stuck=1), run(reason=reason, start=0, end=1), "r", LIMITS)
    assert not still.finished
    found = moved(still, run(reason=reason, start=0, end=1), "r", LIMITS)
    assert found.finished
    assert found.given_up == f"3 halts in a row without progress ({reason})"


def test_a_walker_that_keeps_halting_goes_on_cooler():
    limits = replace(LIMITS, max_stuck=5, cool_after=2)
    found, temperatures = walker(), []
    for end in (1, 2, 3, 4, 5):
        found = moved(found, run(found, reason="gamma", start=found.steps_done, end=end), "r", limits)
        temperatures.append(found.temperature)
    assert temperatures == pytest.approx([300.0, 240.0, 240.0, 192.0, 192.0])
    assert (found.cooled_from, found.resume_from, found.finished) == (300.0, "r", False)
    assert moved(walker(), run(reason="gamma", end=90), "r", limits).cooled_from is None
    broken = moved(walker(n_stuck=1), run(reason="temperature", end=1), "r", limits)
    assert (broken.n_stuck, broken.temperature) == (2, 300.0)


def test_progress_in_between_is_forgiven():
    found = walker()
    for end in (1, 2, 40, 41, 42):
        found = moved(found, run(reason="gamma", start=found.steps_done, end=end), "r", LIMITS)
    assert not found.finished
    assert (found.n_halts, found.n_stuck) == (5, 2)


# A generation


def test_a_generation_is_recorded():
    before = state(walkers=[walker(0), walker(1)], n_labels=16, n_failed=1, generation=3)
    after = step(
        before,
        run(walker(0), "gamma", end=30, gamma=7.0),
        run(walker(1), end=100, gamma=1.5),
        n_labels=4,
        n_failed=2,
    )
    (record,) = after.history
    assert record.model_dump() == {
        "generation": 3,
        "n_labels": 20,
        "n_failed": 2,
        "n_explorations": 2,
        "n_halts": 1,
        "n_steps": 130,
        "gamma_max": 7.0,
        "energy_rmse": 0.1,
        "force_rmse": 0.2,
    }
    assert (after.n_labels, after.n_failed, after.completed) == (20, 3, ["run-1"])
    assert after.stop_reason is None
    assert before.history == []


def test_walkers_that_rested_stay_as_they_are():
    resting = walker(1, finished=True, steps_done=100)
    after = step(state(walkers=[walker(0), resting]), run(walker(0), "gamma", end=50))
    assert after.walkers[1] == resting
    assert after.walkers[0].steps_done == 50


def test_runs_belong_to_walkers_by_index_and_not_by_order():
    after = step(state(walkers=[walker(0), walker(1)]), run(walker(1), "gamma", end=50), run(walker(0)))
    assert [w.finished for w in after.walkers] == [True, False]
    assert after.walkers[1].resume_from == "run-1"


def test_two_quiet_rounds_end_the_loop():
    one = step(state(), run())
    assert (one.quiet_rounds, one.stop_reason) == (1, None)
    two = step(one.model_copy(update={"walkers": [walker()]}), run())
    assert (two.quiet_rounds, two.stop_reason) == (2, "no_halt")


def test_a_halt_anywhere_in_a_round_makes_it_a_loud_one():
    first = step(state(quiet_rounds=1), run(reason="gamma", end=50))
    assert (first.quiet_rounds, first.round_halts) == (1, 1)  # the round goes on
    second = step(first, run(first.walkers[0], start=50))
    assert (second.quiet_rounds, second.round_halts, second.stop_reason) == (0, 0, None)


def test_a_round_with_a_walker_given_up_is_not_quiet():
    after = step(state(walkers=[walker(n_stuck=2)], quiet_rounds=1), run(reason="temperature", end=1))
    assert after.walkers[0].given_up
    assert (after.quiet_rounds, after.stop_reason) == (0, None)


@pytest.mark.parametrize(("bought", "reason"), [(9, None), (10, "label_budget"), (11, "label_budget")])
def test_the_budget_of_labels_ends_the_loop(bought, reason):
    after = step(state(n_labels=40), run(reason="gamma", end=50), n_labels=bought)
    assert after.stop_reason == reason


@pytest.mark.parametrize(("generation", "reason"), [(8, None), (9, "generation_limit")])
def test_the_number_of_generations_ends_the_loop(generation, reason):
    assert step(state(generation=generation), run(reason="gamma", end=50)).stop_reason == reason


def test_certainty_is_named_before_an_empty_purse():
    assert step(state(quiet_rounds=1, n_labels=60, generation=99), run()).stop_reason == "no_halt"


def test_an_outcome_of_other_lengths_is_refused():
    with pytest.raises(ValueError, match="argument"):
        advanced(state(), Outcome([run()], [], ERRORS, 0, 0), LIMITS)


@given(
    st.lists(
        st.tuples(st.sampled_from(["gamma", "completed", "temperature"]), st.integers(1, 100)), max_size=40
    )
)
def test_the_loop_always_ends(outcomes):
    """Whatever happens, generations are counted and the loop stops at its limit at the latest."""
    now, generation = state(), 0
    outcomes = outcomes + [("gamma", 1)] * 20
    for reason, length in outcomes:
        (active,) = now.walkers
        start = active.steps_done
        now = step(now, run(active, reason, start=start, end=start + length))
        if now.stop_reason:
            break
        generation += 1
        update = {"generation": generation}
        if now.walkers[0].finished:
            update["walkers"] = [walker()]
        now = now.model_copy(update=update)
    assert now.stop_reason is not None
    assert generation < LIMITS.max_generations


# Audits


def ended(index):
    done = run(walker(index))
    end = CandidateStructure(structure=done.final, origin="md", audit=True, required=True)
    return done.model_copy(update={"certain": end})


@pytest.mark.parametrize(
    ("n_labels", "n_audited", "n"), [(0, 0, 0), (20, 0, 1), (20, 1, 0), (21, 1, 1), (200, 1, 2)]
)
def test_as_many_audits_as_are_due_and_possible(n_labels, n_audited, n):
    before = state(n_labels=n_labels, n_audited=n_audited)
    runs = [ended(0), run(walker(1), "gamma", end=3), ended(2)]
    chosen = audits(before, Outcome(runs, ["a", "b", "c"], ERRORS, 0, 0), 0.05, seed=1)
    assert len(chosen) == n
    assert set(chosen) <= {"a", "c"}
    assert chosen == audits(before, Outcome(runs, ["a", "b", "c"], ERRORS, 0, 0), 0.05, seed=1)
    assert audits(before, Outcome(runs, ["a", "b", "c"], ERRORS, 0, 0), 0.0, seed=1) == []


# Statistics of halts


def test_time_without_a_halt_adds_up_and_a_halt_ends_it():
    two = [walker(0), walker(1)]
    once = step(state(walkers=two), run(walker(0)), run(walker(1), start=40))
    assert (once.quiet_walks, once.quiet_time) == (2, pytest.approx(0.16))
    again = step(once.model_copy(update={"walkers": two}), run(walker(0)), run(walker(1)))
    assert (again.quiet_walks, again.quiet_time) == (4, pytest.approx(0.36))
    assert halt_rate_limit(again) == pytest.approx(2.9957 / 0.36e-3, rel=1e-4)
    # the walk beside a halted one was with the potential that is now replaced
    loud = step(again.model_copy(update={"walkers": two}), run(walker(0)), run(walker(1), "gamma", end=9))
    assert (loud.quiet_walks, loud.quiet_time, halt_rate_limit(loud)) == (0, 0.0, None)


def test_the_loop_goes_on_until_halts_are_rare_enough():
    limits = replace(LIMITS, max_halt_rate=10_000.0)  # one in 0.1 ps, which takes 0.3 ps to show
    found, rounds = state(), 0
    while found.stop_reason is None:
        found = step(found.model_copy(update={"walkers": [walker()]}), run(), limits=limits)
        rounds += 1
    assert (rounds, found.stop_reason) == (3, "no_halt")
    assert halt_rate_limit(found) < 10_000.0


def test_a_rate_that_is_not_positive_is_refused():
    with pytest.raises(ConfigError, match=r"'max_halt_rate' must be positive, got 0.0 1/ns"):
        LoopLimits(max_halt_rate=0.0)
