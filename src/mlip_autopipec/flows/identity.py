"""Ids that follow from content, so that the same job is found again by the next run.

A job's id is a hash of its function, its Maker and its arguments, in which references to other jobs stand by
*their* ids. Its name, metadata and place in the flow do not count, nor do versions of packages: an upgrade
does not forget finished work. jobflow objects hide references anywhere in their arguments, so all is done on
the JSON form and a new object is returned.
"""

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator
from typing import Any, TypeVar
from uuid import UUID

from jobflow import Flow, Job
from monty.json import MontyDecoder, MontyEncoder

from mlip_autopipec.errors import ConfigError

Node = dict[str, Any]
FlowOrJob = TypeVar("FlowOrJob", Flow, Job)

_THIS_JOB = "(this job)"
# Shorter strings are not looked up as ids of jobs: somebody may have named a job "a".
_SHORTEST_ID = 16


def identify(flow: FlowOrJob) -> FlowOrJob:
    """Give every job of a flow an id that follows from what it does.

    Parameters
    ----------
    flow
        A flow, nested or not, or one job.

    Returns
    -------
    Flow or Job
        A new object, with the same ids whenever and wherever the same flow is built. Jobs with an index
        above 1 stand for a job that was replaced and keep its id.

    Raises
    ------
    ConfigError
        Jobs need each other's output in a circle.
    """
    return MontyDecoder().process_decoded(identify_document(document_of(flow)))


def document_of(flow: Flow | Job) -> Node:
    """Return the JSON form of a flow or job."""
    return json.loads(json.dumps(flow, cls=MontyEncoder))


def identify_document(flow: Node, *, ancestors: Collection[str] = ()) -> Node:
    """Do what `identify` does on the JSON form of a flow.

    Parameters
    ----------
    flow
        JSON form of a flow or job.
    ancestors
        Ids that may not be given: those of the job that made this flow while it ran, and of the jobs that
        made that one. A loop whose arguments never change would otherwise meet itself.

    Returns
    -------
    dict
        The JSON form with new ids.

    Raises
    ------
    ConfigError
        Jobs need each other's output in a circle.
    """
    jobs = {job["uuid"]: job for job in iter_jobs(flow)}
    new_ids = {uuid: uuid for uuid, job in jobs.items() if job["index"] > 1}
    seen: Counter[str] = Counter()
    for uuid in _sorted_by_need({uuid: job for uuid, job in jobs.items() if uuid not in new_ids}):
        new_ids[uuid] = _THIS_JOB
        new_ids[uuid] = _new_id(jobs[uuid], new_ids, seen, ancestors)
    _name_flows(flow, new_ids, seen)
    return _renamed(flow, new_ids)


def iter_jobs(flow: Node) -> Iterator[Node]:
    """Iterate over the JSON forms of all jobs, nested flows included, in their order."""
    if "jobs" not in flow:
        yield flow
        return
    for member in flow["jobs"]:
        yield from iter_jobs(member)


def input_ids(job: Node) -> set[str]:
    """Return the ids of the jobs whose output a job takes, from its JSON form."""
    found: set[str] = set()

    def look(value: Node) -> None:
        if value.get("@class") == "OutputReference":
            found.add(value["uuid"])

    _visit([job["function_args"], job["function_kwargs"]], on_dict=look)
    return found


def _mentioned_ids(job: Node, known: Collection[str]) -> set[str]:
    """Return the known ids that a job's content names, as references or as plain strings."""
    found: set[str] = set()

    def look(text: str) -> None:
        if len(text) >= _SHORTEST_ID and text in known:
            found.add(text)

    _visit([job["function"], job["function_args"], job["function_kwargs"]], on_text=look)
    return found | (input_ids(job) & set(known))


def _visit(
    value: Any, on_dict: Callable[[Node], None] | None = None, on_text: Callable[[str], None] | None = None
) -> None:
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            if on_dict:
                on_dict(item)
            todo += item.keys()
            todo += item.values()
        elif isinstance(item, list):
            todo += item
        elif on_text and isinstance(item, str):
            on_text(item)


def _sorted_by_need(jobs: dict[str, Node]) -> list[str]:
    """Sort ids so that a job comes after those it names; the order of the flow decides between others."""
    needs = {uuid: _mentioned_ids(job, jobs.keys()) - {uuid} for uuid, job in jobs.items()}
    users: dict[str, list[str]] = {uuid: [] for uuid in jobs}
    for uuid, needed in needs.items():
        for other in needed:
            users[other].append(uuid)
    missing = {uuid: len(needed) for uuid, needed in needs.items()}
    ready = deque(uuid for uuid in jobs if not missing[uuid])
    order: list[str] = []
    while ready:
        uuid = ready.popleft()
        order.append(uuid)
        for user in users[uuid]:
            missing[user] -= 1
            if not missing[user]:
                ready.append(user)
    if len(order) < len(jobs):
        names = sorted(str(jobs[uuid]["name"]) for uuid in jobs.keys() - set(order))
        raise ConfigError(f"jobs need each other's output in a circle: {', '.join(names)}.")
    return order


def _new_id(job: Node, new_ids: dict[str, str], seen: Counter[str], ancestors: Collection[str]) -> str:
    function = _content(job["function"], new_ids)
    if function.get("@bound"):
        # jobflow copies the name of a job to its Maker.
        function["@bound"].pop("name", None)
    content = [function, *(_content(job[part], new_ids) for part in ("function_args", "function_kwargs"))]
    return _numbered(content, seen, ancestors)


def _numbered(content: Any, seen: Counter[str], forbidden: Collection[str] = ()) -> str:
    """Hash content; what comes again gets a number."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    while True:
        occurrence = seen[digest]
        seen[digest] += 1
        full = digest if occurrence == 0 else hashlib.sha256(f"{digest} {occurrence}".encode()).hexdigest()
        uuid = str(UUID(hex=full[:32], version=5))
        if uuid not in forbidden:
            return uuid


def _content(value: Any, new_ids: dict[str, str]) -> Any:
    """Copy what counts for the identity."""
    if isinstance(value, dict):
        reference = value.get("@class") == "OutputReference"
        dropped = {"@version", "output_schema"} if reference else {"@version"}
        return {
            _mapped(name, new_ids): new_ids.get(item, item)
            if reference and name == "uuid"
            else _content(item, new_ids)
            for name, item in value.items()
            if name not in dropped
        }
    if isinstance(value, list):
        return [_content(item, new_ids) for item in value]
    return _mapped(value, new_ids)


def _renamed(value: Any, new_ids: dict[str, str]) -> Any:
    """Copy a JSON form with its ids mapped."""
    if isinstance(value, dict):
        exact = value.get("@class") in ("OutputReference", "Job", "Flow")
        return {
            _mapped(name, new_ids): new_ids.get(item, item)
            if exact and name == "uuid"
            else [new_ids.get(host, host) for host in item]
            if exact and name == "hosts"
            else _renamed(item, new_ids)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_renamed(item, new_ids) for item in value]
    return _mapped(value, new_ids)


def _mapped(value: Any, new_ids: dict[str, str]) -> Any:
    if isinstance(value, str) and len(value) >= _SHORTEST_ID:
        return new_ids.get(value, value)
    return value


def _name_flows(flow: Node, new_ids: dict[str, str], seen: Counter[str]) -> list[str]:
    """Add the ids of flows, which follow from those of their members; return the own one with its index."""
    if "jobs" not in flow:
        return [new_ids[flow["uuid"]], str(flow["index"])]
    members = [_name_flows(member, new_ids, seen) for member in flow["jobs"]]
    new_ids[flow["uuid"]] = _numbered(["flow", flow["order"], members], seen)
    return [new_ids[flow["uuid"]], "flow"]
