import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest
from jobflow import Flow, JobOrder, JobStore, run_locally
from maggma.stores import MemoryStore

from mlip_autopipec.errors import ConfigError, OutOfTimeError, RunLockedError, StoreError
from mlip_autopipec.execution.journal import Journal
from mlip_autopipec.execution.local import run_local
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.settings import RoleSettings
from mlip_autopipec.store import load_output, open_store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))  # worker processes get the path of this one
import jobs_for_tests as jobs  # noqa: E402


@pytest.fixture
def run(tmp_path):
    """Run in one folder; returns the summary and the events."""
    directory = tmp_path / "run"

    def start(flow, workers=1):
        events = []
        with open_store(directory) as store:
            summary = run_local(
                flow, store=store, directory=directory, workers=workers, on_event=events.append
            )
        return summary, events

    start.directory = directory
    return start


def outputs(directory, flow):
    with open_store(directory) as store:
        return [load_output(store, uuid) for uuid in flow.job_uuids]


def journal(directory):
    return {entry.name: entry for entry in journal_entries(directory)}


def journal_entries(directory):
    book = Journal(directory)
    entries = book.entries()
    book.close()
    return entries


def lines(path):
    return sorted(path.read_text().splitlines()) if path.exists() else []


def diamond():
    top = jobs.add(1, 2)
    left, right = jobs.add(top.output, 1), jobs.add(top.output, 2)
    return Flow([top, Flow([left, right]), jobs.collect([left.output, right.output])])


def after(first):
    return Flow([first, jobs.add(first.output, 1000)])


def failing():
    broken = jobs.fail(7)
    needs = jobs.add(broken.output, 1)
    return Flow([broken, needs, jobs.add(needs.output, 1), jobs.collect([broken.output, 5])])


def linear():
    return Flow(
        [jobs.fail(1), Flow([jobs.add(1, 1), jobs.add(2, 2)]), jobs.collect([3]), jobs.add(4, 4)],
        order=JobOrder.LINEAR,
    )


def stopping():
    first = jobs.stop_children(1)
    second = jobs.add(first.output, 1)
    return Flow([first, second, jobs.collect([second.output]), jobs.add(5, 6)])


FLOWS = {
    "one job": lambda: jobs.add(1, 2),
    "diamond": diamond,
    "replace by a loop": lambda: after(jobs.fibonacci(0, 1, 5)),
    "replace by one job": lambda: after(jobs.replace_by_job(1)),
    "replace by a list": lambda: jobs.replace_by_many(3),
    "detour": lambda: after(jobs.detour(1)),
    "addition": lambda: after(jobs.addition(1)),
    "stop children": stopping,
    "failure": failing,
    "failure in a replacement": lambda: after(jobs.replace_by_failure(1)),
    "linear": linear,
}


def documents(store):
    """What a run left: name, index, whether there is an output."""
    return sorted((d["name"], d["index"], d["output"] is None) for d in store.query())


@pytest.mark.parametrize("kind", FLOWS)
def test_leaves_what_jobflow_leaves(run, kind, tmp_path):
    flow = identify(FLOWS[kind]())
    run(flow, workers=2 if kind == "diamond" else 1)
    reference = JobStore(MemoryStore())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "Some jobs are not connected"
        run_locally(identify(flow), store=reference, log=False, root_dir=tmp_path)
    with open_store(run.directory) as store:
        assert documents(store) == documents(reference)
        for uuid in flow.job_uuids if isinstance(flow, Flow) else [flow.uuid]:
            if reference.count({"uuid": uuid}) and kind != "failure in a replacement":
                assert load_output(store, uuid) == load_output(reference, uuid)


def test_a_loop_of_fifty_generations(run):
    loop = identify(jobs.fibonacci(0, 1, 50))
    summary, events = run(loop)
    assert (summary.done, summary.failed, summary.skipped) == (151, 0, 0)
    assert {event.kind for event in events} == {"started", "done"}
    assert outputs(run.directory, Flow([loop])) == [20365011074]


def test_a_loop_whose_arguments_never_change(run, tmp_path):
    loop = identify(jobs.poll(str(tmp_path / "n")))
    assert run(loop)[0].failed == 0
    assert outputs(run.directory, Flow([loop])) == [3]


def test_runs_in_parallel(run):
    summary, events = run(Flow([jobs.add(i, 0, seconds=0.2) for i in range(3)]), workers=3)
    assert summary.done == 3
    assert max(event.running for event in events) == 3
    assert summary.wall_time > 0.2


def test_a_second_call_repeats_nothing(run, tmp_path):
    log = tmp_path / "log"

    def flow():
        loop = jobs.fibonacci(0, 1, 3, str(log))
        return Flow([loop, jobs.addition(loop.output, str(log)), jobs.numbers(5, str(log))])

    first, _ = run(flow(), workers=2)
    before = lines(log)
    second, events = run(flow())
    assert (second.done, second.reused) == (0, first.done)
    assert {event.kind for event in events} == {"reused"}
    assert lines(log) == before
    assert len(set(before)) == len(before) == 10


def test_the_same_job_in_two_flows_runs_once(run, tmp_path):
    log = tmp_path / "log"
    run(Flow([jobs.add(2, 100, str(log)), jobs.addition(2, str(log))]), workers=2)
    assert lines(log) == ["add 2 100", "addition 2"]


def test_more_work_keeps_what_is_done(run, tmp_path):
    log = str(tmp_path / "log")
    run(Flow([jobs.add(1, 1, log)]))
    summary, _ = run(Flow([jobs.add(2, 2, log), jobs.add(1, 1, log)]))
    assert (summary.done, summary.reused) == (1, 1)
    assert lines(tmp_path / "log") == ["add 1 1", "add 2 2"]


def test_work_is_told_by_store_and_journal_together(run, tmp_path):
    log = tmp_path / "log"
    one = identify(jobs.numbers(3, str(log)))
    run(one)
    (run.directory / "journal.sqlite").unlink()
    assert run(one)[0].reused == 1, "a document without journal"
    with open_store(run.directory) as store:
        store.additional_stores["data"].remove_docs({})
    assert run(one)[0].done == 1, "a document without its data"
    with open_store(run.directory) as store:
        store.remove_docs({})
    assert run(one)[0].done == 1, "a journal without document"
    assert lines(log) == ["numbers 3"] * 3
    entry = journal(run.directory)["numbers"]
    assert (entry.state, entry.attempts) == ("done", 2)


def test_failures_are_told_and_tried_again(run, tmp_path):
    cure = tmp_path / "cured"
    broken = jobs.fail(7, str(cure))
    flow = Flow([broken, jobs.add(broken.output, 1)])
    summary, events = run(flow)
    assert (summary.failed, summary.skipped) == (1, 1)
    (failure,) = summary.failures
    assert failure.error == "CalculationError: pw.x said 7."
    assert "CalculationError" in (failure.folder / "error.txt").read_text()
    assert "about to fail" in (failure.folder / "job.log").read_text()
    assert [event.kind for event in events] == ["started", "failed", "skipped"]
    assert events[-1].error == "a job it needs failed."
    error = journal(run.directory)["fail"].error
    assert (error.type, error.message, error.hint) == ("CalculationError", "pw.x said 7.", "ask it again.")
    cure.touch()
    assert run(flow)[0].done == 2
    assert journal(run.directory)["fail"].attempts == 2
    assert failure.folder.with_name(failure.folder.name + "-attempt1").joinpath("error.txt").exists()
    assert not (failure.folder / "error.txt").exists()


def test_a_failed_replacement_is_tried_again(run, tmp_path):
    """Although the job that hands its reference on succeeded."""
    cure = tmp_path / "cured"
    replaced = jobs.replace_by_failure(7, str(cure))
    flow = Flow([replaced, jobs.add(replaced.output, 1)])
    run(flow)
    cure.touch()
    assert run(flow)[0].done == 2


def test_a_failure_that_nobody_needs_any_more_is_left(run):
    broken = jobs.fail(7)
    flow = Flow([broken, jobs.collect([broken.output, 1])])
    run(flow)
    summary, events = run(flow)
    assert (summary.reused, summary.failed) == (1, 1)
    assert "started" not in {event.kind for event in events}
    assert len(summary.failures) == 1


def test_stop_jobflow_starts_nothing_more(run):
    flow = Flow([jobs.stop_all(1), jobs.add(1, 1), jobs.add(2, 2)], order=JobOrder.LINEAR)
    summary, _ = run(flow)
    assert (summary.done, summary.skipped) == (1, 2)
    assert run(flow)[0].reused == 1


def test_each_job_has_a_folder_a_log_and_one_thread(run, capfd, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    job = jobs.environment()
    job.name = "Label 3/12 gen 4"
    job = identify(job)
    _, events = run(job)
    folder = run.directory / "jobs" / f"{job.uuid[:8]}-1-label-3-12-gen-4"
    assert events[-1].folder == folder
    assert outputs(run.directory, Flow([job])) == [{"OMP_NUM_THREADS": "1", "cwd": str(folder)}]
    log = (folder / "job.log").read_text()
    assert all(text in log for text in ("from the system", "from print", "to stderr", "Starting job"))
    assert (folder / "here").exists()
    assert os.environ["OMP_NUM_THREADS"] == "7"
    assert capfd.readouterr() == ("", "")


def alive(marker):
    """Return the processes that have a word on their command line."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = file.read_bytes().split(b"\0")
        except OSError:  # it has just ended
            continue
        if marker.encode() in words:
            found.append(int(file.parent.name))
    return found


def gone(marker):
    end = time.monotonic() + 10
    while alive(marker) and time.monotonic() < end:
        time.sleep(0.02)
    return not alive(marker)


def test_a_killed_worker_fails_its_job_only(run):
    flow = Flow(
        [jobs.end_process("kill"), *(jobs.add(i, 0, seconds=0.2) for i in range(4)), jobs.unstorable()]
    )
    summary, _ = run(flow)
    assert (summary.done, summary.failed) == (4, 2)
    errors = {event.name: event.error for event in summary.failures}
    assert errors["end_process"] == "WorkerDied: the worker process of this job was killed by SIGKILL."
    assert "not MSONable" in errors["unstorable"]
    entry = journal(run.directory)["end_process"]
    assert (entry.state, entry.attempts) == ("failed", 3)
    assert len(list((run.directory / entry.folder).parent.glob("*end-process-attempt*"))) == 2


def test_sys_exit_is_a_failure(run):
    summary, _ = run(jobs.end_process("exit"))
    assert summary.failures[0].error == "SystemExit: 3"


PROGRAM = """
import sys
from pathlib import Path
sys.path.insert(0, {here!r})
from jobflow import Flow
import jobs_for_tests as jobs
from mlip_autopipec.execution.local import run_local
from mlip_autopipec.store import open_store

def flow(log):
    first = [jobs.add(i, 0, log, 0.05) for i in range(30)]
    loop = jobs.fibonacci(0, 1, 10, log)
    last = jobs.collect([one.output for one in first], log)
    return Flow([*first, loop, jobs.addition(loop.output, log), last])

def slow(log):
    return Flow([jobs.add(i, 0, log, 1.0) for i in range(4)])

def program(marker):
    return jobs.start_program(marker)

def resumable(marker):
    return jobs.resume(marker)

if __name__ == "__main__":
    what, directory, argument = sys.argv[1:]
    store = open_store(Path(directory))
    try:
        summary = run_local(
            globals()[what](argument), store=store, directory=Path(directory), workers=2,
            on_event=lambda event: print(event.kind, flush=True),
        )
        print(summary.done, summary.reused, summary.failed, summary.skipped)
    except KeyboardInterrupt:
        print("interrupted")
"""


def script(tmp_path, what, argument):
    file = tmp_path / "program.py"
    file.write_text(PROGRAM.format(here=str(HERE)))
    command = [sys.executable, str(file), what, str(tmp_path / "run"), str(argument)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_killed_run_goes_on_and_repeats_no_finished_job(tmp_path):
    log = tmp_path / "log"
    counts = []
    for done_before_kill in (5, 20):
        with script(tmp_path, "flow", log) as process:
            done = 0
            while done < done_before_kill:
                done += process.stdout.readline() == "done\n"
            process.kill()
        assert gone(str(tmp_path / "run")), "a worker survived the run"
        with open_store(tmp_path / "run") as store:
            counts.append(store.count({"output": {"$ne": None}}))
    with script(tmp_path, "flow", log) as process:
        told, errors = process.communicate()
    assert errors == ""
    done, reused, failed, skipped = map(int, told.splitlines()[-1].split())
    assert (failed, skipped) == (0, 0)
    assert reused >= counts[1] > counts[0] >= 5
    assert done + reused == 30 + 1 + 3 * 10 + 2 + 1
    # Not one that had its document: only what was cut off may be there twice.
    again = [line for line in set(lines(log)) if lines(log).count(line) > 1]
    assert len(again) <= 2 * 2
    assert len(set(lines(log))) == 30 + 10 + 11 + 2 + 1


@pytest.mark.parametrize("numbers", [(signal.SIGINT, signal.SIGINT), (signal.SIGTERM,)])
def test_an_interrupted_run_leaves_nothing_behind(tmp_path, numbers):
    marker = tmp_path / "marker"
    with script(tmp_path, "program", marker) as process:
        while not marker.exists():
            time.sleep(0.02)
        assert len(alive(str(marker))) == 2
        said = ""
        for number in numbers:
            process.send_signal(number)
            if number == signal.SIGINT and not said:
                said = process.stderr.readline()
        told, errors = process.communicate(timeout=20)
    assert told == "started\ninterrupted\n"
    assert said in ("", "waiting for 1 running jobs; Ctrl-C again kills them.\n")
    assert errors == ""
    assert alive(str(marker)) == []
    assert journal(tmp_path / "run")["start_program"].state == "interrupted"
    assert not (tmp_path / "run" / "run.pid").exists()


def test_the_first_interrupt_lets_running_jobs_end(tmp_path):
    with script(tmp_path, "slow", tmp_path / "log") as process:
        assert process.stdout.readline() == "started\n"
        process.send_signal(signal.SIGINT)
        told, _ = process.communicate(timeout=60)
    assert told == "started\ndone\ndone\ninterrupted\n"
    assert {entry.state for entry in journal(tmp_path / "run").values()} == {"done"}
    with script(tmp_path, "slow", tmp_path / "log") as process:
        told, _ = process.communicate(timeout=60)
    assert told.splitlines()[-1] == "2 2 0 0"


def test_a_wall_time_ends_a_run_in_time(run, tmp_path):
    run(jobs.add(0, 0, seconds=0.3))
    flow = Flow([jobs.add(i, 0, seconds=0.3) for i in range(40)])
    with open_store(run.directory) as store, pytest.raises(OutOfTimeError, match=r"5 s is used up; \d+ jobs"):
        run_local(flow, store=store, directory=run.directory, workers=1, walltime=5.0)
    done = sum(entry.state == "done" for entry in journal_entries(run.directory))
    assert 0 < done < 40
    # What is known to take too long is not even started.
    with open_store(run.directory) as store, pytest.raises(OutOfTimeError, match=r"not started .*: \d+ jobs"):
        run_local(flow, store=store, directory=run.directory, workers=1, walltime=0.2)
    assert done == sum(entry.state == "done" for entry in journal_entries(run.directory))
    summary, _ = run(flow, workers=2)
    assert (summary.reused, summary.done) == (done, 40 - done)


def test_a_wall_time_kills_what_takes_longer(run, tmp_path):
    marker = tmp_path / "marker"
    with open_store(run.directory) as store, pytest.raises(OutOfTimeError, match="run again: start_program"):
        run_local(
            jobs.start_program(str(marker)), store=store, directory=run.directory, workers=1, walltime=8.0
        )
    assert alive(str(marker)) == []
    assert journal(run.directory)["start_program"].state == "interrupted"


def test_cores_are_never_promised_twice(run, tmp_path):
    """One core each by default, two for the oracle, three for one that asks itself."""
    work = [jobs.cores_used(i) for i in range(5)]
    work[1].update_metadata({"label": "1"})
    work[3].update_metadata({"label": "2"})
    work[2].update_config({"manager_config": {"request": {"cores": 3}}})
    flow = identify(Flow(work))
    with open_store(run.directory) as store:
        run_local(
            flow, store=store, directory=run.directory, workers=3, resources={"oracle": RoleSettings(cores=2)}
        )
        used = [load_output(store, uuid) for uuid in flow.job_uuids]
    assert [one["threads"] for one in used] == ["1", "2", "3", "2", "1"]
    starts = sorted((one[edge], sign * int(one["threads"])) for one in used for edge, sign in _EDGES)
    busy = 0
    for _, change in starts:
        busy += change
        assert busy <= 3


_EDGES = (("began", 1), ("ended", -1))


def test_what_a_job_keeps_for_it_outlives_a_kill(tmp_path):
    marker = tmp_path / "marker"
    with script(tmp_path, "resumable", marker) as process:
        while not marker.exists():
            time.sleep(0.02)
        process.kill()
    with script(tmp_path, "resumable", marker) as process:
        told, errors = process.communicate(timeout=60)
    assert errors == ""
    assert told.splitlines()[-1] == "1 0 0 0"
    with open_store(tmp_path / "run") as store:
        (found,) = store.query({}, load=True)
    assert found["output"] == {"kept": ["half"], "beside": []}


def test_what_a_job_keeps_for_it_outlives_its_worker(run, tmp_path):
    summary, _ = run(jobs.resume(str(tmp_path / "marker"), die=True))
    assert (summary.done, summary.failed) == (1, 0)
    with open_store(run.directory) as store:
        (found,) = store.query({}, load=True)
    assert found["output"] == {"kept": ["half"], "beside": []}
    entry = journal(run.directory)["resume"]
    assert (entry.state, entry.attempts) == ("done", 2)
    (aside,) = (run.directory / "jobs").glob("*resume-attempt1")
    assert sorted(p.name for p in aside.iterdir() if p.suffix != ".txt") == ["beside", "file", "job.log"]


def test_one_run_in_a_folder(tmp_path, run):
    marker = tmp_path / "marker"
    with script(tmp_path, "program", marker) as process:
        while not marker.exists():
            time.sleep(0.02)
        with pytest.raises(RunLockedError, match=f"is in use by process {process.pid}"):
            run(jobs.add(1, 1))
        process.kill()
    assert run(jobs.add(1, 1))[0].done == 1


def test_a_script_without_guard_is_told_so(tmp_path):
    file = tmp_path / "program.py"
    text = PROGRAM.format(here=str(HERE)).replace('if __name__ == "__main__":', "if True:")
    file.write_text(text.replace("except KeyboardInterrupt:", "except ZeroDivisionError:"))
    command = [sys.executable, str(file), "flow", str(tmp_path / "run"), str(tmp_path / "log")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "CampaignError: the worker processes do not start." in done.stderr
    assert "__name__ == '__main__'" in done.stderr


def test_refuses_what_cannot_work(run, tmp_path):
    with pytest.raises(ConfigError, match="'workers' must be a positive int, got 0"):
        run(jobs.add(1, 1), workers=0)
    with pytest.raises(StoreError, match="lives in one process and cannot serve workers"):
        run_local(jobs.add(1, 1), store=JobStore(MemoryStore()), directory=tmp_path, workers=1)
    with (
        open_store(tmp_path) as store,
        pytest.raises(StoreError, match="the run folder /proc/nobody cannot be written"),
    ):
        run_local(jobs.add(1, 1), store=store, directory=Path("/proc/nobody"), workers=1)


def test_says_when_job_folders_cannot_be_written(run):
    run.directory.mkdir()
    (run.directory / "jobs").write_text("a file in the way")
    with pytest.raises(StoreError, match=r"the job folder .* cannot be written"):
        run(jobs.add(1, 1))


def test_an_error_of_the_caller_ends_the_run_cleanly(run):
    def complain(event):
        if event.kind == "started":
            raise ZeroDivisionError("from on_event")

    with open_store(run.directory) as store, pytest.raises(ZeroDivisionError, match="from on_event"):
        run_local(jobs.add(1, 1), store=store, directory=run.directory, workers=1, on_event=complain)
    assert journal(run.directory)["add"].state in ("interrupted", "done")
    assert run(jobs.add(1, 1))[0].failed == 0


def test_an_idle_worker_may_be_killed(run):
    def kill_idle(event):
        if event.kind == "done" and event.name == "first":
            for child in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
                for pid in child.read_text().split():
                    if b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                        os.kill(int(pid), signal.SIGKILL)
            time.sleep(0.3)

    first = jobs.add(1, 1)
    first.name = "first"
    flow = Flow([first, jobs.add(first.output, 1)])
    with open_store(run.directory) as store:
        summary = run_local(flow, store=store, directory=run.directory, workers=1, on_event=kill_idle)
    assert (summary.done, summary.failed) == (2, 0)


def test_says_when_an_old_job_folder_cannot_be_put_aside(run):
    summary, _ = run(jobs.fail(7))
    folder = summary.failures[0].folder
    in_the_way = folder.with_name(f"{folder.name}-attempt1")
    in_the_way.mkdir()
    (in_the_way / "file").touch()
    with pytest.raises(StoreError, match=r"job folder .* cannot be cleared"):
        run(jobs.fail(7))


def test_what_needs_a_failed_replacement_is_skipped_and_not_tried(run):
    """Its reference is handed on by `store_inputs`, which succeeds whatever it refers to."""
    summary, events = run(after(jobs.replace_by_failure(1)))
    assert (summary.failed, summary.skipped) == (1, 1)
    assert [event.name for event in events if event.kind == "skipped"] == ["add"]
