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
            store.update(*args, **kwargs)
        file.unlink()
    return len(files)
