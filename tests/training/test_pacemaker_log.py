"""A run of pacemaker: followed, and judged by what it leaves; small real programs stand in for it."""

import logging
import shutil
from pathlib import Path

import pytest

from mlip_autopipec.errors import CalculationError, FitError
from mlip_autopipec.process import Executable
from mlip_autopipec.training.pacemaker_log import (
    clear,
    following,
    log_warnings,
    progress_line,
    read_metrics,
    read_outcome,
    remarks,
    run,
)

DATA = Path(__file__).parents[1] / "data" / "pacemaker"


@pytest.fixture
def ended(tmp_path):
    """A folder as a real run (python-ace 0.3.0, 55 functions) left it."""
    folder = tmp_path / "ended"
    folder.mkdir()
    shutil.copy(DATA / "single_shot_log.txt", folder / "log.txt")
    shutil.copy(DATA / "single_shot_metrics.txt", folder / "metrics.txt")
    return folder


@pytest.fixture
def program(tmp_path):
    """Write a shell script that stands in for pacemaker."""

    def write(text):
        path = tmp_path / "pacemaker"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
        return Executable(str(path))

    return write


def test_a_recorded_run_is_read(ended):
    found = read_outcome(ended)
    assert (found.n_parameters, found.n_iterations, found.converged) == (182, 30, False)
    assert found.message == "Maximum number of iterations has been exceeded."
    assert found.loss == pytest.approx(5.9036e-05, rel=1e-4)
    assert found.energy_rmse == pytest.approx(0.008268085)
    assert found.kappa is None
    assert found.warnings == []


def test_iterations_of_all_ladder_steps_are_counted(ended):
    text = (ended / "metrics.txt").read_text()
    second = "\n".join("1" + line[1:] for line in text.splitlines()[1:21])
    (ended / "metrics.txt").write_text(text + second + "\n")
    shutil.copy(DATA / "ladder_log.txt", ended / "log.txt")
    found = read_outcome(ended)
    assert found.n_iterations == 30 + 19
    assert found.n_parameters == 232


def test_kappa_auto_and_warnings_are_read(ended):
    with (ended / "log.txt").open("a") as log:
        log.write(
            "2026-11-23 11:08:33,342 I - Loss:kappa automatically selected: kappa = 0.125\n"
            "2026-11-23 11:08:33,342 W - something odd\n2026-11-23 11:08:33,342 W - something odd\n"
        )
    found = read_outcome(ended)
    assert (found.kappa, found.warnings) == (0.125, ["something odd"])


def test_warnings_of_every_run_are_left_out():
    assert log_warnings((DATA / "ladder_log.txt").read_text()) == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", r"metrics.txt of pacemaker is not a table of losses: IndexError"),
        ("loss iter_num\n", r"not a table of losses: IndexError"),
        ("loss iter_num rmse_epa\n1.0 2\n", r"not a table of losses: ValueError"),
        ("loss iter_num\n1.0 2\n", r"not a table of losses: KeyError"),
        (
            "loss iter_num rmse_epa\nnan 2 1.0\n",
            r"last loss in metrics.txt of pacemaker is nan, not a number",
        ),
    ],
)
def test_a_broken_table_of_losses_is_an_error(content, message, tmp_path):
    (tmp_path / "metrics.txt").write_text(content)
    with pytest.raises(FitError, match=message):
        read_metrics(tmp_path / "metrics.txt")


def test_progress_is_the_last_iteration(tmp_path):
    assert progress_line(tmp_path / "log.txt") == ""
    text = (DATA / "single_shot_log.txt").read_text()
    log = tmp_path / "log.txt"
    log.write_text("2026-11-23 11:08:33,342 I - Start pacemaker\n")
    assert progress_line(log) == "pacemaker: reading the data"
    log.write_text(text[: text.index("Trainable parameters")])
    assert progress_line(log) == "pacemaker: 55 functions, 182 parameters, preparing the first iteration"
    log.write_text(text)
    assert progress_line(log) == "pacemaker: 55 functions, 182 parameters, iteration 29, loss 6.0106e-05"


def test_progress_is_said_while_it_runs(tmp_path, caplog):
    lines = (
        "Total number of functions: 5 / number of parameters: 9",
        "Iteration   #1 (2 evals): Loss: 1.0e-01 |",
    )
    with caplog.at_level(logging.INFO, logger="mlip_autopipec"), following(tmp_path, interval=0.01):
        (tmp_path / "log.txt").write_text(lines[0] + "\n")
        while not (tmp_path / "progress.txt").exists():
            pass
        (tmp_path / "log.txt").write_text("\n".join(lines) + "\n")
    said = [record.message for record in caplog.records]
    last = "pacemaker: 5 functions, 9 parameters, iteration 1, loss 1.0e-01"
    assert said[-1] == last
    assert said[0] == "pacemaker: 5 functions, 9 parameters, preparing the first iteration"
    assert (tmp_path / "progress.txt").read_text() == last + "\n"


def test_a_traceback_on_stderr_is_quoted(program, tmp_path):
    executable = program('echo "ValueError: NaN in forces" >&2; exit 1')
    with pytest.raises(CalculationError, match=r"exit status 1(.|\n)*ValueError: NaN in forces"):
        run(executable, tmp_path, ["input.yaml"], None, None)
    assert (tmp_path / "stderr.txt").read_text() == "ValueError: NaN in forces\n"


def test_a_program_that_does_nothing_is_an_error(program, tmp_path):
    with pytest.raises(CalculationError, match=r"pacemaker left no log.txt"):
        run(program("echo hello"), tmp_path, [], None, None)


def test_a_program_that_hangs_is_killed(program, tmp_path):
    with pytest.raises(CalculationError, match=r"killed after its wall-time limit of 0.2 s"):
        run(program("sleep 60"), tmp_path, [], 0.2, None)


def test_the_program_gets_its_arguments_threads_and_no_foreign_data_path(program, ended, monkeypatch):
    monkeypatch.setenv("PACEMAKERDATAPATH", "/elsewhere")
    executable = program('echo "$@" "$OMP_NUM_THREADS $TF_NUM_INTRAOP_THREADS $PACEMAKERDATAPATH" > said')
    assert run(executable, ended, ["input.yaml", "-p", "x"], None, 2).n_iterations == 30
    assert (ended / "said").read_text() == "input.yaml -p x 2 2 .\n"


def test_what_an_earlier_run_left_is_removed(ended):
    names = (
        "output_potential.yaml",
        "interim_potential_0.yaml",
        "fitting_data_info.pckl.gzip",
        "potential.asi",
    )
    for name in names:
        (ended / name).write_text("old")
    (ended / "config.yaml").write_text("mine")
    clear(ended)
    assert [path.name for path in ended.iterdir()] == ["config.yaml"]


def test_a_fit_that_ended_well_has_no_remarks(ended):
    log = ended / "log.txt"
    log.write_text(log.read_text().replace("success=False", "success=True"))
    outcome = read_outcome(ended)
    assert outcome.converged
    assert remarks(outcome, outcome.energy_rmse) == []
