"""Run a flow on this machine, in parallel, so that it can be killed at any moment and run again.

The same call is start and resume: jobs are known by their content (`flows.identity`), finished ones are taken
from the journal and the store, and the flows they had answered with are taken up again as they were.
"""

import json
import os
import re
import shutil
import signal
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any, Literal

from filelock import FileLock, Timeout
from jobflow import Flow, Job, JobStore
from maggma.stores import MemoryStore
from monty.json import MontyEncoder

from mlip_autopipec.errors import ConfigError, RunLockedError, StoreError
from mlip_autopipec.execution.journal import JobFailure, JobGrowth, JobKey, Journal, JournalEntry
from mlip_autopipec.execution.schedule import JobNode, Schedule
from mlip_autopipec.execution.slots import Slot
from mlip_autopipec.execution.worker import JobOrder
from mlip_autopipec.flows.identity import document_of, identify_document
from mlip_autopipec.schemas.files import RESUME_FOLDER, write_atomic

EventKind = Literal["started", "done", "failed", "reused", "skipped"]


@dataclass(frozen=True)
class JobEvent:
    """Something that happened to a job. ``wall_time`` is in s; ``running`` counts the busy slots."""

    kind: EventKind
    uuid: str
    index: int
    name: str
    metadata: dict[str, Any]
    running: int
    wall_time: float | None = None
    error: str | None = None
    folder: Path | None = None


@dataclass(frozen=True)
class RunSummary:
    """What a run did. Counts of jobs; ``wall_time`` is in s.

    ``failures`` are the failed jobs, those of an earlier run included that are not worth another attempt.
    """

    done: int
    reused: int
    failed: int
    skipped: int
    failures: tuple[JobEvent, ...]
    wall_time: float


def run_local(
    flow: Flow | Job,
    *,
    store: JobStore,
    directory: Path,
    workers: int,
    on_event: Callable[[JobEvent], None] | None = None,
) -> RunSummary:
    """Run a flow in worker processes; called again after any end, go on where it ended.

    Parameters
    ----------
    flow
        A flow or job; its jobs get the ids of `identify`.
    store
        Where outputs go; one that several processes can open.
    directory
        The run folder: gets ``jobs/``, ``journal.sqlite`` and ``run.lock``.
    workers
        Number of slots; each is a process whose numerical libraries use one thread.
    on_event
        Called in this process with all that happens.

    Returns
    -------
    RunSummary
        Counts and failures; failed jobs are no exception here.

    Raises
    ------
    ConfigError
        ``workers`` is not positive, or jobs need each other in a circle.
    RunLockedError
        Another process runs in this folder.
    StoreError
        The folder or the store cannot be written.
    CampaignError
        Worker processes do not start.
    KeyboardInterrupt
        SIGINT or SIGTERM came; the running jobs were killed and are run again next time.
    """
    if workers < 1:
        raise ConfigError(f"'workers' must be a positive int, got {workers}.")
    if isinstance(store.docs_store, MemoryStore):
        raise StoreError(
            f"store {store.name} lives in one process and cannot serve workers.", hint="use open_store()."
        )
    directory = directory.resolve()
    with _locked(directory), _interrupted_by_sigterm():
        store.connect()
        run = _Run(store, directory, workers, on_event or (lambda _: None))
        return run.run(identify_document(document_of(flow)))


class _Run:
    """The state of one call of `run_local`."""

    def __init__(
        self, store: JobStore, directory: Path, workers: int, on_event: Callable[[JobEvent], None]
    ) -> None:
        self.store = store
        self.directory = directory
        self.workers = workers
        self.on_event = on_event
        self.store_text = json.dumps(store, cls=MontyEncoder)
        self.journal = Journal(directory)
        self.entries = {entry.key: entry for entry in self.journal.entries()}
        self.folders = {entry.folder: entry.key for entry in self.entries.values()}
        self.schedule = Schedule()
        self.to_start: deque[JobNode] = deque()
        self.same_job: dict[JobKey, list[JobNode]] = {}
        self.known_done: dict[JobKey, bool] = {}
        self.attempted: set[JobKey] = set()
        self.free: list[Slot] = []
        self.running: dict[Future[JournalEntry], tuple[JobNode, Slot]] = {}
        self.halted = False
        self.counts: dict[EventKind, int] = dict.fromkeys(
            ("started", "done", "failed", "reused", "skipped"), 0
        )
        self.failures: list[JobEvent] = []

    def run(self, flow: dict[str, Any]) -> RunSummary:
        began = time.perf_counter()
        try:
            self.schedule.add(flow)
            self._advance()
            while self.running:
                ended, _ = wait(self.running, return_when=FIRST_COMPLETED)
                for future in ended:
                    self._collect(future)
                self._advance()
            for node in self.schedule.give_up():
                self._tell("skipped", node, error="it was never reached.")
        except BaseException:
            self._abort()
            raise
        finally:
            for slot in self.free:
                slot.close()
            self.journal.close()
        counts = {kind: self.counts[kind] for kind in ("done", "reused", "failed", "skipped")}
        return RunSummary(**counts, failures=tuple(self.failures), wall_time=time.perf_counter() - began)

    def _advance(self) -> None:
        """Settle what needs no worker, and fill the slots."""
        while not self.halted:
            if self.schedule.ready:
                self._decide(self.schedule.ready.popleft())
            elif self.to_start and len(self.running) < self.workers:
                self._start(self.to_start.popleft())
            else:
                break
            self._tell_skipped()

    def _decide(self, node: JobNode) -> None:
        entry = self.entries.get(node.key)
        if self._is_done(node.key):
            self._settle(node, entry, "reused")
        elif entry is not None and entry.state == "failed" and self._has_no_use(node):
            self._settle(node, entry, "failed")
        else:
            self.to_start.append(node)

    def _has_no_use(self, node: JobNode) -> bool:
        """Whether a failed job need not be tried again."""
        if node.key in self.attempted:
            return True
        dependents = node.dependent_jobs()
        return bool(dependents) and all(self._is_done(dependent.key) for dependent in dependents)

    def _is_done(self, key: JobKey) -> bool:
        if key not in self.known_done:
            self.known_done[key] = self._is_stored(key)
        return self.known_done[key]

    def _is_stored(self, key: JobKey) -> bool:
        """Whether the output is complete in the store.

        The journal of a finished job is written before its document. A document without it comes from another
        run folder; without an output it belongs to a job whose replacement nobody here knows.
        """
        try:
            document = self.store.query_one(
                {"uuid": key[0], "index": key[1]}, properties=["output"], load=True
            )
        except KeyError:
            # jobflow's way to say that the document points to data which were never written.
            return False
        entry = self.entries.get(key)
        is_journaled = entry is not None and entry.state == "done"
        return document is not None and (is_journaled or document.get("output") is not None)

    def _start(self, node: JobNode) -> None:
        if node.key in self.same_job:
            self.same_job[node.key].append(node)
            return
        if node.key in self.attempted:
            self.schedule.ready.append(node)
            return
        self.attempted.add(node.key)
        self.same_job[node.key] = []
        entry = self._prepare(node)
        self._submit(node, JobOrder(json.dumps(node.document), entry, tuple(node.ancestors())))
        self._tell("started", node, entry)

    def _submit(self, node: JobNode, order: JobOrder) -> None:
        slot = self.free.pop() if self.free else Slot(self.directory, self.store_text)
        try:
            future = slot.submit(order)
        except BrokenProcessPool:
            # The worker was killed while it was idle.
            slot.death()
            slot = Slot(self.directory, self.store_text)
            future = slot.submit(order)
        self.running[future] = (node, slot)

    def _prepare(self, node: JobNode) -> JournalEntry:
        """Clear the folder of a job and write in the journal that it runs."""
        last = self.entries.get(node.key)
        folder = last.folder if last else self._new_folder(node)
        try:
            _clear(self.directory / folder, last)
        except OSError as error:
            raise StoreError(
                f"job folder {self.directory / folder} cannot be cleared: {error.strerror}."
            ) from error
        entry = JournalEntry(
            uuid=node.uuid,
            index=node.key[1],
            name=node.document["name"],
            metadata=node.document["metadata"],
            state="running",
            attempts=last.attempts + 1 if last else 1,
            started_at=datetime.now(UTC).isoformat(),
            folder=folder,
        )
        self.journal.write(entry)
        self.entries[node.key] = entry
        return entry

    def _new_folder(self, node: JobNode) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", node.document["name"].lower()).strip("-")[:40]
        folder = f"jobs/{node.uuid[:8]}-{node.key[1]}-{slug}"
        if self.folders.setdefault(folder, node.key) != node.key:
            folder = f"jobs/{node.uuid}-{node.key[1]}-{slug}"
        return folder

    def _collect(self, future: Future[JournalEntry]) -> None:
        node, slot = self.running[future]
        try:
            entry = future.result()
        except BrokenProcessPool:
            entry = self._bury(node, slot.death())
        else:
            self.free.append(slot)
        del self.running[future]
        self.entries[node.key] = entry
        self.known_done[node.key] = entry.state == "done"
        self._settle(node, entry, "done" if entry.state == "done" else "failed")
        self.schedule.ready.extend(self.same_job.pop(node.key))
        self._tell_skipped()

    def _bury(self, node: JobNode, why: JobFailure) -> JournalEntry:
        entry = self.entries[node.key]
        now = datetime.now(UTC)
        entry = entry.model_copy(
            update={
                "state": "failed",
                "ended_at": now.isoformat(),
                "wall_time": (now - datetime.fromisoformat(entry.started_at)).total_seconds(),
                "error": why,
            }
        )
        self.journal.write(entry)
        folder = self.directory / entry.folder
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "error.txt", f"{why.message}\n")
        return entry

    def _settle(self, node: JobNode, entry: JournalEntry | None, kind: EventKind) -> None:
        """Pass on how a job ended, and take up the flows it brought."""
        growth = entry.growth if entry and kind != "failed" else JobGrowth()
        self._tell(kind, node, entry)
        if growth.stop_jobflow:
            self.halted = True
        else:
            for text, holds in ((growth.replace, True), (growth.detour, True), (growth.addition, False)):
                if text is not None:
                    self.schedule.add(json.loads(text), generator=node, holds=holds)
        self.schedule.finish(node, failed=kind == "failed", stop_children=growth.stop_children)

    def _tell_skipped(self) -> None:
        while self.schedule.skipped:
            node = self.schedule.skipped.popleft()
            why = "a job before it stopped its children." if node.input_stopped else "a job it needs failed."
            self._tell("skipped", node, error=why)

    def _tell(
        self, kind: EventKind, node: JobNode, entry: JournalEntry | None = None, error: str | None = None
    ) -> None:
        failure = entry.error if entry and kind == "failed" else None
        event = JobEvent(
            kind=kind,
            uuid=node.uuid,
            index=node.key[1],
            name=node.document["name"],
            metadata=node.document["metadata"],
            running=len(self.running),
            wall_time=entry.wall_time if entry else None,
            error=f"{failure.type}: {failure.message}" if failure else error,
            folder=self.directory / entry.folder if entry else None,
        )
        self.counts[kind] += 1
        if kind == "failed":
            self.failures.append(event)
        self.on_event(event)

    def _abort(self) -> None:
        """Leave nothing running, and say so in the journal."""
        for _, slot in self.running.values():
            slot.kill()
        for node, _ in self.running.values():
            last = {entry.key: entry for entry in self.journal.entries()}[node.key]
            if last.state == "running":
                ended = datetime.now(UTC).isoformat()
                self.journal.write(last.model_copy(update={"state": "interrupted", "ended_at": ended}))


def _clear(folder: Path, last: JournalEntry | None) -> None:
    """Make way for an attempt: a failed one is kept beside it, one cut off leaves what can be resumed."""
    if not folder.exists():
        return
    if last is not None and last.state == "failed":
        folder.rename(folder.with_name(f"{folder.name}-attempt{last.attempts}"))
        return
    for item in folder.iterdir():
        if item.name == RESUME_FOLDER:
            continue
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink()


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the kernel drops the lock of a process that dies."""
    pid_file = directory / "run.pid"
    lock = FileLock(directory / "run.lock", timeout=0)
    try:
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire()
        # Not in run.lock itself: a second run may truncate that one when it tries.
        write_atomic(pid_file, f"{os.getpid()}\n")
    except Timeout as error:
        pid = pid_file.read_text().strip() if pid_file.exists() else "(unknown)"
        raise RunLockedError(
            f"the run folder {directory} is in use by process {pid}.",
            hint="wait for it, stop it, or choose another folder.",
        ) from error
    except OSError as error:
        lock.release()
        raise StoreError(
            f"the run folder {directory} cannot be written: {error.strerror}.",
            hint="choose a folder that you can write to, on a disk with free space.",
        ) from error
    try:
        yield
    finally:
        pid_file.unlink(missing_ok=True)
        lock.release()


@contextmanager
def _interrupted_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does; only the main thread may ask for that."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
