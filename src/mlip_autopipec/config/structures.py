"""Structures given by the user as files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import covalent_radii
from ase.io import read
from ase.neighborlist import neighbor_list

from mlip_autopipec.errors import StructureError

_OVERLAP = 0.5  # of the sum of the covalent radii


def read_structures(patterns: str | Sequence[str], folder: Path) -> list[Atoms]:
    """Read structure files.

    Parameters
    ----------
    patterns
        Paths, which may hold ``*`` and ``?``.
    folder
        What relative paths are relative to.

    Returns
    -------
    list[ase.Atoms]
        Every frame of every file.

    Raises
    ------
    StructureError
        A path matches no file, a file cannot be read or is empty, or atoms overlap.
    """
    structures: list[Atoms] = []
    for pattern in [patterns] if isinstance(patterns, str) else patterns:
        absolute = Path(pattern).is_absolute()
        paths = sorted(Path("/").glob(pattern[1:])) if absolute else sorted(folder.glob(pattern))
        if not paths:
            raise StructureError(
                f"'structures': no file matches {pattern!r} (looked in {folder}).",
                hint="paths are relative to the configuration file.",
            )
        for path in paths:
            structures += _read(path)
    return structures


def _read(path: Path) -> list[Atoms]:
    try:
        found = read(path, index=":")
    except Exception as error:  # ASE's readers raise whatever their parser raised
        raise StructureError(
            f"'structures': {path.name!r} cannot be read: {type(error).__name__}: {error}",
            hint="any format of ase.io.read is accepted: CIF, extxyz, POSCAR …",
        ) from error
    if not found:
        raise StructureError(f"'structures': {path.name!r} holds no structure.")
    for frame, atoms in enumerate(found):
        _check(atoms, f"{path.name!r}, frame {frame}")
    return list(found)


def _check(atoms: Atoms, where: str) -> None:
    if not len(atoms):
        raise StructureError(f"'structures': {where} holds no atom.")
    if not (np.isfinite(atoms.positions).all() and np.isfinite(atoms.cell.array).all()):
        raise StructureError(f"'structures': {where} holds numbers that are not finite.")
    if atoms.pbc.any() and atoms.cell.rank < 3:
        raise StructureError(f"'structures': {where} is periodic but its cell has no volume.")
    radii = covalent_radii[atoms.numbers]
    i, j, d = neighbor_list("ijd", atoms, _OVERLAP * radii)
    if len(d):
        k = int(np.argmin(d))
        pair = f"{atoms.symbols[i[k]]}{i[k]}-{atoms.symbols[j[k]]}{j[k]}"
        limit = _OVERLAP * (radii[i[k]] + radii[j[k]])
        raise StructureError(
            f"'structures': {where} has overlapping atoms: {pair} at {d[k]:.3f} Å; "
            f"at least {limit:.3f} Å is accepted.",
            hint="check units (Å) and cell of the file.",
        )
