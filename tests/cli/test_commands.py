"""The command line as a user meets it: real processes, real files, exit codes."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from mlip_autopipec.config import load_config
from mlip_autopipec.flows.build import plan

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


def test_an_error_is_two_lines_and_the_path_of_its_traceback(tmp_path):
    done = call("check", "nowhere.yaml", cwd=tmp_path, env={"MLIP_AUTO_HOME": str(tmp_path / "home")})
    error, hint, where = done.stderr.splitlines()
    assert error.startswith("error: configuration file 'nowhere.yaml' cannot be read")
    assert hint.startswith("hint: ")
    path = Path(where.removeprefix("traceback: "))
    assert path.parent == tmp_path / "home"
    assert "ConfigError" in path.read_text()
    kept = call("check", "nowhere.yaml", cwd=tmp_path, env={"MLIP_AUTO_HOME": "/proc/nowhere"})
    assert "traceback: not written" in kept.stderr
    assert kept.returncode == 2


def test_an_error_that_nobody_expected_is_told_alike(tmp_path):
    code = (
        "import sys; from mlip_autopipec.cli import app as a; "
        "a.app.command('boom')(lambda: {}['key']); sys.argv = ['mlip-auto', 'boom']; a.main()"
    )
    environment = {**os.environ, "MLIP_AUTO_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: unexpected KeyError: 'key'\nhint: report it")


@pytest.mark.parametrize("template", ["minimal", "standard", "alloy", "production"])
def test_every_template_is_accepted_and_names_its_schema(tmp_path, template):
    words = ("init", "Cu3Au", "--calculator", "emt", "--template", template)
    assert call(*words, cwd=tmp_path).returncode == 0
    text = (tmp_path / "config.yaml").read_text()
    assert text.startswith("# yaml-language-server: $schema=mlip-auto.schema.json\n")
    assert plan(load_config(tmp_path / "config.yaml"), tmp_path).elements == ["Au", "Cu"]
    schema = json.loads((tmp_path / "mlip-auto.schema.json").read_text())
    assert set(yaml.safe_load(text)) <= schema["properties"].keys()


def test_init_refuses_an_unknown_template(tmp_path):
    done = call("init", "Si", "-t", "nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert "'template' must be one of minimal, standard, alloy, production, got 'nonsense'" in done.stderr


def test_init_asks_on_a_terminal(tmp_path):
    parent, child = pty.openpty()
    process = subprocess.Popen([MLIP_AUTO, "init"], cwd=tmp_path, stdin=child, stdout=child, stderr=child)
    os.close(child)
    os.write(parent, b"Cu\nemt\nminimal\n")
    assert process.wait(timeout=60) == 0
    os.close(parent)
    text = (tmp_path / "config.yaml").read_text()
    assert "composition: Cu\n" in text
    assert "calculator: emt" in text


def test_the_schema_is_printed_or_written_and_describes_units(tmp_path):
    printed = call("schema", cwd=tmp_path)
    schema = json.loads(printed.stdout)
    assert schema["additionalProperties"] is False
    assert "[Å]" in schema["$defs"]["TrainingConfig"]["properties"]["cutoff"]["description"]
    call("schema", "-o", "schema.json", cwd=tmp_path)
    assert (tmp_path / "schema.json").read_text() == printed.stdout
    assert call("schema", "-o", "no/schema.json", cwd=tmp_path).returncode == 6


def test_check_and_explain_as_json(tmp_path):
    call("init", "Cu", "--calculator", "emt", cwd=tmp_path)
    checked = json.loads(call("check", "--json", cwd=tmp_path).stdout)
    assert checked["material"] == "Cu4"
    rows = {row["path"]: row for row in json.loads(call("explain", "--json", cwd=tmp_path).stdout)}
    assert rows["training.cutoff"]["source"] == "inferred"
    assert rows["training.cutoff"]["unit"] == "Å"


def test_eject_writes_a_script_once(tmp_path):
    call("init", "Cu", "--calculator", "emt", cwd=tmp_path)
    assert call("eject", cwd=tmp_path).returncode == 0
    assert "AseStaticMaker" in (tmp_path / "campaign.py").read_text()
    again = call("eject", cwd=tmp_path)
    assert again.returncode == 2
    assert "exists already" in again.stderr


def test_completion_is_there_for_bash(tmp_path):
    environment = {"_MLIP_AUTO_COMPLETE": "complete_bash", "COMP_WORDS": "mlip-auto doc", "COMP_CWORD": "1"}
    assert call(cwd=tmp_path, env=environment).stdout.split() == ["doctor"]
