"""Projects are copied whole, may be copied on, and never overwrite anything."""

import pytest
from jobflow import Flow

from mlip_autopipec.cli.store import copy_project
from mlip_autopipec.errors import ConfigError, RunLockedError, StoreError
from mlip_autopipec.execution.folder import locked
from mlip_autopipec.execution.local import run_local
from mlip_autopipec.oracle import LabelBatchMaker
from mlip_autopipec.schemas import CandidateStructure, SelectionDoc
from mlip_autopipec.store import SqliteStore, find_outputs, open_existing, open_store
from mlip_autopipec.store.encoding import digest
from mlip_autopipec.store.transfer import copy_collection


@pytest.fixture(scope="module")
def flow(copper_batch):
    """Labels, made by a job that replaces itself."""
    chosen = [
        CandidateStructure(structure=one.label.structure, origin="rattle") for one in copper_batch.labels[:30]
    ]
    selection = SelectionDoc(
        candidates=chosen, n_considered=30, n_duplicates=0, gain=[0.0] * 30, n_functions=1
    )
    labels = LabelBatchMaker().make(selection)
    labels.update_metadata({"stage": "label", "generation": 0}, dynamic=True)
    return Flow([labels])


@pytest.fixture(scope="module")
def project(tmp_path_factory, flow):
    """A run folder."""
    directory = tmp_path_factory.mktemp("project") / "run"
    with open_store(directory) as store:
        assert run_local(flow, store=store, directory=directory, workers=1).failed == 0
    (directory / "config.yaml").write_text("composition: Cu\n")
    return directory


def content(store):
    return {(d["uuid"], d["index"]): digest(d) for d in store.query(load=True)}


def test_to_mongodb_and_back_without_loss(project, flow, mongo_uri, tmp_path, capsys):
    uri = mongo_uri()
    copy_project(str(project), uri)
    copy_project(uri, str(tmp_path / "back"))
    copy_project(str(tmp_path / "back"), str(tmp_path / "again"))
    told = capsys.readouterr().out
    assert told.count("all compared by hash") == 9
    assert f"{uri} holds all of {project}" in told
    found = []
    for place in (project, uri, tmp_path / "back", tmp_path / "again"):
        with open_existing(place) as store:
            found.append((content(store), find_outputs(store, stage="label")))
    assert len(found[0][0]) == 33
    assert all(one == found[0] for one in found[1:])
    with open_store(tmp_path / "again") as store:
        again = run_local(flow, store=store, directory=tmp_path / "again", workers=1)
    assert (again.done, again.reused) == (0, 33)


def test_goes_on_where_it_was_cut_off(project, mongo_uri, capsys):
    uri = mongo_uri()
    copy_project(str(project), uri)
    with open_existing(uri) as store:
        doomed = [d["uuid"] for d in store.query({"name": {"$regex": "label 2"}})]
        assert len(doomed) > 5
        store.remove_docs({"uuid": {"$in": doomed}})
    capsys.readouterr()
    copy_project(str(project), uri)
    told = capsys.readouterr().out.splitlines()
    assert f"{len(doomed)} written now" in told[1]
    copy_project(str(project), uri)
    assert all(" 0 written now" in line for line in capsys.readouterr().out.splitlines()[:3])


def test_overwrites_nothing(project, mongo_uri, tmp_path):
    uri = mongo_uri()
    with open_existing(uri) as store:
        store.update({"uuid": "somebody", "index": 1, "output": 1})
    with pytest.raises(StoreError, match=r"holds 1 documents that are not in .*, such as 'somebody' in jobs"):
        copy_project(str(project), uri)
    with open_existing(uri) as store:
        assert (store.count(), store.additional_stores["data"].count()) == (1, 0)
    copy_project(str(project), str(tmp_path / "copy"))
    with open_store(tmp_path / "copy") as store:
        document = store.query_one({"name": "label 1/30"})
        document["output"]["energy"] += 1e-9
        store.update(document)
    with pytest.raises(StoreError, match=r"has another \S+/1 in jobs than .*; it was left as it is"):
        copy_project(str(project), str(tmp_path / "copy"))


def test_refuses_what_makes_no_sense(project, tmp_path):
    with pytest.raises(ConfigError, match="cannot be copied to itself"):
        copy_project(str(project), f"{project}/../run")
    with pytest.raises(StoreError, match="is not a run folder"):
        copy_project(str(tmp_path), str(tmp_path / "x"))
    with locked(project), pytest.raises(RunLockedError, match="is in use by process"):
        copy_project(str(project), str(tmp_path / "x"))


class Forgetful(SqliteStore):
    """Loses each tenth document."""

    def update(self, docs, key=None):
        super().update([d for d in docs if int(d["uuid"]) % 10], key)


class Doubtful(SqliteStore):
    """Keeps one document twice."""

    def count(self, criteria=None):
        return super().count(criteria) + 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        (Forgetful, "did not keep 0/1 of jobs as it was given"),
        (Doubtful, "has 26 documents in jobs, .* has 25"),
    ],
)
def test_a_target_that_does_not_keep_what_it_gets_is_found_out(tmp_path, kind, message):
    with (
        SqliteStore(tmp_path / "a", "jobs", key="uuid") as source,
        kind(tmp_path / "b", "jobs", key="uuid") as target,
    ):
        source.update([{"uuid": str(i), "index": 1} for i in range(25)])
        with pytest.raises(StoreError, match=message):
            copy_collection("jobs", source, target, ("uuid", "index"))
