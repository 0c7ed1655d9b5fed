"""From ASE atoms to the neighbour lists of python-ace, for any cell and periodicity."""

from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from vesin import NeighborList

from mlip_autopipec.errors import StructureError

Ints = NDArray[np.int64]


def environment(atoms: Atoms, basis: Any) -> Any:
    """Build the atomic environments of a structure.

    By vesin's search: the time of python-ace's own grows with the square of the number of atoms, and it
    refuses mixed periodicity and left-handed cells.

    Parameters
    ----------
    atoms
        The structure.
    basis
        An ``ACEBBasisSet`` or ``ACECTildeBasisSet``; gives cut-off and order of the elements.

    Returns
    -------
    pyace.ACEAtomicEnvironment
        Neighbour lists within the largest cut-off.

    Raises
    ------
    StructureError
        An element is not in the basis, or a position is not finite.
    """
    from pyace.catomicenvironment import ACEAtomicEnvironment

    symbols = atoms.get_chemical_symbols()
    unknown = sorted(set(symbols) - set(basis.elements_name))
    if unknown:
        raise StructureError(
            f"element {', '.join(unknown)} is not in the potential; known: {', '.join(basis.elements_name)}."
        )
    if not np.isfinite(atoms.positions).all():
        raise StructureError(f"{atoms.get_chemical_formula()} holds positions that are not finite numbers.")
    finder = NeighborList(cutoff=float(basis.cutoffmax), full_list=True, sorted=True, n_threads=1)
    i, j, shifts = finder.compute(
        points=atoms.positions, box=atoms.cell.array, periodic=list(atoms.pbc), quantities="ijS"
    )
    n, neighbour = len(atoms), j.astype(np.int64)
    away = shifts.any(axis=1)
    # Each periodic image that is a neighbour of somebody is one more atom, after the real ones.
    images = np.column_stack([neighbour[away], shifts[away].astype(np.int64)])
    first, which = _distinct(images)
    sources, cells = images[first, 0], images[first, 1:]
    neighbour[away] = n + which
    origins = np.concatenate([np.arange(n), sources])
    types = np.array([basis.elements_name.index(symbol) for symbol in symbols], dtype=int)
    found = ACEAtomicEnvironment()
    found.x = np.vstack([atoms.positions, atoms.positions[sources] + cells @ atoms.cell.array]).tolist()
    found.species_type = types[origins].tolist()
    found.neighbour_list = [
        part.tolist() for part in np.split(neighbour, np.searchsorted(i, np.arange(1, n)))
    ]
    found.origins = origins.tolist()
    return found


def _distinct(rows: Ints) -> tuple[Ints, Ints]:
    """First of each kind of row of integers, and the kind of each row; faster than ``np.unique`` by axis."""
    low = rows.min(axis=0, initial=0)
    keys = np.ravel_multi_index(tuple((rows - low).T), tuple(rows.max(axis=0, initial=0) - low + 1))
    _, first, which = np.unique(keys, return_index=True, return_inverse=True)
    return first, which
