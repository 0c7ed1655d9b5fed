"""The tuner: what it tries, what it takes, and that it finds what was hidden in the data."""

import json
from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.neighborlist import neighbor_list
from monty.json import MontyDecoder

from mlip_autopipec.ace import BasisSpec, RowScales, evaluation_cost
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.training import LinearAceFitMaker
from mlip_autopipec.training.dataset import assemble
from mlip_autopipec.training.linear import LinearProblem, Target, targets_of
from mlip_autopipec.training.tuning import BasisTuner, basis_choice, mean_neighbours

SMALL = {
    "radial": (("SBessel", 1.0), ("ChebExpCos", 3.0)),
    "cutoffs": (0.85, 1.0),
    "l_weights": (1.0, 2.0),
    "sizes": (15, 30, 45),
    "probe_size": 15,
    "max_cost": 1000.0,
}
SPEC = BasisSpec(("Cu",), 5.0, 200)


@pytest.fixture(scope="module")
def problem(copper_batch):
    training = assemble([copper_batch], 5.0)
    whole = LinearProblem(
        training.structures,
        targets_of(training, None),
        np.ones(len(training.labels)),
        [item.label_id for item in training.labels],
        RowScales(0.002, 0.05, 0.003),
    )
    return whole.part(range(0, len(training.labels), 2))


@pytest.fixture(scope="module")
def tuned(problem):
    return BasisTuner(**SMALL).tune(problem, SPEC)


def stage(trials, name):
    return [trial for trial in trials if trial.stage == name]


def test_trials_are_recorded_in_order(tuned):
    trials = tuned[1]
    n_sizes = len(stage(trials, "size"))
    stages = ["radial", "radial", "cutoff", "cutoff", "l_weight", "l_weight"]
    assert [t.stage for t in trials] == [*stages, *["growth"] * (3 * n_sizes - 3), *["size"] * n_sizes]
    assert [(t.basis.radial, t.basis.radial_parameter) for t in stage(trials, "radial")] == [
        ("SBessel", 1.0),
        ("ChebExpCos", 3.0),
    ]
    assert [t.basis.cutoff for t in stage(trials, "cutoff")] == [4.25, 5.0]
    assert [t.basis.l_weight for t in stage(trials, "l_weight")] == [1.0, 2.0]
    assert [t.basis.n_functions for t in stage(trials, "size")] == [15, 30, 45][:n_sizes]
    assert all(t.basis.n_functions == 15 for t in trials if t.stage not in ("growth", "size"))
    assert [t.basis.n_functions for t in stage(trials, "growth")] == [*[30] * 3, *[45] * 3][: 3 * n_sizes - 3]


@pytest.mark.parametrize("name", ["radial", "cutoff", "l_weight", "size"])
def test_one_of_each_stage_is_taken_and_it_has_the_largest_evidence(name, tuned):
    trials = stage(tuned[1], name)
    assert [t.chosen for t in trials].count(True) == 1
    chosen = next(t for t in trials if t.chosen)
    assert chosen.log_evidence == max(t.log_evidence for t in trials)
    assert chosen.reason.startswith("largest evidence")
    assert all(not t.reason.startswith("largest") for t in trials if not t.chosen)


def test_each_stage_starts_from_what_the_last_one_took(tuned):
    taken = {name: next(t for t in stage(tuned[1], name) if t.chosen).basis for name in ("radial", "cutoff")}
    for trial in stage(tuned[1], "cutoff"):
        assert trial.basis.radial == taken["radial"].radial
    for trial in stage(tuned[1], "l_weight"):
        assert (trial.basis.radial, trial.basis.cutoff) == (taken["cutoff"].radial, taken["cutoff"].cutoff)


def test_the_fit_is_that_of_the_chosen_size_to_all_labels(tuned, problem):
    fit, trials = tuned
    last = [t for t in trials if t.chosen][-1]
    assert last.stage == "size"
    assert basis_choice(fit.spec) == last.basis
    assert fit.solution.log_evidence == last.log_evidence
    assert fit.moments.n_rows == sum(1 + 3 * len(a) for a in problem.structures) + 6 * sum(
        problem.with_stress
    )
    assert last.cost == evaluation_cost(fit.basis, mean_neighbours(problem, fit.spec.cutoff))


def test_the_same_labels_and_seed_give_the_same_trials(tuned, problem):
    again = BasisTuner(**SMALL).tune(problem, SPEC)
    assert len(again[1]) == len(tuned[1])
    for one, other in zip(again[1], tuned[1], strict=True):
        assert one.model_dump(exclude={"log_evidence"}) == other.model_dump(exclude={"log_evidence"})
        assert one.log_evidence == pytest.approx(other.log_evidence, rel=1e-9)
    assert again[0].solution.coefficients == pytest.approx(tuned[0].solution.coefficients, rel=1e-6, abs=1e-9)


ONE = SMALL | {"radial": (("SBessel", 1.0),), "cutoffs": (1.0,), "l_weights": (1.5,)}


def test_the_ceiling_on_the_cost_is_kept_and_told(problem):
    free = BasisTuner(**ONE | {"sizes": (15, 30)}).tune(problem, SPEC)[1]
    costs = [t.cost for t in stage(free, "size")]
    assert costs == sorted(costs)
    assert len(costs) > 1
    ceiling = 0.5 * (costs[0] + costs[1])
    fit, trials = BasisTuner(**ONE | {"max_cost": ceiling}).tune(problem, SPEC)
    sizes = stage(trials, "size")
    assert [t.chosen for t in sizes] == [True]
    assert sizes[0].cost <= ceiling
    assert sizes[0].reason.startswith("largest evidence within the cost; 30 functions exceed")
    assert fit.spec.n_functions == 15


def test_sizes_may_come_in_any_order(problem):
    sizes = [t.basis.n_functions for t in BasisTuner(**ONE | {"sizes": (30, 15)}).tune(problem, SPEC)[1]]
    assert sizes[-2:] == [15, 30]


def test_families_are_compared_on_a_part_and_sizes_on_all(problem):
    whole = BasisTuner(**ONE | {"sizes": (15,)})
    part = replace(whole, max_atoms=40)
    one, other = (tuner.tune(problem, SPEC)[1] for tuner in (whole, part))
    assert one[0].log_evidence != pytest.approx(other[0].log_evidence, rel=0.05)
    assert one[-1].log_evidence == pytest.approx(other[-1].log_evidence, rel=1e-9)
    assert BasisTuner(max_atoms=40)._some(problem) == BasisTuner(max_atoms=40)._some(problem)
    assert BasisTuner(max_atoms=40)._some(problem) != BasisTuner(max_atoms=40, seed=1)._some(problem)
    n_atoms = sum(len(problem.structures[i]) for i in BasisTuner(max_atoms=40)._some(problem))
    assert 40 <= n_atoms < 48


# What it is told


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"max_cost": 0.0}, "'max_cost' must be positive, got 0.0 µs/atom"),
        ({"max_cost": -3.0}, "'max_cost' must be positive, got -3.0"),
        ({"sizes": ()}, "'sizes' must hold at least one value, got none"),
    ],
)
def test_settings_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        BasisTuner(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"radial": (("ChebLinear", 1.0),)}, "'radial' must be one of .*, got 'ChebLinear'"),
        ({"cutoffs": (0.1,)}, "'cutoff' must be larger than 1 Å"),
        ({"l_weights": (0.0,)}, "'l_weight' must be positive"),
        ({"sizes": (5,)}, "'n_functions' must be at least 10, got 5"),
    ],
)
def test_bases_that_do_not_exist_are_refused(settings, message, problem):
    with pytest.raises(ConfigError, match=message):
        BasisTuner(**ONE | settings).tune(problem, SPEC)


def test_the_maker_keeps_its_tuner_through_json(problem):
    maker = LinearAceFitMaker(tuner=BasisTuner(**SMALL))
    text = json.dumps(maker.as_dict())
    again = LinearAceFitMaker.from_dict(json.loads(text))
    assert isinstance(again.tuner, BasisTuner)
    assert again.as_dict() == maker.as_dict()
    decoded = MontyDecoder().decode(text)
    assert isinstance(decoded.tuner, BasisTuner)
    # lists for tuples, and still of use
    tiny = replace(decoded.tuner, sizes=[15], cutoffs=[1.0], l_weights=[1.5])
    fit, trials = tiny.tune(problem, SPEC)
    assert [t.stage for t in trials] == ["radial", "radial", "cutoff", "l_weight", "size"]
    assert fit.spec.n_functions == 15


def test_the_document_tells_what_was_tried(copper_batch, tmp_path):
    found = LinearAceFitMaker(tuner=BasisTuner(**SMALL | {"sizes": (15, 30)})).fit([copper_batch], tmp_path)
    chosen = [t for t in found.fit.trials if t.chosen]
    assert [t.stage for t in chosen if t.stage != "growth"] == ["radial", "cutoff", "l_weight", "size"]
    assert found.fit.basis == chosen[-1].basis
    assert found.cutoff == found.fit.basis.cutoff
    assert found.n_functions == {"Cu": found.fit.basis.n_functions}


# What was hidden


def pair_problem(reach):
    """Labels of a smooth pair potential that ends at `reach`, in rattled and strained crystals."""
    structures, targets = [], []
    for seed in range(24):
        rng = np.random.default_rng(seed)
        atoms = bulk("Cu", cubic=True)
        atoms.set_cell(atoms.cell.array @ (np.eye(3) + rng.normal(0.0, 0.03, (3, 3))), scale_atoms=True)
        atoms.rattle(0.15, seed=seed)
        i, r, bonds = neighbor_list("idD", atoms, reach)
        # u = (1 - r/reach)^2 cos(2 r): reaches out, and ends smoothly
        t = 1.0 - r / reach
        energy = t**2 * np.cos(2.0 * r)
        slope = -2.0 * t / reach * np.cos(2.0 * r) - 2.0 * t**2 * np.sin(2.0 * r)
        forces = np.zeros((len(atoms), 3))
        np.add.at(forces, i, (slope / r)[:, None] * bonds)
        structures.append(atoms)
        targets.append(Target(float(0.5 * energy.sum() / len(atoms)), forces.ravel(), None))
    names = [str(seed) for seed in range(24)]
    return LinearProblem(structures, targets, np.ones(24), names, RowScales(0.001, 0.05, 0.003), 0.02)


@pytest.mark.parametrize("reach", [4.0, 5.5])
def test_the_range_of_a_pair_potential_is_found(reach):
    """One shell too few cannot explain the forces; a longer reach than needed resolves less with as many."""
    tuner = BasisTuner(**ONE | {"cutoffs": (0.625, 1.0, 1.375), "sizes": (30,), "probe_size": 30})
    fit, trials = tuner.tune(pair_problem(reach), BasisSpec(("Cu",), 4.0, 30))
    assert [t.basis.cutoff for t in stage(trials, "cutoff")] == [2.5, 4.0, 5.5]
    assert fit.spec.cutoff == reach
    lost = next(t for t in stage(trials, "cutoff") if t.basis.cutoff == 2.5)
    assert lost.reason.endswith("nat behind")
    assert float(lost.reason.split()[0]) > 100
