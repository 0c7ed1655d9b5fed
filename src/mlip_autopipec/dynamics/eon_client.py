"""eOn's client: one search of eOn's server, with forces from a socket (`eon_forces.py` is the other end).

It runs in eOn's own Python, so it imports nothing of this package. ``python eon_client.py SOCKET`` in the
folder of a job reads what the server wrote (``config.ini``, ``pos.con``, ``displacement.con``,
``direction.dat``) and leaves ``results.dat`` and the structures. A search that the watchdog ends leaves a
``results.dat`` as eOn writes it for a potential that failed, so that the server counts it and goes on.
"""

import ctypes
import json
import os
import signal
import sys
from collections.abc import Mapping
from multiprocessing.connection import Client, Connection
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes

_POTENTIAL_FAILED, _BAD_MINIMA, _NOT_CONNECTED, _MAX_ITERATIONS = 11, 9, 6, 5  # eOn's codes of a search
_HIGH_BARRIER, _NEGATIVE_BARRIER, _FAILED_PREFACTOR = 8, 14, 10
_HALTED = 42  # exit status of a job that the watchdog ended
_PR_SET_PDEATHSIG = 1


class SocketCalculator(Calculator):
    """Energy and forces from the other end of a socket; the process ends where that end refuses.

    Parameters
    ----------
    connection
        The socket.
    task
        Name of the search.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012 - as in ASE

    def __init__(self, connection: Connection, task: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._connection = connection
        self._task = task
        self._symbols: list[str] = []
        self.n_calls = 0

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Ask; see :class:`ase.calculators.calculator.Calculator`."""
        super().calculate(atoms, properties, system_changes)  # type: ignore[no-untyped-call]
        structure: Atoms = self.atoms  # type: ignore[assignment]  # set by the line above
        symbols = structure.get_chemical_symbols()
        if symbols != self._symbols:
            self._connection.send_bytes(json.dumps({"task": self._task, "symbols": symbols}).encode())
            self._symbols = symbols
        self._connection.send_bytes(np.vstack([structure.cell.array, structure.positions]).tobytes())
        answer = self._connection.recv_bytes()
        self.n_calls += 1
        if answer[:1] != b"F":
            # Whatever eOn would make of an exception here, it must not go on with another energy.
            code = _MAX_ITERATIONS if answer[:1] == b"S" else _POTENTIAL_FAILED
            write_results(code, answer[1:].decode(), {"total_force_calls": self.n_calls})
            os._exit(_HALTED)
        numbers = np.frombuffer(answer[1:], dtype=float)
        energy = float(numbers[0])
        self.results = {"energy": energy, "free_energy": energy, "forces": numbers[1:].reshape(-1, 3).copy()}


def library() -> Any:
    """Import eOn's client library, which is in eOn's own Python alone."""
    import pyeonclient

    return pyeonclient


def main() -> None:
    """Do the job of this folder."""
    eon = library()
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # no life after the server
    parameters = eon.load_parameters("config.ini")
    calculator = SocketCalculator(Client(sys.argv[1], family="AF_UNIX"), Path.cwd().name)
    potential = eon.potential_from_ase(calculator)
    job = eon.job_type_name(parameters.job).lower()
    if job.endswith("minimization"):
        minimize(parameters, potential, calculator)
    elif job.endswith("parallel_replica"):
        eon.ParallelReplica(loaded("pos.con", potential, parameters), parameters, potential).run(
            inplace=False
        )
    else:
        search(parameters, potential, calculator)
    sys.stdout.flush()
    os._exit(0)  # the library complains of its own leaks at the end


def minimize(parameters: Any, potential: Any, calculator: SocketCalculator) -> None:
    """Relax ``pos.con`` into ``min.con``."""
    matter = loaded("pos.con", potential, parameters)
    _, converged = matter.relax(inplace=True, quiet=True)
    matter.matter2con("min.con")
    write_results(
        0 if converged else 1,
        "Success" if converged else "maximum number of iterations",
        {"total_force_calls": calculator.n_calls, "potential_energy": matter.potential_energy},
    )


def search(parameters: Any, potential: Any, calculator: SocketCalculator) -> None:
    """Follow the lowest mode from ``displacement.con`` to a saddle, and go down on both sides."""
    eon = library()
    first = loaded("pos.con", potential, parameters)
    first.relax(inplace=True, quiet=True)
    calls = {"force_calls_minimization": calculator.n_calls}
    start = loaded("displacement.con", potential, parameters)
    mode = np.array(np.loadtxt("direction.dat").reshape(-1, 3), order="C")
    climb = eon.MinModeSaddleSearch(start, mode, first.potential_energy, parameters, potential)
    status = climb.run_retain_frames()
    calls["force_calls_saddle"] = calculator.n_calls - calls["force_calls_minimization"]
    if status != 0:
        write_results(status, climb.status_message, calls)
        return
    saddle = eon.Matter(start)
    saddle.positions = np.array(climb.take_climb_frames()[-1].coords_array(), order="C")
    ends = [downhill(saddle, sign * climb.eigenvector) for sign in (-1.0, 1.0)]
    calls["force_calls_minimization"] = calculator.n_calls - calls["force_calls_saddle"]
    if not all(converged for _, converged in ends):
        write_results(_BAD_MINIMA, "minima not converged", calls)
        return
    same = [eon.structures_equal(first, end) for end, _ in ends]
    if sum(same) != 1:
        write_results(_NOT_CONNECTED, "not connected to its state", calls)
        return
    product = ends[1 - same.index(True)][0]
    finish(parameters, (first, saddle, product), climb.eigenvector, calls | {"curvature": climb.eigenvalue})


def downhill(saddle: Any, direction: np.ndarray) -> tuple[Any, bool]:
    """Step off a saddle and relax."""
    end = library().Matter(saddle)
    offset = 0.2  # Å, eOn's own default of [Process Search] minimization_offset
    end.positions = np.array(saddle.positions + offset * direction, order="C")
    _, converged = end.relax(inplace=True, quiet=True)
    return end, bool(converged)


def finish(parameters: Any, path: tuple[Any, Any, Any], mode: np.ndarray, numbers: dict[str, float]) -> None:
    """Write an event: energies, prefactors, structures."""
    for matter in path[1:]:
        take_out_drift(path[0], matter)
    energies = [float(matter.potential_energy) for matter in path]
    barriers = energies[1] - energies[0], energies[1] - energies[2]
    prefactors = read_prefactor(Path("config.ini").read_text()) or 0.0, 0.0
    status, words = 0, "Success"
    if min(barriers) < 0.0:
        status, words = _NEGATIVE_BARRIER, "negative barrier"
    elif max(barriers) > parameters.saddle_max_energy:
        status, words = _HIGH_BARRIER, "barrier too high"
    elif prefactors[0]:
        prefactors = prefactors[0], prefactors[0]
    else:
        try:
            prefactors = library().get_prefactors(parameters, *path)
        except RuntimeError:  # a Hessian with other than no, one and no negative modes
            prefactors = 0.0, 0.0
        if min(prefactors) <= 0.0 or not np.isfinite(prefactors).all():
            status, words = _FAILED_PREFACTOR, "prefactor cannot be computed"
    for name, matter in zip(("reactant", "saddle", "product"), path, strict=True):
        matter.matter2con(f"{name}.con")
    np.savetxt("mode.dat", mode, fmt="%.8f")
    write_results(
        status,
        words,
        numbers
        | {
            "potential_energy_reactant": energies[0],
            "potential_energy_saddle": energies[1],
            "potential_energy_product": energies[2],
            "barrier_reactant_to_product": barriers[0],
            "barrier_product_to_reactant": barriers[1],
            "prefactor_reactant_to_product": prefactors[0],
            "prefactor_product_to_reactant": prefactors[1],
        },
    )


def take_out_drift(first: Any, matter: Any) -> None:
    """Shift a structure so that its atoms have not moved on average; searches drift, all would be movers."""
    cell = np.array(first.cell)
    moved = (matter.positions - first.positions) @ np.linalg.inv(cell)
    moved -= np.round(moved)
    matter.positions = np.array(matter.positions - moved.mean(axis=0) @ cell, order="C")


def read_prefactor(text: str) -> float | None:
    """Return ``[Prefactor] default_value`` in 1/s, which the library's parameters do not show."""
    lines = [line.split("=") for line in text.splitlines() if line.strip().startswith("default_value")]
    return float(lines[0][1]) if lines else None


def loaded(name: str, potential: Any, parameters: Any) -> Any:
    """Read a ``.con`` file."""
    eon = library()
    matter = eon.Matter(potential, parameters)
    if not eon.io_ok(matter.con2matter(name)):
        raise OSError(f"{name} cannot be read.")
    return matter


def write_results(status: int, words: str, numbers: Mapping[str, float]) -> None:
    """Write ``results.dat`` as the server reads it: all keys, the value first."""
    zero = dict.fromkeys(
        (
            *(
                "force_calls_saddle",
                "force_calls_minimization",
                "force_calls_prefactors",
                "total_force_calls",
            ),
            *("potential_energy_reactant", "potential_energy_saddle", "potential_energy_product"),
            *("barrier_reactant_to_product", "barrier_product_to_reactant", "displacement_saddle_distance"),
            *("prefactor_reactant_to_product", "prefactor_product_to_reactant"),
            *("transition_found", "simulation_time_s", "speedup"),  # of a replica
        ),
        0,
    )
    lines = [f"{status} termination_reason", f"{words.replace(' ', '_')} termination_reason_text"]
    lines += [f"{value:.12g} {key}" for key, value in {**zero, **numbers}.items()]
    Path("results.dat").write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
