"""The documentation site, the notebooks and the Dockerfile, each by the tool that users have."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "tutorials").glob("*/*.ipynb"))
BIN = Path(sys.executable).parent


def images(notebook):
    return [
        len([o for o in cell.get("outputs", []) if "image/png" in o.get("data", {})])
        for cell in notebook.cells
    ]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [BIN / "mkdocs", "build", "--strict", "--quiet", "-d", folder],
        cwd=ROOT,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_is_built_without_a_warning(site):
    for page in ("index", "howto", "theory", "comparison", "troubleshooting", "reference/errors"):
        assert (site / ("" if page == "index" else page) / "index.html").is_file()
    shown = (site / "reference" / "commands" / "index.html").read_text()
    for command in ("doctor", "validate", "export", "eject", "schema", "setup qe"):
        assert f"mlip-auto {command}" in shown
    tutorial = (site / "tutorials" / "07_jobstore" / "index.html").read_text()
    assert tutorial.count("<img") >= 2


def test_the_troubleshooting_page_quotes_errors_that_are_raised():
    spec = importlib.util.spec_from_file_location("generate", ROOT / "docs" / "generate.py")
    generate = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generate)
    messages = [
        re.sub(r"\s+", " ", message.replace("\\", ""))
        for path in (ROOT / "src").rglob("*.py")
        for _, message, _ in generate.raised(ast.parse(path.read_text()))
    ]
    assert len(messages) > 200
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    for quoted in re.findall(r"^\| `([^`]+)`", text, flags=re.MULTILINE):
        parts = [part.strip() for part in re.split(r"…|\bN\b", quoted) if part.strip()]
        assert any(all(part in message for part in parts) for message in messages), quoted


@pytest.mark.xdist_group("notebooks")
@pytest.mark.timeout(600)
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.parent.name)
def test_a_notebook_runs_and_is_kept_with_its_pictures(path, monkeypatch):
    monkeypatch.setenv("PATH", f"{BIN}{os.pathsep}{os.environ['PATH']}")  # as in an activated environment
    kept = nbformat.reads(path.read_text(), as_version=4)
    fresh = nbformat.reads(path.read_text(), as_version=4)
    NotebookClient(
        fresh, timeout=250, kernel_name="python3", resources={"metadata": {"path": path.parent}}
    ).execute()
    assert images(fresh) == images(kept)
    assert sum(images(kept)) >= 1
    assert all(cell.execution_count for cell in kept.cells if cell.cell_type == "code")
    assert str(Path.home()) not in path.read_text()


def test_the_dockerfile_passes_its_linter():
    done = subprocess.run(
        [BIN / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    bad = subprocess.run(
        [BIN / "hadolint", "-"], input="FROM debian\nRUN cd /x\n", capture_output=True, text=True, check=False
    )
    assert bad.returncode == 1
