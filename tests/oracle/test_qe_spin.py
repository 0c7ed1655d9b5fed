import pytest
from ase import Atoms
from ase.build import bulk, fcc100

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.oracle import QeStaticMaker
from mlip_autopipec.oracle.qe_input import k_grid, widest_gaps
from mlip_autopipec.oracle.qe_spin import resolve_nspin, starting_moment
from mlip_autopipec.schemas import AtomicStructure

IRON = {"extra": 'z_valence="16.0"'}


@pytest.mark.parametrize(
    ("nspin", "elements", "allowed", "expected"),
    [
        ("auto", ["Si"], False, 1),
        ("auto", ["Fe", "Si"], False, 2),
        ("auto", ["Fe"], True, 1),
        (1, ["Fe"], True, 1),
        (1, ["Al"], False, 1),
        (2, ["Al"], False, 2),
    ],
)
def test_spin_is_on_with_a_magnetic_element(nspin, elements, allowed, expected):
    assert resolve_nspin(nspin, elements, allowed) == expected


def test_spin_off_with_a_magnetic_element_has_to_be_allowed(fake_pw, make_upf):
    fake_pw()
    make_upf("Fe", **IRON)
    with pytest.raises(ConfigError, match="Fe is usually magnetic, but 'nspin' is 1"):
        QeStaticMaker(nspin=1).check(["Fe", "Si"])
    QeStaticMaker(nspin=1, allow_nonmagnetic=True).check(["Fe", "Si"])
    QeStaticMaker().check(["Fe", "Si"])


def test_the_start_is_the_free_atom_unless_given():
    moments = [starting_moment(e, {"Ni": 1.0}) for e in ("Cr", "Mn", "Fe", "Co", "Ni", "Al")]
    assert moments == [6.0, 5.0, 4.0, 3.0, 1.0, 0.0]


def test_moments_become_fractions_of_the_valence_electrons(fake_pw, make_upf):
    fake_pw()
    make_upf("Fe", **IRON)
    maker = QeStaticMaker()
    crystal = AtomicStructure.from_ase(bulk("FeSi", "cesiumchloride", a=2.8))
    system = maker.pw_input(crystal, maker.find_pseudopotentials(crystal.symbols)).system
    assert system["nspin"] == 2
    # Species in alphabetical order: Fe, Si. 4 Bohr magnetons of 16 electrons.
    assert (system["starting_magnetization(1)"], system["starting_magnetization(2)"]) == (0.25, 0.0)


def test_a_fraction_stays_below_one(fake_pw, make_upf):
    fake_pw()
    make_upf("Fe", **IRON)
    maker = QeStaticMaker(starting_moments={"Fe": -40.0})
    files = maker.find_pseudopotentials(["Fe"])
    system = maker.pw_input(AtomicStructure.from_ase(bulk("Fe")), files).system
    assert system["starting_magnetization(1)"] == -0.999


def test_a_pseudopotential_without_valence_is_refused(fake_pw, make_upf):
    fake_pw()
    make_upf("Fe")
    with pytest.raises(ConfigError, match="does not say how many valence electrons Fe has"):
        QeStaticMaker().check(["Fe"])


def test_prepared_settles_the_spin_of_the_whole_data_set(fake_pw, make_upf):
    fake_pw()
    make_upf("Fe", **IRON)
    assert (QeStaticMaker().prepared(["Fe", "Si"]).nspin, QeStaticMaker().prepared(["Si"]).nspin) == (2, 1)


def test_the_fingerprint_has_the_spin_and_where_it_started(fake_pw, make_upf, tmp_path):
    fake_pw()
    make_upf("Si", extra='z_valence="4.0"')
    silicon = AtomicStructure.from_ase(bulk("Si", cubic=True))
    plain = QeStaticMaker().compute(silicon, tmp_path).fingerprint
    spin = QeStaticMaker(nspin=2, starting_moments={"Si": 0.4}).compute(silicon, tmp_path).fingerprint
    assert plain.differences(spin) == [
        "nspin: 1.0 / 2.0",
        "starting moments [Bohr magneton]: (not set) / Si 0.4",
    ]


def test_slabs_and_clusters_in_periodic_cells_have_one_point_along_vacuum():
    slab = fcc100("Al", (1, 1, 4), vacuum=6.0, periodic=True)
    assert widest_gaps(slab)[2] == pytest.approx(12.0)
    assert k_grid(slab, 0.3)[2] == 1
    assert min(k_grid(slab, 0.3)[:2]) > 1
    slab.positions[:, 2] += 9.0  # across the boundary of the cell
    assert k_grid(slab, 0.3)[2] == 1
    dense = fcc100("Al", (1, 1, 4), vacuum=3.0, periodic=True)
    assert k_grid(dense, 0.3)[2] > 1
    cluster = Atoms("Al2", positions=[(0, 0, 0), (0, 0, 2.5)], cell=[11, 11, 12], pbc=True)
    assert k_grid(cluster, 0.2) == (1, 1, 1)


def test_vacuum_along_a_skewed_direction_is_measured_across_planes():
    cell = bulk("Al").cell.array.copy()
    cell[2] = [3.0, 2.0, 14.0]
    atoms = Atoms("Al", cell=cell, pbc=True)
    gap = widest_gaps(atoms)
    assert gap[2] == pytest.approx(abs(atoms.get_volume()) / _area(cell[0], cell[1]))


def _area(a, b):
    return Atoms("H", cell=[a, b, [0, 0, 0]]).cell.complete().volume
