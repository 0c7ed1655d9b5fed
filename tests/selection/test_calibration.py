"""Gamma against true force errors: by hand, over generations, and with audits."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from mlip_autopipec.ace import load_error_model
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.selection import GammaCalibrationMaker
from mlip_autopipec.testing import label_batch


@pytest.fixture(scope="module")
def met(candidate):
    """Copper cells, some calm and some far beyond the training set, every third one an audit."""
    found = []
    for seed in range(9):
        atoms = bulk("Cu", cubic=True, a=3.61 * (1.0 + 0.01 * (seed % 3)))
        atoms.rattle(0.05 + 0.08 * (seed % 3), seed=seed)
        found.append(candidate(atoms, "md", gamma=float(seed), audit=seed % 3 == 0))
    return found


@pytest.fixture(scope="module")
def batch(met):
    return label_batch(met, EMT())


def test_each_atom_has_its_grade_and_its_true_error(copper_ace, batch):
    found = GammaCalibrationMaker().calibrate(copper_ace, batch)
    assert len(found.gamma) == len(found.force_error) == 36
    label = batch.labels[4].label
    atoms = label.structure.to_ase()
    atoms.calc = EMT()
    mine = copper_ace.evaluate(atoms)
    expected = np.sqrt(((mine.forces - atoms.get_forces()) ** 2).sum(axis=1))
    assert found.force_error[16:20] == pytest.approx(expected)
    assert found.gamma[16:20] == pytest.approx(mine.gamma)
    assert found.n_structures == 9
    assert sum(found.counts) == 36


def test_errors_grow_with_gamma_and_the_threshold_divides_them(copper_ace, batch):
    gamma, error = np.array(
        [
            (g, e)
            for found in [GammaCalibrationMaker().calibrate(copper_ace, batch)]
            for g, e in zip(found.gamma, found.force_error, strict=True)
        ]
    ).T
    assert np.mean(error[gamma > np.median(gamma)]) > 2.0 * np.mean(error[gamma <= np.median(gamma)])
    tolerated = float(np.quantile(error, 0.5))
    found = GammaCalibrationMaker(level=0.5, tolerated_error=tolerated).calibrate(copper_ace, batch)
    assert found.threshold is not None
    assert GammaCalibrationMaker(tolerated_error=1e3).calibrate(copper_ace, batch).threshold is None


def test_the_estimate_is_scaled_by_the_latest_structures(copper, copper_ace, batch, tmp_path):
    errors = load_error_model(copper, tmp_path)
    maker = GammaCalibrationMaker(n_recent=4, tolerated_error=0.15)
    assert GammaCalibrationMaker().calibrate(copper_ace, batch).limit is None
    few = batch.model_copy(update={"labels": batch.labels[:2]})
    first = maker.calibrate(copper_ace, few, None, errors)
    assert (len(first.ratios), first.limit) == (2, None)
    found = maker.calibrate(copper_ace, batch, first, errors)
    assert len(found.ratios) == 4
    assert found.limit is None  # of 16 atoms
    more = maker.calibrate(copper_ace, batch, None, errors)
    found = replace(maker, n_recent=9).calibrate(copper_ace, batch, more, errors)
    label = batch.labels[-1].label
    deviations = errors.force_deviations(label.structure.to_ase())
    assert found.ratios[-1] == pytest.approx(np.array(found.force_error[-4:]) / deviations)
    assert found.limit.tolerated_error == 0.15
    ratios = np.sort(np.concatenate(found.ratios))
    assert found.limit.scale == ratios[int(np.ceil(0.9 * 37)) - 1]
    broken = found.model_copy(update={"ratios": [[float("inf")] * 4] * 9})
    assert replace(maker, n_recent=9).calibrate(copper_ace, few, broken, errors).limit is None


def test_generations_add_up_and_the_latest_stay(copper_ace, batch):
    maker = GammaCalibrationMaker(max_atoms=50)
    first = maker.calibrate(copper_ace, batch)
    both = maker.calibrate(copper_ace, batch, first)
    assert len(both.gamma) == 50
    assert both.gamma[-36:] == first.gamma
    assert (both.n_structures, both.n_audited) == (18, 6)


def test_audits_that_were_wrong_are_counted_and_named(copper_ace, batch):
    wrong = [i for i in batch.labels if i.audit]
    assert [i.label_id for i in wrong] == ["label-0", "label-3", "label-6"]
    found = GammaCalibrationMaker(tolerated_error=1e-9).calibrate(copper_ace, batch)
    assert (found.n_audited, found.missed) == (3, ["label-0", "label-3", "label-6"])
    assert found.missed_share[1] == 1.0
    found = GammaCalibrationMaker(tolerated_error=1e3).calibrate(copper_ace, batch, found)
    assert (found.n_audited, len(found.missed)) == (6, 3)
    assert found.missed_share[0] < 0.5 < found.missed_share[1]


def test_chosen_and_random_structures_are_compared_before_they_are_learned(copper_ace, batch):
    marks = [{"control": n % 2 == 1, "audit": False} for n in range(9)]
    marked = [item.model_copy(update=mark) for item, mark in zip(batch.labels, marks, strict=True)]
    both = batch.model_copy(update={"labels": marked})
    found = GammaCalibrationMaker().calibrate(copper_ace, both)
    assert (len(found.chosen_errors), len(found.control_errors)) == (5, 4)
    atoms = np.array(found.force_error).reshape(9, 4)
    assert found.control_errors == pytest.approx(np.sqrt((atoms[1::2] ** 2).mean(axis=1) / 3.0))
    twice = GammaCalibrationMaker().calibrate(copper_ace, both, found)
    assert twice.control_errors == 2 * found.control_errors


def test_only_what_a_walk_met_counts(copper_ace, copper_batch):
    found = GammaCalibrationMaker().calibrate(copper_ace, copper_batch)
    assert (found.gamma, found.threshold, found.edges, found.n_structures) == ([], None, [], 0)
    assert found.missed_share == (0.0, 1.0)


@pytest.mark.parametrize(
    ("key", "value"), [("level", 1.0), ("level", 0.0), ("tolerated_error", 0.0), ("n_recent", 2)]
)
def test_settings_that_mean_nothing_are_refused(key, value):
    with pytest.raises(ConfigError, match=f"'{key}' must"):
        GammaCalibrationMaker(**{key: value})
