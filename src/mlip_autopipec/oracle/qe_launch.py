"""How pw.x is started: number of processes, and pools of k-points."""

import shlex
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Self

from mlip_autopipec.oracle.qe_input import KGrid

# `mpirun -np 4`, `mpiexec -n 4`, `srun --ntasks=4`.
_PROCESSES = frozenset({"-np", "-n", "--np", "--n", "--ntasks"})
_POOLS = frozenset({"-nk", "-npool", "-npools", "-nkpool"})


@dataclass(frozen=True)
class Launch:
    """The command of pw.x and its pools.

    Parameters
    ----------
    command
        Launcher and program, e.g. ``"mpirun -np 4 pw.x"``.
    pools
        Groups of processes that share the k-points among them.
    """

    command: str
    pools: int = 1

    @classmethod
    def for_points(cls, command: str, n_points: int) -> Self:
        """Choose the pools: as many as divide the processes and are not more than the k-points.

        Each pool works alone until the densities are summed: the parallelism with the least communication
        ("Quantum ESPRESSO User's Guide", section on parallelism). More pools than k-points would idle.

        Parameters
        ----------
        command
            Launcher and program.
        n_points
            Number of k-points.

        Returns
        -------
        Launch
            The launch; one pool if the command asks for pools itself.
        """
        given = _POOLS & set(shlex.split(command))
        launch = cls(command)
        return launch if given else replace(launch, pools=largest_divisor(launch.processes, n_points))

    @property
    def processes(self) -> int:
        """Number of processes that the launcher starts; 1 if the command does not say."""
        words = shlex.split(self.command)
        place = _place(words)
        return 1 if place is None else int(words[place].partition("=")[2] or words[place])

    def with_processes(self, processes: int) -> Self:
        """Return a launch with another number of processes, and pools that divide it.

        Parameters
        ----------
        processes
            The number.

        Returns
        -------
        Launch
            The launch; itself if the command names no number.
        """
        words = shlex.split(self.command)
        place = _place(words)
        if place is None:
            return self
        flag, equals, _ = words[place].rpartition("=")
        words[place] = f"{flag}{equals}{processes}"
        return replace(self, command=shlex.join(words), pools=largest_divisor(processes, self.pools))

    @property
    def arguments(self) -> list[str]:
        """Arguments of pw.x: pools where there are any, and the input."""
        return [*(["-nk", str(self.pools)] if self.pools > 1 else []), "-i", "pw.in"]


def _place(words: list[str]) -> int | None:
    """Index of the word that holds the number of processes."""
    end = next((i for i, w in enumerate(words) if PurePath(w).name == "pw.x"), len(words))
    for i, word in enumerate(words[:end]):
        flag, _, value = word.partition("=")
        if flag in _PROCESSES and value.isdigit():
            return i
        if word in _PROCESSES and i + 1 < end and words[i + 1].isdigit():
            return i + 1
    return None


def largest_divisor(number: int, limit: int) -> int:
    """Return the largest divisor of a number that is not above a limit.

    Parameters
    ----------
    number
        A positive number.
    limit
        The limit.

    Returns
    -------
    int
        The divisor, 1 at the least.
    """
    return max((d for d in range(1, min(number, limit) + 1) if number % d == 0), default=1)


def n_k_points(grid: KGrid, shifted: bool) -> int:
    """Count the k-points of a grid up to time reversal, k = -k: those that pw.x computes without symmetry.

    Parameters
    ----------
    grid
        Divisions along the reciprocal vectors.
    shifted
        Whether directions with more than one division are shifted by half a step.

    Returns
    -------
    int
        The number.
    """
    total, own_inverse = 1, 1
    for n in grid:
        total *= n
        offset = shifted and n > 1
        own_inverse *= 1 if n % 2 else (0 if offset else 2)
    return (total + own_inverse) // 2
