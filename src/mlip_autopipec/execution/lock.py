"""One process at a time in a run folder."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mlip_autopipec.errors import RunLockedError, StoreError
from mlip_autopipec.schemas.files import write_atomic


@contextmanager
def run_lock(directory: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the kernel drops the lock of a process that dies.

    Parameters
    ----------
    directory
        The run folder; made where there is none.

    Yields
    ------
    None
        While the folder is this process's own.

    Raises
    ------
    RunLockedError
        Another process is using it.
    StoreError
        It cannot be written.
    """
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
