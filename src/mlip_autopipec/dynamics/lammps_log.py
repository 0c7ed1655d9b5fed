"""Reading the thermo table of a LAMMPS log, finished or cut off."""

from collections.abc import Sequence

from mlip_autopipec.errors import CalculationError


def read_thermo(log: str, columns: Sequence[str]) -> dict[str, list[float]]:
    """Read the last thermo table of a log.

    Parameters
    ----------
    log
        Text of the log.
    columns
        Header words of the table, in order.

    Returns
    -------
    dict
        Numbers by column; the table may have been cut off by an error, a half-written line is left out.

    Raises
    ------
    CalculationError
        There is no such table, or it is empty.
    """
    lines = log[: log.rfind("\n") + 1].splitlines()  # a line without its end may be half a line
    header = list(columns)
    starts = [i for i, line in enumerate(lines) if line.split() == header]
    if not starts:
        raise CalculationError(f"the LAMMPS log has no table with the columns {' '.join(header)}.")
    table: dict[str, list[float]] = {name: [] for name in header}
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
