"""Saddles and paths against what symmetry and closed forms say."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from mlip_autopipec.dynamics.saddles import (
    count_negative_modes,
    minimum_energy_path,
    most_displaced,
    same_shape,
    without_drift,
)


class DoubleWell(Calculator):
    """E = h (x^2 - 1)^2 + k (y - b (1 - x^2))^2 + k z^2: a bent valley over a hill of height h at x = 0."""

    implemented_properties = ("energy", "forces")

    def __init__(self, height, bend):
        super().__init__()
        self.height, self.bend = height, bend

    def calculate(self, atoms=None, properties=None, system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        x, y, z = self.atoms.positions[0] - 5.0
        well, valley, k = x * x - 1.0, y - self.bend * (1.0 - x * x), 5.0
        energy = self.height * well**2 + k * valley**2 + k * z * z
        slope = np.array(
            [4 * self.height * x * well + 4 * k * valley * self.bend * x, 2 * k * valley, 2 * k * z]
        )
        self.results = {"energy": energy, "forces": -slope[None]}


def particle(x, y):
    return Atoms("H", positions=[[5.0 + x, 5.0 + y, 5.0]], cell=[10, 10, 10], pbc=True)


@pytest.mark.parametrize("knots", [[(-1, 0), (1, 0)], [(-1, 0), (0, 0.6), (1, 0)]])
def test_the_path_goes_through_the_valley(knots):
    path = minimum_energy_path([particle(*knot) for knot in knots], DoubleWell(0.5, 0.5), max_force=0.01)
    assert path.barrier == pytest.approx(0.5, abs=1e-3)
    assert path.largest_force < 0.01
    assert path.energies[0] == 0.0
    assert path.energies[-1] == pytest.approx(0.0, abs=1e-12)
    assert 2.0 < path.distances[-1] < 2.6, "a little longer than the straight line"


def test_a_path_crosses_the_cells_border():
    shifted = [particle(-1, 0), particle(1, 0)]
    for atoms in shifted:
        atoms.positions += 4.5
    shifted[1].wrap()
    assert shifted[1].positions[0, 0] < shifted[0].positions[0, 0]
    path = minimum_energy_path(shifted, DoubleWell(0.5, 0.0), max_steps=0)
    assert path.distances[-1] == pytest.approx(2.0)


def hop(share):
    """A vacancy in copper whose neighbour has gone a share of the way into it."""
    atoms = bulk("Cu", cubic=True).repeat(2)
    hole = atoms.positions[0].copy()
    del atoms[0]
    neighbour = int(np.argmin(np.linalg.norm(atoms.positions - hole, axis=1)))
    atoms.positions[neighbour] += share * (hole - atoms.positions[neighbour])
    return atoms, neighbour


def test_a_vacancy_has_no_negative_mode_and_half_its_hop_one():
    def forces(atoms):
        atoms.calc = EMT()
        return atoms.get_forces()

    (start, atom), (half, _) = hop(0.0), hop(0.5)
    assert most_displaced(start, half) == atom
    assert count_negative_modes(forces, start, atom) == 0
    assert count_negative_modes(forces, half, atom) == 1


def test_a_drift_is_no_part_of_a_path():
    knots = [hop(share)[0] for share in (0.0, 0.5, 1.0)]
    drifted = [knots[0], *(atoms.copy() for atoms in knots[1:])]
    drifted[1].positions += [0.3, 0.0, 0.1]
    drifted[2].positions += [0.7, -0.2, 0.0]
    drifted[2].wrap()
    straight, found = without_drift(knots), without_drift(drifted)
    paths = [minimum_energy_path(x, EMT(), max_steps=0) for x in (straight, found)]
    assert paths[0].distances[-1] == pytest.approx(paths[1].distances[-1], abs=1e-9)
    assert paths[0].distances[-1] < 2.6, "one atom moves by a nearest distance"


def test_structures_are_known_by_their_distances():
    saddle, _ = hop(0.5)
    turned = Atoms(saddle.symbols[::-1], saddle.positions[::-1][:, [1, 2, 0]], cell=saddle.cell, pbc=True)
    turned.positions += 1.7
    turned.wrap()
    assert same_shape(saddle, turned)
    assert not same_shape(saddle, hop(0.3)[0])
    assert not same_shape(saddle, bulk("Cu", cubic=True))
