"""Text of a pw.x input. Pure: nothing here touches a file or a program."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ase import Atoms
from ase.data import atomic_masses, atomic_numbers

from mlip_autopipec.errors import StructureError

Value = str | float | bool
KGrid = tuple[int, int, int]

# Across a gap this wide in Å bands have no dispersion: a slab or cluster in a periodic cell. Layers of real
# crystals are closer.
VACUUM_GAP = 8.0
# Cosine of an angle between reciprocal vectors. Sheared cubic cells lie below, primitive cells of fcc,
# bcc and hexagonal crystals (1/3 and 1/2) above.
_OBLIQUE = 0.25


@dataclass(frozen=True)
class PwInput:
    """All that goes into one pw.x input.

    Parameters
    ----------
    atoms
        Structure in a complete cell, in Å.
    control
        Variables of namelist CONTROL.
    system
        Variables of namelist SYSTEM; ``ibrav``, ``nat`` and ``ntyp`` are added.
    electrons
        Variables of namelist ELECTRONS.
    pseudopotentials
        File name of each element's pseudopotential.
    k_grid
        Divisions along the reciprocal vectors.
    k_shifted
        Whether directions with more than one division are shifted by half a step.
    """

    atoms: Atoms
    control: Mapping[str, Value]
    system: Mapping[str, Value]
    electrons: Mapping[str, Value]
    pseudopotentials: Mapping[str, str]
    k_grid: KGrid
    k_shifted: bool = False

    def text(self) -> str:
        """Return the input file.

        Returns
        -------
        str
            The text, lengths in Å with 12 decimals.
        """
        symbols = sorted(set(self.atoms.get_chemical_symbols()))
        counts = {"ibrav": 0, "nat": len(self.atoms), "ntyp": len(symbols)}
        parts = [
            namelist("CONTROL", self.control),
            namelist("SYSTEM", {**counts, **self.system}),
            namelist("ELECTRONS", self.electrons),
            "ATOMIC_SPECIES",
            *(f"{s} {atomic_masses[atomic_numbers[s]]:.4f} {self.pseudopotentials[s]}" for s in symbols),
            k_points(self.k_grid, self.k_shifted),
            "CELL_PARAMETERS angstrom",
            *(vector(row) for row in self.atoms.cell.array),
            "ATOMIC_POSITIONS angstrom",
            *(f"{s} {vector(p)}" for s, p in zip(self.atoms.symbols, self.atoms.positions, strict=True)),
        ]
        return "\n".join(parts) + "\n"


def namelist(name: str, variables: Mapping[str, Value]) -> str:
    """Return a Fortran namelist.

    Parameters
    ----------
    name
        Its name.
    variables
        Its variables.

    Returns
    -------
    str
        The text, one variable a line.
    """
    lines = [f"  {key} = {fortran(value)}" for key, value in variables.items()]
    return "\n".join([f"&{name}", *lines, "/"])


def fortran(value: Value) -> str:
    """Return a value as Fortran reads it.

    Parameters
    ----------
    value
        The value.

    Returns
    -------
    str
        A Fortran literal.
    """
    if isinstance(value, bool):
        return ".true." if value else ".false."
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


def vector(values: np.ndarray) -> str:
    """Return three numbers as text.

    Parameters
    ----------
    values
        The numbers, shape ``(3,)``.

    Returns
    -------
    str
        12 decimals each.
    """
    return " ".join(f"{x:.12f}" for x in values)


def k_points(grid: KGrid, shifted: bool) -> str:
    """Return the K_POINTS card.

    Parameters
    ----------
    grid
        Divisions along the reciprocal vectors.
    shifted
        Whether directions with more than one division are shifted by half a step.

    Returns
    -------
    str
        The card; a single point is written as ``gamma``, for which pw.x uses real wavefunctions.
    """
    if grid == (1, 1, 1):
        return "K_POINTS gamma"
    offsets = [int(shifted and n > 1) for n in grid]
    return "K_POINTS automatic\n" + " ".join(str(n) for n in [*grid, *offsets])


def k_grid(atoms: Atoms, spacing: float) -> KGrid:
    r"""Choose the k-point grid.

    :math:`n_i = \max(1, \lceil |\mathbf b_i| / s \rceil)` with :math:`\mathbf a_i \cdot \mathbf b_j = 2 \pi
    \delta_{ij}`: the convention of VASP's KSPACING. ASE's ``kspacing`` lacks the :math:`2 \pi`.

    Parameters
    ----------
    atoms
        Structure in a complete cell.
    spacing
        Largest distance s between k-points in 1/Å, with the 2 pi.

    Returns
    -------
    tuple[int, int, int]
        Divisions; 1 along directions that are not periodic, or have a vacuum of more than 8 Å.
    """
    lengths = 2.0 * np.pi * np.linalg.norm(atoms.cell.reciprocal().array, axis=1)
    # The cell comes with rounding errors: 2.0000000001 divisions are 2.
    counts = np.maximum(1, np.ceil(lengths / spacing - 1e-6)).astype(int)
    extended = atoms.pbc & (widest_gaps(atoms) <= VACUUM_GAP)
    first, second, third = (int(n) if e else 1 for n, e in zip(counts, extended, strict=True))
    return first, second, third


def shift_keeps_symmetry(atoms: Atoms) -> bool:
    """Say whether a grid shifted by half a step has the symmetry of the lattice.

    In oblique cells, such as the primitive one of fcc, it has not: silicon then bears shear stress at rest.

    Parameters
    ----------
    atoms
        Structure in a complete cell.

    Returns
    -------
    bool
        Whether the reciprocal vectors are about at right angles.
    """
    vectors = atoms.cell.reciprocal().array
    unit = vectors / np.linalg.norm(vectors, axis=1)[:, None]
    return bool(np.abs(unit @ unit.T - np.eye(3)).max() < _OBLIQUE)


def widest_gaps(atoms: Atoms) -> np.ndarray:
    """Measure the widest empty layer between atoms, across each pair of lattice planes.

    Parameters
    ----------
    atoms
        Structure in a complete cell, taken as periodic.

    Returns
    -------
    numpy.ndarray
        Distances between centres of atoms in Å, shape ``(3,)``.
    """
    fractions = np.sort(atoms.cell.scaled_positions(atoms.positions) % 1.0, axis=0)
    gaps = np.diff(fractions, axis=0, append=fractions[:1] + 1.0)
    heights = 1.0 / np.linalg.norm(atoms.cell.reciprocal().array, axis=1)
    widest: np.ndarray = gaps.max(axis=0) * heights
    return widest


def boxed(atoms: Atoms, vacuum: float) -> Atoms:
    """Return the structure in a cell that pw.x can take.

    Parameters
    ----------
    atoms
        The structure.
    vacuum
        Smallest distance in Å between a molecule and its periodic image.

    Returns
    -------
    ase.Atoms
        The structure itself if it is periodic or its cell is roomy enough, else in a box of its own size
        plus the vacuum.

    Raises
    ------
    StructureError
        It is periodic in some direction but its cell has no volume.
    """
    volume = abs(np.linalg.det(atoms.cell.array))
    if any(atoms.pbc):
        if volume < 1e-6:
            raise StructureError(
                f"the cell of {atoms.get_chemical_formula()} has volume {volume:.1e} Å^3; "
                "pw.x needs three independent lattice vectors.",
                hint="give a slab or wire a lattice vector along its vacuum.",
            )
        return atoms
    extent = np.ptp(atoms.positions, axis=0)
    lengths = atoms.cell.lengths()
    orthogonal = volume > 1e-6 and np.allclose(atoms.cell.array, np.diag(np.diag(atoms.cell.array)))
    if orthogonal and bool((lengths >= extent + vacuum - 1e-6).all()):
        return atoms
    result = atoms.copy()
    result.set_cell(np.diag(np.maximum(lengths if orthogonal else 0.0, extent + vacuum)))
    return result
