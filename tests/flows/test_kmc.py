"""Kinetic Monte Carlo in the loop: when it runs, what holds the end back."""

from pathlib import Path

import pytest
from ase.build import bulk

from mlip_autopipec.config import parse_config
from mlip_autopipec.dynamics import EonKmcMaker
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.kmc import kept_open, kmc_candidates, kmc_jobs, note_kmc
from mlip_autopipec.generation import DefectCellMaker
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure, KmcDoc, Walker, WorkflowState

CELL = AtomicStructure.from_ase(bulk("Cu", cubic=True))


def state(**kwargs):
    walker = Walker(index=0, round=0, start=0, temperature=300.0, n_steps=10, seed=1)
    return WorkflowState(seeds="s", potentials=["p"], batches=["b"], walkers=[walker], **kwargs)


def run(end_reason, frames=1):
    frame = CandidateStructure(structure=CELL, origin="kmc", gamma=20.0)
    return KmcDoc(
        engine="eOn",
        potential="x",
        generation=0,
        temperature=300.0,
        confidence=0.9,
        end_reason=end_reason,
        time=0.0,
        n_steps=0,
        states=[],
        events=[],
        steps=[],
        rejected=[],
        outcomes={},
        n_halted=0,
        n_stuck=0,
        n_crashed=0,
        n_force_calls=0,
        gamma_limit=10.0,
        gamma_max=20.0,
        frames=[frame] * frames,
        final=CELL,
        evaluation_time=0.0,
        wall_time=0.0,
    )


def noted(before, doc):
    return note_kmc.original(before, doc)


def test_without_it_nothing_changes():
    same, jobs = kmc_jobs(None, DefectCellMaker(), state())
    assert (same, jobs) == (state(), [])
    ended = state(stop_reason="no_halt")
    assert kept_open(ended, present=False) == ended


def test_the_cell_is_made_once_and_each_run_continues_the_last():
    _, first = kmc_jobs(EonKmcMaker(), DefectCellMaker(), state())
    assert [job.metadata["stage"] for job in first] == ["kmc cell", "kmc", "kmc note"]
    later = state(kmc_cell=first[0].uuid, kmc=[first[1].uuid])
    _, second = kmc_jobs(EonKmcMaker(), DefectCellMaker(), later)
    assert [job.metadata["stage"] for job in second] == ["kmc", "kmc note"]
    assert second[0].function_args[2].uuid == first[1].uuid
    assert kmc_jobs(EonKmcMaker(), DefectCellMaker(), state(kmc_quiet="p"))[1] == []


def test_what_was_labelled_goes_to_the_next_run_and_cells_that_are_embedded_are_not_confirmed():
    later = state(kmc_cell="c", kmc=["k"], kmc_uncertain=True, kmc_atoms=64)
    _, (whole, _) = kmc_jobs(EonKmcMaker(), DefectCellMaker(), later, largest=64)
    assert [batch.uuid for batch in whole.function_kwargs["labels"]] == ["b"]
    assert whole.maker.n_confirm == 3
    _, (embedded, _) = kmc_jobs(EonKmcMaker(), DefectCellMaker(), later, largest=63)
    assert embedded.maker.n_confirm == 0
    _, (first, _) = kmc_jobs(EonKmcMaker(), DefectCellMaker(), state(kmc_cell="c"))
    assert "labels" not in first.function_kwargs


def test_what_is_to_be_confirmed_is_labelled():
    after = noted(state(kmc=["k"]), run("unconfirmed"))
    assert (after.kmc_quiet, len(kmc_candidates(after))) == (None, 1)


def test_what_is_uncertain_is_labelled_and_the_loop_stays_open():
    after = noted(state(kmc=["k"]), run("uncertain"))
    (frames,) = kmc_candidates(after)
    assert (frames.uuid, frames.attributes) == ("k", (("a", "frames"),))
    assert after.kmc_quiet is None
    ended = after.model_copy(update={"stop_reason": "no_halt"})
    assert kept_open(ended, present=True).stop_reason is None
    spent = after.model_copy(update={"stop_reason": "label_budget"})
    assert kept_open(spent, present=True).stop_reason == "label_budget"


def test_the_loop_ends_only_when_it_was_quiet_with_the_last_potential():
    quiet = noted(state(kmc=["k"]), run("steps"))
    assert (quiet.kmc_quiet, kmc_candidates(quiet)) == ("p", [])
    ended = quiet.model_copy(update={"stop_reason": "no_halt"})
    assert kept_open(ended, present=True).stop_reason == "no_halt"
    refitted = ended.model_copy(update={"potentials": ["p", "q"]})
    again = kept_open(refitted, present=True)
    assert (again.stop_reason, again.kmc_quiet) == (None, None)


def test_it_is_given_up_after_three_failures_in_a_row():
    now = state(kmc=["k"])
    quiet = []
    for _ in range(3):
        now = noted(now, run("failed", frames=0))
        quiet.append(now.kmc_quiet)
    assert quiet == [None, None, "p"]
    assert noted(state(kmc=["k"], kmc_failures=2), run("uncertain")).kmc_failures == 0


def test_it_stands_in_the_generation_beside_the_walks():
    maker = ActiveLearningMaker(kmc_maker=EonKmcMaker())
    flow = maker._exploration(state(), {"energy_rmse": 0.0})
    stages = [job.metadata["stage"] for job in flow.jobs]
    assert stages == [
        "explore",
        "kmc cell",
        "kmc",
        "kmc note",
        "decide",
    ]
    assert flow.jobs[-1].function_args[0].uuid == flow.jobs[-2].uuid


def test_the_configuration_makes_it():
    data = {"composition": "Cu", "oracle": {"engine": "ase", "calculator": "emt"}}
    assert plan(parse_config(data), Path()).maker.kmc_maker is None
    data["exploration"] = {"gamma_halt": 7.0}
    data["kmc"] = {"defect": "adatom", "n_atoms": 40, "temperature": 500, "n_steps": 3}
    maker = plan(parse_config(data), Path()).maker
    kmc = maker.kmc_maker
    assert (kmc.temperature, kmc.n_steps, kmc.stop_rule.gamma) == (500.0, 3, 7.0)
    assert kmc.stop_rule == maker.exploration_maker.stop_rule, "one rule for all engines"
    assert (maker.kmc_cell_maker.defect, maker.kmc_cell_maker.n_atoms) == ("adatom", 40)
    data["exploration"] = {"policy": "adaptive", "arms": {"md": 1.0, "kmc": 2.0}}
    weighed = plan(parse_config(data), Path()).maker
    assert weighed.selection_maker.arms["kmc"] == 2.0, "its frames are offers like any other"
    with pytest.raises(ConfigError, match="confidence"):
        parse_config(data | {"kmc": {"defect": "vacancy", "confidence": 2.0}})
