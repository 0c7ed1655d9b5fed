"""When a run should end before its flow does: Ctrl-C, SIGTERM, or no time left."""

import logging
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from mlip_autopipec.errors import ConfigError

logger = logging.getLogger(__name__)


class Stop:
    """Whether, and until when, a run may go on.

    Parameters
    ----------
    walltime
        Wall time that the run may take [s]; None for no limit.

    Raises
    ------
    ConfigError
        ``walltime`` is not positive.
    """

    def __init__(self, walltime: float | None = None) -> None:
        if walltime is not None and not walltime > 0.0:
            raise ConfigError(f"'walltime' must be a positive time in s, got {walltime}.")
        self.walltime = walltime
        self._end = time.monotonic() + (float("inf") if walltime is None else walltime)
        self._interrupts = 0
        self._told = False

    @property
    def seconds_left(self) -> float:
        """Wall time that is left [s]."""
        return self._end - time.monotonic()

    @property
    def requested(self) -> bool:
        """Whether Ctrl-C asked for an end when the running jobs are done."""
        return self._interrupts > 0

    def tell(self, n_running: int) -> None:
        """Say once that Ctrl-C was heard.

        Parameters
        ----------
        n_running
            Number of jobs that are still running [1].
        """
        if self.requested and n_running and not self._told:
            self._told = True
            logger.warning("waiting for %d running jobs; Ctrl-C again kills them.", n_running)

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Take the first Ctrl-C as a request and the second, or SIGTERM, as KeyboardInterrupt.

        Yields
        ------
        None
            Signals are taken inside the block. Only the main thread can do that.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {number: signal.signal(number, self._hear) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _hear(self, number: int, _frame: FrameType | None) -> None:
        self._interrupts += 1
        if number == signal.SIGTERM or self._interrupts > 1:
            raise KeyboardInterrupt
