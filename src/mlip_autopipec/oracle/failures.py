"""Why a label failed, kept where the job that gathers the batch can read it.

A label job that fails has no output: a rerun then tries it again, unless its batch has done without it. Only
its reason is kept, as a record of its own in the JobStore, so that this works with every manager.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jobflow import CURRENT_JOB, JobStore

from mlip_autopipec.errors import MLIPError

UNKNOWN = "no reason recorded: the process ended before it could say why (killed, or out of memory)"


@contextmanager
def failure_recorded() -> Iterator[None]:
    """Record why the current job fails, if it does; the error goes on its way.

    The record of an earlier attempt is removed first. Outside of a job nothing is recorded.

    Yields
    ------
    None
        Run the calculation inside the block.
    """
    store, uuid = _current()
    if store is None:
        yield
        return
    store.docs_store.remove_docs({"uuid": _record_id(uuid)})
    try:
        yield
    except Exception as error:
        # Past JobStore.update: managers may hold that back until the job has succeeded.
        record = {"uuid": _record_id(uuid), "index": 1, "name": "failed label", "reason": reason_of(error)}
        # Without output, it is no result for those who look for results.
        store.docs_store.update({**record, "metadata": {}, "output": None}, key=["uuid", "index"])
        raise


def recorded_reason(label_id: str) -> str:
    """Look up why a label job failed.

    Parameters
    ----------
    label_id
        Id of the job.

    Returns
    -------
    str
        Its reason, or that there is none.
    """
    store, _ = _current()
    found = None if store is None else store.docs_store.query_one({"uuid": _record_id(label_id)}, ["reason"])
    return UNKNOWN if found is None else str(found["reason"])


def reason_of(error: Exception) -> str:
    """Say why in one line.

    Parameters
    ----------
    error
        What was raised.

    Returns
    -------
    str
        Name of the error and its message, without hint, folder and log.
    """
    message = str(error.args[0]) if isinstance(error, MLIPError) else str(error)
    return f"{type(error).__name__}: {' '.join(message.split())}"


def _current() -> tuple[JobStore | None, str]:
    job: Any = CURRENT_JOB.job
    store: JobStore | None = CURRENT_JOB.store
    return (None, "") if job is None else (store, str(job.uuid))


def _record_id(uuid: str) -> str:
    return f"{uuid} failed"
