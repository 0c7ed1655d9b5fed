"""Run a flow on this machine, in parallel, so that it can be killed at any moment and run again.

The same call is start and resume: jobs are known by their content (`flows.identity`), finished ones are taken
from the journal and the store, and the flows they had answered with are taken up again as they were.
"""

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jobflow import Flow, Job, JobStore
from maggma.stores import MemoryStore
from monty.json import MontyEncoder

from mlip_autopipec.errors import ConfigError, OutOfTimeError, StoreError
from mlip_autopipec.execution.answer import is_stored
from mlip_autopipec.execution.attempts import Attempts
from mlip_autopipec.execution.folder import locked
from mlip_autopipec.execution.journal import JobGrowth, JobKey, JournalEntry
from mlip_autopipec.execution.queue import JobQueue
from mlip_autopipec.execution.schedule import JobNode, Schedule
from mlip_autopipec.execution.slots import Slot
from mlip_autopipec.execution.spool import store_kept
from mlip_autopipec.execution.stop import Stop
from mlip_autopipec.execution.worker import JobOrder
from mlip_autopipec.flows.identity import document_of, identify_document
from mlip_autopipec.settings import ResourceRequest, Role

_LOOK = 0.2  # s between two looks at the clock and at Ctrl-C

_MOST_DEATHS = 3  # workers that one job may take with it in a run
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
    resources: Mapping[Role, ResourceRequest] | None = None,
    memory: float | None = None,
    walltime: float | None = None,
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
        Number of cores. Each job runs in a process of its own, whose numerical libraries use as many threads
        as it asks for cores, which is one unless ``resources`` or its own request says more.
    on_event
        Called in this process with all that happens.
    resources
        What jobs need, by role; see `JobQueue`.
    memory
        Memory of all running jobs together [GB]; None for that of the machine.
    walltime
        Wall time after which the run ends [s]: no job is started that would not end in time, going by the
        longest of its kind, and what is running then is killed, to be run again next time.

    Returns
    -------
    RunSummary
        Counts and failures; failed jobs are no exception here.

    Raises
    ------
    ConfigError
        ``workers`` or ``walltime`` is not positive, a job asks for more than there is, or jobs need each
        other in a circle.
    RunLockedError
        Another process runs in this folder.
    StoreError
        The folder or the store cannot be written.
    CampaignError
        Worker processes do not start.
    OutOfTimeError
        The wall time is used up.
    KeyboardInterrupt
        SIGINT came, and the running jobs have ended; or it came again, or SIGTERM, and they were killed and
        are run again next time.
    """
    if workers < 1:
        raise ConfigError(f"'workers' must be a positive int, got {workers}.")
    if isinstance(store.docs_store, MemoryStore):
        raise StoreError(
            f"store {store.name} lives in one process and cannot serve workers.", hint="use open_store()."
        )
    directory, stop = directory.resolve(), Stop(walltime)
    queue = JobQueue(workers, memory, resources)
    with locked(directory), stop.listening():
        store.connect()
        store_kept(directory, store)
        run = _Run(store, directory, queue, stop, on_event or (lambda _: None))
        return run.run(identify_document(document_of(flow)))


class _Run:
    """The state of one call of `run_local`."""

    def __init__(
        self,
        store: JobStore,
        directory: Path,
        queue: JobQueue,
        stop: Stop,
        on_event: Callable[[JobEvent], None],
    ) -> None:
        self.store = store
        self.directory = directory
        self.queue = queue
        self.stop = stop
        self.on_event = on_event
        self.store_text = json.dumps(store, cls=MontyEncoder)
        self.attempts = Attempts(directory)
        for entry in self.attempts.all():
            if entry.state == "done" and entry.wall_time is not None:
                queue.learn(entry.metadata, entry.wall_time)
        self.schedule = Schedule()
        self.same_job: dict[JobKey, list[JobNode]] = {}
        self.known_done: dict[JobKey, bool] = {}
        self.tried: set[JobKey] = set()
        self.deaths: Counter[JobKey] = Counter()
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
                ended, _ = wait(self.running, timeout=_LOOK, return_when=FIRST_COMPLETED)
                for future in ended:
                    self._collect(future)
                self._advance()
                self._watch()
            self._end_early()
            for node in self.schedule.give_up():
                self._tell("skipped", node, error="it was never reached.")
        except BaseException:
            self._abort()
            raise
        finally:
            for slot in self.free:
                slot.close()
            self.attempts.close()
        counts = {kind: self.counts[kind] for kind in ("done", "reused", "failed", "skipped")}
        return RunSummary(**counts, failures=tuple(self.failures), wall_time=time.perf_counter() - began)

    def _advance(self) -> None:
        """Settle what needs no worker, and fill the slots."""
        while not self.halted:
            if self.schedule.ready:
                self._decide(self.schedule.ready.popleft())
            elif self.stop.requested or (node := self.queue.take(self.stop.seconds_left)) is None:
                break
            else:
                self._start(node)
            self._tell_skipped()

    def _decide(self, node: JobNode) -> None:
        entry = self.attempts.last(node.key)
        if self._is_done(node.key):
            self._settle(node, entry, "reused")
        elif entry is not None and entry.state == "failed" and self._has_no_use(node):
            self._settle(node, entry, "failed")
        else:
            self.queue.put(node)

    def _has_no_use(self, node: JobNode) -> bool:
        """Whether a failed job need not be tried again."""
        if node.key in self.tried:
            return True
        dependents = node.dependent_jobs()
        return bool(dependents) and all(self._is_done(dependent.key) for dependent in dependents)

    def _is_done(self, key: JobKey) -> bool:
        if key not in self.known_done:
            self.known_done[key] = is_stored(self.store, key, self.attempts.last(key))
        return self.known_done[key]

    def _start(self, node: JobNode) -> None:
        if node.key in self.tried:
            self.queue.free(node)
            self.same_job.get(node.key, self.schedule.ready).append(node)
            return
        self.tried.add(node.key)
        self.same_job[node.key] = []
        entry = self.attempts.begin(node)
        self._submit(node, JobOrder(json.dumps(node.document), entry, tuple(node.ancestors())))
        self._tell("started", node, entry)

    def _submit(self, node: JobNode, order: JobOrder) -> None:
        threads = self.queue.threads(node)
        idle = [slot for slot in self.free if slot.threads == threads]
        if not idle and len(self.free) + len(self.running) >= self.queue.cores:
            self.free.pop().close()
        slot = idle[-1] if idle else Slot(self.directory, self.store_text, threads)
        if idle:
            self.free.remove(slot)
        try:
            future = slot.submit(order)
        except BrokenProcessPool:
            # The worker was killed while it was idle.
            slot.death()
            slot = Slot(self.directory, self.store_text, threads)
            future = slot.submit(order)
        self.running[future] = (node, slot)

    def _collect(self, future: Future[JournalEntry]) -> None:
        node, slot = self.running[future]
        try:
            entry = future.result()
        except BrokenProcessPool:
            entry = self.attempts.bury(node, slot.death())
            self.deaths[node.key] += 1
            if self.deaths[node.key] < _MOST_DEATHS:
                self._start_again(node, future)
                return
        else:
            self.attempts.note(entry)
            self.free.append(slot)
        del self.running[future]
        self.queue.free(node, entry.wall_time if entry.state == "done" else None)
        self.known_done[node.key] = entry.state == "done"
        self._settle(node, entry, "done" if entry.state == "done" else "failed")
        self.schedule.ready.extend(self.same_job.pop(node.key))
        self._tell_skipped()

    def _watch(self) -> None:
        """End what takes longer than the run may."""
        self.stop.tell(len(self.running))
        if self.running and self.stop.seconds_left <= 0.0:
            names = ", ".join(sorted(node.document["name"] for node, _ in self.running.values()))
            raise self._out_of_time(f"killed, to be run again: {names}")

    def _end_early(self) -> None:
        """Say why jobs that could run were not started."""
        if self.queue and not self.halted:
            if self.stop.requested:
                raise KeyboardInterrupt
            raise self._out_of_time(f"not started for want of time: {len(self.queue)} jobs")

    def _out_of_time(self, what: str) -> OutOfTimeError:
        return OutOfTimeError(
            f"the wall time of {self.stop.walltime:g} s is used up; {self.counts['done']} jobs done, {what}.",
            hint="the same command goes on from here.",
        )

    def _start_again(self, node: JobNode, future: Future[JournalEntry]) -> None:
        """Give a job whose worker died another chance: somebody else's memory may have been short."""
        del self.running[future]
        self.tried.discard(node.key)
        self.queue.free(node)
        self.queue.put(node)
        self.schedule.ready.extend(self.same_job.pop(node.key))

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
        self.attempts.interrupt(node for node, _ in self.running.values())
