"""Elastic constants from stresses of strained cells: plain functions of arrays and structures."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from pymatgen.analysis.elasticity import Deformation, ElasticTensor, Strain, Stress
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from mlip_autopipec.generation.oriented import SYMPREC
from mlip_autopipec.generation.strains import StrainedCell
from mlip_autopipec.units import EV_PER_A3_TO_GPA

Array = NDArray[np.float64]

# Independent constants by the first space group of a crystal system (Nye); below, the usual nine.
_INDEPENDENT = (
    (195, ("11", "12", "44")),
    (143, ("11", "12", "13", "33", "44")),
    (75, ("11", "12", "13", "33", "44", "66")),
    (1, ("11", "22", "33", "44", "55", "66", "12", "13", "23")),
)


@dataclass(frozen=True)
class Symmetry:
    """A symmetry operation of a crystal.

    Parameters
    ----------
    rotation
        In Cartesian coordinates, shape ``(3, 3)``.
    order
        ``order[i]`` is the atom that atom i goes to.
    """

    rotation: Array
    order: NDArray[np.int_]


@dataclass(frozen=True)
class Response:
    """What a strain did, relative to the cell without it.

    Parameters
    ----------
    strain
        Dimensionless, shape ``(3, 3)``.
    stress
        Tension positive, in eV/Å^3, shape ``(3, 3)``.
    forces
        In eV/Å, shape ``(n_atoms, 3)``.
    """

    strain: Array
    stress: Array
    forces: Array


@dataclass(frozen=True)
class Moduli:
    """What follows from elastic constants.

    Parameters
    ----------
    bulk, shear
        Averages after Voigt, Reuss and Hill in GPa.
    lowest_eigenvalue
        Of the tensor in Kelvin's notation in GPa; the crystal is stable if it is positive (Born).
    """

    bulk: float
    shear: float
    lowest_eigenvalue: float


def symmetries(crystal: Atoms) -> list[Symmetry]:
    """Find the symmetry operations of a crystal and where they take its atoms.

    Parameters
    ----------
    crystal
        Primitive cell.

    Returns
    -------
    list[Symmetry]
        At least the identity.
    """
    analyzer = SpacegroupAnalyzer(AseAtomsAdaptor.get_structure(crystal), symprec=SYMPREC)
    fractional = crystal.get_scaled_positions()
    found = []
    for inside, outside in zip(
        analyzer.get_symmetry_operations(),
        analyzer.get_symmetry_operations(cartesian=True),
        strict=True,
    ):
        moved = fractional @ inside.rotation_matrix.T + inside.translation_vector
        apart = moved[:, None] - fractional[None]
        apart -= np.rint(apart)
        order = np.argmin(np.linalg.norm(apart @ crystal.cell.array, axis=2), axis=1)
        found.append(Symmetry(np.asarray(outside.rotation_matrix), order))
    return found


def true_response(cell: StrainedCell, stress: Array, forces: Array, rest: tuple[Array, Array]) -> Response:
    """Express a stress in the frame before the strain, less what was there without it.

    Parameters
    ----------
    cell
        The strained cell.
    stress
        Cauchy stress in eV/Å^3, shape ``(3, 3)``.
    forces
        In eV/Å, shape ``(n_atoms, 3)``.
    rest
        Stress and forces of the cell without strain.

    Returns
    -------
    Response
        Green-Lagrange strain and second Piola-Kirchhoff stress.
    """
    deformation = Deformation(np.eye(3) + cell.strain)
    second = np.asarray(Stress(stress).piola_kirchoff_2(deformation))
    return Response(np.asarray(deformation.green_lagrange_strain), second - rest[0], forces - rest[1])


def elastic_constants(
    responses: Sequence[Response],
    operations: Sequence[Symmetry],
    volume: float,
    force_constants: Array | None = None,
) -> Array:
    r"""Fit elastic constants to responses and all their images by symmetry.

    With force constants the atoms inside the cell follow the strain [1]_:

    .. math:: C = C_\text{clamped} - \Lambda^T \Phi^+ \Lambda / V,
       \quad \Lambda = \partial F / \partial \eta

    Parameters
    ----------
    responses
        To strains whose images by symmetry span all six components.
    operations
        Symmetry operations of the crystal.
    volume
        Of the cell in Å^3.
    force_constants
        Of the cell, at wave vector zero, in eV/Å^2, shape ``(n_atoms, n_atoms, 3, 3)``; none to leave the
        atoms where the strain carries them.

    Returns
    -------
    numpy.ndarray
        Voigt's constants in GPa, shape ``(6, 6)``, symmetric.

    References
    ----------
    .. [1] D. C. Wallace, Thermodynamics of Crystals, Wiley 1972, section 7.
    """
    strains, stresses, forces = [], [], []
    for response in responses:
        for operation in operations:
            turn = operation.rotation
            strains.append(Strain(turn @ response.strain @ turn.T).voigt)
            stresses.append(Stress(turn @ response.stress @ turn.T).voigt)
            turned = np.empty_like(response.forces)
            turned[operation.order] = response.forces @ turn.T
            forces.append(turned.ravel())
    matrix = np.array(strains)
    clamped = np.linalg.lstsq(matrix, np.array(stresses), rcond=None)[0].T
    tensor = 0.5 * (clamped + clamped.T)
    if force_constants is not None:
        coupling = np.linalg.lstsq(matrix, np.array(forces), rcond=None)[0].T
        n = len(force_constants)
        square = force_constants.transpose(0, 2, 1, 3).reshape(3 * n, 3 * n)
        # Translations, whose force constants are zero, are left out.
        compliance = np.linalg.pinv(0.5 * (square + square.T), rcond=1.0e-4, hermitian=True)
        tensor = tensor - coupling.T @ compliance @ coupling / volume
    return np.asarray(EV_PER_A3_TO_GPA * tensor)


def moduli(tensor: Array) -> Moduli:
    """Average elastic constants and look for soft strains.

    Parameters
    ----------
    tensor
        Voigt's constants in GPa, shape ``(6, 6)``.

    Returns
    -------
    Moduli
        Averages and the lowest eigenvalue. Averages of an unstable crystal mean nothing.
    """
    found = ElasticTensor.from_voigt(tensor)
    weights = np.sqrt(np.array([1.0, 1.0, 1.0, 2.0, 2.0, 2.0]))
    kelvin = tensor * np.outer(weights, weights)
    return Moduli(float(found.k_vrh), float(found.g_vrh), float(np.linalg.eigvalsh(kelvin)[0]))


def independent_constants(space_group: int) -> tuple[str, ...]:
    """Name the constants that are worth a line each.

    Parameters
    ----------
    space_group
        International number.

    Returns
    -------
    tuple[str, ...]
        Such as ``("11", "12", "44")``.
    """
    return next(names for first, names in _INDEPENDENT if space_group >= first)
