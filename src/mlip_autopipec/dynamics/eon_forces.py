"""Forces for eOn's clients from this process, and the watchdog that looks at each of them.

A client (`eon_client.py`) runs in another Python, which has no python-ace. It connects to a Unix socket,
names its search and the atoms' symbols in one JSON message, and then sends cell and positions (float64, rows)
for each force call. The answer is ``F`` with energy and forces, ``H`` with words where the watchdog ends the
search, or ``S`` where the search has spent its calls.
"""

import json
import tempfile
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Listener
from pathlib import Path
from time import perf_counter
from types import TracebackType
from typing import Self

import numpy as np
from ase import Atoms

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.dynamics.observer import Frame, nearest_ratio
from mlip_autopipec.dynamics.watchdog import Signs, StopRule
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.schemas import EndReason


@dataclass
class WatchedSearch:
    """What one search of eOn was seen to do.

    Parameters
    ----------
    task
        Its name: the folder of its job.
    n_calls
        Force calls so far.
    gamma_max
        Largest extrapolation grade it met, MaxVol scale.
    top
        Frame of that grade.
    end
        Which of the watchdog's limits ended it, and the value; none if none did.
    stuck
        Whether it spent all its force calls.
    last
        Its last frame.
    """

    task: str
    n_calls: int = 0
    gamma_max: float = 0.0
    top: Frame | None = None
    end: tuple[EndReason, float] | None = None
    stuck: bool = False
    last: Frame | None = None
    first_energy: float | None = field(default=None, repr=False)


class ForceWatch:
    """Evaluate and grade the force calls of searches.

    Parameters
    ----------
    potential
        The potential, with its active set.
    r_in
        Distance in Å where the core begins, by pair ``'A-B'``.
    rule
        The watchdog's limits.
    max_calls
        Force calls after which a search is ended as stuck.
    """

    def __init__(
        self, potential: AcePotential, r_in: Mapping[str, float], rule: StopRule, max_calls: int
    ) -> None:
        self._potential = potential
        self._r_in = r_in
        self._rule = rule
        self._max_calls = max_calls
        self._lock = threading.Lock()  # python-ace keeps its results in one calculator
        self.searches: dict[str, WatchedSearch] = {}
        self.n_calls = 0
        self.evaluating = 0.0

    def answer(self, task: str, atoms: Atoms) -> bytes:
        """Answer one force call.

        Parameters
        ----------
        task
            Name of the search.
        atoms
            The structure.

        Returns
        -------
        bytes
            As the client understands it.
        """
        with self._lock:
            search = self.searches.setdefault(task, WatchedSearch(task))
            search.n_calls += 1
            self.n_calls += 1
            if search.n_calls > self._max_calls:
                search.stuck = True
                return f"Sno saddle after {self._max_calls} force calls".encode()
            begin = perf_counter()
            numbers = self._graded(search, atoms)
            self.evaluating += perf_counter() - begin
        if search.end is not None:
            return f"H{search.end[0]} {search.end[1]:.6g}".encode()
        return b"F" + numbers.tobytes()

    def _graded(self, search: WatchedSearch, atoms: Atoms) -> np.ndarray:
        try:
            found = self._potential.evaluate(atoms)
        except CalculationError:
            # As in MD: numbers that are none end a search always, and say nothing about where to label.
            search.end = ("not_finite", float("nan"))
            return np.empty(0)
        if found.gamma is None:
            raise CalculationError("the watchdog of a search needs a potential with its active set.")
        energy = float(found.energies.sum())
        if search.first_energy is None:
            search.first_energy = energy
        search.last = Frame(search.n_calls, atoms, float(found.gamma.max()))
        if search.top is None or search.last.gamma > search.gamma_max:
            search.top, search.gamma_max = search.last, search.last.gamma
        search.end = self._rule.verdict(
            Signs(
                gamma=search.last.gamma,
                distance_ratio=nearest_ratio(found.shortest, self._r_in),
                energy_change=(energy - search.first_energy) / len(atoms),
            )
        )
        return np.concatenate([[energy], found.forces.ravel()])


class ForceServer:
    """A socket that clients ask for forces, served by threads of this process while it is entered.

    Parameters
    ----------
    watch
        What answers.
    """

    def __init__(self, watch: ForceWatch) -> None:
        self._watch = watch
        self._folder = tempfile.TemporaryDirectory(prefix="forces-")  # a socket's path must be short
        self.address = str(Path(self._folder.name) / "socket")
        self.error: Exception | None = None
        self._closing = False

    def __enter__(self) -> Self:
        """Listen."""
        self._listener = Listener(self.address, family="AF_UNIX", backlog=8)
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop listening; clients that still ask are cut off."""
        self._closing = True
        Connection.close(_knock(self.address))
        self._thread.join()
        self._listener.close()
        self._folder.cleanup()

    def _accept(self) -> None:
        while True:
            connection = self._listener.accept()
            if self._closing:
                connection.close()
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: Connection) -> None:
        """Serve one client until it hangs up."""
        try:
            with connection:
                header: dict[str, object] = {}
                while not self._closing:
                    message = connection.recv_bytes()
                    if message[:1] == b"{":
                        header = json.loads(message)
                        message = connection.recv_bytes()
                    connection.send_bytes(self._watch.answer(str(header["task"]), _atoms(header, message)))
        except (EOFError, ConnectionError):
            return  # it is done, or was killed: eOn's server sees which
        except Exception as error:
            self.error = error  # raised by whoever waits for the clients; the client fails meanwhile


def _knock(address: str) -> Connection:
    from multiprocessing.connection import Client

    return Client(address, family="AF_UNIX")


def _atoms(header: Mapping[str, object], message: bytes) -> Atoms:
    rows = np.frombuffer(message, dtype=float).reshape(-1, 3)
    return Atoms(header["symbols"], positions=rows[3:], cell=rows[:3], pbc=True)
