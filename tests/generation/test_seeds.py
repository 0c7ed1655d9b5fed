import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii
from ase.neighborlist import neighbor_list
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.ace import nearest_distance
from mlip_autopipec.errors import StructureError
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.generation.perturb import dimers, rattled, strained
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.testing import maker_unchanged

CRYSTAL = AtomicStructure.from_ase(bulk("NaCl", "rocksalt", a=5.64, cubic=True))


def make(maker, *structures):
    with maker_unchanged(maker):
        return maker.make.original(maker, list(structures) or [CRYSTAL])


@pytest.fixture(scope="module")
def seeds():
    return make(SeedStructuresMaker())


def of(seeds, origin):
    return [c for c in seeds.candidates if c.origin == origin]


def test_everything_is_there(seeds):
    assert {o: len(of(seeds, o)) for o in ("user", "strain", "rattle", "dimer", "isolated_atom")} == {
        "user": 1,
        "strain": 45,
        "rattle": 40,
        "dimer": 9,
        "isolated_atom": 2,
    }
    required = {c.origin for c in seeds.candidates if c.required}
    assert required == {"user", "strain", "dimer", "isolated_atom"}
    assert sum(c.required for c in of(seeds, "strain")) == 2 + 3  # volumes, pure strains of a cubic crystal
    assert seeds.reference == [of(seeds, "user")[0].structure]


def test_no_two_are_equal(seeds):
    assert len({c.structure.digest for c in seeds.candidates}) == len(seeds.candidates)


def test_the_same_seed_gives_the_same_and_another_another(seeds):
    assert make(SeedStructuresMaker()) == seeds
    other = make(SeedStructuresMaker(seed=1))
    assert of(other, "rattle")[0] != of(seeds, "rattle")[0]
    assert of(other, "dimer") == of(seeds, "dimer")


def test_atoms_are_kept_apart(seeds):
    limit = 0.75 * 2.82 * 0.92  # strained before they are kept apart
    for origin in ("strain", "rattle"):
        for c in of(seeds, origin):
            assert nearest_distance(c.structure.to_ase()) > limit, c.detail


def test_displacements_grow_to_the_wanted_size(seeds):
    crystal = seeds.reference[0].to_ase()
    sizes = [np.std(c.structure.to_ase().positions - crystal.positions) for c in of(seeds, "rattle")]
    assert sizes[0] < 0.05
    assert max(sizes) == pytest.approx(0.08 * 2.82, rel=0.4)


def test_volumes_are_even(seeds):
    crystal = seeds.reference[0].to_ase()
    strains = []
    for c in of(seeds, "strain")[:2]:
        atoms = c.structure.to_ase()
        strains.append((atoms.get_volume() / crystal.get_volume()) ** (1 / 3) - 1)
        assert atoms.get_scaled_positions() == pytest.approx(crystal.get_scaled_positions(), abs=1e-9)
    assert strains == pytest.approx([-0.06, 0.06])


def test_every_elastic_constant_is_seen(seeds):
    cell = seeds.reference[0].to_ase().cell.array
    strains = [
        np.linalg.solve(cell, c.structure.to_ase().cell.array) - np.eye(3) for c in of(seeds, "strain")[2:5]
    ]
    assert sorted(np.abs(s).max() * np.sign(s.sum()) for s in strains) == pytest.approx([-0.03, 0.03, 0.03])
    assert [np.trace(s) for s in strains].count(pytest.approx(0.0, abs=1e-9)) == 1  # the shear


@pytest.mark.parametrize("n_atoms", [8, 16, 32])
def test_a_longer_supercell_has_no_more_pure_strains(n_atoms):
    """Strained along x or along z, a cubic crystal has the same surroundings, however its cell is drawn."""
    maker = SeedStructuresMaker(n_atoms=n_atoms, n_strained=1, n_rattled=1, n_volumes=0)
    found = make(maker, AtomicStructure.from_ase(bulk("Cu", cubic=True)))
    assert sum(c.required for c in of(found, "strain")) == 3


def test_supercells_are_large_enough_and_round():
    found = make(
        SeedStructuresMaker(n_atoms=30, n_strained=1, n_rattled=1), AtomicStructure.from_ase(bulk("Cu"))
    )
    assert 30 <= found.reference[0].n_atoms <= 60


def test_a_molecule_is_rattled_but_not_strained():
    water = Atoms("OH2", positions=[[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
    found = make(SeedStructuresMaker(n_strained=3, n_rattled=3), AtomicStructure.from_ase(water))
    assert found.reference[0].n_atoms == 3
    assert not any(any(c.structure.pbc) for c in found.candidates)
    assert not any(c.required for c in of(found, "strain"))


def test_free_atoms_can_be_left_out():
    assert not of(make(SeedStructuresMaker(isolated_atoms=False)), "isolated_atom")


def test_dimers_of_every_pair_at_fractions_of_the_covalent_radii():
    found = dimers(["Zr", "Cu"], [0.7, 1.0])
    assert [a.get_chemical_formula() for a, _ in found] == ["Cu2", "Cu2", "CuZr", "CuZr", "Zr2", "Zr2"]
    for atoms, distance in found:
        radii = covalent_radii[atoms.numbers].sum()
        assert atoms.get_distance(0, 1) == pytest.approx(distance)
        assert distance / radii in (pytest.approx(0.7), pytest.approx(1.0))
    assert covalent_radii[atomic_numbers["Cu"]] == 1.32


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.1))
def test_strain_stays_inside_its_bounds(seed, most):
    atoms = bulk("Cu", cubic=True)
    moved = strained(atoms, most, np.random.default_rng(seed))
    strain = np.linalg.solve(atoms.cell.array, moved.cell.array) - np.eye(3)
    assert strain == pytest.approx(strain.T, abs=1e-12)
    shear = strain - np.diag(np.diag(strain))
    assert np.abs(shear).max() <= 0.5 * most + 1e-12
    assert np.abs(np.diag(strain)).max() <= most + 1e-12


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 3.0))
def test_rattling_keeps_atoms_apart_however_large(seed, amplitude):
    atoms = bulk("Cu", cubic=True)
    moved = rattled(atoms, amplitude, np.random.default_rng(seed), keep_apart=1.9)
    assert len(neighbor_list("i", moved, 1.9)) == 0
    assert moved.cell.array == pytest.approx(atoms.cell.array)


@pytest.mark.parametrize(
    ("atoms", "distance"),
    [(bulk("Cu"), 3.61 / 2**0.5), (Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 7]]), 7.0)],
)
def test_nearest_distance(atoms, distance):
    assert nearest_distance(atoms) == pytest.approx(distance)


@pytest.mark.timeout(20)
def test_a_free_atom_as_a_start_is_an_error():
    with pytest.raises(StructureError, match="neighbour"):
        nearest_distance(Atoms("Cu", positions=[[0, 0, 0]]))


def test_strains_stretch_shear_and_swell_within_their_bounds():
    """Each of the three moduli of a cubic crystal is felt, and the largest strain is kept."""
    atoms, rng, most = bulk("Cu", cubic=True), np.random.default_rng(3), 0.06
    found = []
    for _ in range(200):
        cell = strained(atoms, most, rng).cell.array
        found.append(np.linalg.inv(atoms.cell.array) @ cell - np.eye(3))
    strains = np.array(found)
    swelling = np.trace(strains, axis1=1, axis2=2) / 3
    stretches = np.diagonal(strains, axis1=1, axis2=2) - swelling[:, None]
    assert np.allclose(strains, strains.transpose(0, 2, 1))
    assert 0.9 * most < np.abs(swelling).max() <= most
    for part in (stretches, strains[:, [0, 0, 1], [1, 2, 2]]):
        assert 0.35 * most < np.abs(part).max() <= 0.5 * most
