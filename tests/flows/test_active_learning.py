"""Two speeds: the loop fits fast, the slow fit comes at milestones and at the end."""

from dataclasses import replace

import pytest
from jobflow import OutputReference

from mlip_autopipec.config import MLIPConfig
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.loop_jobs import walked
from mlip_autopipec.schemas import Walker, WorkflowState
from mlip_autopipec.training import LinearAceFitMaker, PacemakerFitMaker


def state(generation, **changes):
    walkers = [Walker(index=0, start=0, temperature=300.0, seed=1, n_steps=10, round=0)]
    found = WorkflowState(seeds="s", batches=["b0"], potentials=["p0"], walkers=walkers, n_starts=1)
    return found.model_copy(update={"generation": generation, **changes})


def slow(flow):
    return [job for job, _ in flow.iterflow() if job.metadata.get("stage") == "refine"]


@pytest.fixture
def maker():
    return ActiveLearningMaker(final_fit_maker=LinearAceFitMaker(name="slow"), milestone_every=2)


def test_the_end_is_a_slow_fit_that_is_judged_and_delivered(maker):
    flow = maker._conclusion(state(3, stop_reason="no_halt"))
    (fit,) = slow(flow)
    initial = fit.function_args[1]
    assert initial.uuid == "p0"
    end = flow.jobs[-1]
    delivered = end.function_args[0]
    assert delivered.final == fit.uuid
    assert delivered.delivered == fit.uuid
    assert delivered.potential == "p0"


def test_without_a_slow_fit_the_last_fast_one_is_delivered():
    flow = ActiveLearningMaker()._conclusion(state(3, stop_reason="no_halt"))
    assert slow(flow) == []
    assert flow.jobs[-1].function_args[0].delivered == "p0"


@pytest.mark.parametrize(("generation", "n_slow"), [(1, 0), (2, 1), (3, 0), (4, 1)])
def test_milestones_come_every_so_many_generations(maker, generation, n_slow):
    flow = maker._generation(state(generation), ["run"], [])
    assert len(slow(flow)) == n_slow
    decision = flow.jobs[-1]
    assert len(decision.function_args[0].milestones) == n_slow


def stages(flow):
    return {job.metadata["stage"]: job for job, _ in flow.iterflow() if "stage" in job.metadata}


def test_gamma_is_calibrated_by_the_potential_that_walked(maker):
    made = stages(maker._generation(state(1, calibration="c0"), ["run"], []))
    potential, batch, previous = made["calibrate"].function_args
    assert (potential.uuid, batch.uuid, previous.uuid) == ("p0", made["label"].uuid, "c0")
    assert made["decide"].function_args[0].calibration == made["calibrate"].uuid


@pytest.mark.parametrize("calibrated", [False, True])
def test_halts_may_be_lifted_once_labels_have_shown_what_the_estimate_is_worth(maker, calibrated):
    maker = replace(maker, calibrated=calibrated)
    assert stages(maker._exploration(state(1), None))["explore"].function_kwargs["limit"] is None
    made = stages(maker._generation(state(1), ["run"], []))
    limit = made["explore"].function_kwargs["limit"]
    if calibrated:
        assert limit == made["calibrate"].output.limit
    else:
        assert limit is None


def test_audits_are_candidates_that_must_be_labelled(maker):
    made = stages(maker._generation(state(1), *walked(["run"], ["quiet"])))
    frames, certain = made["select"].function_args[0]
    assert (frames.uuid, certain[0].uuid) == ("run", "quiet")
    assert certain[0] == OutputReference("quiet").certain
    small = stages(maker._generation(state(1), *walked(["run"], ["quiet"]), embed=True))["embed"]
    assert [start.uuid for start in small.function_args[2]] == ["run", "quiet"]


def test_the_configuration_asks_for_it(tmp_path):
    config = MLIPConfig.model_validate(
        {
            "composition": "Cu",
            "oracle": {"engine": "ase", "calculator": "emt"},
            "training": {"final_fit": "pacemaker", "milestone_every": 3, "tune": True, "max_cost": 80.0},
        }
    )
    found = plan(config, tmp_path).maker
    assert isinstance(found.final_fit_maker, PacemakerFitMaker)
    assert found.milestone_every == 3
    assert found.fit_maker.tuner.max_cost == 80.0


def test_by_default_nothing_is_tuned_and_nothing_is_slow(tmp_path):
    config = MLIPConfig.model_validate(
        {"composition": "Cu", "oracle": {"engine": "ase", "calculator": "emt"}}
    )
    found = plan(config, tmp_path).maker
    assert found.final_fit_maker is None
    assert found.fit_maker.tuner is None
