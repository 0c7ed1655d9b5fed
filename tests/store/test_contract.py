"""What a JobStore has to do, on every store that a campaign may have."""

import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest
from jobflow import Flow, JobStore, job, run_locally
from maggma.core import Sort
from maggma.stores import MemoryStore
from monty.json import MontyDecoder, MontyEncoder
from pydash import get

from mlip_autopipec.errors import StoreError
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import find_outputs, load_output, open_existing, open_store


@pytest.fixture(params=["embedded", "mongodb"])
def store(request, tmp_path, monkeypatch):
    if request.param == "mongodb":
        monkeypatch.setenv("MLIP_AUTO_STORE_URI", request.getfixturevalue("mongo_uri")())
    with open_store(tmp_path, get_settings()) as store:
        yield store


def document(uuid, index=1, **more):
    base = {
        "uuid": uuid,
        "index": index,
        "name": "label",
        "output": {"energy": -1.5},
        "metadata": {"stage": "label"},
        "hosts": [],
        "completed_at": datetime(2026, 1, 1, 0, 0, index, 123456).isoformat(),
        "metadata_gen": 2.0,
    }
    return base | more


DOCUMENTS = [
    document("a"),
    document("a", 2, output=None, metadata={"stage": "fit", "gen": 3}),
    document("b", name="fit", output=[1, 2.5, None, True, {"x": []}], flag=True),
    document("c", output="text", metadata={}, flag=1),
    document("ä ö", output={"energy": float("nan"), "deep": {"er": {"est": 2**53}}}),
]
CRITERIA = [
    {},
    {"uuid": "a"},
    {"uuid": "a", "index": 2},
    {"uuid": {"$in": ["a", "c", "nobody"]}},
    {"uuid": {"$nin": ["a"]}},
    {"metadata.stage": "label"},
    {"metadata.gen": {"$gte": 3}},
    {"output.energy": {"$lt": 0}},
    {"output": None},
    {"output": {"$exists": True, "$ne": None}},
    {"$or": [{"uuid": "c"}, {"name": "fit"}]},
    {"name": {"$regex": "^f"}},
    {"output.deep.er.est": 2**53},
]


@pytest.mark.parametrize("criteria", CRITERIA, ids=str)
def test_answers_as_the_memory_store_does(store, criteria):
    reference = JobStore(MemoryStore())
    reference.connect()
    for one in (store, reference):
        one.update(DOCUMENTS)
    order = {"uuid": 1, "index": Sort.Ascending}
    expected = list(reference.query(criteria, sort=order))
    for one in expected:
        one.pop("_id", None)
    assert repr(list(store.query(criteria, sort=order))) == repr(expected)
    assert store.count(criteria) == len(expected)
    assert sorted(store.distinct("uuid", criteria)) == sorted({one["uuid"] for one in expected})


def test_sorts_projects_skips_limits_and_groups(store):
    store.update(DOCUMENTS)
    found = list(store.query({"uuid": "a"}, ["output.energy"], sort={"index": -1}))
    assert [(one["index"], get(one, "output.energy")) for one in found] == [(2, None), (1, -1.5)]
    assert [one["uuid"] for one in store.query(sort={"uuid": 1, "index": 1}, skip=1, limit=2)] == ["a", "b"]
    groups = {label["uuid"]: len(group) for label, group in store.groupby("uuid", properties=["index"])}
    assert groups == {"a": 2, "b": 1, "c": 1, "ä ö": 1}
    assert store.query_one({"uuid": "nobody"}) is None


def test_replaces_by_id_and_index(store):
    store.update(document("a", output=1))
    store.update([document("a", output=2), document("a", 2, output=3)])
    assert store.get_output("a") == 3
    assert store.get_output("a", which=1) == 2
    assert store.count() == 2


@pytest.mark.parametrize("size", [10, 20_000_000], ids=["small", "20 MB"])
def test_large_parts_are_kept_apart_and_come_back(store, size):
    store.update(document("a", output={"data": "x" * size, "n": size}), save={"data": ["data"]})
    assert store.query_one({"uuid": "a"})["output"]["data"].keys() == {
        "@class",
        "@module",
        "blob_uuid",
        "store",
    }
    assert store.query_one({"uuid": "a"}, load=True)["output"] == {"data": "x" * size, "n": size}
    assert store.additional_stores["data"].count() == 1
    store.update(document("a", output={"data": "y", "n": 1}), save={"data": ["data"]})
    assert store.query_one({"uuid": "a"}, load=True)["output"]["data"] == "y"
    store.remove_docs({"uuid": "a"})
    assert (store.count(), store.additional_stores["data"].count()) == (0, 0)


def test_a_document_whose_data_are_gone_is_an_error(store):
    store.update(document("a", output={"data": [1]}), save={"data": ["data"]})
    store.additional_stores["data"].remove_docs({"job_uuid": "a"})
    with pytest.raises(StoreError, match="are missing in"):
        load_output(store, "a")
    with pytest.raises(StoreError, match="are missing in"):
        find_outputs(store)


def test_is_opened_again_from_its_text(store):
    store.update(document("a", output={"data": [1]}), save={"data": ["data"]})
    again = MontyDecoder().decode(MontyEncoder().encode(store))
    with again:
        assert again.query_one({"uuid": "a"}, load=True)["output"] == {"data": [1]}
        assert again.name == store.name


def test_a_second_process_reads_while_this_one_writes(store, tmp_path):
    program = (
        "import sys, json; from pathlib import Path; from mlip_autopipec.store import open_store\n"
        "from mlip_autopipec.settings import get_settings\n"
        "store = open_store(Path(sys.argv[1]), get_settings()); seen = 0\n"
        "while seen < 30:\n"
        "    documents = list(store.query(load=True)); seen = len(documents)\n"
        "    assert all(d['output']['data'] == list(range(1000)) for d in documents)\n"
        "print(seen)\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True
    ) as reader:
        for i in range(30):
            # Data first: jobflow writes the document first, and a reader may come between.
            store.update(document(f"u{i}", output={"data": list(range(1000))}))
        out, _ = reader.communicate(timeout=60)
    assert (reader.returncode, out) == (0, "30\n")


def test_threads_write_side_by_side(store):
    def write(label):
        for i in range(10):
            store.update(document(f"{label}-{i}"))

    threads = [threading.Thread(target=write, args=(label,)) for label in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count() == len(store.distinct("uuid")) == 30


@job(data="positions")
def structure(n):
    return AtomicStructure(
        symbols=["Cu"] * n, positions=[(float(i), 0.1, 1 / 3) for i in range(n)], cell=((1, 0, 0),) * 3,
        pbc=(True,) * 3,
    )  # fmt: skip


@job
def count(structure):
    return structure.n_atoms


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_jobflow_runs_on_it(store, tmp_path):
    made = structure(50)
    made.update_metadata({"stage": "seed"})
    counted = count(made.output)
    run_locally(Flow([made, counted]), store=store, root_dir=tmp_path, ensure_success=True, log=False)
    assert load_output(store, counted.uuid) == 50
    (found,) = find_outputs(store, stage="seed")
    assert found.output == structure.original(50)


def test_says_what_is_no_project(tmp_path):
    with pytest.raises(StoreError, match=r"is not a run folder: it has no store.sqlite"):
        open_existing(tmp_path)


def test_a_server_that_goes_away_and_returns_loses_nothing(mongo_server, monkeypatch, caplog):
    with open_existing(f"{mongo_server.uri('gone')}?serverSelectionTimeoutMS=300") as store:
        store.update(document("before"))
        mongo_server.kill()
        timer = threading.Timer(1.5, mongo_server.start)
        timer.start()
        store.update(document("during", output={"data": "x"}), save={"data": ["data"]})
        timer.join()
        assert sorted(store.distinct("uuid")) == ["before", "during"]
        assert store.query_one({"uuid": "during"}, load=True)["output"] == {"data": "x"}
        assert f"MongoDB at mongodb://127.0.0.1:{mongo_server.port}/gone/jobs does not answer" in caplog.text


def test_says_when_the_server_does_not_return(mongo_server, monkeypatch):
    monkeypatch.setenv("MLIP_AUTO_STORE_PATIENCE", "0")
    with open_existing(f"{mongo_server.uri('gone')}?serverSelectionTimeoutMS=200") as store:
        mongo_server.kill()
        with pytest.raises(StoreError, match=r"has not answered for 0 s \(\w+\)"):
            store.update(document("a", completed_at=datetime.now(UTC).isoformat()))
        mongo_server.start()
