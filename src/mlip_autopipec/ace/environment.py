"""From ASE atoms to the neighbour lists of python-ace, for any cell and periodicity."""

from typing import Any

import numpy as np
from ase import Atoms

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
