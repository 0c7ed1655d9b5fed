"""The command line as a user meets it: real processes, real files, exit codes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

MLIP_AUTO = str(Path(sys.executable).with_name("mlip-auto"))


def call(*words, cwd, env=None):
    return subprocess.run(
        [MLIP_AUTO, *words],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "120", **(env or {})},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def test_help_imports_nothing_heavy(tmp_path):
    code = (
        "import sys; import mlip_autopipec.cli.app; "
        "heavy = {'jobflow', 'numpy', 'scipy', 'ase', 'pymatgen', 'matplotlib', 'pydantic', 'pyace'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
    shown = call("--help", cwd=tmp_path)
    assert shown.returncode == 0
    for command in ("init", "check", "explain", "run", "submit", "status", "report", "setup"):
        assert command in shown.stdout


def test_init_check_explain(tmp_path):
    assert call("init", "Cu", "--calculator", "emt", cwd=tmp_path).returncode == 0
    checked = call("check", cwd=tmp_path)
    assert checked.returncode == 0, checked.stderr
    assert "accepted" in checked.stdout
    explained = call("explain", cwd=tmp_path)
    assert explained.returncode == 0
    assert "melting point of Cu" in explained.stdout
    assert not (tmp_path / "run").exists()


def test_init_never_overwrites(tmp_path):
    call("init", "Si", cwd=tmp_path)
    again = call("init", "Cu", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr
    assert "Si" in (tmp_path / "config.yaml").read_text()


@pytest.mark.parametrize(
    ("config", "code", "message"),
    [
        ("composition: Xx\n", 2, "Xx is not a chemical element"),
        ("composition: Si\nexploration: {temperature: [3]}\n", 2, "did you mean 'temperatures'"),
        ("composition: Si\nexploration: {temperatures: [-3]}\n", 2, "greater than 0, got -3"),
        ("structures: nowhere.cif\n", 2, "no file matches 'nowhere.cif'"),
        ("composition: Cu\noracle: {engine: ase, calculator: emmt}\n", 2, "emmt"),
    ],
)
def test_bad_input_ends_before_anything_runs(tmp_path, config, code, message):
    (tmp_path / "config.yaml").write_text(config)
    done = call("run", cwd=tmp_path)
    assert done.returncode == code, done.stderr
    assert message in done.stderr
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


def test_traceback_is_shown_when_asked_for(tmp_path):
    done = call("--traceback", "check", "nowhere.yaml", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" in done.stderr


def test_missing_pw_x_says_how_to_get_it(tmp_path):
    (tmp_path / "config.yaml").write_text("composition: Si\n")
    done = call("run", cwd=tmp_path, env={"PATH": "/nowhere", "MLIP_AUTO_HOME": str(tmp_path / "home")})
    assert done.returncode == 3, done.stderr
    assert "apt-get install quantum-espresso" in done.stderr
    assert "mlip-auto setup qe" in done.stderr


@pytest.mark.parametrize("command", ["status", "report"])
def test_a_folder_that_is_no_run_is_refused(tmp_path, command):
    done = call(command, "-d", "nowhere", cwd=tmp_path)
    assert done.returncode == 6
    assert "is not a run folder" in done.stderr


def test_a_run_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "config.yaml").write_text("composition: Cu\noracle: {engine: ase, calculator: emt}\n")
    (tmp_path / "file").write_text("")
    done = call("run", "-d", "file/run", cwd=tmp_path)
    assert done.returncode == 6
    assert "cannot be written" in done.stderr


def test_an_unknown_option_is_a_usage_error(tmp_path):
    assert call("run", "--nonsense", cwd=tmp_path).returncode == 2
