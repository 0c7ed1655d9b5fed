"""What a run would do, before it does anything: the same graph, worked off without running what costs."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from jobflow import JobStore
from monty.json import jsanitize

from mlip_autopipec.execution.answer import HeldStore, is_stored, run_job
from mlip_autopipec.execution.journal import JobGrowth, JobKey, JournalEntry
from mlip_autopipec.execution.schedule import JobNode, Schedule
from mlip_autopipec.execution.worker import inside
from mlip_autopipec.flows.difference import ANOTHER_INPUT, differences
from mlip_autopipec.flows.identity import Node, input_ids, iter_jobs

Fate = Literal["reused", "runs", "planned", "failed"]

# Jobs that only make, choose, gather or decide: done here, in a scratch folder, to see what they lead to.
_CHEAP = {
    "SeedStructuresMaker.make",
    "SelectionMaker.make",
    "LabelBatchMaker.make",
    "ActiveLearningMaker.begin",
    "ActiveLearningMaker.decide",
    "ValidationMaker.plan",
    "LabelBatchMaker.gather",
    "store_inputs",
    "conclude",
}


@dataclass(frozen=True)
class JobForecast:
    """One job: what will become of it, and why.

    ``planned`` jobs cost nothing and were done to see what they lead to. ``n_atoms`` is that of a structure
    to be labelled.
    """

    uuid: str
    index: int
    name: str
    metadata: dict[str, Any]
    fate: Fate
    reason: str
    n_atoms: int | None = None


class _Dry(HeldStore):
    """A store that is never written, and answers with what was meant to be written as if it had been."""

    def __init__(self, store: JobStore) -> None:
        super().__init__(store)
        self.outputs: dict[str, Node] = {}

    def query_one(self, criteria: Any = None, *args: Any, **kwargs: Any) -> Any:
        """Answer with the last output that was not written."""
        for (document, *_), _kwargs in self.held:
            plain = jsanitize(document, strict=True, allow_bson=True)
            self.outputs[plain["uuid"]] = plain
        self.held.clear()
        uuid = (criteria or {}).get("uuid")
        if uuid in self.outputs:
            return self.outputs[uuid]
        return super().query_one(criteria, *args, **kwargs)


@dataclass
class _Forecast:
    store: JobStore
    entries: dict[JobKey, JournalEntry]
    known: dict[str, list[Node]]
    schedule: Schedule = field(default_factory=Schedule)
    unknown: dict[str, str] = field(default_factory=dict)
    jobs: list[JobForecast] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dry = _Dry(self.store)

    def run(self, flow: Node) -> list[JobForecast]:
        self.schedule.add(flow)
        while self.schedule.ready or self.schedule.skipped:
            if self.schedule.skipped:
                node = self.schedule.skipped.popleft()
                self._note(node, "failed", "a job it needs failed")
                continue
            self._decide(self.schedule.ready.popleft())
        return self.jobs

    def _decide(self, node: JobNode) -> None:
        entry = self.entries.get(node.key)
        needed = [uuid for uuid in sorted(input_ids(node.document)) if uuid in self.unknown]
        if is_stored(self.store, node.key, entry):
            self._follow(node, entry.growth if entry else JobGrowth(), "reused", "finished before")
        elif entry is not None and entry.state == "failed" and self._has_no_use(node):
            self._note(node, "failed", "failed before, and what needs it is finished without it")
            self.schedule.finish(node, failed=True)
        elif needed:
            self._runs(node, f"takes the output of '{self.unknown[needed[0]]}'", dependent=True)
        elif _function(node.document) in _CHEAP:
            self._follow(node, self._tried(node), "planned", self._reason(node))
        else:
            self._runs(node, self._reason(node))

    def _has_no_use(self, node: JobNode) -> bool:
        dependents = node.dependent_jobs()
        return bool(dependents) and all(
            is_stored(self.store, other.key, self.entries.get(other.key)) for other in dependents
        )

    def _tried(self, node: JobNode) -> JobGrowth:
        with TemporaryDirectory() as folder, inside(Path(folder)):
            return run_job(json.dumps(node.document), self.dry, node.ancestors())

    def _follow(self, node: JobNode, growth: JobGrowth, fate: Fate, reason: str) -> None:
        self._note(node, fate, reason)
        for text, holds in ((growth.replace, True), (growth.detour, True), (growth.addition, False)):
            if text is not None:
                self.schedule.add(json.loads(text), generator=node, holds=holds)
        self.schedule.finish(node, stop_children=growth.stop_children)

    def _runs(self, node: JobNode, reason: str, *, dependent: bool = False) -> None:
        if node.passes_references:
            # It hands on what another job will make, in the name of the job that was replaced.
            replaced = node.generator or node
            self.unknown[node.uuid] = replaced.document["name"]
            self.schedule.finish(node)
            return
        self.unknown[node.uuid] = node.document["name"]
        if dependent:
            reason = "; ".join([reason, *self._settings(node)])
        self._note(node, "runs", reason)
        self.schedule.finish(node)

    def _note(self, node: JobNode, fate: Fate, reason: str) -> None:
        document = node.document
        label = "label" in document["metadata"]
        n_atoms = (
            len(document["function_args"][0]["symbols"]) if label and document["function_args"] else None
        )
        self.jobs.append(
            JobForecast(*node.key, document["name"], document["metadata"], fate, reason, n_atoms)
        )

    def _reason(self, node: JobNode) -> str:
        entry = self.entries.get(node.key)
        if entry is not None and entry.state == "done":
            return "its output is no longer in the store"
        if entry is not None:
            return "failed before" if entry.state == "failed" else "was cut off"
        found = self._earlier(node)
        if found is None:
            return "new"
        return "; ".join(differences(found, node.document)) or "another of its kind"

    def _settings(self, node: JobNode) -> list[str]:
        """Say which of its own settings changed, of a job that runs anyway for its inputs."""
        found = self._earlier(node)
        changes = [] if found is None else differences(found, node.document)
        return [change for change in changes if change != ANOTHER_INPUT]

    def _earlier(self, node: JobNode) -> Node | None:
        """Return the job that had the same place in an earlier run."""
        others = self.known.get(_place(node.document), [])
        same = [
            job for job in others if job["uuid"] != node.uuid and _function(job) == _function(node.document)
        ]
        return same[-1] if same else None


def forecast(
    flow: Node, store: JobStore, entries: Iterable[JournalEntry], earlier: Iterable[Node] = ()
) -> list[JobForecast]:
    """Say what a run would do.

    Parameters
    ----------
    flow
        JSON form of an identified flow.
    store
        The store, which is not written.
    entries
        The journal.
    earlier
        JSON forms of flows that were run before, to compare settings with.

    Returns
    -------
    list[JobForecast]
        All jobs that can be known before anything is spent; what later jobs will bring cannot.
    """
    entries = list(entries)
    known: dict[str, list[Node]] = {}
    growths = [
        json.loads(text)
        for entry in entries
        for text in (entry.growth.replace, entry.growth.detour, entry.growth.addition)
        if text is not None
    ]
    for old in (*earlier, *growths):
        for job in iter_jobs(old):
            known.setdefault(_place(job), []).append(job)
    return _Forecast(store, {entry.key: entry for entry in entries}, known).run(flow)


def _place(job: Node) -> str:
    """Name the place of a job in a campaign."""
    return json.dumps([job["name"], job["metadata"]], sort_keys=True)


def _function(job: Node) -> str:
    return str(job["function"]["@callable"])
