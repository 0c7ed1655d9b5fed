"""Disks that are full or read-only, clocks that jump, files that end in rubbish, servers that go away."""

import os
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from jobflow import Flow, JobStore

from mlip_autopipec.errors import StoreError
from mlip_autopipec.execution.local import run_local
from mlip_autopipec.execution.spool import write_data_first
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.report import open_project
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import SqliteStore, find_outputs, load_output, open_store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # worker processes get the path of this one
import jobs_for_tests as jobs  # noqa: E402


@pytest.fixture
def disk(tmp_path):
    """A disk of 2 MB of one's own; its size and mode may be changed."""
    if os.geteuid():
        pytest.skip("only root may mount a small disk")
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", str(folder)]
    done = program(*mount)
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted: {done.stderr.strip()}")

    def remount(options):
        assert program("mount", "-o", f"remount,{options}", str(folder)).returncode == 0

    disk.folder, disk.remount = folder, remount
    yield disk
    assert program("umount", "-l", str(folder)).returncode == 0


def program(*words):
    return subprocess.run(words, capture_output=True, text=True, check=False)


def run(directory, flow, workers=1, **more):
    with open_store(directory, get_settings()) as store:
        return run_local(flow, store=store, directory=directory, workers=workers, **more)


def test_a_full_disk_is_told_and_what_was_stored_is_kept(disk, tmp_path):
    log = tmp_path / "log"
    directory = disk.folder / "run"

    def small():
        return [jobs.add(i, 0, str(log)) for i in range(3)]

    assert run(directory, Flow(small())).done == 3
    flow = Flow([*small(), jobs.numbers(400_000, str(log))])
    with pytest.raises(StoreError, match=r"cannot be written: .*(disk is full|No space left)"):
        run(directory, flow)
    disk.remount("size=64M")
    summary = run(directory, flow)
    assert (summary.done, summary.reused, summary.failed) == (1, 3, 0)
    assert sorted(log.read_text().split("\n")[:3]) == ["add 0 0", "add 1 0", "add 2 0"]


def test_a_read_only_folder_is_told_and_may_be_read(disk, tmp_path):
    flow = Flow([jobs.add(1, 1), jobs.add(2, 2)])
    directory = disk.folder / "run"
    run(directory, flow)
    disk.remount("ro")
    with pytest.raises(StoreError, match=r"(the run folder .* cannot be written|cannot be opened)"):
        run(directory, flow)
    with open_project(directory) as project:
        assert project.store.count() == 2


def test_a_clock_that_was_set_back_changes_no_result(tmp_path):
    loop = identify(jobs.fibonacci(0, 1, 4))
    run(tmp_path / "run", loop)
    with open_store(tmp_path / "run") as store:
        expected = load_output(store, loop.uuid)
        before = {out.uuid: out.output for out in find_outputs(store)}
        documents = list(store.query(sort={"completed_at": 1, "index": 1}))
        for document, time_of in zip(
            documents, reversed([d["completed_at"] for d in documents]), strict=True
        ):
            store.update({**document, "completed_at": time_of})
        assert load_output(store, loop.uuid) == expected == 5
        assert {out.uuid: out.output for out in find_outputs(store)} == before
    assert run(tmp_path / "run", loop).done == 0


WRITER = """
import os, signal, sys
from mlip_autopipec.store import SqliteStore
store = SqliteStore(sys.argv[1], "jobs", key="uuid")
store.connect()
for i in range(20):
    store.update({"uuid": f"u{i:02}", "index": 1, "output": "x" * 3000}, key=["uuid", "index"])
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_last_record_of_rubbish_costs_that_record_alone(tmp_path):
    path = tmp_path / "store.sqlite"
    subprocess.run([sys.executable, "-c", WRITER, str(path)], check=False)
    log = path.with_name("store.sqlite-wal")
    content = bytearray(log.read_bytes())
    content[-2000:] = os.urandom(2000)
    log.write_bytes(content)
    with SqliteStore(path, "jobs", key="uuid") as store:
        assert [d["uuid"] for d in store.query()] == [f"u{i:02}" for i in range(19)]
        assert all(len(d["output"]) == 3000 for d in store.query())
        store.update({"uuid": "u19", "index": 1}, key=["uuid", "index"])
        assert store.count() == 20


def test_a_store_that_is_damaged_in_the_middle_is_told(tmp_path):
    path = tmp_path / "store.sqlite"
    with SqliteStore(path, "jobs", key="uuid") as store:
        store.update([{"uuid": f"u{i}", "index": 1, "output": "x" * 3000} for i in range(50)])
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 20000] = os.urandom(20000)
    path.write_bytes(content)
    with (
        SqliteStore(path, "jobs", key="uuid") as store,
        pytest.raises(StoreError, match=r"the store .* cannot be read"),
    ):
        list(store.query())


def test_a_document_is_not_written_before_its_data(tmp_path):
    data = SqliteStore(tmp_path / "data.sqlite", "data")  # not connected: it refuses
    with SqliteStore(tmp_path / "jobs.sqlite", "jobs") as documents:
        store = JobStore(documents, additional_stores={"data": data})
        document = {"uuid": "a", "index": 1, "output": {"x": [1, 2]}}
        with pytest.raises(StoreError, match="is not connected"):
            write_data_first(store, (document,), {"save": {"data": ["x"]}})
        assert documents.count() == 0
        data.connect()
        write_data_first(store, (document,), {"save": {"data": ["x"]}})
        assert store.query_one({"uuid": "a"}, load=True)["output"] == {"x": [1, 2]}
        data.close()


@contextmanager
def mongo(monkeypatch, server, patience):
    monkeypatch.setenv("MLIP_AUTO_STORE_URI", f"{server.uri('faults')}?serverSelectionTimeoutMS=300")
    monkeypatch.setenv("MLIP_AUTO_STORE_PATIENCE", str(patience))
    yield


def test_a_server_that_is_gone_when_a_job_ends_gets_the_result_in_the_next_run(
    mongo_server, tmp_path, monkeypatch
):
    log = tmp_path / "log"
    flow = Flow([jobs.add(1, 2, str(log), 0.5), jobs.numbers(7, str(log))])

    def kill(event):
        if event.kind == "started" and mongo_server.process.poll() is None:
            mongo_server.kill()

    with mongo(monkeypatch, mongo_server, 0):
        with pytest.raises(StoreError, match="has not answered for 0 s"):
            run(tmp_path / "run", flow, on_event=kill)
        assert len(list(tmp_path.glob("run/jobs/*/unsaved.json"))) == 1
        assert log.read_text() == "add 1 2\n"
        mongo_server.start()
        summary = run(tmp_path / "run", flow)
    assert (summary.reused, summary.done) == (1, 1)
    assert log.read_text() == "add 1 2\nnumbers 7\n"
    assert not list(tmp_path.glob("run/jobs/*/unsaved.json"))


def test_a_run_waits_for_a_server_that_returns(mongo_server, tmp_path, monkeypatch):
    log = tmp_path / "log"
    first = jobs.add(1, 2, str(log), 0.3)
    flow = Flow([first, jobs.numbers(first.output, str(log))])

    def interrupt(event):
        if event.kind == "started" and event.name == "add":
            mongo_server.kill()
            time.sleep(2.0)
            mongo_server.start()

    with mongo(monkeypatch, mongo_server, 60):
        summary = run(tmp_path / "run", flow, on_event=interrupt)
    assert (summary.done, summary.failed) == (2, 0)
    assert log.read_text() == "add 1 2\nnumbers 3\n"
