"""Which LAMMPS runs, and whether it passes its trial: a script in its place says what it is told to say."""

import json
import os
import shlex
import sys
from pathlib import Path

import pytest

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.dynamics import LammpsMDMaker
from mlip_autopipec.dynamics.lammps_programs import (
    check_lammps,
    choose_backend,
    distorted_cell,
    probe_potential,
    which_lammps,
)
from mlip_autopipec.errors import CalculationError, ConfigError, MissingProgramError
from mlip_autopipec.process import Executable

REPLAY = Path(__file__).with_name("replayed_lmp.py")
DATA = Path(__file__).parents[1] / "data" / "lammps"


@pytest.fixture(autouse=True)
def machine(tmp_path, monkeypatch):
    """A machine without settings."""
    for key in [key for key in os.environ if key.startswith("MLIP_AUTO_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("MLIP_AUTO_HOME", str(tmp_path))
    return tmp_path


def test_which_lammps_says_where_from(monkeypatch):
    assert which_lammps().value is None
    assert which_lammps().reason == "lammps_command is not set"
    monkeypatch.setenv("MLIP_AUTO_LAMMPS_COMMAND", "mpirun -np 4 lmp")
    assert which_lammps().value == "mpirun -np 4 lmp"
    assert "MLIP_AUTO_LAMMPS_COMMAND" in which_lammps().reason
    assert which_lammps("lmp_mine").value == "lmp_mine"
    assert which_lammps("lmp_mine").reason == "given as 'command'"


def test_auto_is_the_library_until_a_program_is_set(machine, monkeypatch):
    program, reason = choose_backend("auto")
    assert program is None
    assert reason == "backend is auto and lammps_command is not set: LAMMPS in-process"
    (machine / "settings.yaml").write_text(f"lammps_command: {sys.executable} lmp\n")
    program, reason = choose_backend("auto")
    assert program.argv("-h") == [sys.executable, "lmp", "-h"]
    assert reason.startswith("backend is auto, lmp from the machine setting lammps_command")
    assert choose_backend("library") == (None, "backend is library")


def test_the_launcher_goes_first(machine):
    launcher = machine / "mpirun"
    launcher.write_text("#!/bin/sh\n")
    launcher.chmod(0o755)
    program, _ = choose_backend("program", f"{launcher} -np 4 lmp")
    assert program.argv("-in", "x") == [str(launcher), "-np", "4", "lmp", "-in", "x"]


def test_a_program_that_is_not_there_is_missing(monkeypatch):
    with pytest.raises(
        MissingProgramError, match="LAMMPS was not found: lammps_command is not set"
    ) as caught:
        choose_backend("program")
    assert "MLIP_AUTO_LAMMPS_COMMAND" in caught.value.hint
    monkeypatch.setenv("MLIP_AUTO_LAMMPS_COMMAND", "no-such-lmp")
    with pytest.raises(MissingProgramError, match=r"'no-such-lmp' was not found .*lammps_command"):
        choose_backend("auto")
    with pytest.raises(ConfigError, match="'backend' must be auto, program or library, got 'gpu'"):
        choose_backend("gpu")


@pytest.fixture
def program(tmp_path):
    """An `lmp` that says a given energy and gamma of whatever it is asked about."""

    def make(energy, gamma, **case):
        text = (DATA / "out.02_gamma").read_text()
        first = next(line for line in text.splitlines() if line.split()[:1] == ["0"])
        words = first.split()
        words[2], words[-1] = f"{energy:.17g}", f"{gamma:.17g}"
        out, file = tmp_path / "stdout", tmp_path / "case.json"
        out.write_text(case.pop("text", text.replace(first, " ".join(words))))
        file.write_text(json.dumps({"stdout": str(out), "restart": "", **case}))
        return Executable(shlex.join([sys.executable, str(REPLAY), str(file)]))

    return make


@pytest.fixture
def truth(tmp_path):
    folder = tmp_path / "truth"
    folder.mkdir()
    files = probe_potential(folder)
    found = AcePotential(files.yaml, files.asi).evaluate(distorted_cell())
    return float(found.energies.sum()), float(found.gamma.max())


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "probe"
    made.mkdir()
    return made


def test_an_lmp_that_agrees_with_python_ace_passes(program, truth, folder, monkeypatch):
    energy, gamma = truth
    assert abs(energy) > 1.0
    assert gamma > 1.0
    good = program(energy, gamma)
    assert check_lammps(good, folder) == "4 Feb 2025"
    assert LammpsMDMaker(command=good.command).try_engine(folder) == (
        "LAMMPS (4 Feb 2025): ready, energy and gamma as python-ace has them "
        "(backend is auto, lmp given as 'command')"
    )
    LammpsMDMaker(command=good.command).check_engine()


def test_the_library_needs_no_trial(folder):
    LammpsMDMaker().check_engine()
    found = LammpsMDMaker().try_engine(folder)
    assert found.startswith("LAMMPS in-process: ready (backend is auto")


def test_a_gamma_that_is_silently_zero_does_not_pass(program, truth, folder):
    with pytest.raises(MissingProgramError, match="gives gamma 0 for a distorted cell, python-ace") as caught:
        check_lammps(program(truth[0], 0.0), folder)
    assert "lammps#3966" in caught.value.hint


@pytest.mark.parametrize(("factors", "name"), [((1.0, 1.001), "gamma"), ((1.001, 1.0), "energy")])
def test_numbers_that_differ_do_not_pass(factors, name, program, truth, folder):
    energy, gamma = truth[0] * factors[0], truth[1] * factors[1]
    with pytest.raises(MissingProgramError, match=f"gives {name} .* for a distorted cell, python-ace"):
        check_lammps(program(energy, gamma), folder)


def test_an_lmp_without_ml_pace_does_not_pass(program, folder):
    said = "ERROR: Unrecognized pair style 'pace/extrapolation' is part of the ML-PACE package which is not\n"
    with pytest.raises(MissingProgramError, match="this LAMMPS has no ML-PACE"):
        check_lammps(program(1.0, 1.0, text=said, returncode=1), folder)


def test_an_lmp_that_says_nothing_does_not_pass(program, folder):
    with pytest.raises(CalculationError, match="LAMMPS failed: the LAMMPS log has no table"):
        check_lammps(program(1.0, 1.0, text="LAMMPS (4 Feb 2025)\n"), folder)
