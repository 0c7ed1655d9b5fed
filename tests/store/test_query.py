import pytest
from jobflow import Flow, JobStore, Response, job, run_locally
from maggma.stores import MemoryStore
from pydantic import BaseModel

from mlip_autopipec.errors import StoreError
from mlip_autopipec.settings import Settings
from mlip_autopipec.store import StoredOutput, find_outputs, load_output, open_store

# jobflow 0.4 uses a function of monty that is deprecated, and has no order for jobs without connection.
pytestmark = pytest.mark.filterwarnings("ignore:cd is deprecated:FutureWarning", "ignore:Some jobs are not")


class EnergyDoc(BaseModel):
    energy: float
    forces: list[list[float]]


@pytest.fixture
def store(tmp_path):
    store = open_store(tmp_path / "run")
    yield store
    store.close()


@job(output_schema=EnergyDoc, data="forces")
def label(energy):
    return EnergyDoc(energy=energy, forces=[[0.0, 0.0, energy]])


@job
def relabel(energy):
    inner = label(energy)
    return Response(replace=Flow([inner], output={"energy": inner.output.energy}))


@job
def fail():
    raise ValueError("broken")


@job
def refit():
    inner = fail()
    return Response(replace=Flow([inner], output=inner.output))


def staged(made, **metadata):
    made.update_metadata(metadata, dynamic=False)
    return made


@pytest.fixture
def ran(store, tmp_path):
    jobs = [
        staged(label(1.0), stage="label", generation=1),
        staged(label(2.0), stage="label", generation=2),
        staged(relabel(3.0), stage="replaced"),
        staged(refit(), stage="unfinished"),
    ]
    for one in jobs:
        run_locally(one, store=store, log=False, root_dir=tmp_path)
    return jobs


def test_opens_one_file_with_one_additional_store(store, tmp_path):
    assert {path.suffix for path in (tmp_path / "run").glob("*")} <= {".sqlite", ".sqlite-wal", ".sqlite-shm"}
    assert list(store.additional_stores) == ["data"]
    assert store.docs_store.collection_name == "jobs"
    assert store.additional_stores["data"].key == "blob_uuid"
    again = JobStore.from_dict(store.as_dict())
    assert again.docs_store == store.docs_store


def test_finds_decoded_outputs_in_the_order_they_ended(store, ran):
    found = find_outputs(store, stage="label")
    assert found == [
        StoredOutput(
            uuid=one.uuid,
            index=1,
            name="label",
            metadata=one.metadata,
            output=EnergyDoc(energy=energy, forces=[[0.0, 0.0, energy]]),
        )
        for one, energy in zip(ran, (1.0, 2.0), strict=False)
    ]
    assert [o.output.energy for o in find_outputs(store, stage="label", generation=2)] == [2.0]
    assert find_outputs(store, stage="nothing") == []


def test_follows_replacements_and_leaves_out_unfinished_ones(store, ran):
    (found,) = find_outputs(store, stage="replaced")
    assert (found.uuid, found.index, found.output) == (ran[2].uuid, 2, {"energy": 3.0})
    assert find_outputs(store, stage="unfinished") == []
    assert len(find_outputs(store)) == 4


def test_leaves_outputs_as_stored_without_loading(store, ran):
    first = find_outputs(store, load=False, stage="label")[0]
    assert first.output["energy"] == 1.0
    assert "blob_uuid" in first.output["forces"]


def test_loads_one_output(store, ran):
    assert load_output(store, ran[0].uuid) == EnergyDoc(energy=1.0, forces=[[0.0, 0.0, 1.0]])
    assert load_output(store, ran[2].uuid) == {"energy": 3.0}


def test_says_what_is_missing(store, ran):
    with pytest.raises(StoreError, match="job nobody has no complete output"):
        load_output(store, "nobody")
    with pytest.raises(StoreError, match=f"job {ran[3].uuid} has no complete output"):
        load_output(store, ran[3].uuid)
    store.additional_stores["data"].remove_docs({"job_uuid": ran[0].uuid})
    with pytest.raises(StoreError, match=f"of job {ran[0].uuid} are missing"):
        load_output(store, ran[0].uuid)
    with pytest.raises(StoreError, match="of a document are missing"):
        find_outputs(store, stage="label")


def test_says_when_the_run_folder_cannot_be_made():
    from pathlib import Path

    with pytest.raises(StoreError, match="the run folder /proc/nobody/run cannot be made"):
        open_store(Path("/proc/nobody/run"))


def test_says_when_the_database_cannot_be_reached(tmp_path):
    uri = "mongodb://me:secret@127.0.0.1:1/?serverSelectionTimeoutMS=200&authSource=admin"
    with pytest.raises(
        StoreError, match=r"MongoDB at mongodb://127.0.0.1:1/labels/jobs cannot be used"
    ) as caught:
        open_store(tmp_path, Settings(store_uri=uri, store_database="labels"))
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_names_of_mongodb_stores_hold_no_password():
    from mlip_autopipec.store.mongo import PrivateGridFSStore, PrivateMongoStore

    uri = "mongodb://me:secret@host.example:27017/?authSource=admin"
    for kind in (PrivateMongoStore, PrivateGridFSStore):
        store = kind("labels", "jobs", uri=uri)
        assert store.name == "mongodb://host.example:27017/labels/jobs"
        assert "secret" not in repr(store)
    wrapped = JobStore(PrivateMongoStore("labels", "jobs", uri=uri), {"data": MemoryStore()})
    assert "secret" not in wrapped.name
