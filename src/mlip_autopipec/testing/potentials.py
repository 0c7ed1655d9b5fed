"""What every potential keeps to: symmetries, and derivatives that belong to its energy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from mlip_autopipec.testing.require import require

Array = NDArray[np.float64]

_VOIGT = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))


@dataclass(frozen=True)
class PotentialContract:
    """The contract of a potential, checked on one structure.

    Parameters
    ----------
    make_calculator
        Returns an ASE calculator of the potential, with E0 or without.
    atoms
        The structure; not in equilibrium, so that forces and stress are large enough to be compared.
    cutoff
        Cut-off radius in Å; copies further apart must not feel each other.
    tolerance
        Largest difference of two energies in eV/atom, of forces in eV/Å and of stresses in eV/Å^3 that
        should be equal exactly.
    displacement
        Step of the finite differences, in Å and as a strain.
    derivative_tolerance
        Largest difference between a derivative and its finite difference, in eV/Å and eV/Å^3.
    exempt
        Names of checks that the potential need not pass, e.g. ``"stress"``, each with a reason.
    """

    make_calculator: Callable[[], Calculator]
    atoms: Atoms
    cutoff: float
    tolerance: float = 1.0e-8
    displacement: float = 1.0e-4
    derivative_tolerance: float = 1.0e-5
    exempt: Mapping[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Check everything that is not exempt.

        Raises
        ------
        AssertionError
            The contract is broken, or ``exempt`` names no check or gives no reason.
        """
        checks: dict[str, Callable[[], None]] = {
            "rotation": self.check_rotation,
            "translation": self.check_translation,
            "permutation": self.check_permutation,
            "extensive": self.check_extensive,
            "additive": self.check_additive,
            "forces": self.check_forces,
            "stress": self.check_stress,
            "gamma": self.check_gamma,
        }
        unknown = sorted(set(self.exempt) - set(checks))
        require(not unknown, f"there is no check {', '.join(unknown)}; there are {', '.join(checks)}.")
        require(all(self.exempt.values()), "every exemption needs a reason.")
        for name, run in checks.items():
            if name not in self.exempt:
                run()

    def check_rotation(self) -> None:
        """Check that the energy does not see a rotation and that the forces turn with the structure."""
        turn = Rotation.from_rotvec([0.7, -0.4, 1.1]).as_matrix()
        turned = self.atoms.copy()
        turned.set_cell(turned.cell.array @ turn.T)
        turned.positions = turned.positions @ turn.T
        self._same_energy(turned, "a rotation")
        self._same_forces(turned, self._forces(self.atoms) @ turn.T, "a rotation")

    def check_translation(self) -> None:
        """Check that the energy does not see a translation, also across the cell's faces."""
        moved = self.atoms.copy()
        moved.positions += [0.31, -1.7, 2.9]
        self._same_energy(moved, "a translation")
        if moved.pbc.any():
            moved.wrap()
            self._same_energy(moved, "wrapping into the cell")

    def check_permutation(self) -> None:
        """Check that the energy does not see the order of the atoms and that the forces follow it."""
        order = np.random.default_rng(1).permutation(len(self.atoms))
        self._same_energy(self.atoms[order], "a permutation")
        self._same_forces(self.atoms[order], self._forces(self.atoms)[order], "a permutation")

    def check_extensive(self) -> None:
        """Check that a supercell has the energy of its cells, and the stress of each."""
        if not self.atoms.pbc.any():
            return
        repeated = self.atoms.repeat([2 if periodic else 1 for periodic in self.atoms.pbc])
        self._same_energy(repeated, "repetition of the cell")
        if self.atoms.pbc.all() and "stress" not in self.exempt:
            off = float(np.abs(self._stress(repeated) - self._stress(self.atoms)).max())
            require(
                off <= self.tolerance, f"the stress changes by {off:.2e} eV/Å^3 when the cell is repeated."
            )

    def check_additive(self) -> None:
        """Check that two copies out of each other's reach have twice the energy."""
        free = self.atoms.copy()
        free.set_cell(None)
        free.pbc = False
        far = free.copy()
        far.positions[:, 0] += float(np.ptp(free.positions[:, 0])) + 1.5 * self.cutoff
        off = abs(self._energy(free + far) - 2.0 * self._energy(free)) / len(free)
        require(off <= self.tolerance, f"two copies far apart differ from two alone by {off:.2e} eV/atom.")

    def check_forces(self) -> None:
        """Check that the forces are the negative derivatives of the energy, and add up to nothing."""
        forces = self._forces(self.atoms)
        total = float(np.abs(forces.sum(axis=0)).max())
        require(total <= self.tolerance * len(self.atoms), f"the forces add up to {total:.2e} eV/Å.")
        for index in range(min(len(self.atoms), 4)):
            for axis in range(3):
                expected = -self._slope(partial(self._displaced, index, axis))
                off = abs(forces[index, axis] - expected)
                require(
                    off <= self.derivative_tolerance,
                    (
                        f"force {forces[index, axis]:.6f} eV/Å on atom {index} along {'xyz'[axis]}, "
                        f"-dE/dx is {expected:.6f} eV/Å."
                    ),
                )

    def check_stress(self) -> None:
        """Check that the stress is the derivative of the energy by strain over the volume."""
        if not self.atoms.pbc.all():
            return
        stress, volume = self._stress(self.atoms), self.atoms.get_volume()
        for value, (i, j) in zip(stress, _VOIGT, strict=True):
            expected = self._slope(partial(self._strained, i, j)) / volume
            off = abs(value - expected)
            require(
                off <= self.derivative_tolerance,
                (f"stress {value:.6f} eV/Å^3 for {'xyz'[i]}{'xyz'[j]}, dE/dε/V is {expected:.6f} eV/Å^3."),
            )

    def check_gamma(self) -> None:
        """Check that extrapolation grades, where there are any, are finite and not negative."""
        atoms = self._with_calculator(self.atoms)
        atoms.get_potential_energy()
        gamma = atoms.calc.results.get("gamma")
        if gamma is None:
            return
        grades = np.asarray(gamma)
        require(grades.shape == (len(atoms),), f"{len(atoms)} atoms have grades of shape {grades.shape}.")
        require(np.isfinite(grades).all(), "a grade is not finite.")
        require((grades >= 0.0).all(), f"a grade is negative: {grades.min()}.")

    def _with_calculator(self, atoms: Atoms) -> Atoms:
        copy = atoms.copy()
        copy.calc = self.make_calculator()
        return copy

    def _energy(self, atoms: Atoms) -> float:
        return float(self._with_calculator(atoms).get_potential_energy())

    def _forces(self, atoms: Atoms) -> Array:
        return np.asarray(self._with_calculator(atoms).get_forces())

    def _stress(self, atoms: Atoms) -> Array:
        return np.asarray(self._with_calculator(atoms).get_stress())

    def _same_energy(self, atoms: Atoms, change: str) -> None:
        off = abs(self._energy(atoms) / len(atoms) - self._energy(self.atoms) / len(self.atoms))
        require(off <= self.tolerance, f"the energy changes by {off:.2e} eV/atom under {change}.")

    def _same_forces(self, atoms: Atoms, expected: Array, change: str) -> None:
        off = float(np.abs(self._forces(atoms) - expected).max())
        require(off <= self.tolerance, f"the forces are off by {off:.2e} eV/Å after {change}.")

    def _slope(self, at: Callable[[float], Atoms]) -> float:
        """Fourth-order central difference of the energy."""
        h = self.displacement
        near = self._energy(at(h)) - self._energy(at(-h))
        far = self._energy(at(2.0 * h)) - self._energy(at(-2.0 * h))
        return (8.0 * near - far) / (12.0 * h)

    def _displaced(self, index: int, axis: int, distance: float) -> Atoms:
        moved = self.atoms.copy()
        moved.positions[index, axis] += distance
        return moved

    def _strained(self, i: int, j: int, amount: float) -> Atoms:
        strain = np.eye(3)
        strain[i, j] += 0.5 * amount
        strain[j, i] += 0.5 * amount
        strained = self.atoms.copy()
        strained.set_cell(strained.cell.array @ strain, scale_atoms=True)
        return strained
