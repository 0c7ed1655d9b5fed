"""The run folder: one run at a time, and a folder for each attempt of a job."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from mlip_autopipec.errors import RunLockedError, StoreError
from mlip_autopipec.execution.journal import WORKER_DIED, JournalEntry
from mlip_autopipec.schemas.files import RESUME_FOLDER, write_atomic


def clear(folder: Path, last: JournalEntry | None) -> None:
    """Make way for an attempt: a failed one is kept beside it, one cut off leaves what can be resumed.

    An attempt whose worker was killed is both.

    Parameters
    ----------
    folder
        Folder of the job.
    last
        Its last attempt, if there was one.

    Raises
    ------
    StoreError
        The old folder cannot be put aside.
    """
    if not folder.exists():
        return
    try:
        if last is not None and last.state == "failed":
            aside = folder.rename(folder.with_name(f"{folder.name}-attempt{last.attempts}"))
            if last.error is not None and last.error.type == WORKER_DIED and (aside / RESUME_FOLDER).exists():
                folder.mkdir()
                (aside / RESUME_FOLDER).rename(folder / RESUME_FOLDER)
            return
        for item in folder.iterdir():
            if item.name == RESUME_FOLDER:
                continue
            if item.is_dir() and not item.is_symlink():
                shutil.rmtree(item)
            else:
                item.unlink()
    except OSError as error:
        raise StoreError(f"job folder {folder} cannot be cleared: {error.strerror}.") from error


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep other runs out of a folder; the kernel drops the lock of a process that dies.

    Parameters
    ----------
    directory
        The run folder; made where there is none.

    Yields
    ------
    None
        The folder is this process's own inside the block.

    Raises
    ------
    RunLockedError
        Another process has it.
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
