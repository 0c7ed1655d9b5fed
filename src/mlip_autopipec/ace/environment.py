"""From ASE atoms to the neighbour lists of python-ace, for any cell and periodicity."""

from itertools import combinations_with_replacement
from typing import Any

import numpy as np
from ase import Atoms
from ase.neighborlist import neighbor_list

from mlip_autopipec.errors import StructureError


def environment(atoms: Atoms, basis: Any) -> Any:
    """Build the atomic environments of a structure.

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
    from pyace.atomicenvironment import aseatoms_to_atomicenvironment, aseatoms_to_atomicenvironment_old

    unknown = sorted(set(atoms.get_chemical_symbols()) - set(basis.elements_name))
    if unknown:
        raise StructureError(
            f"element {', '.join(unknown)} is not in the potential; known: {', '.join(basis.elements_name)}."
        )
    if not np.isfinite(atoms.positions).all():
        raise StructureError(f"{atoms.get_chemical_formula()} holds positions that are not finite numbers.")
    elements = {element: index for index, element in enumerate(basis.elements_name)}
    # The fast builder refuses mixed periodicity and left-handed cells.
    simple = len(set(atoms.pbc)) == 1 and (not atoms.pbc.any() or atoms.cell.handedness > 0)
    if simple:
        return aseatoms_to_atomicenvironment(atoms, cutoff=basis.cutoffmax, elements_mapper_dict=elements)
    return aseatoms_to_atomicenvironment_old(atoms, cutoff=basis.cutoffmax, elements_mapper_dict=elements)


def nearest_distance(atoms: Atoms) -> float:
    """Shortest distance between two atoms, periodic images included.

    Parameters
    ----------
    atoms
        The structure.

    Returns
    -------
    float
        In Å.

    Raises
    ------
    StructureError
        It is one atom without periodic images.
    """
    if len(atoms) == 1 and not atoms.pbc.any():
        raise StructureError(f"a free {atoms.symbols[0]} atom has no neighbour.")
    reach = 1.0
    while True:
        distances = neighbor_list("d", atoms, reach)
        if len(distances):
            return float(distances.min())
        reach *= 1.5


def shortest_distances(structures: list[Atoms], cutoff: float) -> dict[str, float]:
    """Find the shortest distance of each pair of elements over all structures.

    Parameters
    ----------
    structures
        The structures.
    cutoff
        Distances beyond this, in Å, are not looked for.

    Returns
    -------
    dict
        Shortest distance in Å by pair ``'A-B'`` (sorted symbols); pairs that never meet are absent.
    """
    found: dict[str, float] = {}
    for atoms in structures:
        i, j, d = neighbor_list("ijd", atoms, cutoff)
        symbols = np.array(atoms.get_chemical_symbols())
        for first, second in combinations_with_replacement(sorted(set(symbols)), 2):
            mask = (symbols[i] == first) & (symbols[j] == second)
            if mask.any():
                pair = f"{first}-{second}"
                found[pair] = min(found.get(pair, np.inf), float(d[mask].min()))
    return found
