"""Families of structures: what they are by counting atoms, and by an energy that is known."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.spacegroup import Spacegroup
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.io.ase import AseAtomsAdaptor
from pymatgen.symmetry.analyzer import SpacegroupAnalyzer

from mlip_autopipec.ace import nearest_distance
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation import FAMILIES, SeedStructuresMaker, variants
from mlip_autopipec.generation.alloys import quasi_random
from mlip_autopipec.generation.defects import holes
from mlip_autopipec.generation.planes import stacking_fault
from mlip_autopipec.generation.variant import KEEP_APART, pushed_apart
from mlip_autopipec.schemas import AtomicStructure

pytestmark = pytest.mark.filterwarnings(
    "ignore:Set OLD_ERROR_HANDLING:DeprecationWarning", "ignore:No Pauling electronegativity:UserWarning"
)

COPPER = bulk("Cu", cubic=True).repeat((2, 2, 1))
NICKEL_ALUMINIDE = bulk("NiAl", "cesiumchloride", a=2.88).repeat(2)
CRYSTALS = {"Cu": COPPER, "Si": bulk("Si", cubic=True), "Mg": bulk("Mg").repeat(2), "NiAl": NICKEL_ALUMINIDE}


def made(family, crystal, n, seed=1):
    return variants(FAMILIES[family], crystal, n, np.random.default_rng(seed))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", CRYSTALS)
def test_each_family_is_sane_repeats_and_keeps_the_crystal(family, name):
    crystal = CRYSTALS[name]
    before = crystal.copy()
    found, again = made(family, crystal, 2), made(family, crystal, 2)
    assert crystal == before
    assert [v.atoms for v in found] == [v.atoms for v in again]
    if family in ("antisite", "alloy") and name != "NiAl":
        assert found == []
        return
    assert found
    for variant in found:
        assert nearest_distance(variant.atoms) > 0.99 * KEEP_APART * nearest_distance(crystal)
        assert variant.atoms.pbc.all()
        assert set(variant.atoms.get_chemical_symbols()) <= set(crystal.get_chemical_symbols())
        assert variant.detail


def test_point_defects_change_the_number_of_atoms():
    assert {len(v.atoms) for v in made("vacancy", COPPER, 5)} <= {15, 14}
    assert {len(v.atoms) for v in made("interstitial", COPPER, 3)} == {17}


def test_the_largest_hole_of_fcc_is_the_octahedral_one():
    points, radii = holes(bulk("Cu", cubic=True, a=4.0))
    assert radii.max() == pytest.approx(2.0)
    assert radii.min() == pytest.approx(3**0.5)  # tetrahedral, a sqrt(3) / 4
    octahedral = points[radii > 1.9] / 4.0
    assert sorted(map(tuple, octahedral.round(3).tolist())) == [
        (0.0, 0.0, 0.5),
        (0.0, 0.5, 0.0),
        (0.5, 0.0, 0.0),
        (0.5, 0.5, 0.5),
    ]


def test_slabs_have_their_vacuum():
    for variant in made("surface", COPPER, 3):
        normal = np.cross(*variant.atoms.cell.array[:2])
        heights = np.sort(variant.atoms.positions @ normal / np.linalg.norm(normal))
        depth = variant.atoms.get_volume() / np.linalg.norm(normal)
        gaps = np.diff(np.append(heights, heights[0] + depth))
        assert gaps.max() > 9.0
        assert len(variant.atoms) >= 16


def test_a_stacking_fault_of_copper_costs_what_a_fault_costs():
    """The intrinsic fault changes second neighbours of fcc only, which EMT hardly feels; others cost more."""
    crystal = bulk("Cu", cubic=True, a=3.59)
    crystal.calc = EMT()
    bulk_energy = crystal.get_potential_energy() / len(crystal)
    energies = []
    for seed in range(30):
        variant = stacking_fault(crystal.copy(), np.random.default_rng(seed))
        atoms = variant.atoms
        assert atoms.get_volume() / len(atoms) == pytest.approx(crystal.get_volume() / len(crystal))
        atoms.calc = EMT()
        area = np.linalg.norm(np.cross(*atoms.cell.array[:2]))
        energies.append((atoms.get_potential_energy() - bulk_energy * len(atoms)) / area)
    assert min(energies) > -1e-3
    assert min(energies) < 0.01  # eV/Å^2; shaken a little
    assert max(energies) > 0.05  # atoms on top of each other


def test_random_crystals_have_symmetry_and_composition():
    crystal = CRYSTALS["NiAl"]
    for variant in made("random_crystal", crystal, 2, seed=3):
        counts = variant.atoms.symbols.formula.count()
        assert counts["Ni"] == counts["Al"]
    for variant in made("random_crystal", COPPER, 4):
        analyzer = SpacegroupAnalyzer(AseAtomsAdaptor.get_structure(variant.atoms), symprec=1e-3)
        wanted = int(variant.detail.split("space group ")[1].split(",")[0])
        # The occupied positions may have more symmetry than the group, never less.
        n_operations = len(Spacegroup(wanted).get_op()[0])
        assert len(analyzer.get_symmetry_operations()) % n_operations == 0


def test_quasi_random_beats_random():
    lattice = bulk("Cu", cubic=True).repeat(2)
    symbols = ["Cu"] * 16 + ["Ni"] * 16
    start = [quasi_random(lattice, symbols, np.random.default_rng(s), n_steps=0)[1] for s in range(5)]
    best = [quasi_random(lattice, symbols, np.random.default_rng(s))[1] for s in range(5)]
    assert max(best) < min(start)
    atoms, _ = quasi_random(lattice, symbols, np.random.default_rng(0))
    assert atoms.symbols.formula.count() == {"Cu": 16, "Ni": 16}


@given(st.integers(0, 2**31))
def test_pushing_keeps_atoms_apart(seed):
    rng = np.random.default_rng(seed)
    atoms = Atoms("Cu8", positions=6.0 * rng.random((8, 3)), cell=[6.0] * 3, pbc=True)
    assert nearest_distance(pushed_apart(atoms, 2.0)) > 2.0


def test_what_does_not_fit_is_given_up():
    atoms = Atoms("Cu8", positions=np.random.default_rng(0).random((8, 3)), cell=[2.0] * 3, pbc=True)
    assert pushed_apart(atoms, 2.0, n_rounds=20) is None


def seeds(structure, **kwargs):
    maker = SeedStructuresMaker(n_atoms=8, n_strained=2, n_rattled=2, **kwargs)
    return maker.make.original(maker, [AtomicStructure.from_ase(structure)]).candidates


def test_families_join_the_seeds_and_change_no_other():
    plain, more = seeds(COPPER), seeds(COPPER, n_vacancies=3, n_liquids=1)
    assert [c for c in more if c.origin not in ("vacancy", "liquid")] == plain
    assert sum(c.origin == "vacancy" for c in more) == 3
    assert seeds(COPPER, n_liquids=1)[-8:] != []
    alone = [c for c in seeds(COPPER, n_liquids=1) if c.origin == "liquid"]
    assert alone == [c for c in more if c.origin == "liquid"]


def test_a_family_that_the_crystal_does_not_have_is_an_error():
    with pytest.raises(ConfigError, match="no antisite can be made of Cu16"):
        seeds(COPPER, n_antisites=1)
    water = Atoms("OH2", positions=[[0, 0, 0], [0.76, 0.59, 0], [-0.76, 0.59, 0]])
    with pytest.raises(ConfigError, match="'n_vacancies' needs crystals periodic in three dimensions"):
        seeds(water, n_vacancies=1)
