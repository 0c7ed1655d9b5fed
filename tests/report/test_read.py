import pytest

from mlip_autopipec.errors import StoreError
from mlip_autopipec.report import Campaign, read_campaign


def test_an_empty_store_is_an_empty_campaign(store):
    campaign = read_campaign(store)
    assert campaign == Campaign()
    assert campaign.progress == "no label has finished yet"
    assert (campaign.elements, campaign.verdict, campaign.wall_time.total) == ((), None, 0)


def test_reads_a_finished_campaign(store, finished):
    campaign = read_campaign(store)
    assert campaign.end == finished
    assert campaign.generations == tuple(finished.state.history)
    assert [label.entry.label_id for label in campaign.labels] == ["a1", "a2", "b1", "h1", "a1"]
    assert [label.generation for label in campaign.labels] == [0, 0, 1, None, None]
    assert [(f.generation, f.n_labels, f.errors.force_rmse) for f in campaign.fits] == [
        (0, 2, 0.08),
        (1, 3, 0.0567),
    ]
    assert [(w.generation, w.walker.index, w.halted) for w in campaign.walks] == [
        (0, 0, True),
        (0, 1, False),
        (1, 0, False),
    ]
    assert campaign.walks[2].duration == pytest.approx(0.08)
    assert campaign.potential.n_labels == 3
    assert (campaign.verdict, campaign.stop_reason, campaign.progress) == ("pass", "no_halt", "finished")
    assert (campaign.elements, campaign.formulas) == (("Cu",), ("Cu2",))
    assert [(lost.generation, lost.entry.label_id) for lost in campaign.failed] == [(0, "bad00001")]


def test_a_label_shared_with_the_training_costs_nothing_again(store, finished):
    campaign = read_campaign(store)
    assert [label.shared for label in campaign.labels] == [False, False, False, False, True]
    time = campaign.wall_time
    assert (time.training, time.validation, time.fit, time.dynamics) == (6.0, 2.0, 10.0, 90.0)
    assert time.total == 108.0


def test_slow_fits_cost_time_and_are_no_points_of_the_learning_curve(store, write, docs, finished):
    write(docs.potential([docs.point("z")], 3), "refine", 1)
    campaign = read_campaign(store)
    assert [f.n_labels for f in campaign.fits] == [2, 3]
    assert (campaign.wall_time.fit, campaign.wall_time.total) == (15.0, 113.0)


def test_derives_of_an_unfinished_campaign_what_the_loop_will_record(store, finished):
    store.remove_docs({"metadata.stage": "conclude"})
    campaign = read_campaign(store)
    assert campaign.end is None
    assert campaign.generations == tuple(finished.state.history)
    assert campaign.potential.n_labels == 3
    assert campaign.progress == "unfinished, in the validation"


def test_counts_labels_whose_batch_is_not_complete(store, write, docs, generation_zero):
    loose = write(docs.label("x").label, "label", 1, origin="md")
    campaign = read_campaign(store)
    assert campaign.progress == "unfinished, in generation 1"
    last = campaign.training_labels[-1]
    assert (last.entry.label_id, last.generation, last.entry.origin) == (loose, 1, "md")
    assert len(campaign.generations) == 1
    assert campaign.validation is None


def test_the_last_of_several_campaigns_counts(store, write, docs, finished):
    write(docs.potential([docs.point("z")], 9), "fit", 0)
    write(docs.potential([docs.point("z")], 9), "fit", 7)
    write(docs.walk(5), "explore", 7)
    write(docs.batch([docs.label("z")]), "label", 7)
    campaign = read_campaign(store)
    assert [f.n_labels for f in campaign.fits] == [9, 3]
    assert len(campaign.walks) == 3
    assert "z" not in [label.entry.label_id for label in campaign.labels]


def test_reads_the_given_jobs_only(store, write, docs, generation_zero):
    write(docs.batch([docs.label("z")]), "label", 0)
    campaign = read_campaign(store, job_ids=generation_zero)
    assert [label.entry.label_id for label in campaign.labels] == ["a1", "a2"]
    assert (len(campaign.fits), campaign.walks) == (1, ())


def test_names_held_out_labels_that_were_trained_on(store, write, docs, generation_zero):
    write(docs.validation(["h1", "a2"]), "validate")
    assert read_campaign(store).trained_held_out == ("a2",)


def test_does_not_load_structures_and_files_of_walks(store, write, docs, generation_zero):
    data = store.additional_stores["data"]
    unneeded = []
    for doc in store.docs_store.query({"metadata.stage": "explore"}):
        unneeded += [doc["output"][k]["blob_uuid"] for k in ("final", "frames")]
    data.remove_docs({"blob_uuid": {"$in": unneeded}})
    assert len(read_campaign(store).walks) == 2


def test_says_when_data_of_a_walk_are_missing(store, generation_zero):
    doc = store.docs_store.query_one({"metadata.stage": "explore"})
    store.additional_stores["data"].remove_docs({"blob_uuid": doc["output"]["thermo"]["blob_uuid"]})
    with pytest.raises(StoreError, match=f"of job {doc['uuid']} are missing"):
        read_campaign(store)


def test_says_when_walks_have_no_fit(store, write, docs):
    write(docs.walk(), "explore", 0)
    with pytest.raises(StoreError, match="generation 0 has walks in the store but no fit"):
        read_campaign(store)


def test_says_when_a_document_lacks_a_field(store, write, generation_zero):
    doc = store.docs_store.query_one({"metadata.stage": "fit"})
    del doc["output"]["wall_time"]
    store.docs_store.update(doc, key=["uuid", "index"])
    with pytest.raises(StoreError, match="has no wall_time in its output"):
        read_campaign(store)


def test_says_when_a_batch_of_a_finished_campaign_is_missing(store, finished):
    store.remove_docs({"uuid": finished.state.batches[0]})
    with pytest.raises(StoreError, match="batches of labels of the finished campaign are missing"):
        read_campaign(store)
