"""The linear fit: what is left out of it, what is expected of it, what is subtracted before it."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.emt import EMT
from ase.calculators.mixing import SumCalculator
from ase.data import atomic_numbers, covalent_radii
from scipy import linalg

from mlip_autopipec.ace import (
    AceCalculator,
    AcePotential,
    BasisSpec,
    ForceErrorModel,
    PairBaseline,
    Posterior,
    RowScales,
    dimer_scan,
    grade,
    import_pyace,
    load_potential,
)
from mlip_autopipec.schemas import ErrorStatistics, ParityPoint
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker
from mlip_autopipec.training.calibration import calibrate, without_leverage
from mlip_autopipec.training.dataset import assemble
from mlip_autopipec.training.linear import (
    LinearProblem,
    expected_repulsion,
    fit_linear,
    linear_active_set,
    targets_of,
    tightened,
)

SCALES = RowScales(0.002, 0.05, 0.003)
SPEC = BasisSpec(("Cu",), 5.0, 30)


@pytest.fixture(scope="module")
def training(copper_batch):
    return assemble([copper_batch], 5.0)


def make_problem(training, groups=None, **kwargs):
    n = len(training.labels)
    return LinearProblem(
        training.structures,
        targets_of(training, kwargs.pop("baseline", None)),
        np.linspace(1.0, 1.5, n),
        groups or [item.label_id for item in training.labels],
        SCALES,
        **kwargs,
    )


@pytest.fixture(scope="module")
def problem(training):
    """Three structures to a group."""
    return make_problem(training, [str(index // 3) for index in range(len(training.labels))])


@pytest.fixture(scope="module")
def fit(problem):
    return fit_linear(problem, SPEC)


# Left out in closed form


def rows_of(problem, fit):
    """Weighted rows and targets of each structure, stacked by hand."""
    found = []
    s = problem.scales
    for atoms, target, factor in zip(problem.structures, problem.targets, problem.factors, strict=True):
        block = fit.design.block(atoms, stress=target.stress is not None)
        rows = [block.energy[None] / s.energy, block.forces / s.force]
        y = [[target.energy / s.energy], target.forces / s.force]
        if target.stress is not None:
            rows.append(block.stress / s.stress)
            y.append(target.stress / s.stress)
        found.append((np.vstack(rows) / factor, np.concatenate(y) / factor))
    return found


def refit_without(left_out, rows, fit):
    """Mean and a root of the covariance at the same noise and prior from all but some structures.

    By QR of the rows themselves: their normal equations have lost too many digits to compare with.
    """
    others = [pair for index, pair in enumerate(rows) if index not in left_out]
    stacked = np.vstack(
        [np.diag(np.sqrt(fit.solution.precision)), *(a / fit.solution.noise for a, _ in others)]
    )
    y = np.concatenate([np.zeros(stacked.shape[1]), *(y / fit.solution.noise for _, y in others)])
    q, r = np.linalg.qr(stacked)
    return linalg.solve_triangular(r, q.T @ y), linalg.solve_triangular(r, np.eye(len(r)))


def calibrated_by_hand(problem, fit, level):
    rows = rows_of(problem, fit)
    energies, forces, ratios = [], [], []
    for group in dict.fromkeys(problem.groups):
        members = [i for i, name in enumerate(problem.groups) if name == group]
        mean, root = refit_without(members, rows, fit)
        for i in members:
            block, target = fit.design.block(problem.structures[i]), problem.targets[i]
            energies.append(target.energy - block.energy @ mean)
            error = target.forces - block.forces @ mean
            forces.append(error)
            variance = np.square(block.forces @ root).sum(axis=1).reshape(-1, 3).sum(axis=1)
            noise = 3.0 * (fit.solution.noise * problem.scales.force) ** 2
            ratios.append(np.linalg.norm(error.reshape(-1, 3), axis=1) / np.sqrt(variance + noise))
    ratios = np.sort(np.concatenate(ratios))
    scale = ratios[min(int(np.ceil(level * (len(ratios) + 1))), len(ratios)) - 1]
    return np.sqrt(np.mean(np.square(energies))), np.sqrt(np.mean(np.concatenate(forces) ** 2)), scale


@pytest.mark.parametrize("grouped", [True, False])
@pytest.mark.parametrize("level", [0.5, 0.9])
def test_leaving_a_group_out_in_closed_form_is_refitting_without_it(grouped, level, problem, fit):
    asked = problem if grouped else replace(problem, groups=[str(i) for i in range(len(problem.groups))])
    found = calibrate(asked, fit, level=level, n_groups=1000, seed=0)
    energy, force, scale = calibrated_by_hand(asked, fit, level)
    assert found.energy_rmse == pytest.approx(energy, rel=1e-4)
    assert found.force_rmse == pytest.approx(force, rel=1e-4)
    assert found.scale == pytest.approx(scale, rel=1e-4)
    assert found.n_atoms == sum(map(len, problem.structures))
    assert found.level == level


def test_what_was_fitted_looks_better_than_what_was_left_out(problem, fit):
    residual = np.concatenate(
        [
            target.forces - fit.design.block(atoms).forces @ fit.solution.coefficients
            for atoms, target in zip(problem.structures, problem.targets, strict=True)
        ]
    )
    found = calibrate(problem, fit, level=0.9, n_groups=1000, seed=0)
    assert found.force_rmse > float(np.sqrt(np.mean(residual**2)))


def test_copies_must_be_left_out_together(training):
    """Left out one by one each copy is predicted by its twin; as one group it is not."""
    some = make_problem(training).part(range(0, len(training.labels), 3))
    twice = some.part([*range(len(some.structures))] * 2)
    fit = fit_linear(twice, SPEC)
    together = calibrate(twice, fit, level=0.9, n_groups=1000, seed=0)
    apart = replace(twice, groups=[str(i) for i in range(len(twice.groups))])
    alone = calibrate(apart, fit, level=0.9, n_groups=1000, seed=0)
    assert together.force_rmse > 1.3 * alone.force_rmse
    assert together.scale > alone.scale


def test_a_higher_level_takes_a_larger_factor(problem, fit):
    scales = [calibrate(problem, fit, level=x, n_groups=1000, seed=0).scale for x in (0.5, 0.8, 0.9, 0.99)]
    assert scales == sorted(scales)
    assert scales[0] < scales[-1]


def test_groups_are_chosen_by_the_seed(problem, fit):
    def ask(seed):
        return calibrate(problem, fit, level=0.9, n_groups=3, seed=seed)

    assert ask(1) == ask(1)
    assert ask(1) != ask(2)
    assert ask(1).n_atoms <= 3 * 3 * 8


def test_single_precision_of_the_posterior_file_costs_nothing(training, tmp_path):
    """With more functions than the labels determine, the factor spans many orders of magnitude."""
    problem = make_problem(training)
    fit = fit_linear(problem, replace(SPEC, n_functions=150))
    exact = Posterior(fit.solution.covariance_factor, 0.0, 1.0, 0.9)
    exact.write(tmp_path / "posterior.npz")
    read = Posterior.read(tmp_path / "posterior.npz")
    (tmp_path / "potential.yaml").write_text("")
    fit.basis.save(str(tmp_path / "potential.yaml"))
    models = [ForceErrorModel(tmp_path / "potential.yaml", posterior) for posterior in (exact, read)]
    for atoms in training.structures[::5]:
        one, other = (model.force_errors(atoms) for model in models)
        assert other == pytest.approx(one, rel=1e-3)


# The active set


def test_the_active_set_spans_what_it_was_chosen_from(training, fit):
    inverse = linear_active_set(fit, training.structures, SCALES.energy)["Cu"]
    assert inverse.shape == (30, 30)
    rows = np.vstack([fit.design.projections(atoms)["Cu"] for atoms in training.structures])
    gammas = grade(rows, inverse)
    assert gammas.max() <= 1.001 + 1e-6


def test_the_active_set_of_very_many_environments_still_spans_them_all(candidate):
    """More than are kept at once: chosen in parts, with the outliers in the first of them."""
    atoms = bulk("Cu", cubic=True).repeat(6)
    structures = []
    for seed, amplitude in enumerate([0.3, *[0.02] * 36]):
        moved = atoms.copy()
        moved.rattle(amplitude, seed=seed)
        structures.append(moved)
    assert sum(map(len, structures)) > 30_000
    small = bulk("Cu", cubic=True)
    small.rattle(0.1, seed=0)
    small.calc = EMT()
    fit = tiny_fit(small, candidate)
    inverse = linear_active_set(fit, structures, SCALES.energy)["Cu"]
    worst = [grade(fit.design.projections(s)["Cu"], inverse).max() for s in structures]
    assert worst[0] == pytest.approx(1.0, abs=0.05)
    assert max(worst) <= 1.05


def tiny_fit(atoms, candidate):
    batch = label_batch([candidate(atoms)], EMT())
    return fit_linear(make_problem(assemble([batch], 3.0)), BasisSpec(("Cu",), 3.0, 10))


# What is expected without labels


def test_dimers_are_expected_to_repel():
    found = expected_repulsion({"Cu-Cu": 2.0}, ["Cu-Cu"], None)
    nearest, *others = found
    assert nearest.over is None
    assert nearest.energy == 0.0
    assert len(nearest.atoms) == 2
    assert not nearest.atoms.pbc.any()
    assert nearest.atoms.get_distance(0, 1) == pytest.approx(2.0)
    assert [x.atoms.get_distance(0, 1) for x in others] == pytest.approx(
        [1.9, 1.8, 1.7, 1.6, 1.4, 1.2], abs=1e-12
    )
    assert all(x.over is nearest.atoms for x in others)
    rises = [x.energy for x in others]
    assert rises[0] > 0.0
    assert (np.diff(rises) > 0.0).all()
    assert [x.sigma for x in others] == pytest.approx([0.25 * r for r in rises])


def test_the_rise_is_that_of_screened_nuclei_for_each_atom():
    found = expected_repulsion({"Cu-Cu": 1.6}, ["Cu-Cu"], None)
    r = np.array([x.atoms.get_distance(0, 1) for x in found])
    length = 0.46850 / (2.0 * 29**0.23)
    terms = ((0.18175, 3.19980), (0.50986, 0.94229), (0.28022, 0.40290), (0.02817, 0.20162))
    energy = 14.399645 * 29**2 / r * sum(c * np.exp(-d * r / length) for c, d in terms) / 2.0
    rises = [x.energy for x in found[1:]]
    # the switch far outside shifts all by the same, and bends nothing inside
    assert rises == pytest.approx((energy - energy[0])[1:], rel=1e-6)
    assert found[0].sigma == pytest.approx(energy[0] + 1.0, abs=0.5)


def test_over_a_baseline_no_rise_is_expected_but_the_same_slack():
    baseline = PairBaseline("zbl", {"Cu-Cu": 1.2}, {"Cu-Cu": 2.0})
    bare = expected_repulsion({"Cu-Cu": 2.0}, ["Cu-Cu"], None)
    over = expected_repulsion({"Cu-Cu": 2.0}, ["Cu-Cu"], baseline)
    assert [x.energy for x in over] == [0.0] * len(bare)
    assert [x.sigma for x in over] == pytest.approx([x.sigma for x in bare])


def test_a_pair_that_never_met_is_expected_at_the_guessed_distance():
    found = expected_repulsion({"Ag-Ag": 2.4}, ["Ag-Ag", "Ag-Cu"], None)
    unseen = [x for x in found if len(set(x.atoms.get_chemical_symbols())) == 2]
    assert len(unseen) == len(found) / 2
    radii = sum(covalent_radii[atomic_numbers[s]] for s in ("Ag", "Cu"))
    assert unseen[0].atoms.get_distance(0, 1) == pytest.approx(0.7 * radii)


def pair_energy(fit, r):
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, r]])
    return float(fit.design.block(atoms, stress=False).energy @ fit.solution.coefficients)


@pytest.fixture(scope="module")
def crystals_only(training):
    """Labels that say nothing of two close atoms."""
    kept = [i for i, item in enumerate(training.labels) if item.origin != "dimer"][::2]
    return make_problem(training).part(kept)


def expected_fits(crystals_only, *tightness):
    """The problem with an expectation, the fit without and the fits with it."""
    expected = expected_repulsion({"Cu-Cu": 2.3}, ["Cu-Cu"], None)
    problem = replace(crystals_only, expected=expected)
    free = fit_linear(problem, replace(SPEC, n_functions=60))
    return problem, free, [tightened(free, problem, t) for t in tightness]


def rises(fit, expected):
    """Energies of the dimers over that at the shortest distance, and how many sigma they are off."""
    energies = np.array([pair_energy(fit, x.atoms.get_distance(0, 1)) for x in expected])
    mean, sigma = np.array([(x.energy, x.sigma) for x in expected[1:]]).T
    return (energies - energies[0])[1:], ((energies - energies[0])[1:] - mean) / sigma


def test_a_fit_expects_nothing_by_itself(crystals_only):
    problem, free, (none,) = expected_fits(crystals_only, 0.0)
    without = fit_linear(replace(problem, expected=[]), free.spec)
    assert free.solution.coefficients == pytest.approx(without.solution.coefficients, rel=1e-6, abs=1e-8)
    assert none.solution.coefficients == pytest.approx(free.solution.coefficients, rel=1e-6, abs=1e-8)


def test_what_is_expected_decides_what_no_label_does(crystals_only):
    problem, free, (met,) = expected_fits(crystals_only, 1.0)
    assert (np.abs(rises(met, problem.expected)[1]) < 3.0).all()
    for atoms in problem.structures[::4]:
        one, other = (f.design.block(atoms).forces @ f.solution.coefficients for f in (free, met))
        assert other == pytest.approx(one, abs=0.05)
    # the moments of the labels are kept apart
    assert met.moments is free.moments
    assert met.moments.n_rows == sum(1 + 3 * len(a) for a in problem.structures) + 6 * sum(
        problem.with_stress
    )


def test_tightened_expectations_are_met_more_closely(crystals_only):
    """The further a dimer is from what is expected, the stiffer it gets."""
    problem, free, fits = expected_fits(crystals_only, 1.0, 30.0)
    off = [float(np.sqrt(np.mean(rises(fit, problem.expected)[1] ** 2))) for fit in (free, *fits)]
    assert off[2] < off[1] < off[0]


def test_a_stricter_expectation_makes_a_soft_dimer_stiffer(crystals_only):
    problem, free, _ = expected_fits(crystals_only)
    stiff = replace(problem, expected=[x._replace(energy=4.0 * x.energy) for x in problem.expected])
    deepest = [
        float(rises(fit, stiff.expected)[0][-1])
        for fit in (free, tightened(free, stiff, 1.0), tightened(free, stiff, 10.0))
    ]
    assert deepest == sorted(deepest) or deepest[0] > stiff.expected[-1].energy
    assert abs(deepest[2] / stiff.expected[-1].energy - 1.0) < 0.3


# What is subtracted


def test_targets_are_labels_less_the_baseline(candidate, rattled_copper):
    """Labels of EMT plus a pair potential, less that pair potential, are labels of EMT."""
    baseline = PairBaseline("zbl", {"Cu-Cu": 1.9}, {"Cu-Cu": 3.1})
    cluster = Atoms("Cu3", positions=[[0, 0, 0], [2.2, 0, 0], [0.3, 2.4, 0.2]])
    candidates = [candidate(rattled_copper), candidate(cluster)]
    bare = assemble([label_batch(candidates, EMT())], 5.0)
    mixed = assemble([label_batch(candidates, SumCalculator([EMT(), BaselineAlone(baseline)]))], 5.0)
    # the free atom is not among the labels: compare at equal E0
    mixed = replace(mixed, e0=bare.e0)
    for one, other in zip(targets_of(bare, None), targets_of(mixed, baseline), strict=True):
        assert other.energy == pytest.approx(one.energy, abs=1e-10)
        assert other.forces == pytest.approx(one.forces, abs=1e-10)
        if one.stress is None:
            assert other.stress is None
        else:
            assert other.stress == pytest.approx(one.stress, abs=1e-12)
    pushed = targets_of(mixed, None)
    assert pushed[0].energy > targets_of(bare, None)[0].energy + 0.1
    assert np.abs(pushed[0].stress - targets_of(bare, None)[0].stress).max() > 1e-3


class BaselineAlone(Calculator):
    """The pair potential without anything on it."""

    implemented_properties = ("energy", "free_energy", "forces", "stress")

    def __init__(self, baseline):
        super().__init__()
        self.baseline = baseline

    def calculate(self, atoms=None, properties=("energy",), system_changes=("positions",)):
        self.atoms = atoms.copy()
        energies, forces, virial = self.baseline.evaluate(atoms)
        self.results = {"energy": energies.sum(), "free_energy": energies.sum(), "forces": forces}
        if atoms.pbc.all():
            self.results["stress"] = (-virial / atoms.get_volume()).flat[[0, 4, 8, 5, 2, 1]]


# The fit as a whole


@pytest.mark.parametrize("kind", ["zbl", "lj"])
def test_delta_learning_gives_a_whole_potential(kind, copper_batch, copper_held_out, tmp_path):
    found = LinearAceFitMaker(n_functions=60, baseline=kind, baseline_reach=1.3).fit([copper_batch], tmp_path)
    assert found.baseline.kind == kind
    assert set(found.baseline.outer) == {"Cu-Cu"}
    assert found.baseline.outer["Cu-Cu"] == pytest.approx(1.3 * found.core.r_in["Cu-Cu"], rel=1e-3)
    assert any(line.startswith("pair_style hybrid/overlay pace product") for line in found.baseline.lammps)
    target = tmp_path / "again"
    target.mkdir()
    potential = load_potential(found, target)
    errors = ErrorStatistics.from_parity(ParityPoint.predict(potential, copper_held_out.labels, found.e0))
    assert errors.energy_rmse < 0.01
    assert errors.force_rmse < 0.15
    # the file alone is not the potential
    alone = ErrorStatistics.from_parity(
        ParityPoint.predict(AcePotential(target / "potential.yaml"), copper_held_out.labels, found.e0)
    )
    assert alone.energy_rmse > 2.0 * errors.energy_rmse
    r = np.arange(0.4, found.core.r_in["Cu-Cu"], 0.02)
    energies = dimer_scan(lambda a: potential.evaluate(a).energies.sum(), "Cu-Cu", r)
    assert (np.diff(energies) < 0.0).all()
    bond = import_pyace().ACEBBasisSet(str(target / "potential.yaml")).map_bond_specifications[0, 0]
    assert bond.prehc == 0.0


def test_a_potential_without_baseline_says_so(copper, copper_files):
    assert copper.baseline is None
    bond = import_pyace().ACEBBasisSet(str(copper_files)).map_bond_specifications[0, 0]
    assert bond.prehc == 1.0


def test_four_elements(candidate, tmp_path):
    elements = ["Ag", "Au", "Cu", "Pd"]
    candidates = []
    for seed in range(12):
        rng = np.random.default_rng(seed)
        atoms = bulk("Cu", cubic=True, a=3.95).repeat((2, 1, 1))
        atoms.set_chemical_symbols(rng.permutation(elements * 2).tolist())
        if seed % 3 == 0:
            atoms.symbols[0] = elements[seed // 3]
        atoms.rattle(0.08, seed=seed)
        candidates.append(candidate(atoms))
    batch = label_batch(candidates, EMT())
    found = LinearAceFitMaker(n_functions=20, cutoff=4.5).fit([batch], tmp_path)
    assert found.elements == elements
    assert found.n_functions == dict.fromkeys(elements, 20)
    assert len(found.core.r_in) == 10
    assert max(found.file_differences.values()) < 1e-5
    assert found.training_errors.energy_rmse < 0.05
    yaml = found.write(tmp_path)
    potential = AcePotential(yaml, yaml.with_suffix(".asi"))
    model = ForceErrorModel(yaml, Posterior.read(tmp_path / "potential.posterior.npz"))
    atoms = candidates[0].structure.to_ase()
    atoms.calc = AceCalculator(potential, found.e0, model)
    assert atoms.get_potential_energy() == pytest.approx(batch.labels[0].label.energy, abs=0.3)
    assert atoms.calc.results["gamma"].max() <= 1.002
    assert (atoms.calc.results["force_error"] > 0.0).all()


def test_what_a_group_alone_determines_can_be_left_out():
    rng = np.random.default_rng(0)
    directions = np.linalg.qr(rng.normal(size=(6, 6)))[0]
    leverages = np.array([0.1, 0.5, 0.9, 0.99, 0.3, 0.2])

    def hat(values):
        return (directions * values) @ directions.T

    assert np.allclose(without_leverage(hat(leverages)), hat(1.0 / (1.0 - leverages)))
    leverages[2] = 1.0 + 1e-14  # to rounding
    found = without_leverage(hat(leverages))
    assert np.allclose(found, found.T)
    assert np.linalg.eigvalsh(found).max() == pytest.approx(1e10, rel=1e-3)
