"""Typed reading of a store, for reports, the command line and notebooks."""

from dataclasses import dataclass
from typing import Any

from jobflow import JobStore, OnMissing
from jobflow.core.reference import find_and_get_references, find_and_resolve_references
from jobflow.utils.find import find_key_value
from monty.json import MontyDecoder

from mlip_autopipec.errors import StoreError


@dataclass(frozen=True)
class StoredOutput:
    """What a finished job left in the store."""

    uuid: str
    index: int
    name: str
    metadata: dict[str, Any]
    output: Any


def find_outputs(store: JobStore, *, load: bool = True, **metadata: Any) -> list[StoredOutput]:
    """Find finished jobs by their metadata.

    Parameters
    ----------
    store
        A connected store.
    load
        Whether to follow references, load large data and decode documents; otherwise ``output`` is the JSON
        as it is stored, which is cheap.
    **metadata
        Values that the job's ``metadata`` must have, such as ``stage="fit"``.

    Returns
    -------
    list[StoredOutput]
        In the order they ended; of a job that replaced itself the last output. A job whose replacement is not
        finished is left out.

    Raises
    ------
    StoreError
        Data of a document are missing.
    """
    criteria = {f"metadata.{name}": value for name, value in metadata.items()}
    fields = ["index", "name", "metadata", "output"]
    last: dict[str, dict[str, Any]] = {}
    try:
        for document in store.query(
            criteria, properties=fields, sort={"completed_at": 1, "index": 1}, load=load
        ):
            before = last.get(document["uuid"])
            # By index, as the clock may have been set back.
            if document["output"] is not None and (before is None or before["index"] <= document["index"]):
                last.pop(document["uuid"], None)
                last[document["uuid"]] = document
        found = [_stored(store, document, load=load) for document in last.values()]
    except KeyError as error:
        # jobflow's way to say that a document points to data that were never written.
        raise StoreError(f"data {error} of a document are missing in {store.name}.", hint=_RERUN) from error
    return [output for output in found if output is not None]


def load_output(store: JobStore, uuid: str) -> Any:
    """Load the output of a job, of its last replacement where it replaced itself.

    Parameters
    ----------
    store
        A connected store.
    uuid
        Id of the job.

    Returns
    -------
    Any
        The decoded output.

    Raises
    ------
    StoreError
        The job has no output, or a part of it is missing.
    """
    try:
        return MontyDecoder().process_decoded(store.get_output(uuid, which="last", load=True))
    except ValueError as error:
        raise StoreError(
            f"job {uuid} has no complete output in {store.name}: {error}.", hint=_RERUN
        ) from error
    except KeyError as error:
        raise StoreError(f"data {error} of job {uuid} are missing in {store.name}.", hint=_RERUN) from error


_RERUN = "run the campaign again; finished jobs are not repeated."


def _stored(store: JobStore, document: dict[str, Any], *, load: bool) -> StoredOutput | None:
    output = document["output"]
    if load:
        if find_key_value(output, "@class", "OutputReference"):
            output = find_and_resolve_references(output, store, on_missing=OnMissing.PASS)
            if find_and_get_references(output):
                return None
        output = MontyDecoder().process_decoded(output)
    return StoredOutput(document["uuid"], document["index"], document["name"], document["metadata"], output)
