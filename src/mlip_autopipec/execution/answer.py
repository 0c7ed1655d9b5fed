"""How a manager runs one job and takes its answer: the output to the store, new flows with ids by content."""

import json
from collections.abc import Collection
from typing import Any

from jobflow import Job, JobStore, Response
from monty.json import MontyDecoder

from mlip_autopipec.execution.journal import JobGrowth, JobKey, JournalEntry
from mlip_autopipec.execution.spool import Write, write_data_first
from mlip_autopipec.flows.identity import document_of, identify_document


class HeldStore(JobStore):
    """A store that keeps the document of a job back until the journal knows what else the job answered.

    Otherwise a kill between the two would leave a job that looks finished and whose new flows are lost.
    """

    def __init__(self, store: JobStore) -> None:
        # MSONable has methods of the names that JobStore uses for data.
        options: dict[str, Any] = {"save": vars(store)["save"], "load": vars(store)["load"]}
        super().__init__(store.docs_store, vars(store)["additional_stores"], **options)
        self.held: list[Write] = []

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Keep a write back."""
        self.held.append((args, kwargs))

    def release(self) -> None:
        """Do the writes that were kept back."""
        for args, kwargs in self.held:
            write_data_first(self, args, kwargs)


def run_job(job: str, store: HeldStore, ancestors: Collection[str]) -> JobGrowth:
    """Run a job in the current folder.

    Parameters
    ----------
    job
        The job as JSON text.
    store
        Keeps its document until it is released.
    ancestors
        Ids that its flows may not take: its own and those of the jobs that brought it into being.

    Returns
    -------
    JobGrowth
        What it answered besides its output.
    """
    work: Job = MontyDecoder().decode(job)
    response: Response[Any] = work.run(store=store)
    return JobGrowth(
        replace=_identified(response.replace, ancestors),
        detour=_identified(response.detour, ancestors),
        addition=_identified(response.addition, ancestors),
        stop_children=response.stop_children,
        stop_jobflow=response.stop_jobflow,
    )


def stored_output(store: JobStore, uuid: str, index: int) -> tuple[bool, Any]:
    """Look up what a job has left in the store.

    Parameters
    ----------
    store
        A connected store.
    uuid, index
        The job.

    Returns
    -------
    found
        Whether its document is there, with all its data.
    output
        Its output as stored; None for a job that replaced itself.
    """
    try:
        document = store.query_one({"uuid": uuid, "index": index}, properties=["output"], load=True)
    except KeyError:
        # jobflow's way to say that the document points to data which were never written.
        return False, None
    return document is not None, (document or {}).get("output")


def is_stored(store: JobStore, key: JobKey, entry: JournalEntry | None) -> bool:
    """Say whether a job is finished and its output complete in the store.

    The journal of a finished job is written before its document. A document without it comes from another run
    folder; without an output it belongs to a job whose replacement nobody here knows.

    Parameters
    ----------
    store
        The store.
    key
        Id and index of the job.
    entry
        What the journal says of it; none if nothing.

    Returns
    -------
    bool
        Whether it need not run.
    """
    found, output = stored_output(store, *key)
    is_journaled = entry is not None and entry.state == "done"
    return found and (is_journaled or output is not None)


def is_settled(store: JobStore, uuid: str) -> bool:
    """Say whether nothing of a job is left to do: its output is there, and that of what replaced it.

    Parameters
    ----------
    store
        A connected store.
    uuid
        The job.

    Returns
    -------
    bool
        False, too, for a job that brought flows beside its output, of which the store knows nothing.
    """
    try:
        output = store.get_output(uuid, which="last", load=True)
    except (KeyError, ValueError):
        # jobflow's ways to say that a document, or data it points to, is not there.
        return False
    return output is not None and not _has_grown(store, uuid)


def is_reusable(store: JobStore, uuid: str, index: int) -> bool:
    """Say whether a job need not be run, as all that it would answer is in the store."""
    _, output = stored_output(store, uuid, index)
    return output is not None and not _has_grown(store, uuid)


def release(store: HeldStore, uuid: str, growth: JobGrowth) -> None:
    """Write the document of a job, for managers without a journal of what else it answered.

    Parameters
    ----------
    store
        Holds the document.
    uuid
        The job.
    growth
        What it answered besides. Flows that replace the job are found by its missing output; of others a
        record is written before, so that the job is run again if they may be lost.
    """
    if growth.model_copy(update={"replace": None}) != JobGrowth():
        record = {
            "uuid": _growth_record(uuid),
            "index": 1,
            "name": "grown job",
            "metadata": {},
            "output": None,
        }
        store.docs_store.update(record, key=["uuid", "index"])
    store.release()


def _has_grown(store: JobStore, uuid: str) -> bool:
    return store.docs_store.query_one({"uuid": _growth_record(uuid)}, ["uuid"]) is not None


def _growth_record(uuid: str) -> str:
    return f"{uuid} grown"


def _identified(flow: Any, ancestors: Collection[str]) -> str | None:
    """Return the text of a flow, which jobflow has made a Flow of whatever the job answered."""
    if flow is None:
        return None
    return json.dumps(identify_document(document_of(flow), ancestors=frozenset(ancestors)))
