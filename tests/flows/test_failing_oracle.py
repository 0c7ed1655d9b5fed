"""A loop whose oracle fails on what the walks find goes on elsewhere; only a row of failures ends it."""

import json
import sys
from pathlib import Path

import pytest
from ase.build import bulk

from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.errors import StoreError
from mlip_autopipec.execution.local import run_local
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.flows.progress import LoopLimits
from mlip_autopipec.flows.validate import ValidationMaker
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.oracle import AseStaticMaker, LabelBatchMaker
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.store import find_outputs, load_output, open_store
from mlip_autopipec.training import LinearAceFitMaker
from mlip_autopipec.validation import StabilityMaker

sys.path.insert(0, str(Path(__file__).parent))  # worker processes get the path of this one

FIT = {"cutoff": 3.6, "n_functions": 30}
N_INITIAL = 16


@pytest.fixture
def campaign(tmp_path):
    """Run a campaign of one label a generation; gives the summary, the batches, and the end if any."""
    oracle = AseStaticMaker(calculator="refusing_calculator:RefusingEMT")
    maker = ActiveLearningMaker(
        # Hardly a displaced atom, so that walks halt at once, with one frame each and nothing to spare.
        seed_maker=SeedStructuresMaker(n_atoms=4, n_strained=2, n_rattled=6, n_volumes=8),
        label_maker=LabelBatchMaker(oracle_maker=oracle),
        fit_maker=LinearAceFitMaker(**FIT),
        exploration_maker=LammpsMDMaker(stop_rule=StopRule(gamma=1.3), gamma_select=1.1, frame_spacing=1),
        validation_maker=ValidationMaker(
            label_maker=LabelBatchMaker(oracle_maker=AseStaticMaker(calculator="emt")),
            checks=(),
            n_held_out=2,
            stability_maker=StabilityMaker(n_atoms=32, n_steps=10),
        ),
        limits=LoopLimits(max_generations=4, max_repairs=0, max_failed_batches=2),
        temperatures=(1500.0,),
        n_steps=60,
        n_initial=N_INITIAL,
        batch_size=1,
        audit_share=0.0,
    )
    flow = identify(maker.make([AtomicStructure.from_ase(bulk("Cu", cubic=True))]))

    def run(first, last):
        (tmp_path / "refused").write_text(json.dumps([first, last]))
        with open_store(tmp_path) as store:
            summary = run_local(flow, store=store, directory=tmp_path, workers=1)
            outputs = sorted(find_outputs(store, stage="label"), key=lambda one: one.metadata["generation"])
            batches = [one.output for one in outputs if one.name == "gather labels"]
            try:
                end = load_output(store, flow.output.uuid)
            except StoreError:
                end = None
        return summary, batches, end

    return run


def counts(batches):
    return [(batch.n_labels, len(batch.failed)) for batch in batches]


def test_a_generation_without_any_label_sends_its_walker_elsewhere(campaign):
    summary, batches, end = campaign(N_INITIAL + 1, N_INITIAL + 1)
    assert counts(batches) == [(N_INITIAL, 0), (0, 1), (1, 0)]
    assert "call 17: no convergence in 100 iterations" in batches[1].failed[0].reason
    assert batches[2].labels[0].label.structure != batches[1].failed[0].structure
    history = end.state.history
    assert [(one.n_labels, one.n_failed) for one in history] == [(16, 0), (16, 1), (16, 0), (17, 0)]
    assert (end.state.failed_batches, end.n_training_labels, summary.failed) == (0, 17, 1)


def test_a_row_of_failed_batches_ends_the_campaign_until_the_cause_is_mended(campaign):
    summary, batches, end = campaign(N_INITIAL + 1, 1000)
    assert (counts(batches), end) == ([(N_INITIAL, 0), (0, 1)], None)
    (gather,) = (failure for failure in summary.failures if failure.name == "gather labels")
    assert gather.error.startswith(
        "CampaignError: 1 of 1 labels failed; at most 50% may. So it was in the batch before. The first (Cu4)"
    )
    assert gather.error.endswith("call 18: no convergence in 100 iterations")
    summary, batches, end = campaign(0, 0)
    # The batch that ended it is tried again, the one before is not: the campaign had gone on without it.
    assert counts(batches) == [(N_INITIAL, 0), (0, 1), (1, 0)]
    assert end.n_training_labels == 17
