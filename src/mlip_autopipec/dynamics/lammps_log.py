"""Reading what LAMMPS says: its table, its halt, what went wrong, finished or cut off."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from mlip_autopipec.errors import CalculationError
from mlip_autopipec.schemas import EndReason

Table = dict[str, list[float]]

GAMMA_HALT = "halt"
"""Id of the ``fix halt`` of gamma; the others append their reason to it."""

_HALT = re.compile(r"Fix halt condition for fix-id (\S+) met on step (\d+) with value (\S+)")

# Ends of a walk, not accidents: what LAMMPS and ML-PACE say when the atoms have gone wild.
_WILD: tuple[tuple[str, EndReason], ...] = (
    ("Lost atoms", "lost_atoms"),
    ("Atom count is inconsistent", "lost_atoms"),
    ("Out of range atoms", "lost_atoms"),
    ("very small distance", "smallest_distance"),
    ("Non-numeric", "not_finite"),
    ("numbers that are not finite", "not_finite"),
    ("the potential cannot be evaluated", "not_finite"),
)


@dataclass(frozen=True)
class Halt:
    """The message of a ``fix halt``.

    Parameters
    ----------
    reason
        The limit that was met.
    step
        Step of the walk.
    value
        What met it, in LAMMPS' units.
    """

    reason: EndReason
    step: int
    value: float


def halt_id(reason: EndReason) -> str:
    """Name the ``fix halt`` of a limit.

    Parameters
    ----------
    reason
        The limit.

    Returns
    -------
    str
        The fix id.
    """
    return GAMMA_HALT if reason == "gamma" else f"{GAMMA_HALT}_{reason}"


def read_halt(log: str) -> Halt | None:
    """Read which limit ended a run, softly or hard.

    Parameters
    ----------
    log
        Text of the log or of the screen.

    Returns
    -------
    Halt or None
        The first of its last step, in the order of the input; none if nothing was halted.
    """
    found = list(_HALT.finditer(log))
    if not found:
        return None
    first = next(match for match in found if match[2] == found[-1][2])
    reasons: dict[str, EndReason] = {
        halt_id(reason): reason
        for reason in ("smallest_distance", "temperature", "pressure", "energy", "gamma")
    }
    if first[1] not in reasons:
        raise CalculationError(f"LAMMPS was halted by {first[1]!r}, which is not of the watchdog.")
    return Halt(reasons[first[1]], int(first[2]), float(first[3]))


def wild_end(text: str) -> EndReason | None:
    """Say whether a failure is one of the atoms and not of the program.

    Parameters
    ----------
    text
        What was said.

    Returns
    -------
    EndReason or None
        How the walk ended; none if something else went wrong.
    """
    return next((reason for words, reason in _WILD if words in text), None)


def read_thermo(log: str, columns: Sequence[str]) -> Table:
    """Read the last thermo table of a log.

    Parameters
    ----------
    log
        Text of the log.
    columns
        Words that its header must hold.

    Returns
    -------
    dict
        Numbers by column, also of columns that were not asked for; the table may have been cut off by an
        error, a half-written line is left out.

    Raises
    ------
    CalculationError
        There is no such table, or it is empty.
    """
    lines = log[: log.rfind("\n") + 1].splitlines()  # a line without its end may be half a line
    wanted = set(columns)
    starts = [i for i, line in enumerate(lines) if line.split()[:1] == ["Step"] and wanted <= {*line.split()}]
    if not starts:
        raise CalculationError(f"the LAMMPS log has no table with the columns {' '.join(columns)}.")
    header = lines[starts[-1]].split()
    table: Table = {name: [] for name in header}
    for line in lines[starts[-1] + 1 :]:
        if line.startswith("Loop time"):
            break
        numbers = _numbers(line)  # messages of `fix halt` and warnings stand between the rows
        if len(numbers) == len(header):
            for name, number in zip(header, numbers, strict=True):
                table[name].append(number)
    if not table[header[0]]:
        raise CalculationError("the LAMMPS log has an empty thermo table.")
    return table


def _numbers(line: str) -> list[float]:
    try:
        return [float(word) for word in line.split()]
    except ValueError:
        return []
