"""Which job may run next: a graph that grows while it is worked off, at a cost linear in its size.

The rules are those of jobflow's own local manager, made parallel: a job waits for the jobs whose output it
takes, and for the replacements and detours of those; it is skipped if one of them failed (unless it accepts
missing references) or stopped its children; failure and stop belong to an id, so a failed replacement speaks
for the job it replaces. An addition is waited for by nobody.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from mlip_autopipec.flows.identity import input_ids, iter_jobs


@dataclass(eq=False)
class JobNode:
    """A job in the graph; one without document is a barrier between members of a linear flow."""

    document: dict[str, Any] = field(default_factory=dict)
    generator: "JobNode | None" = None
    holds_generator: bool = False
    dependents: list["JobNode"] = field(default_factory=list)
    n_waiting: int = 0
    n_open: int = 1
    input_failed: bool = False
    input_stopped: bool = False
    failed: bool = False
    stopped: bool = False

    @property
    def uuid(self) -> str:
        """Id of the job."""
        return str(self.document.get("uuid", ""))

    @property
    def key(self) -> tuple[str, int]:
        """Id and index of the job."""
        return self.uuid, int(self.document.get("index", 0))

    @property
    def needs_inputs(self) -> bool:
        """Whether the job cannot do without one of its inputs."""
        return bool(self.document) and self.document["config"]["on_missing_references"] == "error"

    @property
    def passes_references(self) -> bool:
        """Whether the job hands its inputs on unread, as `store_inputs` does for a replaced job."""
        return bool(self.document) and not self.document["config"]["resolve_references"]

    def ancestors(self) -> list[str]:
        """Return the id of this job and of those that brought it into being."""
        found, node = [], self
        while True:
            found.append(node.uuid)
            if node.generator is None:
                return found
            node = node.generator

    def dependent_jobs(self) -> list["JobNode"]:
        """Return the jobs that take the output of this one, or wait for it, also by way of a replaced job."""
        found: list[JobNode] = []
        for node in self.dependents:
            if node.document and not node.passes_references:
                found.append(node)
                continue
            found += node.dependent_jobs()
            if node.generator and node.generator.uuid == node.uuid:
                found += node.generator.dependent_jobs()
        return found


class Schedule:
    """The graph of a run."""

    def __init__(self) -> None:
        self.ready: deque[JobNode] = deque()
        self.skipped: deque[JobNode] = deque()
        self._unfinished: dict[JobNode, None] = {}

    def add(self, flow: dict[str, Any], *, generator: JobNode | None = None, holds: bool = False) -> None:
        """Add the JSON form of a flow or job.

        Parameters
        ----------
        flow
            JSON form of a flow or job.
        generator
            The job that made it while it ran.
        holds
            Whether dependents of the generator wait for this flow.
        """
        nodes = {job["uuid"]: JobNode(job) for job in iter_jobs(flow)}
        for node in nodes.values():
            node.generator, node.holds_generator = generator, holds and generator is not None
            if node.holds_generator and generator:
                generator.n_open += 1
            for uuid in sorted(input_ids(node.document) & nodes.keys()):
                _wait(node, nodes[uuid])
        _put_barriers(flow, nodes)
        self._unfinished.update(dict.fromkeys(nodes.values()))
        self.ready.extend(node for node in nodes.values() if not node.n_waiting)

    def finish(self, node: JobNode, *, failed: bool = False, stop_children: bool = False) -> None:
        """Note that a job ended; what it brought must have been added before.

        Parameters
        ----------
        node
            The job.
        failed
            Whether it failed.
        stop_children
            Whether its dependents are not to run.
        """
        # Handing on a reference to a failed job succeeds; who takes it is not helped by that.
        node.failed |= failed or (node.passes_references and node.input_failed)
        node.stopped |= stop_children
        self._close([node])

    def give_up(self) -> list[JobNode]:
        """Return the jobs that will never run, and forget them."""
        left = list(self._unfinished)
        self.ready.clear()
        self._unfinished.clear()
        return left

    def _close(self, nodes: Iterable[JobNode]) -> None:
        """Work through the consequences of ended nodes; a loop, as chains may be thousands long."""
        todo = deque(nodes)
        while todo:
            node = todo.popleft()
            node.n_open -= 1
            if node.n_open:
                continue
            self._unfinished.pop(node, None)
            generator = node.generator
            if generator and generator.uuid == node.uuid:
                generator.failed |= node.failed
                generator.stopped |= node.stopped
            if generator and node.holds_generator:
                todo.append(generator)
            for dependent in node.dependents:
                dependent.input_failed |= node.failed
                dependent.input_stopped |= node.stopped
                dependent.n_waiting -= 1
                if not dependent.n_waiting and self._ends_at_once(dependent):
                    todo.append(dependent)

    def _ends_at_once(self, node: JobNode) -> bool:
        """Decide about a node whose inputs have all ended: run it, or pass on what they were."""
        if node.document and not node.input_stopped and not (node.input_failed and node.needs_inputs):
            self.ready.append(node)
            return False
        node.stopped |= node.input_stopped
        node.failed |= node.input_failed
        if node.document:
            self.skipped.append(node)
        return True


def _wait(node: JobNode, needed: JobNode) -> None:
    needed.dependents.append(node)
    node.n_waiting += 1


def _put_barriers(flow: dict[str, Any], nodes: dict[str, JobNode]) -> tuple[list[JobNode], list[JobNode]]:
    """Order the members of linear flows; return the nodes of the flow and the barriers among them."""
    if "jobs" not in flow:
        return [nodes[flow["uuid"]]], []
    members, barriers = [], []
    for member in flow["jobs"]:
        inside, new = _put_barriers(member, nodes)
        barriers += new
        members.append(inside + new)
    members = [member for member in members if member]
    if flow["order"] == "linear":
        for before, after in pairwise(members):
            barrier = JobNode()
            for node in _last(before):
                _wait(barrier, node)
            for node in _first(after):
                _wait(node, barrier)
            barriers.append(barrier)
    return [node for member in members for node in member if node.document], barriers


def _first(member: list[JobNode]) -> list[JobNode]:
    waiting = {dependent for node in member for dependent in node.dependents}
    return [node for node in member if node not in waiting]


def _last(member: list[JobNode]) -> list[JobNode]:
    inside = set(member)
    return [node for node in member if inside.isdisjoint(node.dependents)]
