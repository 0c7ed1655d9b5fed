"""Outputs on their way to a server: kept in the folder of their job until the server has them."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobflow import JobStore
from monty.json import MontyDecoder, MontyEncoder

from mlip_autopipec.schemas.files import write_atomic

Write = tuple[tuple[Any, ...], dict[str, Any]]

_NAME = "unsaved.json"


class _Late:
    """Stands in for the documents while data are written."""

    def __init__(self) -> None:
        self.writes: list[Write] = []

    def update(self, *args: Any, **kwargs: Any) -> None:
        self.writes.append((args, kwargs))


def write_data_first(store: JobStore, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Write a document after its data; jobflow does it before, and a kill between leaves it pointing nowhere.

    Parameters
    ----------
    store
        The store.
    args, kwargs
        Arguments of ``JobStore.update``.
    """
    documents = store.docs_store
    late: Any = _Late()
    store.docs_store = late
    try:
        JobStore.update(store, *args, **kwargs)
    finally:
        store.docs_store = documents
    for late_args, late_kwargs in late.writes:
        documents.update(*late_args, **late_kwargs)


def keep(folder: Path, writes: Sequence[Write]) -> Path:
    """Write down what is to be stored.

    Parameters
    ----------
    folder
        Folder of the job.
    writes
        Arguments of calls of ``JobStore.update``.

    Returns
    -------
    pathlib.Path
        The file; to be removed when all is stored.
    """
    path = folder / _NAME
    write_atomic(path, json.dumps(writes, cls=MontyEncoder))
    return path


def store_kept(directory: Path, store: JobStore) -> int:
    """Store what an earlier run could not.

    Parameters
    ----------
    directory
        The run folder.
    store
        The connected store.

    Returns
    -------
    int
        Number of jobs.
    """
    files = sorted(directory.glob(f"jobs/*/{_NAME}"))
    for file in files:
        for args, kwargs in MontyDecoder().decode(file.read_text()):
            write_data_first(store, args, kwargs)
        file.unlink()
    return len(files)
