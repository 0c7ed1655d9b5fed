"""What a worker process does: take a job as text, run it in its folder, write down how it went.

Only jobflow and what the job itself needs are imported here: each worker pays for it once.
"""

import logging
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from jobflow import JobStore
from monty.json import MontyDecoder

from mlip_autopipec.errors import MLIPError, StoreError
from mlip_autopipec.execution.answer import HeldStore, run_job
from mlip_autopipec.execution.journal import JobFailure, JobGrowth, Journal, JournalEntry
from mlip_autopipec.execution.spool import keep
from mlip_autopipec.process import die_with_parent
from mlip_autopipec.store import SqliteStore


@dataclass(frozen=True)
class JobOrder:
    """One job for a worker: its JSON text, its journal entry and the ids that its flows may not take."""

    job: str
    entry: JournalEntry
    ancestors: tuple[str, ...]


@dataclass(frozen=True)
class _Context:
    directory: Path
    store: JobStore
    journal: Journal


_contexts: list[_Context] = []


def start(parent: int, directory: str, store: str) -> None:
    """Prepare a worker process: no Ctrl-C of its own, no life after its parent, files open.

    Parameters
    ----------
    parent
        Process id of the run.
    directory
        The run folder.
    store
        The JobStore as JSON text.
    """
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    job_store = MontyDecoder().decode(store)
    job_store.connect()
    _contexts.append(_Context(Path(directory), job_store, Journal(Path(directory))))


def work(order: JobOrder) -> JournalEntry:
    """Run a job and write its journal entry and its document.

    Parameters
    ----------
    order
        The job.

    Returns
    -------
    JournalEntry
        How it went; a failure is an entry, too.

    Raises
    ------
    StoreError
        The run folder or the store cannot be written.
    """
    context = _contexts[0]
    store = HeldStore(context.store)
    began = time.perf_counter()
    with inside(context.directory / order.entry.folder) as folder:
        outcome = _attempt(order, store)
        if isinstance(outcome, JobGrowth):
            kept = _kept(folder, store)
            entry = _ended(order.entry, began, state="done", growth=outcome)
            context.journal.write(entry)
            refused = _release(store)
            if kept:
                kept.unlink()
            if refused is None:
                return entry
            outcome = refused
        _write_traceback(folder, outcome)
    entry = _ended(order.entry, began, state="failed", error=_failure(outcome))
    context.journal.write(entry)
    return entry


def _attempt(order: JobOrder, store: HeldStore) -> JobGrowth | BaseException:
    try:
        return run_job(order.job, store, order.ancestors)
    except (Exception, SystemExit) as error:
        # Whatever a job raises is a result: it goes into the journal and to its error.txt.
        return error


def _kept(folder: Path, store: HeldStore) -> Path | None:
    """Keep the document on this machine until a server has it; the embedded store is as near."""
    return None if isinstance(store.docs_store, SqliteStore) else keep(folder, store.held)


def _release(store: HeldStore) -> Exception | None:
    """Write the document; return why the store refuses it, where that is the fault of the document."""
    try:
        store.release()
    except StoreError:
        raise
    except Exception as error:
        return error
    return None


def _ended(entry: JournalEntry, began: float, **changes: Any) -> JournalEntry:
    now = datetime.now(UTC).isoformat()
    return entry.model_copy(update={"ended_at": now, "wall_time": time.perf_counter() - began, **changes})


def _failure(error: BaseException) -> JobFailure:
    name = type(error).__name__
    if isinstance(error, MLIPError):
        return JobFailure(type=name, message=str(error.args[0]), hint=error.hint)
    return JobFailure(type=name, message=str(error))


def _write_traceback(folder: Path, error: BaseException) -> None:
    (folder / "error.txt").write_text("".join(traceback.format_exception(error)))


@contextmanager
def inside(folder: Path) -> Iterator[Path]:
    """Work in a folder, with all that is printed, by programs too, in its job.log.

    Parameters
    ----------
    folder
        The folder; made where there is none.

    Yields
    ------
    pathlib.Path
        The folder.

    Raises
    ------
    StoreError
        It cannot be written.
    """
    before = Path.cwd()
    streams = (1, os.dup(1)), (2, os.dup(2))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        os.chdir(folder)
        log = os.open(folder / "job.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        for number, _ in streams:
            os.dup2(log, number)
        os.close(log)
        yield folder
    except OSError as error:
        raise StoreError(
            f"the job folder {folder} cannot be written: {error}.", hint="check its disk and permissions."
        ) from error
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for number, saved in streams:
            os.dup2(saved, number)
            os.close(saved)
        os.chdir(before)
