"""Rows of the linear model: what each basis function contributes to energy, forces and stress."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.ace.basis import function_counts
from mlip_autopipec.ace.environment import environment

Array = NDArray[np.float64]

_STRAIN = 2.0e-5
_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


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

    def weighted(self, scales: RowScales, factor: float = 1.0) -> Array:
        """Stack the rows, each divided by its standard deviation.

        Parameters
        ----------
        scales
            Standard deviations by kind.
        factor
            Multiplies all of them, dimensionless.

        Returns
        -------
        numpy.ndarray
            Energy, force and stress rows, shape ``(1 + 3 n_atoms (+ 6), n_functions)``.
        """
        parts = [self.energy[None, :] / scales.energy, self.forces / scales.force]
        if self.stress is not None:
            parts.append(self.stress / scales.stress)
        return np.vstack(parts) / factor


class DesignMatrix:
    """Computes rows of the linear model for one basis.

    Parameters
    ----------
    basis
        An ``ACEBBasisSet`` with linear embedding and no core switch within reach of the structures.
    """

    def __init__(self, basis: Any) -> None:
        from pyace import ACEBEvaluator, ACECalculator

        self._basis = basis
        # The calculator does not keep its evaluator alive; without this reference it would crash.
        self._evaluator = ACEBEvaluator(basis)
        self._calculator = ACECalculator(self._evaluator)
        self._offsets = np.concatenate([[0], np.cumsum(list(function_counts(basis).values()))])

    @property
    def n_functions(self) -> int:
        """Number of columns."""
        return int(self._offsets[-1])

    def block(self, atoms: Atoms, *, stress: bool = True) -> DesignBlock:
        r"""Compute the rows of one structure.

        Energy and forces come from the evaluator's basis gradients. The stress rows are central
        differences of the energy row under the six strains, :math:`\sigma = V^{-1}\,dE/d\epsilon`; their
        relative error is about 1e-9.

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
        env = environment(atoms, self._basis)
        self._calculator.compute(env, compute_projections=True, compute_b_grad=True)
        energy = self._sum_projections(env) / len(atoms)
        gradients = np.array(self._calculator.forces_bfuncs)  # (n_atoms, n_functions, 3)
        forces = gradients.transpose(0, 2, 1).reshape(3 * len(atoms), self.n_functions)
        rows = self._stress_rows(atoms) if stress and atoms.pbc.all() else None
        return DesignBlock(energy, forces, rows)

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
        env = environment(atoms, self._basis)
        self._calculator.compute(env, compute_projections=True)
        rows: dict[str, list[Array]] = {}
        for kind, row in zip(env.species_type, self._calculator.projections, strict=False):
            rows.setdefault(self._basis.elements_name[kind], []).append(np.asarray(row))
        return {element: np.array(found) for element, found in rows.items()}

    def _sum_projections(self, env: Any) -> Array:
        total = np.zeros(self.n_functions)
        # species_type goes on into the ghost atoms, projections end with the real ones
        for kind, row in zip(env.species_type, self._calculator.projections, strict=False):
            total[self._offsets[kind] : self._offsets[kind + 1]] += row
        return total

    def _stress_rows(self, atoms: Atoms) -> Array:
        rows = np.empty((6, self.n_functions))
        for k, (i, j) in enumerate(_VOIGT):
            sides = []
            for sign in (1.0, -1.0):
                strain = np.eye(3)
                strain[i, j] += 0.5 * sign * _STRAIN
                strain[j, i] += 0.5 * sign * _STRAIN
                strained = atoms.copy()
                strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
                env = environment(strained, self._basis)
                self._calculator.compute(env, compute_projections=True)
                sides.append(self._sum_projections(env))
            rows[k] = (sides[0] - sides[1]) / (2.0 * _STRAIN * atoms.get_volume())
        return rows
