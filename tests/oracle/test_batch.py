import pytest
from ase.build import bulk
from jobflow import run_locally
from monty.json import MontyDecoder

from mlip_autopipec.errors import CampaignError
from mlip_autopipec.execution.local import run_local
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.oracle import AseStaticMaker, LabelBatchMaker
from mlip_autopipec.oracle.batch import check_one_fingerprint
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    SelectionDoc,
)
from mlip_autopipec.store import find_outputs, load_output, open_store


def decoded(document):
    return MontyDecoder().process_decoded(document)


def candidates(*elements):
    return [
        CandidateStructure(structure=AtomicStructure.from_ase(bulk(e)), origin="rattle", detail=e, gamma=2.0)
        for e in elements
    ]


def selection(*elements, spare=()):
    return SelectionDoc.of(candidates(*elements)).model_copy(update={"spare": candidates(*spare)})


def run(job, store, **options):
    run_locally(job, store=store, **options)
    return job


def gathered(labels, label_ids, *elements):
    maker = LabelBatchMaker()
    return maker.gather.original(maker, labels, label_ids, selection(*elements))


def records(store, name):
    return [d for d in store.query({}) if d["name"].startswith(name)]


def test_a_batch_labels_every_structure_in_order(store):
    job = run(LabelBatchMaker().make(selection("Cu", "Al", "Ag")), store, ensure_success=True)
    batch = decoded(store.get_output(job.uuid, which="last", load=True))
    assert [e.label.structure.symbols for e in batch.labels] == [["Cu"], ["Al"], ["Ag"]]
    assert [(e.origin, e.detail, e.gamma) for e in batch.labels][1] == ("rattle", "Al", 2.0)
    assert (batch.n_labels, batch.failed) == (3, [])
    assert batch.wall_time == sum(e.label.wall_time for e in batch.labels)


def test_label_ids_are_the_uuids_of_the_label_jobs(store):
    job = run(LabelBatchMaker().make(selection("Cu", "Al")), store, ensure_success=True)
    batch = decoded(store.get_output(job.uuid, which="last", load=True))
    for entry in batch.labels:
        label = decoded(store.get_output(entry.label_id, load=True))
        assert label == entry.label


def test_a_failed_label_is_reported_and_the_others_are_kept(store):
    job = run(LabelBatchMaker().make(selection("Cu", "Si", "Al")), store)
    batch = decoded(store.get_output(job.uuid, which="last", load=True))
    assert [e.label.structure.symbols for e in batch.labels] == [["Cu"], ["Al"]]
    assert [f.structure.formula for f in batch.failed] == ["Si2"]
    assert batch.failed[0].label_id not in {e.label_id for e in batch.labels}
    assert batch.failed[0].reason == (
        "CalculationError: calculator 'emt' failed on Si2: NotImplementedError: No EMT-potential for Si"
    )
    assert not store.query_one({"uuid": batch.failed[0].label_id})


def test_a_failure_of_an_earlier_attempt_is_forgotten(store):
    label = LabelBatchMaker().label_job(1, 1, selection("Si").candidates[0])
    run(label, store)
    record = store.docs_store.query_one({"uuid": f"{label.uuid} failed"})
    assert record["reason"].startswith("CalculationError")
    other = AseStaticMaker(calculator="lj").make(selection("Si").candidates[0].structure)
    other.uuid = label.uuid
    run(other, store, ensure_success=True)
    assert store.docs_store.query_one({"uuid": f"{label.uuid} failed"}) is None


def test_the_reason_survives_the_local_manager_which_holds_outputs_back(tmp_path):
    batch_of = identify(LabelBatchMaker().make(selection("Cu", "Si", "Al")))
    opened = open_store(tmp_path)
    summary = run_local(batch_of, store=opened, directory=tmp_path, workers=1)
    batch = load_output(opened, batch_of.uuid)
    assert batch.failed[0].reason.endswith("No EMT-potential for Si")
    # The job has failed, and is not tried again, for its batch could do without it.
    assert (summary.failed, batch.n_labels) == (1, 2)
    again = run_local(batch_of, store=opened, directory=tmp_path, workers=1)
    assert (again.done, again.failed) == (0, 1)
    assert "failed label" not in {found.name for found in find_outputs(opened)}


def test_a_label_that_was_killed_says_that_nothing_is_known():
    with pytest.raises(CampaignError, match=r"The first \(Si2\): no reason recorded: .*killed"):
        gathered([None], ["a"], "Si")


def test_labels_and_gather_have_names_metadata_and_small_documents(store):
    job = LabelBatchMaker().make(selection("Cu", "Al"))
    job.update_metadata({"stage": "label", "generation": 3}, dynamic=True)
    run(job, store, ensure_success=True)
    labels = sorted((d for d in store.query({}) if "label" in d["metadata"]), key=lambda d: d["name"])
    assert [d["name"] for d in labels] == ["label 1/2", "label 2/2"]
    assert labels[1]["metadata"] == {"label": "2/2", "origin": "rattle", "stage": "label", "generation": 3}
    gather = store.docs_store.query_one({"name": "gather labels"})
    assert gather["metadata"]["stage"] == "label"
    assert "blob_uuid" in gather["output"]["labels"]


def test_all_failing_ends_the_campaign(store, caplog):
    run_locally(LabelBatchMaker().make(selection("Si", "Ge")), store=store)
    assert "CampaignError: 2 of 2 labels failed; at most 50% may." in caplog.text
    assert not records(store, "gather")


@pytest.mark.parametrize("lenient", [False, True])
def test_spare_structures_stand_in_when_too_many_fail(lenient, tmp_path):
    chosen = selection("Si", "Ge", "Cu", spare=["Fe", "Al", "Ag", "Au"])
    batch_of = identify(LabelBatchMaker(lenient=lenient).make(chosen))
    with open_store(tmp_path) as opened:
        summary = run_local(batch_of, store=opened, directory=tmp_path, workers=1)
        batch = load_output(opened, batch_of.uuid)
        # Two of three failed, then three of five; one more made up for it, and the last was not needed.
        assert [e.detail for e in batch.labels] == ["Cu", "Al", "Ag"]
        assert [f.structure.symbols[0] for f in batch.failed] == ["Si", "Ge", "Fe"]
        assert summary.failed == 3
        assert run_local(batch_of, store=opened, directory=tmp_path, workers=1).done == 0


def test_a_lenient_batch_may_have_no_label_at_all(store):
    job = run(LabelBatchMaker(lenient=True).make(selection("Si", spare=["Ge"])), store)
    batch = decoded(store.get_output(job.uuid, which="last", load=True))
    assert (batch.n_labels, len(batch.failed), batch.wall_time) == (0, 2, 0.0)


@pytest.mark.parametrize(("n_before", "words"), [(1, "the batch"), (2, "the 2 batches")])
def test_a_row_of_failed_batches_is_told(n_before, words):
    maker = LabelBatchMaker()
    with pytest.raises(
        CampaignError, match=rf"at most 50% may. So it was in {words} before. The first \(Si2"
    ):
        maker.gather.original(maker, [None], ["a"], selection("Si"), n_before)


@pytest.mark.parametrize(("fraction", "ok"), [(0.34, True), (0.33, False)])
def test_the_accepted_fraction_is_a_bound(fraction, ok, store):
    run(LabelBatchMaker(max_failed_fraction=fraction).make(selection("Cu", "Si", "Al")), store)
    assert bool(records(store, "gather")) is ok


def test_the_error_names_the_command_that_shows_the_failures():
    with pytest.raises(CampaignError, match="mlip-auto status"):
        gathered([None], ["a"], "Si")


def test_labels_of_two_oracles_are_refused(store):
    first = LabelBatchMaker().make(selection("Cu"))
    other = AseStaticMaker(calculator_kwargs={"asap_cutoff": True})
    second = LabelBatchMaker(oracle_maker=other).make(selection("Cu"))
    for job in (first, second):
        run_locally(job, store=store, ensure_success=True)
    entries = [decoded(store.get_output(j.uuid, which="last", load=True)).labels[0] for j in (first, second)]
    check_one_fingerprint(entries[:1])
    with pytest.raises(CampaignError, match=r"different conditions: asap_cutoff: \(not set\) / True"):
        check_one_fingerprint(entries)
    labels = [e.label for e in entries]
    with pytest.raises(CampaignError, match="different conditions"):
        gathered(labels, ["a", "b"], "Cu", "Cu")


def test_an_empty_selection_is_an_empty_batch(store):
    job = run(LabelBatchMaker().make(selection()), store, ensure_success=True)
    assert decoded(store.get_output(job.uuid, which="last", load=True)).n_labels == 0
