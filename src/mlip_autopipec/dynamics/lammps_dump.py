"""Reading a LAMMPS text dump, finished or cut off."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.errors import CalculationError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class DumpFrame:
    """One frame of a dump.

    Parameters
    ----------
    step
        Step of the walk.
    atoms
        The structure, atoms in the order of their ids, the corner of the box in the origin.
    gamma
        Extrapolation grade of each atom, MaxVol scale, shape ``(n_atoms,)``; none if it was not dumped.
    """

    step: int
    atoms: Atoms
    gamma: Array | None


def read_dump(path: Path, elements: Sequence[str]) -> list[DumpFrame]:
    """Read a dump of ``id type x y z`` and perhaps ``f_pace_gamma``.

    Parameters
    ----------
    path
        The file; a frame that was cut off at its end is left out.
    elements
        Chemical symbols in the order of the types.

    Returns
    -------
    list[DumpFrame]
        The frames in their order.

    Raises
    ------
    CalculationError
        It is no such dump.
    """
    frames = []
    for block in path.read_text().split("ITEM: TIMESTEP\n")[1:]:
        if not block.endswith("\n"):
            continue  # its last line may be half a line
        lines = block.splitlines()
        try:
            n_atoms = int(lines[2])
            if len(lines) < 8 + n_atoms:
                continue
            frames.append(_frame(lines, n_atoms, elements))
        except (IndexError, ValueError, KeyError) as error:
            raise CalculationError(f"the dump {path.name} cannot be read: {error!r}.") from error
    return frames


def _frame(lines: list[str], n_atoms: int, elements: Sequence[str]) -> DumpFrame:
    low, cell = _box(lines[3], np.array([[float(word) for word in line.split()] for line in lines[4:7]]))
    names = lines[7].removeprefix("ITEM: ATOMS").split()
    values = np.array([[float(word) for word in line.split()] for line in lines[8 : 8 + n_atoms]])
    column = dict(zip(names, values.T, strict=True))
    order = np.argsort(column["id"])
    positions = np.stack([column[axis] for axis in "xyz"], axis=1) - low
    atoms = Atoms(
        np.array(elements)[column["type"].astype(int) - 1][order],
        positions=positions[order],
        cell=cell,
        pbc=[word.startswith("p") for word in lines[3].split()[-3:]],
    )
    gamma = column.get("f_pace_gamma")
    return DumpFrame(int(lines[0]), atoms, None if gamma is None else gamma[order])


def _box(header: str, bounds: Array) -> tuple[Array, Array]:
    """Return corner and lattice vectors; a triclinic box is dumped by what bounds it."""
    xy, xz, yz = bounds[:, 2] if " xy xz yz " in header else (0.0, 0.0, 0.0)
    low, high = bounds[:, 0].copy(), bounds[:, 1].copy()
    low[0] -= min(0.0, xy, xz, xy + xz)
    high[0] -= max(0.0, xy, xz, xy + xz)
    low[1] -= min(0.0, yz)
    high[1] -= max(0.0, yz)
    size = high - low
    return low, np.array([[size[0], 0.0, 0.0], [xy, size[1], 0.0], [xz, yz, size[2]]])
