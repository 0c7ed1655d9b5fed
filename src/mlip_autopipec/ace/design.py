"""Rows of the linear model: what each basis function contributes to energy, forces and stress."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from ase import Atoms
from numpy.typing import NDArray
from threadpoolctl import threadpool_info

from mlip_autopipec.ace.kernel import Rows, compute_rows
from mlip_autopipec.ace.tables import channels, function_table, neighbour_table, radial_table
from mlip_autopipec.errors import FitError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class RowScales:
    """Standard deviations that make rows of different kinds comparable.

    Parameters
    ----------
    energy
        Of an energy per atom in eV/atom.
    force
        Of a force component in eV/Å.
    stress
        Of a stress component in eV/Å^3.
    """

    energy: float
    force: float
    stress: float


class RowWeights(Protocol):
    """How much the rows of one structure count; ``LabelWeights`` of the documents does."""

    @property
    def forces(self) -> Sequence[float]:
        """Of each atom's force, from 0 to 1, dimensionless, shape ``(n_atoms,)``."""

    @property
    def energy(self) -> bool:
        """Whether energy and stress count at all."""

    @property
    def energy_factor(self) -> float:
        """Of the energy where it counts, dimensionless; the stress has 1."""


def row_weights(weights: RowWeights | None, n_atoms: int, *, stress: bool) -> Array:
    """Spread the weights of a structure over its rows.

    Parameters
    ----------
    weights
        The weights; none if all rows count in full.
    n_atoms
        Number of atoms.
    stress
        Whether there are stress rows.

    Returns
    -------
    numpy.ndarray
        Dimensionless, in the order of ``DesignBlock.weighted``, shape ``(1 + 3 n_atoms (+ 6),)``.

    Raises
    ------
    FitError
        There is not one weight for each atom, or one is not between 0 and 1.
    """
    n_stress = 6 if stress else 0
    if weights is None:
        return np.ones(1 + 3 * n_atoms + n_stress)
    if len(weights.forces) != n_atoms:
        raise FitError(f"{len(weights.forces)} weights do not fit {n_atoms} atoms.")
    if not all(0.0 <= weight <= 1.0 for weight in weights.forces):
        raise FitError("weights of forces must lie between 0 and 1.")
    whole = float(weights.energy)
    energy = whole * weights.energy_factor
    return np.concatenate([[energy], np.repeat(weights.forces, 3), np.full(n_stress, whole)])


def apply_weights(rows: Array, weights: RowWeights | None, n_atoms: int) -> Array:
    """Weigh the rows of a structure and leave out those that do not count.

    Parameters
    ----------
    rows
        Rows, or what they shall give, over their standard deviations, shape ``(1 + 3 n_atoms (+ 6), ...)``.
    weights
        The weights; none if all rows count in full.
    n_atoms
        Number of atoms.

    Returns
    -------
    numpy.ndarray
        Rows times the square roots of their weights; fewer where weights are zero.
    """
    if weights is None:
        return rows
    found = row_weights(weights, n_atoms, stress=len(rows) > 1 + 3 * n_atoms)
    counts = found > 0.0
    root = np.sqrt(found[counts])
    return np.asarray(rows[counts] * root.reshape(-1, *[1] * (rows.ndim - 1)))


@dataclass(frozen=True)
class DesignBlock:
    """The rows of one structure.

    Parameters
    ----------
    energy
        Per atom: coefficients times this row give the energy in eV/atom, shape ``(n_functions,)``.
    forces
        In eV/Å per unit coefficient, atom by atom, shape ``(3 n_atoms, n_functions)``.
    stress
        In eV/Å^3 per unit coefficient, Voigt order xx yy zz yz xz xy, shape ``(6, n_functions)``;
        none for structures that are not periodic in three dimensions.
    """

    energy: Array
    forces: Array
    stress: Array | None

    def weighted(self, scales: RowScales, factor: float = 1.0, weights: RowWeights | None = None) -> Array:
        """Stack the rows, each divided by its standard deviation.

        Parameters
        ----------
        scales
            Standard deviations by kind.
        factor
            Multiplies all of them, dimensionless.
        weights
            How much each row counts in the sum of squares; rows that do not count are left out.

        Returns
        -------
        numpy.ndarray
            Energy, force and stress rows, shape ``(1 + 3 n_atoms (+ 6), n_functions)``.
        """
        parts = [self.energy[None, :] / scales.energy, self.forces / scales.force]
        if self.stress is not None:
            parts.append(self.stress / scales.stress)
        return apply_weights(np.vstack(parts) / factor, weights, len(self.forces) // 3)


class DesignMatrix:
    """Computes rows of the linear model for one basis by the compiled kernel.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet``; embedding and core switch play no role here.
    """

    def __init__(self, basis: Any) -> None:
        used = channels(basis)
        self._radial = radial_table(basis, used)
        self._table = function_table(basis, used)
        self._elements = list(basis.elements_name)
        self.cutoff = float(basis.cutoffmax)

    @property
    def n_functions(self) -> int:
        """Number of columns."""
        return int(self._table.first[-1])

    def block(self, atoms: Atoms, *, stress: bool = True) -> DesignBlock:
        r"""Compute the rows of one structure; stress rows are :math:`\sigma = V^{-1}\,dE/d\epsilon`.

        Parameters
        ----------
        atoms
            The structure.
        stress
            Whether to compute stress rows for a periodic structure.

        Returns
        -------
        DesignBlock
            Its rows.
        """
        found = self._rows(atoms, gradients=True)
        stressed = stress and bool(atoms.pbc.all())
        return DesignBlock(
            found.energy / len(atoms),
            found.forces.T,
            found.virial.T / atoms.get_volume() if stressed else None,
        )

    def blocks(self, structures: Sequence[Atoms], stress: Sequence[bool]) -> Iterator[DesignBlock]:
        """Compute the rows of many structures in threads, in order, a few at a time.

        There are as many as numerical libraries may use, which is for the process that runs a job to say.

        Parameters
        ----------
        structures
            The structures.
        stress
            Whether to compute stress rows, one for each.

        Yields
        ------
        DesignBlock
            Rows of the next structure.
        """
        n_threads = _n_threads()
        with ThreadPoolExecutor(n_threads) as pool:
            waiting: deque[Future[DesignBlock]] = deque()
            for atoms, stressed in zip(structures, stress, strict=True):
                waiting.append(pool.submit(self.block, atoms, stress=stressed))
                if len(waiting) > 2 * n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def projections(self, atoms: Atoms) -> dict[str, Array]:
        """Compute the basis functions of each atom.

        Parameters
        ----------
        atoms
            The structure.

        Returns
        -------
        dict
            By element, dimensionless, shape ``(n_atoms_of_element, n_functions_of_element)``.
        """
        found = self._rows(atoms, gradients=False).projections
        symbols = np.array(atoms.get_chemical_symbols())
        counts = np.diff(self._table.first)
        return {
            element: found[symbols == element, :count]
            for element, count in zip(self._elements, counts, strict=True)
            if element in symbols
        }

    def _rows(self, atoms: Atoms, *, gradients: bool) -> Rows:
        bonds = neighbour_table(atoms, self._elements, self.cutoff)
        return Rows(*compute_rows(*bonds, self._radial, self._table, gradients))


def _n_threads() -> int:
    """Return the threads of BLAS, at most one a core: OMP_NUM_THREADS and the like have set it."""
    pools = [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]
    n_cores = len(os.sched_getaffinity(0))
    return min([n_cores, *pools])
