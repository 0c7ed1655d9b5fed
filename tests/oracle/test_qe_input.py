import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.io.espresso import read_espresso_in

from mlip_autopipec.errors import StructureError
from mlip_autopipec.oracle.qe_input import PwInput, boxed, fortran, k_grid, k_points, shift_keeps_symmetry


def job(atoms, **changes):
    values = {
        "atoms": atoms,
        "control": {"tprnfor": True, "outdir": "./scratch"},
        "system": {"ecutwfc": 30.0, "nosym": True},
        "electrons": {"conv_thr": 1e-9, "electron_maxstep": 100},
        "pseudopotentials": {"Si": "Si.upf", "C": "C.upf"},
        "k_grid": (2, 2, 1),
    }
    return PwInput(**{**values, **changes})


def test_another_reader_reads_back_the_structure(tmp_path):
    atoms = bulk("SiC", "zincblende", a=4.36)
    atoms.rattle(0.1, seed=1)
    (tmp_path / "pw.in").write_text(job(atoms).text())
    with (tmp_path / "pw.in").open() as file:
        back = read_espresso_in(file)
    assert back.get_chemical_symbols() == ["Si", "C"]
    assert np.allclose(back.cell.array, atoms.cell.array, atol=1e-12)
    assert np.allclose(back.positions, atoms.positions, atol=1e-9)


def test_the_text_of_a_small_input():
    atoms = Atoms("Si", cell=[5.0, 5.0, 5.0], pbc=True)
    assert (
        job(atoms, k_grid=(1, 1, 1)).text()
        == """&CONTROL
  tprnfor = .true.
  outdir = './scratch'
/
&SYSTEM
  ibrav = 0
  nat = 1
  ntyp = 1
  ecutwfc = 30.0
  nosym = .true.
/
&ELECTRONS
  conv_thr = 1e-09
  electron_maxstep = 100
/
ATOMIC_SPECIES
Si 28.0850 Si.upf
K_POINTS gamma
CELL_PARAMETERS angstrom
5.000000000000 0.000000000000 0.000000000000
0.000000000000 5.000000000000 0.000000000000
0.000000000000 0.000000000000 5.000000000000
ATOMIC_POSITIONS angstrom
Si 0.000000000000 0.000000000000 0.000000000000
"""
    )


def test_a_quote_in_a_path_is_doubled():
    assert fortran("/o'neill") == "'/o''neill'"


def test_only_divided_directions_are_shifted():
    assert k_points((2, 3, 1), shifted=True) == "K_POINTS automatic\n2 3 1 1 1 0"
    assert k_points((2, 3, 1), shifted=False) == "K_POINTS automatic\n2 3 1 0 0 0"


@pytest.mark.parametrize(("spacing", "n"), [(1.16, 1), (0.6, 2), (0.58, 2), (0.57, 3), (0.4, 3), (0.38, 4)])
def test_the_spacing_has_the_two_pi(spacing, n):
    assert k_grid(bulk("Si", a=5.43, cubic=True), spacing) == (n, n, n)


def test_a_spacing_that_divides_exactly_is_not_rounded_up():
    atoms = bulk("Si", a=5.43, cubic=True)
    assert k_grid(atoms, 2 * np.pi / 5.43 / 3) == (3, 3, 3)


def test_primitive_and_cubic_cell_have_the_same_density():
    assert k_grid(bulk("Si", a=5.43), 0.38) == (6, 6, 6)
    assert k_grid(bulk("Si", a=5.43).repeat(2), 0.38) == (3, 3, 3)


def test_oblique_cells_are_not_shifted():
    cubic = bulk("Si", a=5.43, cubic=True)
    sheared = cubic.copy()
    sheared.set_cell(cubic.cell.array @ (np.eye(3) + 0.06 * (np.ones((3, 3)) - np.eye(3))), scale_atoms=True)
    primitive = [bulk("Si", a=5.43), bulk("Fe", a=2.87), bulk("Mg", "hcp", a=3.2, c=5.2)]
    assert [shift_keeps_symmetry(atoms) for atoms in (cubic, sheared, *primitive)] == [
        *(True, True),
        *(False, False, False),
    ]


def test_one_point_along_vacuum():
    slab = fcc111("Al", (1, 1, 3), vacuum=5.0)
    assert k_grid(slab, 0.3)[2] == 1
    assert k_grid(slab, 0.3)[0] > 1
    assert k_grid(Atoms("Si", cell=[3.0] * 3), 0.1) == (1, 1, 1)


def test_a_molecule_without_cell_gets_a_box():
    dimer = Atoms("Si2", positions=[(0, 0, 0), (0, 0, 2.3)])
    assert np.allclose(boxed(dimer, 8.0).cell.array, np.diag([8.0, 8.0, 10.3]))
    assert not dimer.cell.array.any()


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ([20, 20, 20], [20, 20, 20]),
        ([20, 4, 20], [20, 8, 20]),
        ([[9, 1, 0], [0, 9, 0], [0, 0, 20]], [8, 8, 10.3]),
    ],
)
def test_a_box_is_kept_where_it_is_roomy(cell, expected):
    dimer = Atoms("Si2", positions=[(0, 0, 0), (0, 0, 2.3)], cell=cell)
    assert np.allclose(boxed(dimer, 8.0).cell.array, np.diag(expected))


def test_a_periodic_structure_keeps_its_cell():
    atoms = bulk("Si")
    assert boxed(atoms, 8.0) is atoms


def test_a_slab_without_a_third_vector_is_refused():
    slab = Atoms("Al", cell=[3, 3, 0], pbc=(True, True, False))
    with pytest.raises(StructureError, match=r"cell of Al has volume 0.0e\+00"):
        boxed(slab, 8.0)
