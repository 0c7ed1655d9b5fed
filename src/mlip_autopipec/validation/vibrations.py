"""Force constants by phonopy, and what follows from them: plain functions of structures and forces."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

Array = NDArray[np.float64]

_SYMPREC = 1.0e-3
_MESH = 60.0  # Å, phonopy's measure of a mesh in reciprocal space
_DOS_POINTS = 201


@dataclass(frozen=True)
class Path:
    """A path through the Brillouin zone.

    Parameters
    ----------
    segments
        Wave vectors in units of the reciprocal lattice, one array of shape ``(n, 3)`` a segment.
    ends
        Names of both ends of each segment.
    """

    segments: list[Array]
    ends: list[tuple[str, str]]


@dataclass(frozen=True)
class Frequencies:
    """Phonon frequencies; imaginary ones are negative.

    Parameters
    ----------
    bands
        Along the path in THz, shape ``(n_points, n_bands)``.
    dos_frequency
        Frequencies of the density of states in THz.
    dos
        States per THz and primitive cell.
    lowest
        The lowest frequency on path and mesh in THz.
    """

    bands: Array
    dos_frequency: Array
    dos: Array
    lowest: float


def phonon_model(crystal: Atoms, repeats: Sequence[int], displacement: float) -> Any:
    """Set phonopy up, with its displacements.

    Parameters
    ----------
    crystal
        Primitive cell.
    repeats
        Of the supercell along each lattice vector.
    displacement
        In Å.

    Returns
    -------
    phonopy.Phonopy
        Knows the supercells that forces are needed for.
    """
    from phonopy import Phonopy
    from phonopy.structure.atoms import PhonopyAtoms

    cell = PhonopyAtoms(
        symbols=crystal.get_chemical_symbols(),
        cell=crystal.cell.array,
        scaled_positions=crystal.get_scaled_positions(),
    )
    model = Phonopy(
        cell, supercell_matrix=np.diag(list(repeats)), primitive_matrix=np.eye(3), symprec=_SYMPREC
    )
    model.generate_displacements(distance=displacement)
    return model


def displaced_cells(model: Any) -> list[Atoms]:
    """Return the displaced supercells of a model.

    Parameters
    ----------
    model
        From :func:`phonon_model`.

    Returns
    -------
    list[ase.Atoms]
        Symmetry leaves only distinct ones.
    """
    return [
        Atoms(s.symbols, scaled_positions=s.scaled_positions, cell=s.cell, pbc=True)
        for s in model.supercells_with_displacements
    ]


def with_forces(model: Any, forces: Sequence[Array]) -> Any:
    """Let a model compute its force constants.

    Parameters
    ----------
    model
        From :func:`phonon_model`.
    forces
        In eV/Å on the atoms of each displaced supercell.

    Returns
    -------
    phonopy.Phonopy
        The same model; its force constants obey the acoustic sum rule.
    """
    model.forces = [np.asarray(f) for f in forces]
    model.produce_force_constants(show_drift=False)
    model.symmetrize_force_constants()
    return model


def brillouin_path(crystal: Atoms, n_points: int) -> Path:
    """Choose the usual path through the Brillouin zone of a crystal.

    Parameters
    ----------
    crystal
        Primitive cell.
    n_points
        Wave vectors of each segment.

    Returns
    -------
    Path
        By seekpath, in the reciprocal lattice of this cell.
    """
    import seekpath

    cell = (crystal.cell.array, crystal.get_scaled_positions(), crystal.numbers)
    found = seekpath.get_path_orig_cell(cell, symprec=_SYMPREC)
    points = {name: np.array(point) for name, point in found["point_coords"].items()}
    return Path(
        segments=[np.linspace(points[a], points[b], n_points) for a, b in found["path"]],
        ends=[(_symbol(a), _symbol(b)) for a, b in found["path"]],
    )


def frequencies(model: Any, path: Path) -> Frequencies:
    """Compute bands and density of states.

    Parameters
    ----------
    model
        With force constants.
    path
        Where the bands are wanted.

    Returns
    -------
    Frequencies
        All of them.
    """
    model.run_band_structure(path.segments)
    bands = np.concatenate([np.asarray(f) for f in model.band_structure.frequencies])
    model.run_mesh(_MESH, is_gamma_center=True)
    lowest = min(float(bands.min()), float(np.min(model.mesh.frequencies)))
    top = float(bands.max())
    model.run_total_dos(
        freq_min=min(lowest, 0.0),
        freq_max=1.05 * top,
        freq_pitch=(1.05 * top - min(lowest, 0.0)) / (_DOS_POINTS - 1),
    )
    dos = model.total_dos
    return Frequencies(bands, np.asarray(dos.frequency_points), np.asarray(dos.dos), lowest)


def path_distances(path: Path, crystal: Atoms) -> Array:
    """Return how far along the path each wave vector is.

    Parameters
    ----------
    path
        The path.
    crystal
        Primitive cell.

    Returns
    -------
    numpy.ndarray
        In 1/Å with the 2 pi, shape ``(n_points,)``; jumps between segments count nothing.
    """
    reciprocal = 2.0 * np.pi * np.linalg.inv(crystal.cell.array).T
    start, found = 0.0, []
    for segment in path.segments:
        along = start + np.linalg.norm((segment - segment[0]) @ reciprocal, axis=1)
        found.append(along)
        start = float(along[-1])
    return np.concatenate(found)


def _symbol(name: str) -> str:
    return "Γ" if name == "GAMMA" else name
