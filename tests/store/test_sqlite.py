import os
import signal
import subprocess
import sys
import threading
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from bson import ObjectId
from hypothesis import given, settings
from hypothesis import strategies as st
from maggma.core import Validator
from maggma.stores import MemoryStore
from monty.json import MontyDecoder

from mlip_autopipec.errors import StoreError
from mlip_autopipec.store import SqliteStore


@pytest.fixture
def store(tmp_path):
    with SqliteStore(tmp_path / "s.sqlite", "jobs", key="uuid") as store:
        yield store


DOCUMENTS = [
    {
        "uuid": "a",
        "index": 1,
        "name": "label",
        "metadata": {"stage": "label", "gen": 1},
        "output": {"e": -1.5},
    },
    {"uuid": "a", "index": 2, "name": "label", "metadata": {"stage": "label", "gen": 2}, "output": None},
    {"uuid": "b", "index": 1, "name": ["x", "label"], "metadata": [{"stage": "fit"}], "output": [1, 2]},
    {"uuid": "c", "index": 1, "name": None, "metadata": {}, "flag": True},
    {"uuid": "d", "index": 1, "name": {"a": 1}, "metadata": {"stage": 1}, "flag": 1},
    {"uuid": "e", "index": 1, "metadata": {"gen": 2.0}, "size": 10**12},
]
CRITERIA = [
    {},
    {"uuid": "a"},
    {"uuid": "a", "index": 2},
    {"uuid": {"$in": ["a", "c", "nobody"]}},
    {"uuid": {"$in": []}},
    {"uuid": {"$nin": ["a"]}},
    {"name": "label"},
    {"name": None},
    {"name": {"a": 1}},
    {"name.a": 1},
    {"metadata.stage": "label"},
    {"metadata.stage": "fit"},
    {"metadata.stage": {"$in": ["fit", 1]}},
    {"metadata.gen": 2},
    {"metadata.0.stage": "fit"},
    {"flag": True},
    {"flag": 1},
    {"output.e": {"$lt": 0}},
    {"output": {"$exists": False}},
    {"$or": [{"uuid": "c"}, {"size": 10**12}]},
    {"size": 2**70},
]


@pytest.fixture(params=["indexed", "plain"])
def filled(request, store):
    store.update(DOCUMENTS, key=["uuid", "index"])
    if request.param == "indexed":
        assert store.ensure_index("metadata.stage")
        assert store.ensure_index("metadata.gen")
        assert store.ensure_index("flag")
    return store


@pytest.mark.parametrize("criteria", [c for c in CRITERIA if c != {"size": 2**70}], ids=str)
def test_answers_as_maggma_does(filled, criteria):
    reference = MemoryStore(key="uuid")
    reference.connect()
    reference.update(DOCUMENTS, key=["uuid", "index"])
    expected = list(reference.query(criteria, properties={"_id": 0}))
    assert list(filled.query(criteria)) == expected
    assert filled.count(criteria) == len(expected)
    reference.close()


def test_projects_sorts_skips_and_limits(filled):
    ordered = list(filled.query({"uuid": {"$in": ["a", "b"]}}, ["index"], sort={"index": -1, "uuid": 1}))
    assert ordered == [{"index": 2}, {"index": 1}, {"index": 1}]
    assert [d["uuid"] for d in filled.query(skip=4)] == ["d", "e"]
    assert [d["uuid"] for d in filled.query(limit=2)] == ["a", "a"]
    assert filled.query_one({"uuid": "a"}, {"output.e": 1}) == {"output": {"e": -1.5}}
    assert filled.query_one({"uuid": "nobody"}) is None


def test_pages_return_each_document_once(store):
    store.update([{"uuid": f"u{i}", "index": 1} for i in range(173)], key="uuid")
    assert [d["uuid"] for d in store.query()] == [f"u{i}" for i in range(173)]
    assert len(list(store.query(limit=120))) == 120


def test_update_replaces_by_key_list(store):
    store.update({"uuid": "a", "index": 1, "output": 1}, key=["uuid", "index"])
    store.update({"uuid": "a", "index": 2, "output": 2}, key=["uuid", "index"])
    store.update({"uuid": "a", "index": 1, "output": 3}, key=["uuid", "index"])
    assert [(d["index"], d["output"]) for d in store.query()] == [(1, 3), (2, 2)]
    store.update({"uuid": "a", "index": 7})
    assert [d["index"] for d in store.query(sort={"index": 1})] == [2, 7]


def test_removes_groups_and_lists_values(filled):
    groups = {
        label["uuid"]: [d["index"] for d in group]
        for label, group in filled.groupby("uuid", properties=["index"])
    }
    assert groups == {"a": [1, 2], "b": [1], "c": [1], "d": [1], "e": [1]}
    assert filled.distinct("metadata.stage", {"uuid": "a"}) == ["label"]
    filled.remove_docs({"uuid": "a"})
    assert filled.distinct("uuid") == ["b", "c", "d", "e"]
    assert filled.count() == 4


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc.", max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=30, deadline=None)
@given(value=json_values)
def test_any_json_value_comes_back(tmp_path_factory, value):
    with SqliteStore(tmp_path_factory.mktemp("h") / "s.sqlite", key="uuid") as store:
        store.update({"uuid": "x", "value": value})
        found = store.query_one({"uuid": "x"})["value"]
        assert repr(found) == repr(value)


def test_keeps_times_ids_numbers_and_arrays(store):
    when, oid = datetime(2026, 1, 2, 3, 4, 5, 678000), ObjectId()
    store.update(
        {"uuid": "x", "last_updated": when, "oid": oid, "nan": float("nan"), "a": np.arange(3), 5: "int key"}
    )
    found = store.query_one()
    assert (found["last_updated"], found["oid"], found["a"], found["5"]) == (when, oid, [0, 1, 2], "int key")
    assert np.isnan(found["nan"])
    assert store.last_updated == when


def test_is_rebuilt_from_its_dict(store):
    store.update({"uuid": "x"})
    again = MontyDecoder().process_decoded(store.as_dict())
    assert again == store
    assert hash(again) == hash(store)
    assert again != SqliteStore(store.path, "other")
    assert again != "something else"
    with again:
        assert again.count() == 1
        assert again.key == "uuid"


def test_each_thread_has_its_connection(store):
    threads = [
        threading.Thread(target=lambda i=i: store.update({"uuid": f"t{i}", "index": 1})) for i in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.count() == 4


WRITER = """
import sys, time
from pathlib import Path
from mlip_autopipec.store import SqliteStore
path, label = sys.argv[1:]
store = SqliteStore(path, "jobs", key="uuid")
print("ready", flush=True)
sys.stdin.readline()
store.connect()
for i in range(100):
    store.update({"uuid": f"{label}-{i}", "index": 1, "output": list(range(200))}, key=["uuid", "index"])
"""


def test_two_writers_and_a_reader_at_once(tmp_path):
    path = tmp_path / "s.sqlite"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path), label],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for label in "ab"
    ]
    for writer in writers:
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    with SqliteStore(path, "jobs", key="uuid") as store:
        seen = [0]
        while any(writer.poll() is None for writer in writers):
            documents = list(store.query())
            assert all(len(d["output"]) == 200 for d in documents)
            seen.append(len(documents))
        for writer in writers:
            writer.communicate()
            assert writer.returncode == 0
        assert seen == sorted(seen)
        assert store.count() == 200


def test_nothing_is_lost_when_the_writer_is_killed(tmp_path):
    program = (
        "import sys; from mlip_autopipec.store import SqliteStore\n"
        "s = SqliteStore(sys.argv[1], 'jobs', key='uuid'); s.connect()\n"
        "for i in range(10**6):\n"
        "    s.update({'uuid': str(i), 'index': 1}, key=['uuid', 'index']); print(i, flush=True)\n"
    )
    path = tmp_path / "s.sqlite"
    with subprocess.Popen(
        [sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        for _ in range(50):
            writer.stdout.readline()
        writer.send_signal(signal.SIGKILL)
        told = 50 + len(writer.stdout.read().split("\n")) - 1
    with SqliteStore(path, "jobs", key="uuid") as store:
        assert told <= store.count() <= told + 1


def test_look_ups_by_id_use_the_index(store):
    for criteria in (
        {"uuid": "a", "index": 1},
        {"blob_uuid": {"$in": ["a", "b"]}},
        {"name": "label", "index": 1},
    ):
        where, values = store._selection(criteria)
        plan = store._collection.execute(f"EXPLAIN QUERY PLAN SELECT id, doc FROM jobs WHERE {where}", values)  # noqa: S608
        (step,) = [row[3] for row in plan]
        assert f"USING INDEX jobs@{next(iter(criteria))} " in step


def test_says_when_it_is_not_connected(tmp_path):
    store = SqliteStore(tmp_path / "s.sqlite", key="uuid")
    with pytest.raises(StoreError, match="is not connected"):
        store.count()


def test_says_when_the_file_cannot_be_opened():
    with pytest.raises(StoreError, match="cannot be opened: unable to open database file"):
        SqliteStore("/proc/nobody/store.sqlite").connect()


def test_says_when_the_file_is_no_store(tmp_path):
    (tmp_path / "s.sqlite").write_text("something else " * 100)
    with pytest.raises(StoreError, match="cannot be opened: file is not a database"):
        SqliteStore(tmp_path / "s.sqlite").connect()


def test_says_when_the_disk_is_full(tmp_path):
    program = (
        "import resource, sys; from mlip_autopipec.store import SqliteStore\n"
        "s = SqliteStore(sys.argv[1], 'jobs', key='uuid'); s.connect(); s.update({'uuid': 'small'})\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "from mlip_autopipec.errors import StoreError\n"
        "try:\n    s.update({'uuid': 'large', 'text': 'x' * 500_000})\n"
        "except StoreError as error: print(error)\n"
        "print([d['uuid'] for d in s.query()])\n"
    )
    path = tmp_path / "s.sqlite"
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True
    )
    assert f"the store {path} cannot be written" in done.stdout
    assert "has free space" in done.stdout
    assert "['small']" in done.stdout


def test_refuses_what_has_no_key_or_does_not_validate(tmp_path, store):
    with pytest.raises(
        StoreError, match=r"must have the fields \['uuid', 'index'\], \['index'\] are missing"
    ):
        store.update({"uuid": "x"}, key=["uuid", "index"])

    class Strict(Validator):
        strict = True

        def is_valid(self, doc):
            return "energy" in doc

        def validation_errors(self, doc):
            return ["no energy"]

    with (
        SqliteStore(tmp_path / "v.sqlite", key="uuid", validator=Strict()) as strict,
        pytest.raises(StoreError, match=r"the validator of .* refuses: .*no energy"),
    ):
        strict.update({"uuid": "x"})


def test_falls_back_where_write_ahead_logging_is_refused(tmp_path, monkeypatch):
    # An in-memory database is the one place where SQLite always refuses it.
    monkeypatch.chdir(tmp_path)
    with SqliteStore(":memory:", key="uuid") as store:
        store.update({"uuid": "x"})
        assert store.count() == 1
    assert not list(Path().iterdir())


def test_a_forked_process_opens_its_own_connection(store):
    store.update({"uuid": "parent"})
    pid = os.fork()
    if pid == 0:
        try:
            store.update({"uuid": "child"})
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert store.distinct("uuid") == ["child", "parent"]
