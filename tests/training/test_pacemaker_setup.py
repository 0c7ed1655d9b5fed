"""`mlip-auto setup pacemaker` where something is missing; `make test-pacemaker` runs the real thing."""

import os
import re
from importlib import resources

import pytest
from typer.testing import CliRunner

from mlip_autopipec.cli.app import app
from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.training.pacemaker_programs import provisioned_command
from mlip_autopipec.training.pacemaker_setup import copper_cells, provision_pacemaker, try_pacemaker


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """An empty machine that reaches no package index."""
    for key in [k for k in os.environ if k.startswith(("MLIP_AUTO_", "PIP_"))]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    home = tmp_path / "home"
    monkeypatch.setenv("MLIP_AUTO_HOME", str(home))
    return home


def requirements():
    path = resources.files("mlip_autopipec.training").joinpath("pacemaker_requirements.txt")
    text = re.sub(r"^#.*$", "", path.read_text(), flags=re.MULTILINE).replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip()]


def test_every_requirement_is_pinned_with_a_hash():
    for name, *hashes in requirements():
        assert re.fullmatch(r"[\w.-]+==[\w.]+", name)
        assert hashes
        assert all(re.fullmatch(r"--hash=sha256:[0-9a-f]{64}", h) for h in hashes)


def test_the_requirements_are_those_that_were_seen_to_work():
    versions = dict(line[0].split("==") for line in requirements())
    assert versions["python-ace"] == "0.4.0rc1"
    assert versions["tensorpotential"] == "0.6.2.1"
    assert versions["tensorflow-cpu"].startswith("2.20.")
    assert versions["tf-keras"].startswith("2.20.")
    assert tuple(map(int, versions["numpy"].split(".")[:2])) < (2, 4)
    assert "tensorflow" not in versions
    assert not [name for name in versions if name.startswith("nvidia")]


def test_a_failing_pip_is_quoted_and_leaves_nothing(machine):
    with pytest.raises(
        MissingProgramError, match=r"pip install failed(.|\n)*absl-py(.|\n)*hint: check the network"
    ):
        provision_pacemaker(machine)
    assert list(machine.iterdir()) == []


def test_what_is_there_is_not_installed_again(machine):
    (machine / "pacemaker").mkdir(parents=True)
    assert provision_pacemaker(machine) == provisioned_command(machine)


def test_a_pacemaker_that_does_not_fit_is_refused(tmp_path):
    program = tmp_path / "pacemaker"
    program.write_text("#!/bin/sh\necho 'ImportError: no libhdf5' >&2; exit 1\n")
    program.chmod(0o755)
    with pytest.raises(MissingProgramError, match=r"pacemaker' does not work here(.|\n)*no libhdf5"):
        try_pacemaker(str(program))


def test_the_trial_cells_are_reproducible():
    assert copper_cells() == copper_cells()
    assert copper_cells().n_labels == 6


def test_the_command_says_where_pacemaker_is(machine, monkeypatch):
    (machine / "pacemaker").mkdir(parents=True)
    assert provisioned_command(machine) in CliRunner().invoke(app, ["setup", "pacemaker"]).output
    monkeypatch.setenv("MLIP_AUTO_PACEMAKER_COMMAND", "my-pacemaker")
    found = CliRunner().invoke(app, ["setup", "pacemaker"])
    assert found.output == "pacemaker         my-pacemaker (machine settings)\n"
