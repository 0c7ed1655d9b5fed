"""The loop under an adaptive policy: explorers offer, the selection decides, the record says what came."""

from dataclasses import replace

import pytest
from ase.build import bulk
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore

from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.flows.policy import ExplorationPolicy
from mlip_autopipec.flows.progress import LoopLimits
from mlip_autopipec.flows.validate import ValidationMaker
from mlip_autopipec.generation import PerturbationMaker, SeedStructuresMaker
from mlip_autopipec.oracle import AseStaticMaker, LabelBatchMaker
from mlip_autopipec.report import read_campaign, summary_text
from mlip_autopipec.report.details import decisions
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.selection import VOptimalSelectionMaker
from mlip_autopipec.store import find_outputs
from mlip_autopipec.training import LinearAceFitMaker
from mlip_autopipec.validation import StabilityMaker

ARMS = {"md": 1.0, "vacancy": 1.0, "strain": 1.0}
FIT = {"cutoff": 3.6, "n_functions": 30}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Three generations on copper by EMT; the outputs of each stage in the order of generations."""
    label = LabelBatchMaker(oracle_maker=AseStaticMaker(calculator="emt"))
    maker = ActiveLearningMaker(
        # No displaced atom among the first labels, so that there is something to learn in all generations.
        seed_maker=SeedStructuresMaker(n_atoms=4, n_strained=4, n_rattled=8, n_volumes=6),
        selection_maker=VOptimalSelectionMaker(**FIT, arms=ARMS),
        label_maker=label,
        fit_maker=LinearAceFitMaker(**FIT),
        exploration_maker=LammpsMDMaker(stop_rule=StopRule(gamma=2.5), gamma_select=2.0, frame_spacing=1),
        validation_maker=ValidationMaker(
            label_maker=label, n_held_out=2, stability_maker=StabilityMaker(n_atoms=32, n_steps=10)
        ),
        perturbation_maker=PerturbationMaker(gamma_select=1.2, arm_strain=0.08),
        policy=ExplorationPolicy(kind="adaptive", arms=ARMS, offers=3),
        limits=LoopLimits(max_generations=3),
        temperatures=(600.0, 1200.0),
        n_steps=60,
        n_initial=14,
    )
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    run_locally(
        maker.make([AtomicStructure.from_ase(bulk("Cu", cubic=True))]),
        store=store,
        ensure_success=True,
        create_folders=True,
        root_dir=tmp_path_factory.mktemp("adaptive"),
        log=False,
    )

    def outputs(stage=None):
        if stage is None:
            return read_campaign(store)
        found = sorted(find_outputs(store, stage=stage), key=lambda one: one.metadata["generation"])
        return [one.output for one in found]

    return outputs


def test_explorers_offer_and_nothing_offered_is_owed_a_label(finished):
    searches = finished("search")
    assert searches
    offered = [c for doc in searches for c in doc.candidates]
    assert {c.arm for c in offered} <= {"vacancy", "strain"}
    assert offered
    assert not any(c.required for c in offered)


def test_labels_are_chosen_among_all_offers_by_the_error_they_lower(finished):
    first, *later = finished("select")
    assert first.n_considered > 14
    assert later
    for doc in later:
        assert len(doc.candidates) <= 4 + 2  # one more for each walk that is stuck
        assert 0.0 < sum(doc.gain) <= 1.0
        assert all(c.arm or c.audit for c in doc.candidates)
    walked = {c.arm for doc in later for c in doc.candidates if c.origin == "md" and not c.audit}
    assert walked <= {"md 600 K", "md 1200 K"}


def test_the_walks_go_on_at_all_temperatures(finished):
    temperatures = {run.walker.temperature for run in finished("explore")}
    assert temperatures == {600.0, 1200.0}


def test_the_record_says_what_labels_were_worth(finished):
    (end,) = finished("conclude")
    decisions, arms = end.state.decisions, {arm.arm: arm for arm in end.state.arms}
    assert [d.generation for d in decisions] == list(range(len(decisions)))
    assert all(d.slots == {"vacancy": 3, "strain": 3} for d in decisions)
    paid = finished("measure")
    assert sum(arm.n_labels for arm in arms.values()) == sum(e.n_labels for d in paid for e in d.errors)
    assert all(e.force_error > 0.0 for d in paid for e in d.errors)
    assert all(e.force_error_before is None for e in paid[0].errors)
    assert all(e.force_error_before is not None for e in paid[-1].errors)
    seen = set()
    for error in (error for doc in paid for error in doc.errors):
        assert (error.force_error_before is None) == (error.arm not in seen)
        seen.add(error.arm)
    assert len(seen) > 1
    assert sum(len(doc.errors) for doc in paid) > len(seen)
    assert "error" in decisions[-1].reason


def test_it_is_told_while_the_campaign_runs_and_afterwards(finished):
    campaign = finished()
    told = str(decisions(campaign))
    assert "labels go where they lower the expected error most" in told
    generation, last = campaign.measured[-1]
    assert f"labels of generation {generation}: {last.errors[0].n_labels} to" in summary_text(campaign)
    early = replace(campaign, end=None)
    assert "error met" in str(decisions(early))
    assert "All decisions" not in str(decisions(early))
