"""What the documentation shows must run, and what a package exports must be there."""

import importlib
import pkgutil
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mlip_autopipec
from mlip_autopipec.config import load_config
from mlip_autopipec.flows.build import plan

ROOT = Path(__file__).parents[1]
PACKAGES = [m.name for m in pkgutil.iter_modules(mlip_autopipec.__path__) if m.ispkg]
TUTORIALS = sorted((ROOT / "tutorials").glob("*/config.yaml"))


def blocks(text, language):
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_python_of_the_readme_runs(tmp_path):
    (code,) = blocks((ROOT / "README.md").read_text(), "python")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "5"


def test_the_python_of_the_page_on_fitting_runs(tmp_path):
    (code,) = blocks((ROOT / "docs" / "fitting.md").read_text(), "python")
    shutil.copy(ROOT / "tests" / "data" / "zuo" / "Cu.extxyz.gz", tmp_path / "labels.extxyz.gz")
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    (error,) = re.findall(r"test MAE (\S+) meV/atom", done.stdout)
    assert 0.0 < float(error) < 10.0
    assert sorted(p.suffix for p in (tmp_path / "potential").iterdir()) == [".asi", ".npz", ".yace", ".yaml"]


def test_the_yaml_of_the_readme_is_accepted(tmp_path):
    (text,) = blocks((ROOT / "README.md").read_text(), "yaml")
    (tmp_path / "config.yaml").write_text(text)
    assert plan(load_config(tmp_path / "config.yaml"), tmp_path).elements == ["Si"]


def test_the_commands_of_the_documents_exist():
    shown = subprocess.run(
        [Path(sys.executable).with_name("mlip-auto"), "--help"], capture_output=True, text=True, check=True
    ).stdout
    for document in (ROOT / "README.md", ROOT / "docs" / "quickstart.md"):
        for command in re.findall(r"mlip-auto ([a-z]+)", document.read_text()):
            assert re.search(rf"\b{command}\b", shown), f"{document.name} names {command!r}"


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.parent.name)
def test_the_configurations_of_the_tutorials_are_accepted(path):
    assert plan(load_config(path), path.parent).flow().jobs


@pytest.mark.parametrize("name", PACKAGES)
def test_what_a_package_exports_is_there(name):
    module = importlib.import_module(f"mlip_autopipec.{name}")
    exported = getattr(module, "__all__", [])
    assert sorted(set(exported)) == sorted(exported, key=str)
    assert [symbol for symbol in exported if not hasattr(module, symbol)] == []


def test_every_key_of_the_configuration_is_documented():
    text = (ROOT / "docs" / "configuration.md").read_text()
    from mlip_autopipec.config.reference import configuration_table

    assert configuration_table() in text, "run `make docs-reference`"
