"""The compiled kernel: corners the comparison with python-ace does not reach."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mlip_autopipec.ace import BasisSpec, DesignMatrix, build_basis, import_pyace
from mlip_autopipec.ace.environment import environment
from mlip_autopipec.ace.kernel import Rows, compute_rows
from mlip_autopipec.ace.tables import channels, function_table, neighbour_table, radial_table
from mlip_autopipec.errors import StructureError

SPEC = BasisSpec(("Cu", "Zr"), 4.5, 60)


@pytest.fixture(scope="module")
def basis():
    return build_basis(SPEC)


@pytest.fixture(scope="module")
def design(basis):
    return DesignMatrix(basis)


def alloy(seed=0):
    rng = np.random.default_rng(seed)
    atoms = bulk("Cu", cubic=True, a=3.9)
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0.0, 0.03, (3, 3))), scale_atoms=True)
    atoms.set_chemical_symbols(["Cu", "Zr", "Zr", "Cu"])
    atoms.rattle(0.15, seed=seed)
    return atoms


def rows(atoms, basis, gradients=True):
    used = channels(basis)
    bonds = neighbour_table(atoms, list(basis.elements_name), float(basis.cutoffmax))
    return Rows(*compute_rows(*bonds, radial_table(basis, used), function_table(basis, used), gradients))


# Symmetry


def rotation(seed):
    q, _ = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))
    return q * np.linalg.det(q)


@pytest.mark.parametrize("mirror", [1.0, -1.0])
@pytest.mark.parametrize("seed", range(3))
def test_rotation_and_inversion(seed, mirror, design):
    atoms, q = alloy(seed), mirror * rotation(seed)
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ q.T)
    turned.positions = atoms.positions @ q.T
    one, other = design.block(atoms), design.block(turned)
    size = max(1.0, np.abs(one.forces).max())
    assert other.energy == pytest.approx(one.energy, abs=1e-10 * size)
    vectors = one.forces.reshape(len(atoms), 3, -1)
    expected = np.einsum("xy,ayk->axk", q, vectors)
    assert other.forces.reshape(vectors.shape) == pytest.approx(expected, abs=1e-9 * size)


def test_permutation_and_translation(design):
    atoms = alloy()
    order = [2, 0, 3, 1]
    moved = atoms[order]
    moved.positions += [0.3, -7.1, 2.2]
    one, other = design.block(atoms), design.block(moved)
    assert other.energy == pytest.approx(one.energy, abs=1e-10)
    forces = one.forces.reshape(4, 3, -1)[order]
    assert other.forces == pytest.approx(forces.reshape(12, -1), abs=1e-9)
    assert other.stress == pytest.approx(one.stress, abs=1e-10)


def test_forces_sum_to_zero(design):
    assert design.block(alloy()).forces.reshape(4, 3, -1).sum(axis=0) == pytest.approx(0.0, abs=1e-9)


def test_supercells(design):
    atoms = alloy()
    one, many = design.block(atoms), design.block(atoms.repeat((2, 1, 2)))
    assert many.energy == pytest.approx(one.energy, abs=1e-10)
    assert many.stress == pytest.approx(one.stress, abs=1e-10)
    assert many.forces == pytest.approx(np.tile(one.forces, (4, 1)), abs=1e-9)


def test_a_left_handed_cell(design):
    atoms = alloy()
    other = atoms.copy()
    other.set_cell(atoms.cell.array[[1, 0, 2]])
    assert other.cell.handedness == -1
    one, two = design.block(atoms), design.block(other)
    assert two.energy == pytest.approx(one.energy, abs=1e-11)
    assert two.forces == pytest.approx(one.forces, abs=1e-10)
    assert two.stress == pytest.approx(one.stress, abs=1e-10)


@pytest.mark.parametrize("pbc", [(True, False, False), (False, True, True), (False, False, False)])
def test_open_directions_are_vacuum(pbc, design):
    atoms = alloy()
    atoms.pbc = pbc
    padded = atoms.copy()
    padded.set_cell(atoms.cell.array * np.where(pbc, 1.0, 8.0)[:, None])
    padded.pbc = True
    one, other = design.block(atoms), design.block(padded)
    assert one.stress is None
    assert one.energy == pytest.approx(other.energy, abs=1e-10)
    assert one.forces == pytest.approx(other.forces, abs=1e-9)


# Corners


def test_without_gradients_only_the_functions_are_computed(basis):
    atoms = alloy()
    full, bare = rows(atoms, basis), rows(atoms, basis, gradients=False)
    assert np.array_equal(bare.projections, full.projections)
    assert bare.forces.size == 0
    assert bare.virial.size == 0
    assert full.forces.shape == (120, 12)


def test_atoms_without_neighbours_have_no_functions(design):
    for atoms in (Atoms("Cu"), Atoms("CuZr", positions=[[0, 0, 0], [0, 0, 4.51]])):
        block = design.block(atoms)
        assert not block.energy.any()
        assert not block.forces.any()


def test_one_lonely_atom_beside_others(design):
    pair = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.4]])
    three = pair + Atoms("Zr", positions=[[0, 50, 0]])
    one, other = design.block(pair), design.block(three)
    assert 3 * other.energy == pytest.approx(2 * one.energy, abs=1e-11)
    assert other.forces[:6] == pytest.approx(one.forces, abs=1e-11)
    assert not other.forces[6:].any()


def test_everything_fades_out_at_the_cutoff(design):
    sizes = []
    for r in (4.4, 4.49, 4.499, 4.4999):
        block = design.block(Atoms("CuZr", positions=[[0, 0, 0], [0.6 * r, 0, 0.8 * r]]))
        sizes.append(max(np.abs(block.energy).max(), np.abs(block.forces).max()))
    assert (np.diff(sizes) < 0.0).all()
    assert sizes[-1] < 1e-3 * sizes[0]


@pytest.mark.parametrize("axis", range(3))
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_bonds_along_an_axis(axis, sign, design):
    """Where x = y = 0 the harmonics' own derivatives must not divide by zero."""
    unit = sign * np.eye(3)[axis]
    atoms = Atoms("CuZrCu", positions=[[0, 0, 0], 2.5 * unit, -2.3 * unit])
    block = design.block(atoms)
    step = 1e-5
    for x in range(3):
        sides = []
        for s in (step, -step):
            moved = atoms.copy()
            moved.positions[1, x] += s
            sides.append(design.block(moved).energy * 3)
        slope = (sides[0] - sides[1]) / (2.0 * step)
        size = max(1.0, np.abs(block.forces).max())
        assert block.forces[3 + x] == pytest.approx(-slope, abs=1e-6 * size)


def test_a_position_that_is_no_number_is_refused(design):
    for value in (np.nan, np.inf):
        atoms = alloy()
        atoms.positions[1, 2] = value
        with pytest.raises(StructureError, match="not finite"):
            design.block(atoms)


def test_an_unknown_element_is_refused(design):
    with pytest.raises(StructureError, match=r"element Au is not in the potential; known: Cu, Zr"):
        design.block(Atoms("CuAu", positions=[[0, 0, 0], [0, 0, 2.5]]))


@pytest.mark.parametrize(
    ("radial", "parameter", "elements"),
    [("ChebExpCos", 3.0, ("Cu",)), ("ChebPow", 2.0, ("Cu", "Zr")), ("SBessel", 1.0, ("Cu", "Ni", "Zr"))],
)
def test_every_family_gives_python_aces_rows(radial, parameter, elements):
    basis = build_basis(BasisSpec(elements, 4.5, 80, radial, parameter))
    atoms = alloy(3)
    atoms.set_chemical_symbols(np.resize(elements, 4).tolist())
    found = DesignMatrix(basis).block(atoms)
    pyace = import_pyace()
    evaluator = pyace.ACEBEvaluator(basis)
    calculator = pyace.ACECalculator(evaluator)
    calculator.compute(environment(atoms, basis), compute_projections=True, compute_b_grad=True)
    gradients = np.array(calculator.forces_bfuncs).transpose(0, 2, 1).reshape(12, -1)
    size = max(1.0, np.abs(gradients).max())
    assert found.forces == pytest.approx(gradients, abs=1e-9 * size)
    values = np.zeros(len(found.energy))
    starts = dict(zip(elements, range(0, 80 * len(elements), 80), strict=True))
    for symbol, row in zip(atoms.get_chemical_symbols(), calculator.projections, strict=True):
        values[starts[symbol] : starts[symbol] + len(row)] += row
    assert found.energy * 4 == pytest.approx(values, abs=1e-9 * max(1.0, np.abs(values).max()))
