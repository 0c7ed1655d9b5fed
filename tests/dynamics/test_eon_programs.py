"""Finding eOn, and getting its server out of a source distribution that wants a compiler."""

import os
import zipfile

import pytest

from mlip_autopipec.dynamics import EonKmcMaker, eon_backend
from mlip_autopipec.dynamics.eon_programs import newer_python, which_eon
from mlip_autopipec.dynamics.eon_setup import provision_eon, try_eon
from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.process import Executable
from mlip_autopipec.settings import Settings


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_the_order_in_which_it_is_looked_for(tmp_path):
    assert which_eon("mine", Settings(), tmp_path).value == "mine"
    assert which_eon(None, Settings(eon_python="site"), tmp_path).value == "site"
    assert which_eon(None, Settings(eon_python=None), tmp_path).value is None
    provisioned = script(tmp_path / "eon" / "bin" / "python", "")
    assert which_eon(None, Settings(eon_python=None), tmp_path).value == str(provisioned)


def test_what_is_missing_is_said_with_the_command_that_installs_it(tmp_path, monkeypatch):
    monkeypatch.setenv("MLIP_AUTO_HOME", str(tmp_path))
    monkeypatch.delenv("MLIP_AUTO_EON_PYTHON", raising=False)
    with pytest.raises(MissingProgramError, match=r"eOn was not found(?s:.)*mlip-auto setup eon"):
        EonKmcMaker().check_engine()


def test_a_python_without_eon_is_no_eon(tmp_path):
    broken = script(tmp_path / "python", "echo 'No module named eon' >&2; exit 1")
    with pytest.raises(MissingProgramError, match="does not run eOn: No module named eon"):
        try_eon(Executable(str(broken)), tmp_path)
    works = script(tmp_path / "python", "echo 3.6.0 0.4.2")
    assert try_eon(Executable(str(works)), tmp_path) == "eOn 3.6.0, pyeonclient 0.4.2"


def test_only_a_python_that_is_new_enough_will_do(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}")
    script(tmp_path / "bin" / "python3", "echo 3 11")
    script(tmp_path / "bin" / "python3.12", "exit 127")  # as a shim of pyenv for a version that is not active
    with pytest.raises(MissingProgramError, match=r"needs a Python of 3\.12 or 3\.13: none of python3\.13"):
        provision_eon(tmp_path / "home")
    found = script(tmp_path / ".pyenv" / "versions" / "3.13.0" / "bin" / "python3.13", "echo 3 13")
    assert newer_python(tmp_path).value == str(found)


def test_the_server_is_packed_without_a_compiler(tmp_path, monkeypatch):
    source = tmp_path / "eon_akmc-9.9"
    for name in ("eon/server.py", "eon/config.yaml", "eon/geometry/cell.py", "eon/tests/test_x.py"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_text("x = 1\n")
    (source / "eon" / "meson.build").write_text("")
    (source / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: eon-akmc\nVersion: 9.9\n")
    (source / "LICENSE").write_text("BSD\n")
    monkeypatch.chdir(source)
    name = eon_backend.build_wheel(os.fspath(tmp_path))
    with zipfile.ZipFile(tmp_path / name) as wheel:
        names = wheel.namelist()
    assert name == "eon_akmc-9.9-py3-none-any.whl"
    assert [n for n in names if n.startswith("eon/")] == [
        "eon/config.yaml",
        "eon/geometry/cell.py",
        "eon/server.py",
    ]
    assert {n.split("/")[1] for n in names if n.startswith("eon_akmc")} == {
        "METADATA",
        "WHEEL",
        "LICENSE",
        "RECORD",
    }
