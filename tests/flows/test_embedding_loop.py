"""The loop around a walk that is too large for the oracle: real LAMMPS, no label of the whole cell."""

import pytest
from ase.build import bulk
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore

from mlip_autopipec.config import parse_config
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.progress import LoopLimits
from mlip_autopipec.flows.validate import ValidationMaker
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.oracle import AseStaticMaker, LabelBatchMaker
from mlip_autopipec.schemas import AtomicStructure, EmbeddingDoc, ExplorationDoc, LabelBatchDoc, SelectionDoc
from mlip_autopipec.selection import DOptimalSelectionMaker, EmbeddingMaker
from mlip_autopipec.store import find_outputs
from mlip_autopipec.training import LinearAceFitMaker
from mlip_autopipec.validation import StabilityMaker

CUTOFF = 3.6


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """Two generations of one walker of 256 copper atoms, by EMT."""
    label = LabelBatchMaker(oracle_maker=AseStaticMaker(calculator="emt"))
    maker = ActiveLearningMaker(
        seed_maker=SeedStructuresMaker(n_atoms=4, n_strained=4, n_rattled=8),
        selection_maker=DOptimalSelectionMaker(cutoff=CUTOFF, n_functions=30),
        label_maker=label,
        fit_maker=LinearAceFitMaker(cutoff=CUTOFF, n_functions=30),
        exploration_maker=LammpsMDMaker(
            min_atoms=200, stop_rule=StopRule(gamma=2.5), gamma_select=2.0, frame_spacing=1
        ),
        embedding_maker=EmbeddingMaker(embed_above=100),
        validation_maker=ValidationMaker(
            label_maker=label, n_held_out=2, stability_maker=StabilityMaker(n_atoms=32, n_steps=10)
        ),
        limits=LoopLimits(max_generations=3),
        temperatures=(1200.0,),
        n_steps=60,
        n_initial=16,
    )
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    flow = maker.make([AtomicStructure.from_ase(bulk("Cu", cubic=True))])
    run_locally(
        flow,
        store=store,
        ensure_success=True,
        create_folders=True,
        root_dir=tmp_path_factory.mktemp("loop"),
        log=False,
    )
    return store


def outputs(store, stage, kind):
    return [f.output for f in find_outputs(store, stage=stage) if isinstance(f.output, kind)]


def test_a_halted_cell_is_labelled_by_a_small_one_and_walks_on_whole(finished):
    runs = outputs(finished, "explore", ExplorationDoc)
    first = next(run for run in runs if run.start_step == 0)
    assert first.end_reason == "gamma"
    assert first.final.n_atoms == first.frames[-1].structure.n_atoms == 256
    again = next(run for run in runs if run.start_step == first.end_step)
    assert again.final.n_atoms == 256
    assert again.gamma_start < first.gamma_max

    found = next(d for d in outputs(finished, "embed", EmbeddingDoc) if d.cells)
    assert found.n_embedded >= 1
    cell = next(c for c in found.cells if c.accepted)
    assert cell.n_host == 256
    assert cell.n_atoms < 128
    assert cell.descriptor_difference < 1e-6

    small = next(c for c in found.candidates if c.required)
    assert small.structure.n_atoms == cell.n_atoms
    chosen = [c for doc in outputs(finished, "select", SelectionDoc) for c in doc.candidates]
    assert small in chosen
    labels = [item for batch in outputs(finished, "label", LabelBatchDoc) for item in batch.labels]
    weights = [item.weights for item in labels if item.label.structure == small.structure]
    assert weights
    assert all(found == small.weights is not None for found in weights)


def test_no_label_is_of_the_whole_cell(finished):
    batches = [b for stage in ("label", "validate") for b in outputs(finished, stage, LabelBatchDoc)]
    assert max(item.label.structure.n_atoms for batch in batches for item in batch.labels) < 128


def test_the_configuration_asks_for_large_walks(tmp_path):
    data = {
        "composition": "Cu",
        "oracle": {"engine": "ase", "calculator": "emt"},
        "exploration": {"min_atoms": 500, "embed_above": 80},
    }
    maker = plan(parse_config(data), tmp_path).maker
    assert maker.exploration_maker.min_atoms == 500
    assert maker.embedding_maker.embed_above == 80
    default = plan(parse_config({**data, "exploration": {}}), tmp_path).maker
    assert default.exploration_maker.min_atoms == 1
    assert default.embedding_maker == EmbeddingMaker()
