"""Worker processes of a local run, one to a slot: when one dies, the job that died with it is known."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing.process import BaseProcess
from pathlib import Path

from mlip_autopipec.errors import CampaignError
from mlip_autopipec.execution.journal import WORKER_DIED, JobFailure, JournalEntry
from mlip_autopipec.execution.worker import JobOrder, start, work

# Libraries would take all cores: each further thread would compete with the other slots for the same ones.
_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


class Slot:
    """A place for one job at a time.

    Parameters
    ----------
    directory
        The run folder.
    store
        The JobStore as JSON text.
    threads
        Threads that numerical libraries may use [1].
    """

    def __init__(self, directory: Path, store: str, threads: int = 1) -> None:
        self.threads = threads
        before = set(multiprocessing.active_children())
        self._executor = ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=start,
            initargs=(os.getpid(), str(directory), store),
        )
        with _limited_threads(threads):
            self._started = self._executor.submit(os.getpid)
        self._process: BaseProcess = (set(multiprocessing.active_children()) - before).pop()

    def submit(self, order: JobOrder) -> Future[JournalEntry]:
        """Start a job.

        Parameters
        ----------
        order
            The job.

        Returns
        -------
        concurrent.futures.Future
            Its journal entry, to come.
        """
        return self._executor.submit(work, order)

    def death(self) -> JobFailure:
        """Say how the worker died, and clear away what it left running.

        Returns
        -------
        JobFailure
            For the journal entry of the job that was running.

        Raises
        ------
        CampaignError
            It died before it could take any job.
        """
        self._process.join()
        self.kill()
        code = self._process.exitcode or 0
        if self._started.exception() is not None and code >= 0:
            # Not by a signal: it will never start.
            raise CampaignError(
                "the worker processes do not start.",
                hint="look at the error above; a script that calls run_local must do so below "
                "`if __name__ == '__main__':`.",
            )
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return JobFailure(
            type=WORKER_DIED,
            message=f"the worker process of this job was {how}."
            if code < 0
            else f"the worker process {how}.",
            hint="read job.log in its folder; SIGKILL often means that the memory was used up.",
        )

    def kill(self) -> None:
        """Kill the worker and all that it started, and wait until it is gone."""
        pid = self._process.pid
        if pid is not None:
            for process in [*_descendants(pid), pid]:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            with suppress(ProcessLookupError):
                os.killpg(pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """End the worker when its job is done."""
        self._executor.shutdown(wait=True, cancel_futures=True)


def _descendants(pid: int) -> list[int]:
    """Return the processes below one; Linux tells them, elsewhere the process group has to do."""
    found: list[int] = []
    todo = [pid]
    while todo:
        for file in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
            with suppress(OSError):
                children = [int(word) for word in file.read_text().split()]
                found += children
                todo += children
    return found


@contextmanager
def _limited_threads(n: int) -> Iterator[None]:
    """Set the threads of numerical libraries, which read them when they are loaded, for new processes."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(n)))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
