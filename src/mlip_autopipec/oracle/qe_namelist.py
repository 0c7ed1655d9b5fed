"""Read and change single variables of a pw.x input. Pure: nothing here touches a file.

A variable is named with its namelist, ``"ELECTRONS.mixing_beta"``. One variable a line is expected, as this
package and ASE write them.
"""

import re

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.oracle.qe_input import Value, fortran

_NAMELIST = re.compile(r"^[ \t]*&(\w+)[^\n]*\n(.*?)^[ \t]*/[ \t]*$", re.MULTILINE | re.DOTALL)
_ASSIGNMENT = re.compile(r"^[ \t]*([A-Za-z_]\w*(?:\(\d+\))?)[ \t]*=[ \t]*(.*?)[ \t,]*$", re.MULTILINE)
_CELL = re.compile(r"^CELL_PARAMETERS[^\n]*angstrom[^\n]*\n((?:[^\n]+\n){3})", re.MULTILINE | re.IGNORECASE)


def variables(text: str) -> dict[str, Value]:
    """Return all variables of an input.

    Parameters
    ----------
    text
        The input.

    Returns
    -------
    dict[str, str | float | bool]
        Value by ``"NAMELIST.variable"``, the variable in lower case.
    """
    return {
        f"{name.upper()}.{key.lower()}": literal(value)
        for name, body in _NAMELIST.findall(text)
        for key, value in _ASSIGNMENT.findall(body)
    }


def literal(text: str) -> Value:
    """Return the value of a Fortran literal.

    Parameters
    ----------
    text
        The literal.

    Returns
    -------
    str | float | bool
        The value; integers stay integers.
    """
    if text[:1] in "'\"":
        return text[1:-1].replace("''", "'")
    if text.lower().strip(".")[:1] in ("t", "f"):
        return text.lower().strip(".")[0] == "t"
    number = float(re.sub("[dD]", "e", text))
    return int(number) if re.fullmatch(r"[+-]?\d+", text) else number


def with_variable(text: str, key: str, value: Value | None) -> str:
    """Return an input with a variable set or removed.

    Parameters
    ----------
    text
        The input.
    key
        ``"NAMELIST.variable"``.
    value
        Its value; None removes it.

    Returns
    -------
    str
        The changed input.

    Raises
    ------
    ValueError
        The input has no such namelist.
    """
    namelist, name = key.split(".", 1)
    found = next((m for m in _NAMELIST.finditer(text) if m.group(1).upper() == namelist), None)
    if found is None:
        raise ValueError(f"the input has no namelist {namelist!r}.")
    kept = [
        line
        for line in found.group(2).splitlines()
        if not (m := _ASSIGNMENT.match(line)) or m.group(1).lower() != name
    ]
    if value is not None:
        kept.append(f"  {name} = {fortran(value)}")
    body = "".join(line + "\n" for line in kept)
    return text[: found.start(2)] + body + text[found.end(2) :]


def cell_lengths(text: str) -> NDArray[np.float64]:
    """Return the lengths of the lattice vectors of an input.

    Parameters
    ----------
    text
        The input.

    Returns
    -------
    numpy.ndarray
        Lengths in Å, shape ``(3,)``; zeros if the cell is not given in Å.
    """
    found = _CELL.search(text)
    if found is None:
        return np.zeros(3)
    rows = np.array([line.split()[:3] for line in found.group(1).splitlines()], dtype=float)
    lengths: NDArray[np.float64] = np.linalg.norm(rows, axis=1)
    return lengths
