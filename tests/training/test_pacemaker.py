"""The fit as a whole: the real pacemaker on tiny cases, without TensorFlow and, where it is, with it."""

import shlex
import stat
import sys
from pathlib import Path

import numpy as np
import pytest

from mlip_autopipec.ace import SCAN_FROM, AcePotential, dimer_scan, shortest_distances
from mlip_autopipec.errors import CalculationError, ConfigError, FitError, MissingProgramError
from mlip_autopipec.process import Executable
from mlip_autopipec.schemas import ErrorStatistics, ParityPoint
from mlip_autopipec.settings import Settings
from mlip_autopipec.testing import maker_unchanged
from mlip_autopipec.training import LinearAceFitMaker, PacemakerFitMaker
from mlip_autopipec.training.dataset import assemble
from mlip_autopipec.training.pacemaker_programs import (
    interpreter,
    missing_for_tensorpot,
    pacemaker_executable,
    provisioned_command,
    which_pacemaker,
)
from mlip_autopipec.training.pacemaker_setup import copper_cells

HERE = f"{shlex.quote(sys.executable)} -I -m pyace.cli.pacemaker"
INSTALLED = which_pacemaker()
REASON = missing_for_tensorpot(Executable(INSTALLED.value)) if INSTALLED.value else INSTALLED.reason
pytestmark = pytest.mark.xdist_group("pacemaker")
tensorpot = pytest.mark.skipif(bool(REASON), reason=f"no pacemaker with TensorFlow here: {REASON}")


def tiny(**change):
    options = {"command": HERE, "evaluator": "pyace", "cutoff": 4.0, "n_functions": 8, "max_iterations": 2}
    return PacemakerFitMaker(**(options | change))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A real fit of six copper cells with numerical gradients."""
    folder = tmp_path_factory.mktemp("finished")
    maker = tiny(test_fraction=0.2)
    with maker_unchanged(maker):
        return maker.fit([copper_cells()], folder), folder


def test_the_document_tells_what_was_done(finished):
    doc, folder = finished
    assert doc.elements == ["Cu"]
    assert (doc.fit.method, doc.fit.evaluator, doc.fit.started_from) == ("pacemaker", "pyace", "zero")
    assert (doc.fit.n_structures, doc.fit.n_test, doc.fit.n_iterations) == (5, 1, 2)
    assert doc.fit.n_functions == doc.n_functions["Cu"] == 8
    assert doc.fit.n_parameters == 36
    assert (doc.fit.kappa, doc.fit.converged) == (0.01, False)
    assert doc.fit.warnings == [
        "not converged after 2 iterations: Maximum number of iterations has been exceeded."
    ]
    assert [file.name for file in doc.files] == ["potential.yaml", "potential.yace", "potential.asi"]
    assert [line.split(": ")[1] for line in doc.excluded] == ["test structure"]
    assert doc.n_labels == 5
    assert {"pacemaker", "python-ace", "numpy", "mlip_autopipec"} == set(doc.versions)
    assert doc.file_differences.keys() == {"yace_energy", "yace_force", "asi_gamma"}
    assert (
        (folder / "progress.txt").read_text().startswith("pacemaker: 8 functions, 36 parameters, iteration 2")
    )
    assert "user" not in (folder / "potential.yaml").read_text().split("species:")[0]


def test_errors_are_those_of_the_delivered_files(finished, tmp_path):
    doc, _ = finished
    path = doc.write(tmp_path)
    potential = AcePotential(path, path.with_suffix(".asi"))
    training = assemble([copper_cells()], 4.0)
    test = [i for i, item in enumerate(training.labels) if doc.excluded[0].startswith(f"{item.label_id} ")]
    fitted = [i for i in range(6) if i not in test]
    errors = ErrorStatistics.from_parity(
        ParityPoint.predict(potential, [training.labels[i] for i in fitted], training.e0)
    )
    assert errors.model_dump() == pytest.approx(doc.training_errors.model_dump())
    errors = ErrorStatistics.from_parity(
        ParityPoint.predict(potential, [training.labels[i] for i in test], training.e0)
    )
    assert (errors.energy_rmse, errors.force_rmse) == pytest.approx(
        (doc.fit.test_energy_rmse, doc.fit.test_force_rmse)
    )


def test_the_core_begins_at_the_shortest_distance_and_rises(finished, tmp_path):
    doc, _ = finished
    potential = AcePotential(doc.write(tmp_path))
    fitted = [p.label_id for p in doc.parity]
    structures = [i.label.structure.to_ase() for i in copper_cells().labels if i.label_id in fitted]
    assert doc.core.r_in["Cu-Cu"] == pytest.approx(shortest_distances(structures, 4.0)["Cu-Cu"], abs=1e-5)
    r = np.arange(SCAN_FROM, doc.core.r_in["Cu-Cu"], 0.02)
    energies = dimer_scan(lambda a: potential.evaluate(a).energies.sum(), "Cu-Cu", r)
    assert (np.diff(energies) < 0.0).all()


def test_a_fit_goes_on_from_its_own_potential(finished, tmp_path):
    first, _ = finished
    second = tiny(test_fraction=0.2, max_iterations=1).fit([copper_cells()], tmp_path, first)
    assert second.fit.started_from == "the initial potential (pacemaker, 8 of 8 functions)"
    assert second.fit.loss < first.fit.loss


def test_a_fit_starts_from_a_linear_potential_and_is_at_once_as_good(tmp_path, copper_batch):
    maker = LinearAceFitMaker(n_functions=10, cutoff=4.0)
    labels = copper_batch.labels[:1] + [i for i in copper_batch.labels if i.origin in ("dimer", "rattle")]
    batch = copper_batch.model_copy(update={"labels": labels})
    (tmp_path / "linear").mkdir()
    linear = maker.fit([batch], tmp_path / "linear")
    found = tiny(max_iterations=1, weighting="importance").fit([batch], tmp_path, linear)
    assert found.fit.started_from.startswith("the initial potential (linear-ace, ")
    assert found.fit.started_from.endswith(
        "in the first density, small random numbers (seeded) in the others"
    )
    assert found.training_errors.energy_rmse < 1.5 * linear.training_errors.energy_rmse + 0.002


def test_another_cutoff_starts_from_zero_and_says_so(finished):
    first, _ = finished
    maker = tiny(cutoff=4.2)
    shape = maker._shape(assemble([copper_cells()], 4.2), [0, 1])
    assert maker._start(shape, first)[1] == (
        "zero: the initial potential cannot be used, it has rcutij of Cu 4.0 instead of 4.2"
    )


def test_a_ladder_reports_itself(tmp_path):
    found = tiny(ladder_step=4, max_iterations=1).fit([copper_cells()], tmp_path)
    assert found.fit.started_from == "zero, by a ladder in power_order"
    assert found.fit.n_functions == 8
    assert (tmp_path / "ladder_metrics.txt").exists()


# What is refused before anything runs


def test_a_ladder_from_a_potential_is_refused(finished, tmp_path):
    with pytest.raises(
        ConfigError, match="'ladder_step' must be none for a fit that starts from a potential"
    ):
        tiny(ladder_step=4).fit([copper_cells()], tmp_path, finished[0])


def test_an_unknown_evaluator_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="'evaluator' must be auto, tensorpot or pyace, got 'torch'"):
        tiny(evaluator="torch").fit([copper_cells()], tmp_path)


def test_numerical_gradients_are_refused_beyond_tiny_cases(tmp_path):
    with pytest.raises(
        ConfigError, match=r"numerical gradients.*at most 400, got 600 \(tensorpot: not asked for"
    ):
        tiny(n_functions=100).fit([copper_cells()], tmp_path)


def test_tensorpot_without_tensorflow_is_refused(tmp_path):
    with pytest.raises(
        ConfigError, match="'evaluator' tensorpot needs tensorflow, tf_keras, tensorpotential"
    ):
        tiny(evaluator="tensorpot").fit([copper_cells()], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_clean_failure_of_pacemaker_is_quoted(tmp_path):
    labels = copper_cells().labels
    bad = labels[0].label.model_copy(update={"forces": labels[0].label.forces[:-1]})
    batch = copper_cells().model_copy(
        update={"labels": [labels[0].model_copy(update={"label": bad}), *labels[1:]]}
    )
    with pytest.raises(CalculationError, match=r"pacemaker failed with exit status 1(.|\n)*Error"):
        tiny().fit([batch], tmp_path)


# Which program


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """An empty machine whose Python has no pacemaker beside it."""
    monkeypatch.setenv("MLIP_AUTO_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("MLIP_AUTO_PACEMAKER_COMMAND", raising=False)
    monkeypatch.setattr(sys, "executable", str(script(tmp_path / "bin" / "python")))
    return tmp_path


def script(path, first="#!/bin/sh"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{first}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_where_pacemaker_is_looked_for(machine):
    assert which_pacemaker().value is None
    with pytest.raises(MissingProgramError, match=r"was not found: (.|\n)*hint: run `mlip-auto setup pac"):
        pacemaker_executable()
    beside = script(machine / "bin" / "pacemaker")
    assert which_pacemaker().value == str(beside)
    script(machine / "home" / "pacemaker" / "bin" / "python")
    assert which_pacemaker().value == provisioned_command(machine / "home")
    assert which_pacemaker(settings=Settings(pacemaker_command="mine")).value == "mine"
    assert which_pacemaker("yours", Settings(pacemaker_command="mine")).value == "yours"


def test_a_command_that_is_not_there_says_where_it_comes_from(machine, monkeypatch):
    monkeypatch.setenv("MLIP_AUTO_PACEMAKER_COMMAND", "no-such-pacemaker -v")
    with pytest.raises(
        MissingProgramError, match=r"'no-such-pacemaker' was not found.*machine setting pacemaker"
    ):
        pacemaker_executable()


def test_the_python_behind_a_command_is_found(tmp_path):
    by_env = script(tmp_path / "a", "#!/usr/bin/env python3.11")
    assert interpreter(Executable(HERE)) == Path(sys.executable)
    assert interpreter(Executable(str(script(tmp_path / "b", f"#!{sys.executable}")))) == Path(sys.executable)
    assert interpreter(Executable(str(by_env))).name == "python3.11"
    assert interpreter(Executable(str(script(tmp_path / "c")))) is None
    assert interpreter(Executable(str(script(tmp_path / "d", "\x7fELF")))) is None
    assert missing_for_tensorpot(Executable(str(tmp_path / "c"))) is None


# With TensorFlow


@tensorpot
@pytest.mark.tensorpot
@pytest.mark.timeout(900)
def test_tensorpot_fits_what_the_evaluator_says(tmp_path, copper_batch, copper_held_out):
    maker = PacemakerFitMaker(n_functions=30, cutoff=4.5, kappa=0.3, max_iterations=80, n_threads=1)
    found = maker.fit([copper_batch], tmp_path)
    assert found.fit.evaluator == "tensorpot"
    assert found.fit.warnings[:-1] == []  # the last one: not converged
    assert "tensorpotential" in found.versions
    training = assemble(
        [copper_held_out.model_copy(update={"labels": [*copper_batch.labels, *copper_held_out.labels]})], 4.5
    )
    held_out = [i for i, item in enumerate(training.labels) if item.origin == "held_out"]
    path = found.write(tmp_path)
    errors = ErrorStatistics.from_parity(
        ParityPoint.predict(AcePotential(path), [training.labels[i] for i in held_out], training.e0)
    )
    assert errors.energy_rmse < 0.01
    assert errors.force_rmse < 0.1


@tensorpot
@pytest.mark.tensorpot
@pytest.mark.timeout(900)
def test_tensorpot_goes_on_from_the_linear_potential(tmp_path, copper_batch, copper):
    found = PacemakerFitMaker(max_iterations=30, n_threads=1).fit([copper_batch], tmp_path, copper)
    assert "linear-ace" in found.fit.started_from
    assert found.training_errors.force_rmse < copper.training_errors.force_rmse
    assert found.training_errors.energy_rmse < 0.005


def test_labels_of_an_element_that_is_not_fitted_are_refused(tmp_path):
    labels = copper_cells().labels
    gold = labels[0].label.structure.model_copy(update={"symbols": ["Au"] * 4})
    other = labels[0].label.model_copy(update={"structure": gold})
    batch = copper_cells().model_copy(
        update={"labels": [*labels, labels[0].model_copy(update={"label": other})]}
    )
    maker = tiny()
    training = assemble([batch], 4.0)
    with pytest.raises(FitError, match="no structure that is fitted holds Au; fitted: Cu"):
        maker._shape(training, list(range(6)))
