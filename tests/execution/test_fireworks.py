"""Campaigns through FireWorks, on a LaunchPad in memory; tests/cluster has real servers and queues."""

import json
import subprocess
import sys
from pathlib import Path

import mongomock_ng
import pytest
from fireworks import FWorker, LaunchPad
from fireworks.core.rocket_launcher import rapidfire
from jobflow import Flow

from mlip_autopipec.errors import ConfigError, StoreError
from mlip_autopipec.execution.answer import is_settled
from mlip_autopipec.execution.fireworks import place, workflow_of
from mlip_autopipec.execution.launchpad import (
    Note,
    campaign_jobs,
    count_jobs,
    note_submission,
    noted_submission,
    open_launchpad,
    put,
)
from mlip_autopipec.execution.local import run_local
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.store import load_output, open_store

sys.path.insert(0, str(Path(__file__).parent))
import jobs_for_tests as jobs

# FireWorks pings from a thread, and replacing a document is two steps in the collections of this process.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")


class MemoryLaunchPad(LaunchPad):
    """A LaunchPad whose collections are in this process."""

    def __init__(self):
        super().__init__(mongoclient_kwargs={"connect": False}, strm_lvl="CRITICAL")
        self.connection.close()
        self.gridfs_fallback = None
        self.db = mongomock_ng.MongoClient().fireworks
        for name in ("fireworks", "launches", "offline_runs", "fw_id_assigner", "workflows"):
            setattr(self, name, self.db[name])


@pytest.fixture
def launchpad():
    return MemoryLaunchPad()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLIP_AUTO_HOME", str(tmp_path))
    (tmp_path / "launches").mkdir()
    monkeypatch.chdir(tmp_path / "launches")
    return tmp_path / "run"


@pytest.fixture
def store(folder):
    with open_store(folder) as store:
        yield store


@pytest.fixture
def submit(launchpad, folder, store):
    def put_in(flow, **options):
        return put(flow, launchpad=launchpad, store=store, directory=folder, **options)

    return put_in


def launch(launchpad, category=""):
    rapidfire(launchpad, FWorker(category=category), sleep_time=1, strm_lvl="CRITICAL")


def states(launchpad, flow, store):
    return {(job.name, job.role): job.state for job in campaign_jobs(launchpad, flow.uuid, store.name)}


def lines(file):
    return sorted(file.read_text().splitlines())


def looping(log):
    loop = jobs.fibonacci(0, 1, 4, log)
    return identify(Flow([loop, jobs.addition(loop.output, log), jobs.detour(7), jobs.stop_children(1)]))


def test_leaves_what_the_local_manager_leaves(launchpad, submit, store, tmp_path):
    flow = looping(str(tmp_path / "log"))
    assert submit(flow).added
    launch(launchpad)
    there = looping(str(tmp_path / "there"))
    with open_store(tmp_path / "there-run") as other:
        run_local(there, store=other, directory=tmp_path / "there-run", workers=1)
        left = [
            sorted(
                (d["name"], d["index"], json.dumps(d["output"])) for d in one.query({"output": {"$ne": None}})
            )
            for one in (store, other)
        ]
        assert [load_output(store, uuid) for uuid in flow.job_uuids] == [5, 5, 7, 1]
    assert [(name, index) for name, index, _ in left[0]] == [(name, index) for name, index, _ in left[1]]
    assert lines(tmp_path / "log") == lines(tmp_path / "there")


def test_the_same_again_adds_nothing_and_runs_nothing(launchpad, submit, store, tmp_path):
    log = tmp_path / "log"
    flow = identify(Flow([jobs.fibonacci(0, 1, 3, str(log))]))
    first, second = submit(flow), submit(flow)
    assert (first.added, second.added, second.number) == (True, False, first.number)
    assert launchpad.workflows.count_documents({}) == 1
    launch(launchpad)
    before = lines(log)
    assert len(before) == len(set(before))
    # Jobs that FireWorks runs again, as after a lost launch, find their outputs and those of their flows.
    for document in list(launchpad.fireworks.find({}, {"fw_id": 1})):
        launchpad.rerun_fw(document["fw_id"])
    launch(launchpad)
    again = [line for line in lines(log) if not line.startswith("fibonacci")]
    assert again == [line for line in before if not line.startswith("fibonacci")]
    launchpad.archive_wf(first.number)
    assert submit(flow) == type(first)(None, added=False), "all is in the store"


def test_what_is_done_elsewhere_is_left_out(launchpad, submit, store, folder, tmp_path):
    log = str(tmp_path / "log")
    run_local(identify(jobs.add(1, 2, log)), store=store, directory=folder, workers=1)
    first = jobs.add(1, 2, log)
    flow = identify(Flow([first, jobs.add(first.output, 4, log)]))
    submit(flow)
    assert len(campaign_jobs(launchpad, flow.uuid, store.name)) == 1
    launch(launchpad)
    assert load_output(store, flow.job_uuids[1]) == 7
    assert lines(tmp_path / "log") == ["add 1 2", "add 3 4"]


def test_a_job_that_brought_more_than_its_output_counts_as_unfinished(launchpad, submit, store):
    flow = identify(Flow([jobs.addition(1)]))
    submit(flow)
    launch(launchpad)
    assert load_output(store, flow.job_uuids[0]) == 1
    assert not is_settled(store, flow.job_uuids[0])


def test_failures_are_told_and_made_ready_again(launchpad, submit, store, tmp_path):
    cure = tmp_path / "cured"
    broken = jobs.fail(7, str(cure))
    flow = identify(Flow([broken, jobs.add(broken.output, 1), jobs.fail(8)]))
    submit(flow)
    launch(launchpad)
    found = campaign_jobs(launchpad, flow.uuid, store.name)
    assert count_jobs(found) == "2 fizzled (other), 1 waiting (other)"
    failed = found[0] if found[0].name == "fail" else found[1]
    assert failed.error.startswith("mlip_autopipec.errors.CalculationError: pw.x said ")
    assert failed.error.endswith("hint: ask it again.")
    assert Path(failed.folder).parent == Path.cwd()
    cure.touch()
    assert len(submit(flow).retried) == 2
    launch(launchpad)
    assert load_output(store, flow.job_uuids[1]) == 8
    ended = count_jobs(campaign_jobs(launchpad, flow.uuid, store.name))
    assert set(ended.split(", ")) == {"2 completed", "1 fizzled (other)"}


def test_a_failed_replacement_is_made_ready_again(launchpad, submit, store, tmp_path):
    """Although the firework that hands its reference on is completed."""
    cure = tmp_path / "cured"
    replaced = jobs.replace_by_failure(7, str(cure))
    flow = identify(Flow([replaced, jobs.add(replaced.output, 1)]))
    submit(flow)
    launch(launchpad)
    assert states(launchpad, flow, store)["store_inputs", "other"] == "COMPLETED"
    cure.touch()
    assert len(submit(flow).retried) == 2
    launch(launchpad)
    assert load_output(store, flow.job_uuids[1]) == 8


def test_a_label_that_its_batch_did_without_is_not_tried_again(launchpad, submit, store, tmp_path):
    flow = identify(Flow([jobs.batch(3, str(tmp_path / "log"), str(tmp_path / "never"))]))
    submit(flow, queue={"oracle": {"ntasks": 4}})
    launch(launchpad)
    assert load_output(store, flow.job_uuids[0]) == [None, 1, 2]
    assert submit(flow).retried == ()
    specs = {d["name"]: d["spec"] for d in launchpad.fireworks.find()}
    assert specs["add"]["_category"] == specs["fail"]["_category"] == "oracle"
    assert specs["add"]["_queueadapter"] == {"ntasks": 4}
    assert specs["collect"]["_category"] == "other"
    assert "_queueadapter" not in specs["collect"]


def test_workers_take_their_own_role(launchpad, submit, store, tmp_path):
    flow = identify(Flow([jobs.batch(2, str(tmp_path / "log"), str(tmp_path / "never"))]))
    submit(flow)
    launch(launchpad, "oracle")
    assert states(launchpad, flow, store) == {("batch", "other"): "READY"}
    launch(launchpad, "other")
    assert states(launchpad, flow, store)["add", "oracle"] == "READY"
    assert states(launchpad, flow, store)["collect", "other"] == "WAITING"


def test_a_whole_campaign_becomes_a_workflow_with_roles(store, folder):
    from ase.build import bulk

    flow = identify(ActiveLearningMaker().make([AtomicStructure.from_ase(bulk("Cu", cubic=True))]))
    made = workflow_of(flow, store, place(folder, store, {"training": {"walltime": "01:00:00"}}))
    specs = {fw.name: fw.spec for fw in made.fws}
    roles = {name: spec["_category"] for name, spec in specs.items()}
    assert roles == {
        "seed structures": "other",
        "select d-optimal": "other",
        "label batch": "other",
        "fit linear ace": "training",
        "active learning": "other",
    }
    assert specs["fit linear ace"]["_queueadapter"] == {"walltime": "01:00:00"}
    assert {fw.tasks[0]["place"]["store"] for fw in made.fws} == {store.name}


def test_one_campaign_a_folder(launchpad, submit):
    submit(identify(Flow([jobs.add(1, 2)])))
    with pytest.raises(
        ConfigError, match=r"another campaign of .* is ready in the LaunchPad, from firework 1"
    ):
        submit(identify(Flow([jobs.add(1, 3)])))
    launch(launchpad)
    assert submit(identify(Flow([jobs.add(1, 3)]))).added


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"directory": "/nowhere"}, r"this worker cannot reach the store .*, and no run folder '/nowhere'"),
        (
            {"store": "JobStore-mongodb://host/db/jobs"},
            r"the worker's store must be JobStore-mongodb://host/db",
        ),
    ],
)
def test_a_worker_refuses_another_store(launchpad, submit, store, change, message):
    flow = identify(Flow([jobs.add(1, 2)]))
    submit(flow)
    changed = {f"spec._tasks.0.place.{name}": value for name, value in change.items()}
    launchpad.fireworks.update_one({}, {"$set": changed})
    (task,) = launchpad.get_fw_by_id(1).tasks
    with pytest.raises(StoreError, match=message):
        task.run_task({})


def test_the_note_of_a_submission(tmp_path):
    assert noted_submission(tmp_path) is None
    for note in (Note("abc", tmp_path / "my_launchpad.yaml"), Note("abc"), Note("abc", remote="project")):
        note_submission(tmp_path, note)
        assert noted_submission(tmp_path) == note
    (tmp_path / "submission.json").write_text("{}")
    with pytest.raises(StoreError, match=r"submission.json' cannot be read \(KeyError\)"):
        noted_submission(tmp_path)


def test_a_launchpad_that_is_not_there(tmp_path):
    with (
        pytest.raises(ConfigError, match=r"no LaunchPad is given: there is no my_launchpad.yaml") as caught,
        open_launchpad(None),
    ):
        pass
    assert "mlip-auto init --hpc" in caught.value.hint
    with (
        pytest.raises(ConfigError, match=r"nothing.yaml' cannot be read: No such file"),
        open_launchpad(tmp_path / "nothing.yaml"),
    ):
        pass
    file = tmp_path / "my_launchpad.yaml"
    for text in (
        "host: [1",
        "- a\n",
        "port: 1\npassword: secret\n",
        "{host: a, mongoclient_kwargs: {nonsense: 1}}",
    ):
        file.write_text(text)
        with (
            pytest.raises(ConfigError, match=r"my_launchpad.yaml' is no LaunchPad file") as caught,
            open_launchpad(file),
        ):
            pass
        assert "secret" not in str(caught.value)
    file.write_text(
        "host: mongodb://me:secret@127.0.0.1:9\nuri_mode: true\nname: fw\n"
        "mongoclient_kwargs: {serverSelectionTimeoutMS: 50}\n"
    )
    with (
        pytest.raises(StoreError, match=r"LaunchPad 'fw' at 127.0.0.1:9 does not answer") as caught,
        open_launchpad(file),
    ):
        pass
    assert "secret" not in str(caught.value)


def test_says_when_fireworks_is_not_installed():
    code = "import sys; sys.modules['fireworks'] = None\n" + (
        "from mlip_autopipec.execution.launchpad import open_launchpad\nopen_launchpad(None).__enter__()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingProgramError: FireWorks is not installed." in done.stderr
    assert "pip install 'mlip_autopipec[fireworks]'" in done.stderr
