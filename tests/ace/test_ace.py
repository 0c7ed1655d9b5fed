"""Our own ACE: basis, rows of the linear model, active set, core, files, and what is refused."""

import itertools
import subprocess
import sys
import threading
import zipfile

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.data import atomic_numbers, covalent_radii
from threadpoolctl import threadpool_limits

from mlip_autopipec.ace import (
    RISES_BELOW,
    SCAN_FROM,
    AcePotential,
    BasisSpec,
    CoreSwitch,
    DesignMatrix,
    active_set_inverse,
    build_basis,
    choose_core,
    compare_files,
    default_prior,
    dimer_scan,
    environment,
    falling_pairs,
    function_counts,
    functions,
    grade,
    import_pyace,
    shortest_distances,
    write_active_set,
    write_potential,
)
from mlip_autopipec.ace.basis import level
from mlip_autopipec.errors import CalculationError, ConfigError, FitError, StructureError

SPEC = BasisSpec(("Zr", "Cu"), cutoff=4.5, n_functions=25)
CORE = {pair: CoreSwitch(1.2, 0.4) for pair in ("Cu-Cu", "Cu-Zr", "Zr-Zr")}


@pytest.fixture(scope="module")
def basis():
    return build_basis(SPEC)


@pytest.fixture(scope="module")
def design(basis):
    return DesignMatrix(basis)


@pytest.fixture(scope="module")
def structures():
    found = []
    for seed in range(6):
        atoms = bulk("Cu", cubic=True, a=3.8).repeat((1, 1, 2))
        atoms.set_chemical_symbols(np.random.default_rng(seed).permutation(["Cu"] * 4 + ["Zr"] * 4))
        atoms.rattle(0.15, seed=seed)
        found.append(atoms)
    return found


@pytest.fixture(scope="module")
def coefficients(basis):
    size = len(basis.basis_coeffs)
    degrees = np.array([sum(f.ns) + sum(f.ls) for f in functions(basis)])
    return 0.1 * np.random.default_rng(0).normal(size=size) / degrees**2.0


@pytest.fixture(scope="module")
def active_set(basis, design, structures):
    rows = [design.projections(atoms) for atoms in structures]
    return {
        element: active_set_inverse(np.vstack([r[element] for r in rows]), np.full(n, 1e-3))
        for element, n in function_counts(basis).items()
    }


@pytest.fixture(scope="module")
def files(tmp_path_factory, coefficients, active_set):
    return write_potential(tmp_path_factory.mktemp("files"), SPEC, CORE, coefficients, active_set)


# Basis


def test_elements_are_sorted_and_pairs_unordered():
    assert SPEC.elements == ("Cu", "Zr")
    assert SPEC.pairs == ["Cu-Cu", "Cu-Zr", "Zr-Zr"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), 5.0, 50), "at least one element"),
        ((("Cu",), 0.9, 50), "'cutoff' must be larger than 1 Å, got 0.9"),
        ((("Cu",), 5.0, 9), "'n_functions' must be at least 10, got 9"),
    ],
)
def test_a_wrong_choice_of_basis_is_refused(arguments, message):
    with pytest.raises(ConfigError, match=message):
        BasisSpec(*arguments)


def test_about_as_many_functions_as_wanted(basis):
    counts = function_counts(basis)
    assert list(counts) == ["Cu", "Zr"]
    assert all(20 <= n <= 40 for n in counts.values())
    assert len(functions(basis)) == sum(counts.values()) == len(basis.basis_coeffs)


def test_rougher_functions_have_the_tighter_prior(basis):
    prior = default_prior(basis)
    precision = np.exp(prior.log_precision(prior.guess))
    radial = [(f.ns[0], p) for f, p in zip(functions(basis), precision, strict=True) if f.rank == 1]
    assert len(radial) > 4
    for (n, looser), (m, tighter) in itertools.pairwise(sorted(radial)):
        assert (tighter > looser) == (m > n)


def test_functions_of_lowest_level_are_taken():
    spec = BasisSpec(("Cu",), 5.0, 50)
    more = BasisSpec(("Cu",), 5.0, 120)

    def keys(spec):
        return {(tuple(f.ns), tuple(f.ls), tuple(f.LS)) for f in functions(build_basis(spec))}

    assert len(keys(spec)) == 50
    assert len(keys(more)) == 120
    assert keys(spec) < keys(more)
    highest = max(level(ns, ls, 1.5) for ns, ls, _ in keys(spec))
    assert all(level(ns, ls, 1.5) >= highest for ns, ls, _ in keys(more) - keys(spec))


def test_a_dear_angular_momentum_is_taken_less():
    def angular(weight):
        return sum(sum(f.ls) for f in functions(build_basis(BasisSpec(("Cu",), 5.0, 80, l_weight=weight))))

    assert angular(1.0) > angular(2.5)


@pytest.mark.parametrize(("radial", "parameter"), [("SBessel", 1.0), ("ChebExpCos", 4.0), ("ChebPow", 2.0)])
def test_the_kernel_says_what_python_ace_says_for_every_radial_family(radial, parameter, structures):
    """Second implementation: python-ace's own projections and basis gradients."""
    from pyace import ACEBEvaluator, ACECalculator

    basis = build_basis(BasisSpec(("Zr", "Cu"), 4.7, 60, radial, parameter))
    evaluator = ACEBEvaluator(basis)
    calculator = ACECalculator(evaluator)
    design = DesignMatrix(basis)
    counts = function_counts(basis)
    for atoms in structures:
        env = environment(atoms, basis)
        calculator.compute(env, compute_projections=True, compute_b_grad=True)
        gradients = np.array(calculator.forces_bfuncs).transpose(0, 2, 1).reshape(3 * len(atoms), -1)
        found = design.block(atoms, stress=False)
        assert found.forces == pytest.approx(gradients, abs=1e-8 * np.abs(gradients).max())
        rows = design.projections(atoms)
        for symbol in counts:
            mine = [
                row
                for row, s in zip(calculator.projections, atoms.get_chemical_symbols(), strict=False)
                if s == symbol
            ]
            if mine:
                assert rows[symbol] == pytest.approx(np.array(mine), abs=1e-9 * np.abs(mine).max())


def test_blocks_on_all_cores_are_those_one_by_one(design, structures):
    for block, atoms in zip(design.blocks(structures, [True] * len(structures)), structures, strict=True):
        alone = design.block(atoms)
        assert (block.energy == alone.energy).all()
        assert (block.forces == alone.forces).all()
        assert (block.stress is None) == (alone.stress is None)


@pytest.mark.parametrize("n_threads", [1, 2])
def test_rows_are_computed_in_as_many_threads_as_blas_may_use(structures, n_threads):
    found = set()

    class Noting(DesignMatrix):
        def block(self, atoms, *, stress=True):
            found.add(threading.get_ident())
            return super().block(atoms, stress=stress)

    with threadpool_limits(n_threads, "blas"):
        list(Noting(build_basis(SPEC)).blocks(structures, [True] * len(structures)))
    assert 1 <= len(found) <= n_threads


def test_a_quaternary_basis_has_as_many_functions_of_each_element_as_asked():
    basis = build_basis(BasisSpec(("Ag", "Au", "Cu", "Pd"), 4.5, 100))
    assert function_counts(basis) == dict.fromkeys(("Ag", "Au", "Cu", "Pd"), 100)


# Design rows


def test_rows_times_coefficients_are_what_the_evaluator_says(files, design, structures, coefficients):
    potential = AcePotential(files.yaml, files.asi)
    cluster = structures[0].copy()
    cluster.pbc = False
    slab = structures[0].copy()
    slab.pbc = (True, True, False)
    for atoms in (*structures[:2], cluster, slab):
        block, found = design.block(atoms), potential.evaluate(atoms)
        assert block.energy @ coefficients == pytest.approx(found.energies.mean(), abs=1e-9)
        assert block.forces @ coefficients == pytest.approx(found.forces.ravel(), abs=1e-7)
        if atoms.pbc.all():
            stress = -found.virial.flat[[0, 4, 8, 5, 2, 1]] / atoms.get_volume()
            assert block.stress @ coefficients == pytest.approx(stress, abs=1e-8)
        else:
            assert block.stress is None


def test_each_force_row_is_minus_the_slope_of_the_energy_row(design, structures):
    atoms, h = structures[1], 1e-4
    forces = design.block(atoms, stress=False).forces
    for index, axis in ((0, 0), (5, 1), (7, 2)):
        sides = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[index, axis] += sign * h
            sides.append(design.block(moved, stress=False).energy * len(atoms))
        slope = (sides[0] - sides[1]) / (2 * h)
        scale = np.abs(forces).max(axis=0) + 1e-12
        assert (np.abs(forces[3 * index + axis] + slope) / scale).max() < 1e-5


def test_each_stress_row_is_the_slope_of_the_energy_row_under_strain(design, structures):
    # another route than the implementation's: forward steps of finite size, extrapolated, on a sheared cell
    atoms = structures[2].copy()
    atoms.set_cell(
        atoms.cell.array @ np.array([[1.0, 0.05, 0], [0, 1.02, 0.03], [0.01, 0, 0.98]]), scale_atoms=True
    )
    stress = design.block(atoms).stress

    def energy(i, j, amount):
        strain = np.eye(3)
        strain[i, j] += amount / 2
        strain[j, i] += amount / 2
        moved = atoms.copy()
        moved.set_cell(atoms.cell.array @ strain, scale_atoms=True)
        return design.block(moved, stress=False).energy * len(atoms)

    h = 5e-4
    for row, (i, j) in zip(stress, ((0, 0), (1, 1), (2, 2), (1, 2), (0, 2), (0, 1)), strict=True):
        slope = (8 * (energy(i, j, h) - energy(i, j, -h)) - (energy(i, j, 2 * h) - energy(i, j, -2 * h))) / (
            12 * h
        )
        assert row == pytest.approx(slope / atoms.get_volume(), abs=2e-6 * np.abs(stress).max())


def test_stress_rows_are_left_out_on_request(design, structures):
    assert design.block(structures[0], stress=False).stress is None
    assert design.block(structures[0]).stress.shape == (6, design.n_functions)


def test_projections_sum_to_the_energy_row(design, structures, basis):
    atoms = structures[3]
    rows = design.projections(atoms)
    counts = function_counts(basis)
    assert {e: r.shape for e, r in rows.items()} == {e: (4, n) for e, n in counts.items()}
    total = np.concatenate([rows[e].sum(axis=0) for e in counts])
    assert total / len(atoms) == pytest.approx(design.block(atoms).energy, abs=1e-12)


def test_an_element_that_is_absent_has_no_rows(design):
    atoms = bulk("Zr")
    assert set(design.projections(atoms)) == {"Zr"}


# Active set


def test_gamma_is_one_on_the_active_rows_and_at_most_one_where_it_was_chosen_from(design, structures):
    rows = np.vstack([design.projections(atoms)["Cu"] for atoms in structures])
    floor = np.full(rows.shape[1], 1e-3)
    inverse = active_set_inverse(rows, floor)
    gamma = grade(np.vstack([rows, np.diag(floor)]), inverse)
    assert np.sum(np.abs(gamma - 1.0) < 1e-3) >= rows.shape[1]
    assert gamma.max() <= 1.001 + 1e-6


def test_floor_rows_bound_gamma_where_no_environment_reaches():
    rows = np.array([[1.0, 0.0, 0.0], [0.8, 0.1, 0.0]])
    inverse = active_set_inverse(rows, np.array([1e-2, 1e-2, 0.5]))
    assert grade(np.array([[0.0, 0.0, 1.0]]), inverse) == pytest.approx([2.0])
    assert grade(np.array([[3.0, 0.0, 0.0]]), inverse).max() >= 3.0


def test_gamma_does_not_depend_on_the_scale_of_a_function():
    rng = np.random.default_rng(1)
    rows, floor, scale = rng.normal(size=(40, 6)), np.full(6, 1e-3), 10.0 ** rng.uniform(-6, 3, 6)
    probe = rng.normal(size=(10, 6))
    one = grade(probe, active_set_inverse(rows, floor))
    other = grade(probe * scale, active_set_inverse(rows * scale, floor * scale))
    assert other == pytest.approx(one, rel=1e-6)


def test_an_active_set_that_cannot_be_inverted_accurately_is_refused():
    rng = np.random.default_rng(2)
    hilbert = 1.0 / (np.arange(14)[:, None] + np.arange(14)[None, :] + 1.0)
    rows = rng.normal(size=(60, 14)) @ hilbert
    with pytest.raises(FitError, match=r"ill-conditioned|linearly dependent"):
        active_set_inverse(rows, np.full(14, 1e-300))


def test_the_asi_file_has_the_layout_that_the_readers_need(tmp_path):
    # what the C++ reader takes for granted: stored, float64, C order; given the opposite here
    matrix = np.asfortranarray(np.random.default_rng(3).normal(size=(4, 4)).astype(np.float32))
    path = tmp_path / "potential.asi"
    write_active_set(path, {"Cu": matrix, "Zr": np.eye(3)})
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["Cu.npy", "Zr.npy"]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in archive.infolist())
        header = archive.read("Cu.npy")[:128]
    assert b"'descr': '<f8'" in header
    assert b"'fortran_order': False" in header
    assert np.load(path)["Cu"] == pytest.approx(matrix)


# Core


def cored(spec, coefficients):
    def with_core(core):
        basis = build_basis(spec, core)
        basis.basis_coeffs = coefficients
        return basis

    return with_core


def test_the_core_makes_every_dimer_rise_and_starts_at_the_shortest_distance(coefficients):
    shortest = {"Cu-Cu": 1.9, "Zr-Zr": 2.2}
    core = choose_core(cored(SPEC, coefficients), SPEC.pairs, shortest)
    assert falling_pairs(cored(SPEC, coefficients)(core), core) == []
    assert core["Cu-Cu"].r_in == pytest.approx(1.9, abs=1e-5)
    assert core["Cu-Cu"].r_in < 1.9
    unseen = 0.7 * (covalent_radii[atomic_numbers["Cu"]] + covalent_radii[atomic_numbers["Zr"]])
    assert core["Cu-Zr"].r_in == pytest.approx(unseen, abs=1e-5)
    # on a finer grid than the implementation's
    basis = build_basis(SPEC, core)
    basis.basis_coeffs = coefficients
    evaluator = import_pyace().ACEBEvaluator(basis)
    calculator = import_pyace().ACECalculator(evaluator)

    def energy(atoms):
        calculator.compute(environment(atoms, basis), compute_projections=False)
        return float(calculator.energy)

    for pair, switch in core.items():
        energies = dimer_scan(energy, pair, np.arange(SCAN_FROM, RISES_BELOW * switch.r_in, 0.004))
        assert (np.diff(energies) < 0).all(), pair


def test_training_structures_do_not_feel_the_core(tmp_path, design, structures, coefficients, active_set):
    shortest = shortest_distances(structures, SPEC.cutoff)
    core = choose_core(cored(SPEC, coefficients), SPEC.pairs, shortest)
    files = write_potential(tmp_path, SPEC, core, coefficients, active_set)
    differences = compare_files(files, design, coefficients, active_set, structures)
    assert differences["yaml_energy"] < 1e-9
    assert differences["yace_energy"] < 1e-9
    assert max(differences.values()) < 1e-5


def test_inside_the_core_the_energy_is_zbl(files):
    potential = AcePotential(files.yaml)
    d = 0.6
    z = atomic_numbers["Cu"]
    a = 0.46850 / (2 * z**0.23)
    weights, rates = [0.18175, 0.50986, 0.28022, 0.02817], [3.19980, 0.94229, 0.40290, 0.20162]
    zbl = 14.399645 * z**2 / d * sum(w * np.exp(-r * d / a) for w, r in zip(weights, rates, strict=True))
    dimer = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, d]])
    # FORMAT.md, section 3: shifted to zero at the cut-off, hence not exact
    assert potential.evaluate(dimer).energies.sum() == pytest.approx(zbl, rel=0.02)


def test_a_core_that_cannot_help_is_an_error():
    spec = BasisSpec(("Cu",), 5.0, 12)
    basis = build_basis(spec)
    rng = np.random.default_rng(4)
    coefficients = 1e7 * rng.normal(size=len(basis.basis_coeffs))
    with pytest.raises(
        FitError, match=r"no core makes the dimer energy of Cu-Cu rise monotonically below"
    ) as caught:
        choose_core(cored(spec, coefficients), spec.pairs, {"Cu-Cu": 2.8})
    assert "dimer_distances" in caught.value.hint


def test_shortest_distances_by_pair():
    atoms = Atoms("CuZrCu", positions=[[0, 0, 0], [0, 0, 2.5], [0, 0, 4.2]], cell=[9, 9, 6.0], pbc=[0, 0, 1])
    expected = {"Cu-Cu": 1.8, "Cu-Zr": 1.7}
    assert shortest_distances([atoms], 3.0) == pytest.approx(expected)
    far = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.0]])
    assert shortest_distances([atoms, far], 3.0) == pytest.approx(expected)
    assert shortest_distances([far], 1.0) == {}


# Files


def test_what_was_written_is_what_is_read(files, design, structures, coefficients, active_set):
    differences = compare_files(files, design, coefficients, active_set, structures)
    assert set(differences) == {"yaml_energy", "yace_energy", "yaml_force", "yace_force", "asi_gamma"}
    assert max(differences.values()) < 1e-5


@pytest.mark.parametrize(
    ("wrong", "key"),
    [
        (lambda c, a: (1.001 * c, a), "yaml_energy"),
        (lambda c, a: (c, {e: 1.001 * x for e, x in a.items()}), "asi_gamma"),
    ],
)
def test_files_that_say_something_else_are_found(
    wrong, key, files, design, structures, coefficients, active_set
):
    with pytest.raises(FitError, match=f"differs from the fitted one: {key} by"):
        compare_files(files, design, *wrong(coefficients, active_set), structures)


def test_structures_inside_the_core_are_found(files, design, coefficients, active_set):
    close = Atoms("CuZr", positions=[[0, 0, 0], [0, 0, 0.9]])
    with pytest.raises(FitError, match="differs from the fitted one"):
        compare_files(files, design, coefficients, active_set, [close])


@pytest.mark.parametrize("spoil", [lambda c: c[:-1], lambda c: c * np.nan])
def test_coefficients_that_are_none_are_refused(spoil, tmp_path, coefficients, active_set):
    with pytest.raises(FitError, match="finite coefficients are needed"):
        write_potential(tmp_path, SPEC, CORE, spoil(coefficients), active_set)


# Evaluation: what is refused


def test_gamma_comes_only_with_an_active_set_and_on_demand(files, structures):
    assert AcePotential(files.yaml).evaluate(structures[0]).gamma is None
    assert AcePotential(files.yaml, files.asi).evaluate(structures[0], gamma=False).gamma is None
    assert AcePotential(files.yaml, files.asi).evaluate(structures[0]).gamma.shape == (8,)


def test_shortest_distances_of_an_evaluation_are_those_of_the_neighbour_list(files, structures):
    found = AcePotential(files.yaml).evaluate(structures[0]).shortest
    assert found == pytest.approx(shortest_distances(structures[:1], SPEC.cutoff))


@pytest.mark.parametrize(
    "names", [("potential.yace", "potential.asi"), ("potential.asi", None), ("p.txt", None)]
)
def test_a_file_of_another_kind_is_refused(names, files):
    path = files.yaml.parent / names[0]
    active_set = files.yaml.parent / names[1] if names[1] else None
    with pytest.raises(FitError, match=r"must be \.yaml .* or \.yace alone, got"):
        AcePotential(path, active_set)


def test_an_unknown_element_is_refused(files):
    with pytest.raises(StructureError, match=r"element Al is not in the potential.*Cu, Zr"):
        AcePotential(files.yaml).evaluate(Atoms("CuAl", positions=[[0, 0, 0], [0, 0, 2.5]]))


@pytest.mark.parametrize("pbc", [False, True])
def test_a_position_that_is_no_number_is_refused(files, pbc):
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, np.nan]], cell=[9, 9, 9], pbc=pbc)
    with pytest.raises(StructureError, match="Cu2 holds positions that are not finite numbers"):
        AcePotential(files.yaml).evaluate(atoms)


def test_two_atoms_in_one_place_are_a_calculation_error(files):
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 1e-5]])
    with pytest.raises(CalculationError, match="the potential cannot be evaluated: "):
        AcePotential(files.yaml).evaluate(atoms)


def test_a_missing_file_is_an_error_of_ours(tmp_path):
    with pytest.raises((FitError, CalculationError), match="missing"):
        AcePotential(tmp_path / "missing.yaml")


WITHOUT_PYACE = """
import sys
sys.modules["pyace"] = None
import numpy as np
import pytest
from ase.build import bulk
import mlip_autopipec.ace, mlip_autopipec.flows.active_learning, mlip_autopipec.validation
from mlip_autopipec.ace import BasisSpec, active_set_inverse, build_basis, shortest_distances
from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.flows.active_learning import ActiveLearningMaker
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.schemas import AtomicStructure
crystal = AtomicStructure.from_ase(bulk("Cu"))
assert len(ActiveLearningMaker().make([crystal]).job_uuids) == 5
maker = SeedStructuresMaker()
assert maker.make.original(maker, [crystal]).candidates
assert shortest_distances([bulk("Cu")], 3.0)["Cu-Cu"] > 2.5
assert active_set_inverse(np.eye(2), np.ones(2)).shape == (2, 2)
with pytest.raises(MissingProgramError, match="python-ace.* is not installed") as caught:
    build_basis(BasisSpec(("Cu",), 5.0, 50))
assert "pip install --pre" in caught.value.hint
assert caught.value.exit_code == 3
"""


def test_without_python_ace_all_but_the_evaluation_works():
    # pymatgen calls spglib the old way
    warnings = ["-W", "error", "-W", "ignore:Set OLD_ERROR_HANDLING"]
    subprocess.run([sys.executable, *warnings, "-c", WITHOUT_PYACE], check=True)


def test_without_python_ace_no_potential_is_loaded(files):
    code = (
        "import sys; sys.modules['pyace'] = None\n"
        "import pathlib, pytest\n"
        "from mlip_autopipec.ace import AcePotential\n"
        "from mlip_autopipec.errors import MissingProgramError\n"
        "with pytest.raises(MissingProgramError, match='is not installed'):\n"
        "    AcePotential(pathlib.Path(sys.argv[1]))\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code, str(files.yaml)], check=True)


def test_numbers_that_overflow_are_a_calculation_error(tmp_path, coefficients, active_set, structures):
    files = write_potential(tmp_path, SPEC, CORE, np.full_like(coefficients, 1.7e308), active_set)
    with pytest.raises(CalculationError, match="the potential gives numbers that are not finite"):
        AcePotential(files.yaml).evaluate(structures[0])
