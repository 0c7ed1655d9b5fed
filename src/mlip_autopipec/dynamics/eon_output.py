"""What eOn writes: structures, states with their processes, the trajectory, the fate of each search."""

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import read as read_atoms

from mlip_autopipec.errors import CalculationError

_NO_STATE = -1


@dataclass(frozen=True)
class Process:
    """A line of a process table; eOn's own numbers.

    Parameters
    ----------
    state
        State it leaves.
    number
        Its number.
    saddle_energy
        In eV.
    prefactor
        In 1/s.
    product
        State it leads to; none as long as it was not taken.
    product_energy
        In eV.
    barrier
        In eV.
    rate
        In 1/s.
    repeats
        How often it was found again.
    """

    state: int
    number: int
    saddle_energy: float
    prefactor: float
    product: int | None
    product_energy: float
    barrier: float
    rate: float
    repeats: int


@dataclass(frozen=True)
class State:
    """A state folder.

    Parameters
    ----------
    number
        Its number.
    folder
        The folder.
    energy
        In eV; none as long as no event of it is known.
    processes
        Its events.
    """

    number: int
    folder: Path
    energy: float | None
    processes: tuple[Process, ...]

    def structure(self, kind: str, process: int) -> Atoms:
        """Read reactant, saddle or product of a process.

        Parameters
        ----------
        kind
            ``"reactant"``, ``"saddle"`` or ``"product"``.
        process
            Number of the process.

        Returns
        -------
        ase.Atoms
            The structure.
        """
        return read_con(self.folder / "procdata" / f"{kind}_{process}.con")

    def mode(self, process: int) -> np.ndarray:
        """Read the mode of a saddle, shape ``(n_atoms, 3)``."""
        path = self.folder / "procdata" / f"mode_{process}.dat"
        return np.loadtxt(path).reshape(-1, 3)


@dataclass(frozen=True)
class Step:
    """A line of the trajectory: states, event, times in s and energy of the state that was left in eV."""

    number: int
    reactant: int
    process: int
    product: int
    step_time: float
    time: float
    barrier: float
    rate: float
    energy: float


def read_con(path: Path) -> Atoms:
    """Read a structure; eOn's files are periodic in all directions.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    ase.Atoms
        The structure.

    Raises
    ------
    CalculationError
        It is not there or broken.
    """
    try:
        (atoms,) = read_atoms(path, format="eon", index=":")
    except (OSError, ValueError, IndexError, RuntimeError) as error:
        raise CalculationError(
            f"eOn's file {path.name} cannot be read: {error}", directory=path.parent
        ) from error
    return Atoms(atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell.array, pbc=True)


def read_results(path: Path) -> dict[str, float | str]:
    """Read a ``results.dat``: a value and its key a line.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    dict
        Numbers and words by key.
    """
    found: dict[str, float | str] = {}
    for line in path.read_text().splitlines():
        words = line.split()
        if len(words) >= 2:
            try:
                found[words[1]] = float(words[0])
            except ValueError:
                found[words[1]] = words[0]
    return found


def replace_reason(path: Path, code: int, words: str) -> None:
    """Write into a ``results.dat`` that a search is not good after all.

    Parameters
    ----------
    path
        The file.
    code
        eOn's code.
    words
        Why.
    """
    lines = [x for x in path.read_text().splitlines() if "termination_reason" not in x]
    head = [f"{code} termination_reason", f"{words.replace(' ', '_')} termination_reason_text"]
    path.write_text("\n".join([*head, *lines]) + "\n")


def read_states(folder: Path) -> list[State]:
    """Read all states.

    Parameters
    ----------
    folder
        The run.

    Returns
    -------
    list[State]
        By number.
    """
    found = [path for path in (folder / "states").glob("*") if path.name.isdigit()]
    return [read_state(path) for path in sorted(found, key=lambda path: int(path.name))]


def read_state(folder: Path) -> State:
    """Read a state folder.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    State
        The state.

    Raises
    ------
    CalculationError
        Its process table is not one.
    """
    number = int(folder.name)
    head, *lines = (folder / "processtable").read_text().splitlines()
    if head.split()[-1] == "time":
        lines = []  # transitions of replicas, which have no saddle
    energy = re.search(r"reactant energy\s*=\s*(\S+)", (folder / "info").read_text())
    try:
        processes = tuple(_process(number, line.split()) for line in lines if line.strip())
    except ValueError as error:
        raise CalculationError(
            f"eOn's process table of state {number} is broken: {error}", directory=folder
        ) from error
    return State(number, folder, float(energy.group(1)) if energy else None, processes)


def _process(state: int, words: list[str]) -> Process:
    number, saddle, prefactor, product, product_energy, _, barrier, rate, repeats = words
    leads = int(product)
    return Process(
        state=state,
        number=int(number),
        saddle_energy=float(saddle),
        prefactor=float(prefactor),
        product=None if leads == _NO_STATE else leads,
        product_energy=float(product_energy),
        barrier=float(barrier),
        rate=float(rate),
        repeats=int(repeats),
    )


def read_steps(folder: Path) -> list[Step]:
    """Read the trajectory.

    Parameters
    ----------
    folder
        The run.

    Returns
    -------
    list[Step]
        In time order; steps out of a superbasin have no event of one state and bear eOn's number of it.
    """
    path = folder / "dynamics.txt"
    if not path.exists():
        return []
    rows = [line.split() for line in path.read_text().splitlines()[2:]]
    return [Step(*(int(w) for w in row[:4]), *(float(w) for w in row[4:9])) for row in rows if len(row) >= 9]


def read_fates(folder: Path) -> Counter[str]:
    """Count how the searches of all states ended.

    Parameters
    ----------
    folder
        The run.

    Returns
    -------
    collections.Counter
        Number by eOn's words; ``good`` is a new event, ``repeat`` a known one.
    """
    fates: Counter[str] = Counter()
    for path in sorted((folder / "states").glob("*/search_results.txt")):
        for line in path.read_text().splitlines()[2:]:
            words = line.split(maxsplit=7)
            if len(words) == 8:
                fates[re.sub(r"-\d+|\s*\[\d+\]", "", words[7]).strip()] += 1
    return fates


def current_state(folder: Path) -> int:
    """Return the number of the state in which the run is.

    Parameters
    ----------
    folder
        The run.

    Returns
    -------
    int
        The number.
    """
    return int(_noted(folder / "info.txt", "current_state") or 0)


def simulated_time(folder: Path) -> float:
    """Return the time in s that a run has simulated.

    Parameters
    ----------
    folder
        The run.

    Returns
    -------
    float
        Up to its last step, and what replicas walked in the current state since.
    """
    steps = read_steps(folder)
    waited = _noted(folder / "states" / str(current_state(folder)) / "info", "accumulated_time")
    return (steps[-1].time if steps else 0.0) + float(waited or 0.0)


def _noted(path: Path, name: str) -> str | None:
    """Read a value of one of eOn's own notes; none if there is no such note yet."""
    found = re.search(rf"{name}\s*=\s*(\S+)", path.read_text()) if path.exists() else None
    return found.group(1) if found else None
