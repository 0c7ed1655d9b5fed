"""Labels that count in part: the weights reach the normal equations, the calibration and pacemaker's data."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from scipy import linalg

from mlip_autopipec.ace import BasisSpec, RowScales, row_weights
from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.oracle import LabelBatchMaker
from mlip_autopipec.schemas import CandidateStructure, LabelledStructure, LabelWeights, SelectionDoc
from mlip_autopipec.selection import DOptimalSelectionMaker
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import PacemakerFitMaker
from mlip_autopipec.training.calibration import calibrate
from mlip_autopipec.training.dataset import assemble
from mlip_autopipec.training.linear import LinearProblem, fit_linear, targets_of
from mlip_autopipec.training.pacemaker_data import loss_weights, write_dataset

SCALES = RowScales(0.002, 0.05, 0.003)
SPEC = BasisSpec(("Cu",), 5.0, 30)


@pytest.fixture(scope="module")
def weighted_batch(copper_batch):
    """Every third label counts by its atoms alone, one atom in full, the next in part, the others not."""

    def weigh(index, item):
        n = item.label.structure.n_atoms
        if index % 3 or n < 3:
            return item
        forces = [1.0, 0.25] + [0.0] * (n - 2)
        return item.model_copy(update={"weights": LabelWeights(forces=forces, energy=False)})

    labels = [weigh(index, item) for index, item in enumerate(copper_batch.labels)]
    return copper_batch.model_copy(update={"labels": labels})


def problem_of(batch):
    training = assemble([batch], 5.0)
    n = len(training.labels)
    groups = [str(index // 3) for index in range(n)]
    return LinearProblem(
        training.structures, targets_of(training, None), np.linspace(1.0, 1.5, n), groups, SCALES
    )


@pytest.fixture(scope="module")
def problem(weighted_batch):
    return problem_of(weighted_batch)


def rows_by_hand(problem, design, index):
    """Rows, targets and weights, one by one."""
    block = design.block(problem.structures[index], stress=problem.with_stress[index])
    target, factor = problem.targets[index], problem.factors[index]
    sigma = [SCALES.energy] + [SCALES.force] * len(target.forces)
    rows, y = [block.energy, *block.forces], [target.energy, *target.forces]
    w = target.weights
    each = [1.0] * len(rows) if w is None else [float(w.energy), *np.repeat(w.forces, 3)]
    if target.stress is not None:
        rows, y, sigma = [*rows, *block.stress], [*y, *target.stress], sigma + [SCALES.stress] * 6
        each += [each[0]] * 6
    return np.array(rows), np.array(y), np.array(sigma) * factor, np.array(each)


def test_weights_reach_the_normal_equations(problem):
    fit = fit_linear(problem, SPEC)
    gram, projection, counted = 0.0, 0.0, 0.0
    for index in range(len(problem.structures)):
        rows, y, sigma, weight = rows_by_hand(problem, fit.design, index)
        rows, y = rows / sigma[:, None], y / sigma
        gram = gram + rows.T @ (weight[:, None] * rows)
        projection = projection + rows.T @ (weight * y)
        counted += weight.sum()
    assert fit.moments.gram == pytest.approx(gram, rel=1e-9, abs=1e-9 * np.abs(gram).max())
    assert fit.moments.projection == pytest.approx(projection, rel=1e-9, abs=1e-9 * np.abs(projection).max())
    assert fit.moments.n_counted == pytest.approx(counted)
    assert fit.moments.n_rows == sum(
        np.count_nonzero(rows_by_hand(problem, fit.design, i)[3]) for i in range(len(problem.structures))
    )


def test_a_weight_of_one_changes_nothing(copper_batch):
    ones = [
        item.model_copy(
            update={"weights": LabelWeights(forces=[1.0] * item.label.structure.n_atoms, energy=True)}
        )
        for item in copper_batch.labels
    ]
    bare = fit_linear(problem_of(copper_batch), SPEC).moments
    same = fit_linear(problem_of(copper_batch.model_copy(update={"labels": ones})), SPEC).moments
    assert np.array_equal(bare.gram, same.gram)
    assert same.projection == pytest.approx(bare.projection, rel=1e-12)
    assert (same.n_rows, same.n_counted) == (bare.n_rows, float(bare.n_rows))


def test_what_does_not_count_may_be_anything(problem):
    """Wrong numbers where the weight is zero leave the fit as it is; elsewhere they would ruin it."""
    index = next(i for i, t in enumerate(problem.targets) if t.weights is not None)
    target = problem.targets[index]
    forces = target.forces.copy()
    forces[6:] += 1000.0
    wrong = replace(target, energy=-1e6, forces=forces, stress=target.stress + 99.0)
    spoilt = replace(problem, targets=[*problem.targets[:index], wrong, *problem.targets[index + 1 :]])
    first, second = fit_linear(problem, SPEC), fit_linear(spoilt, SPEC)
    assert np.array_equal(first.solution.coefficients, second.solution.coefficients)
    mine = [calibrate(p, first, level=0.9, n_groups=1000, seed=0) for p in (problem, spoilt)]
    assert mine[0] == mine[1]


def test_the_calibration_leaves_out_weighted_rows_as_they_were_put_in(problem):
    """Against a solution without the group, rows and weights put together by hand."""
    fit = fit_linear(problem, SPEC)
    found = calibrate(problem, fit, level=0.9, n_groups=1000, seed=0)
    noise, precision = fit.solution.noise, fit.solution.precision
    energies, forces = [], []
    for name in dict.fromkeys(problem.groups):
        gram, projection = np.diag(precision) * noise**2, np.zeros(len(precision))
        for index, group in enumerate(problem.groups):
            rows, y, sigma, w = rows_by_hand(problem, fit.design, index)
            if group != name:
                gram = gram + rows.T @ (rows * (w / sigma**2)[:, None])
                projection = projection + rows.T @ (y * w / sigma**2)
        solution = linalg.solve(gram, projection, assume_a="pos")
        for index, group in enumerate(problem.groups):
            if group == name:
                rows, y, _, w = rows_by_hand(problem, fit.design, index)
                n = len(problem.targets[index].forces)
                residual = np.where(w > 0.0, y - rows @ solution, np.nan)
                energies.append(residual[0])
                forces.append(residual[1 : 1 + n])
    assert found.energy_rmse == pytest.approx(np.sqrt(np.nanmean(np.square(energies))), rel=1e-5)
    assert found.force_rmse == pytest.approx(np.sqrt(np.nanmean(np.square(np.concatenate(forces)))), rel=1e-5)


def test_a_calibration_needs_an_energy(problem):
    fit = fit_linear(problem, SPEC)
    index = next(i for i, t in enumerate(problem.targets) if t.weights is not None)
    with pytest.raises(FitError, match="no label's energy counts"):
        calibrate(problem.part([index]), fit, level=0.9, n_groups=9, seed=0)


@pytest.mark.parametrize(
    ("forces", "message"), [([1.0], "1 weights do not fit"), ([2.0] * 4, "must lie between 0 and 1")]
)
def test_weights_that_make_no_sense_are_refused(copper_batch, forces, message):
    item = next(i for i in copper_batch.labels if i.label.structure.n_atoms == 4)
    wrong = item.model_copy(update={"weights": LabelWeights(forces=forces, energy=True)})
    with pytest.raises(FitError, match=message):
        fit_linear(problem_of(copper_batch.model_copy(update={"labels": [wrong]})), SPEC)


def test_the_selection_counts_no_row_that_the_fit_will_not(candidate, copper_batch):
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.2, seed=1)
    faint = LabelWeights(forces=[1e-6, 0.0, 0.0, 0.0], energy=False)
    maker = DOptimalSelectionMaker(n_functions=30)
    gains = [
        maker.select([candidate(atoms, weights=w)], 1, [copper_batch], None).gain[0] for w in (None, faint)
    ]
    assert gains[0] > 1.0
    assert gains[1] < 0.01


def test_weights_travel_from_the_candidate_to_the_label(candidate):
    weights = LabelWeights(forces=[0.5, 1.0, 0.0, 1.0], energy=False)
    given = candidate(bulk("Cu", cubic=True), weights=weights)
    batch = label_batch([given], EMT())
    assert batch.labels[0].weights == weights
    maker = LabelBatchMaker()
    gathered = maker.gather.original(maker, [batch.labels[0].label], ["id"], SelectionDoc.of([given]))
    assert gathered.labels[0].weights == weights


def test_documents_of_before_have_no_weights(copper_batch, candidate):
    for document in (copper_batch.labels[0], candidate(bulk("Cu"))):
        old = document.model_dump()
        del old["weights"]
        kind = LabelledStructure if isinstance(document, LabelledStructure) else CandidateStructure
        assert kind.model_validate(old) == document


def test_pacemaker_gets_the_weights_of_atoms_and_energies():
    weights = [None, LabelWeights(forces=[1.0, 0.5], energy=False)]
    energy, forces = loss_weights(np.array([1.0, 2.0]), [3, 2], weights)
    assert energy == pytest.approx([1.0, 0.0])
    assert np.concatenate(forces).sum() == pytest.approx(1.0)
    assert forces[1][1] == pytest.approx(0.5 * forces[1][0])
    assert forces[1][0] == pytest.approx(0.25 * forces[0][0])


def test_weights_of_labels_stand_in_the_data_frame_whatever_the_weighting(weighted_batch, tmp_path):
    training = assemble([weighted_batch], 4.0)
    chosen = [
        next(i for i, item in enumerate(training.labels) if (item.weights is None) == bare) for bare in (0, 1)
    ]
    write_dataset(tmp_path / "data.pckl.gzip", training, chosen, 4.0)
    frame = pd.read_pickle(tmp_path / "data.pckl.gzip", compression="gzip")  # noqa: S301 - our own file
    assert frame["w_energy"].tolist() == [0.0, 1.0]
    assert frame["w_forces"][0][1] == pytest.approx(0.25 * frame["w_forces"][0][0])
    assert not frame["w_forces"][0][2:].any()


def test_pacemakers_own_weighting_and_weights_of_labels_exclude_each_other(weighted_batch, tmp_path):
    maker = PacemakerFitMaker(weighting="energy")
    with pytest.raises(ConfigError, match="labels bring weights of their own"):
        maker._write_data(tmp_path, assemble([weighted_batch], 4.0), [0], [])


def test_an_energy_can_count_more_than_once():
    weights = LabelWeights(forces=[1.0, 0.5], energy=True, energy_factor=9.0)
    assert row_weights(weights, 2, stress=True).tolist() == [9.0, *[1.0] * 3, *[0.5] * 3, *[1.0] * 6]
    assert row_weights(weights.model_copy(update={"energy": False}), 2, stress=False)[0] == 0.0
    energy, forces = loss_weights(np.ones(2), [2, 2], [weights, None])
    assert energy.tolist() == [0.9, 0.1]
    assert forces[0].sum() / forces[1].sum() == 0.75
