import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import covalent_radii

from mlip_autopipec.ace import closest_pair
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.oracle.base import (
    OracleMaker,
    OracleResult,
    check_distances,
    check_result,
    label_document,
)
from mlip_autopipec.schemas import AtomicStructure, Fingerprint

FINGERPRINT = Fingerprint(code="test", version="1")
DIMER = AtomicStructure(
    symbols=["Si", "Si"],
    positions=[(0, 0, 0), (0, 0, 2.3)],
    cell=((8, 0, 0), (0, 8, 0), (0, 0, 8)),
    pbc=(False,) * 3,
)


def result(energy=-1.0, forces=None, stress=None):
    return OracleResult(energy, np.zeros((2, 3)) if forces is None else forces, stress, FINGERPRINT)


def test_an_abstract_oracle_cannot_be_built():
    with pytest.raises(TypeError, match="compute"):
        OracleMaker()


def test_close_atoms_are_refused_with_pair_and_distance():
    atoms = Atoms("SiC", positions=[(0, 0, 0), (0, 0, 0.6)])
    with pytest.raises(
        CalculationError, match=r"\((Si|C)\) are 0.600 Å apart, 0.32 of the sum.*Nothing was run"
    ):
        check_distances(atoms, 0.45)


def test_an_atom_and_its_own_image_are_a_pair():
    atoms = Atoms("Si", cell=[0.9, 8, 8], pbc=True)
    assert closest_pair(atoms, 0.45)[:2] == (0, 0)
    with pytest.raises(CalculationError, match=r"0.900 Å"):
        check_distances(atoms, 0.45)


@pytest.mark.parametrize("element", ["Al", "Si", "C", "Ni", "Cu", "Ag", "Fe", "Ti", "W", "Na", "Mg"])
def test_dimers_at_0_6_of_the_bond_pass_the_default(element):
    bond = min(d for d in bulk(element).repeat(3).get_all_distances(mic=True).ravel() if d > 0.1)
    atoms = Atoms(f"{element}2", positions=[(0, 0, 0), (0, 0, 0.6 * bond)])
    check_distances(atoms, OracleMaker.min_distance_ratio)
    assert 0.6 * bond < 2 * covalent_radii[atoms.numbers[0]]


@pytest.mark.parametrize(
    ("bad", "match"),
    [
        (result(energy=np.nan), "energy must be finite, got nan"),
        (result(forces=np.full((2, 3), np.inf)), "forces must be finite"),
        (result(stress=np.full((3, 3), np.nan)), "stress must be finite"),
        (result(forces=np.zeros((1, 3))), r"forces must have shape \(2, 3\), got \(1, 3\)"),
        (result(stress=np.zeros(6)), r"stress must have shape \(3, 3\), got \(6,\)"),
        (result(forces=np.array([[0, 0, 0], [0, 90.0, 120.0]])), r"atom 1 \(Si\) is 150.0 eV/Å; at most 149"),
    ],
)
def test_numbers_that_cannot_be_a_label_are_refused(bad, match, tmp_path):
    with pytest.raises(CalculationError, match=match) as caught:
        check_result(bad, DIMER, 149.0, tmp_path)
    assert caught.value.directory == tmp_path


def test_a_label_keeps_every_digit():
    numbers = np.array([[0.1 + 0.2, 0, 0], [-1 / 3, 0, 0]])
    label = label_document(DIMER, result(forces=numbers, stress=np.eye(3) / 7), 1.5)
    assert np.array_equal(label.forces, numbers)
    assert np.array_equal(label.stress, np.eye(3) / 7)
    assert label.wall_time == 1.5
