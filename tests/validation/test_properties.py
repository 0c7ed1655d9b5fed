"""Elastic constants, phonons and defects of EMT metals, against second implementations."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.phonons import Phonons
from ase.units import GPa

from mlip_autopipec.generation.defect_cells import (
    fault_cells,
    primitive,
    surface_cells,
    vacancy_cells,
)
from mlip_autopipec.generation.oriented import oriented
from mlip_autopipec.generation.strains import strained_cells
from mlip_autopipec.schemas import AtomicStructure, LabelBatchDoc
from mlip_autopipec.testing import label_batch, maker_unchanged
from mlip_autopipec.validation import (
    ElasticMaker,
    PhononMaker,
    StackingFaultMaker,
    SurfaceMaker,
    VacancyMaker,
    above,
)
from mlip_autopipec.validation.elasticity import (
    elastic_constants,
    independent_constants,
    moduli,
    symmetries,
    true_response,
)
from mlip_autopipec.validation.vibrations import (
    brillouin_path,
    displaced_cells,
    frequencies,
    phonon_model,
    with_forces,
)

COPPER = bulk("Cu", a=3.6)
CRYSTAL = AtomicStructure.from_ase(COPPER)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def make(maker, *args):
    with maker_unchanged(maker):
        return maker.make.original(maker, *args)


def emt(atoms):
    atoms = atoms.copy()
    atoms.calc = EMT()
    return atoms


def stress(atoms):
    return emt(atoms).get_stress(voigt=False)


def tensor_of(crystal, amplitude=0.002, force_constants=None):
    rest = stress(crystal), emt(crystal).get_forces()
    responses = [
        true_response(cell, stress(cell.atoms), emt(cell.atoms).get_forces(), rest)
        for cell in strained_cells(crystal, amplitude)
    ]
    return elastic_constants(responses, symmetries(crystal), crystal.get_volume(), force_constants)


def second_derivatives(crystal, h=0.004):
    """Elastic constants by finite differences of EMT's energy, atoms where the strain carries them."""
    voigt = ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1))

    def energy(strain):
        # F with F^T F = 1 + 2 E, for the Green-Lagrange strain E
        values, vectors = np.linalg.eigh(np.eye(3) + 2.0 * strain)
        moved = crystal.copy()
        moved.set_cell(crystal.cell.array @ (vectors * np.sqrt(values)) @ vectors.T, scale_atoms=True)
        return emt(moved).get_potential_energy()

    def unit(index):
        strain = np.zeros((3, 3))
        i, j = voigt[index]
        strain[i, j] += 0.5
        strain[j, i] += 0.5
        return strain

    found = np.zeros((6, 6))
    for a in range(6):
        for b in range(6):
            found[a, b] = sum(
                s * t * energy(h * (s * unit(a) + t * unit(b))) for s in (1, -1) for t in (1, -1)
            ) / (4 * h * h)
    return found / crystal.get_volume() / GPa


# Elastic constants


@pytest.mark.parametrize("crystal", [COPPER, bulk("Al", a=3.99), bulk("Au", "hcp", a=2.9)])
def test_elastic_constants_are_second_derivatives_of_the_energy(crystal):
    assert tensor_of(crystal) == pytest.approx(second_derivatives(crystal), abs=0.6)


def test_symmetry_leaves_three_strains_of_a_cubic_crystal():
    assert len(strained_cells(COPPER, 0.01)) == 3
    assert len(symmetries(COPPER)) == 48
    low = COPPER.repeat((1, 1, 2))
    low.rattle(0.1, seed=1)
    assert len(strained_cells(low, 0.01)) == 12
    assert len(symmetries(low)) == 2  # two atoms of a kind can always be exchanged


def test_atoms_inside_the_cell_follow_the_strain():
    """A doubled cell of two kinds: clamped and relaxed differ; the relaxed is that of a real relaxation."""
    from ase.optimize import BFGS

    cell = primitive(
        Atoms("CuAu", cell=[2.8, 2.8, 3.6], scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.55]], pbc=True)
    )

    def settled(atoms):
        atoms = emt(atoms)
        BFGS(atoms, logfile=None).run(fmax=1e-5, steps=200)
        return atoms

    rest = settled(cell)
    cell = Atoms(rest.get_chemical_symbols(), positions=rest.positions, cell=rest.cell, pbc=True)
    model = phonon_model(cell, (1, 1, 1), 0.01)
    model = with_forces(model, [emt(a).get_forces() for a in displaced_cells(model)])
    relaxed = tensor_of(cell, force_constants=np.asarray(model.force_constants))
    by_hand = []
    for sign in (1, -1):
        moved = cell.copy()
        moved.set_cell(cell.cell.array * [1, 1, 1 + sign * 0.002], scale_atoms=True)
        by_hand.append(settled(moved).get_stress()[2])
    assert relaxed[2, 2] == pytest.approx((by_hand[0] - by_hand[1]) / 0.004 / GPa, rel=0.03, abs=3.0)


def test_moduli_and_born_eigenvalues_of_a_cubic_crystal():
    c11, c12, c44 = 168.0, 121.0, 75.0
    tensor = np.zeros((6, 6))
    tensor[:3, :3] = c12
    tensor[range(3), range(3)] = c11
    tensor[range(3, 6), range(3, 6)] = c44
    found = moduli(tensor)
    assert found.bulk == pytest.approx((c11 + 2 * c12) / 3)
    assert found.lowest_eigenvalue == pytest.approx(c11 - c12)
    tensor[range(3), range(3)] = 100.0
    assert moduli(tensor).lowest_eigenvalue == pytest.approx(-21.0)
    assert independent_constants(225) == ("11", "12", "44")
    assert len(independent_constants(2)) == 9


def test_the_potential_has_the_elastic_constants_of_its_oracle(copper):
    maker = ElasticMaker()
    found = make(maker, copper, CRYSTAL, label_batch(maker.cells(COPPER), EMT()))
    assert np.array(found.tensor_reference) == pytest.approx(tensor_of(COPPER), abs=1.0)
    assert [c.name[-3:] for c in found.checks[1:]] == ["C11", "C12", "C44"]
    assert found.checks[0].verdict == "pass"
    assert np.array(found.tensor_predicted) == pytest.approx(np.array(found.tensor_reference), abs=20.0)


def test_without_the_oracle_only_stability_is_judged(copper):
    found = make(ElasticMaker(), copper, CRYSTAL, None)
    assert found.tensor_reference is None
    assert [c.verdict for c in found.checks] == ["pass"]
    few = LabelBatchDoc(labels=[], failed=[], n_labels=0, wall_time=0.0)
    assert make(ElasticMaker(), copper, CRYSTAL, few) == found


# Phonons


def bands_of(crystal, repeats, displacement=0.01):
    model = phonon_model(crystal, repeats, displacement)
    model = with_forces(model, [emt(a).get_forces() for a in displaced_cells(model)])
    return frequencies(model, brillouin_path(crystal, 11))


def test_phonons_are_those_of_ase(tmp_path):
    found = bands_of(COPPER, (4, 4, 4))
    ase = Phonons(COPPER, EMT(), supercell=(4, 4, 4), delta=0.01, name=str(tmp_path / "ph"))
    ase.run()
    ase.read(acoustic=True)
    path = np.concatenate(brillouin_path(COPPER, 11).segments)
    # at the wave vectors of the supercell both are exact
    exact = np.abs(4 * path - np.rint(4 * path)).max(axis=1) < 1e-9
    theirs = ase.band_structure(path[exact]) / 4.135667696e-3
    assert exact.sum() > 5
    assert np.sort(found.bands[exact]) == pytest.approx(np.sort(theirs), abs=0.05)
    assert found.lowest > -0.05
    assert np.trapezoid(found.dos, found.dos_frequency) == pytest.approx(3.0, abs=0.1)


def test_the_potential_has_the_phonons_of_its_oracle(copper):
    maker = PhononMaker(phonon_length=7.5)
    found = make(maker, copper, CRYSTAL, label_batch(maker.cells(COPPER), EMT()))
    assert found.supercell == (3, 3, 3)
    assert [c.verdict for c in found.checks] == ["pass", "pass"]
    assert len(found.distances) == len(found.bands_predicted) == 31 * len(found.segment_ends)
    assert found.segment_ends[0][0] == "Γ"


# An unstable crystal: copper in the simple cubic structure does not stand shear.


@pytest.fixture(scope="module")
def unstable():
    return AtomicStructure.from_ase(primitive(bulk("Cu", "sc", a=2.45)))


def test_an_unstable_potential_fails_born_and_phonons(copper, unstable):
    born = make(ElasticMaker(), copper, unstable, None).checks[0]
    assert (born.verdict, born.value < 0) == ("fail", True)
    lowest = make(PhononMaker(phonon_length=7.0), copper, unstable, None).checks[0]
    assert (lowest.verdict, lowest.value < -1.0) == ("fail", True)


def test_where_the_oracle_is_unstable_as_well_nothing_is_wrong(copper, unstable):
    maker = ElasticMaker()
    found = make(maker, copper, unstable, label_batch(maker.cells(unstable.to_ase()), EMT()))
    assert found.lowest_eigenvalue_reference < 0
    assert found.checks[0].verdict == "pass"


# Defects


def test_defect_energies_of_the_oracle_are_those_by_hand(copper):
    maker = VacancyMaker(vacancy_atoms=32)
    found = make(maker, copper, CRYSTAL, label_batch(maker.cells(COPPER), EMT()))
    crystal = bulk("Cu", a=3.6, cubic=True).repeat(2)
    vacant = crystal.copy()
    del vacant[0]
    by_hand = emt(vacant).get_potential_energy() - 31 / 32 * emt(crystal).get_potential_energy()
    (row,) = found.energies
    assert (row.name, row.unit, row.n_atoms) == ("Cu vacancy", "eV", 31)
    assert row.reference == pytest.approx(by_hand)
    assert row.relaxed <= row.predicted


def test_surface_energies_are_those_of_ase_slabs(copper):
    from ase.build import fcc100, fcc111

    maker = SurfaceMaker(planes=((1, 0, 0), (1, 1, 1)), thickness=10.0)
    found = make(maker, copper, CRYSTAL, label_batch(maker.cells(COPPER), EMT()))
    bulk_energy = emt(COPPER).get_potential_energy()
    for row, build in zip(found.energies, (fcc100, fcc111), strict=True):
        slab = build("Cu", (1, 1, row.n_atoms), a=3.6, vacuum=6.0, periodic=True)
        area = np.linalg.norm(np.cross(*slab.cell.array[:2]))
        by_hand = (emt(slab).get_potential_energy() - row.n_atoms * bulk_energy) / (2 * area)
        assert row.reference == pytest.approx(by_hand * 16.0217663, abs=1e-3)


def test_the_fault_of_fcc_is_hcp_stacked(copper):
    (fault,) = fault_cells(COPPER, 8.0)
    maker = StackingFaultMaker()
    found = make(maker, copper, CRYSTAL, label_batch(maker.cells(COPPER), EMT()))
    assert found.energies[0].reference == pytest.approx(-0.005, abs=0.003)
    assert [c.verdict for c in found.checks] == ["pass"]
    assert len(fault.atoms) == len(fault.perfect) == 4


@pytest.mark.parametrize(
    ("crystal", "n"),
    [
        (bulk("Si"), 1),
        (bulk("Fe"), 1),
        (bulk("Mg"), 1),
        (bulk("ZnS", "zincblende", a=5.41), 1),
        (bulk("NaCl", "rocksalt", a=5.64), 0),
    ],
)
def test_only_crystals_that_glide_have_a_fault(crystal, n):
    assert len(fault_cells(crystal, 8.0)) == n


@pytest.mark.parametrize("plane", [(1, 0, 0), (1, 1, 0), (1, 1, 1), (2, 1, 1)])
def test_an_oriented_cell_is_the_crystal_itself(plane):
    found = oriented(COPPER, plane, 7.0)
    energy = emt(found).get_potential_energy() / len(found)
    assert energy == pytest.approx(emt(COPPER).get_potential_energy(), abs=1e-9)


def test_compounds_have_a_vacancy_of_each_kind_and_keep_their_composition_in_slabs():
    salt = bulk("NaCl", "rocksalt", a=5.64)
    assert [v.name for v in vacancy_cells(salt, 8)] == ["Na vacancy", "Cl vacancy"]
    for slab in surface_cells(salt, ((1, 0, 0), (1, 1, 0)), 7.0, 10.0):
        assert slab.atoms.get_chemical_formula(empirical=True) == "ClNa"
        assert slab.atoms.cell.lengths()[2] > slab.perfect.cell.lengths()[2] + 5.0


# Verdicts of what may not be too small


@pytest.mark.parametrize(
    ("value", "verdict"), [(1.0, "pass"), (-0.2, "pass"), (-0.3, "warn"), (-0.5, "fail"), (np.nan, "fail")]
)
def test_verdicts_of_a_smallest_value(value, verdict):
    assert above("x", value, -0.2, "THz", warn=-0.4).verdict == verdict


def test_a_zero_eigenvalue_is_not_stable_and_no_limit_passes():
    assert above("x", 0.0, 0.0, "GPa").verdict == "fail"
    assert above("x", -3.0, None, "GPa").verdict == "pass"
    assert above("x", np.nan, None, "GPa").verdict == "fail"
