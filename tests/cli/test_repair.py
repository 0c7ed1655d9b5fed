"""A validation that fails: what failed is learned; what still fails is released by force only."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlip_autopipec.schemas import CampaignDoc, ValidationDoc
from mlip_autopipec.store import find_outputs, open_store

MLIP_AUTO = str(Path(sys.executable).with_name("mlip-auto"))
# Bulk alone is explored, and no surface is good to 1e-9 J/m^2.
CONFIG = """
composition: Cu
seed: 1
oracle: {engine: ase, calculator: emt}
generation: {n_atoms: 8, n_strained: 8, n_rattled: 8}
training: {n_functions: 60, cutoff: 4.6}
exploration: {temperatures: [300], n_steps: 60}
active_learning: {n_initial: 18, quiet_rounds: 1, max_repairs: 1, repair_labels: 6}
validation: {checks: [surface], n_steps: 20, max_surface_error: 1.0e-9, n_held_out: 2}
"""


def call(folder, *words):
    return subprocess.run(
        [MLIP_AUTO, *words],
        cwd=folder,
        env={**os.environ, "COLUMNS": "120"},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture(scope="module")
def rejected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rejected")
    (folder / "config.yaml").write_text(CONFIG)
    return folder, call(folder, "run", "-w", "1")


def test_what_failed_is_learned_and_judged_again(rejected):
    folder, _ = rejected
    store = open_store(folder / "run")
    (end,) = [out.output for out in find_outputs(store, stage="conclude")]
    assert isinstance(end, CampaignDoc)
    assert end.state.n_repairs == 1
    assert end.state.repairs[0].endswith("failed: 6 surface to be learned")
    found = [out.output for out in find_outputs(store, stage="validate")]
    first, second = [doc for doc in found if isinstance(doc, ValidationDoc)]
    off = [
        max(abs(c.value - c.reference) for c in doc.checks if c.kind == "surface") for doc in (first, second)
    ]
    assert off[1] < 0.2 * off[0]
    assert [c.reference for c in first.checks if c.kind == "surface"] == [
        c.reference for c in second.checks if c.kind == "surface"
    ]


def test_a_potential_that_failed_is_not_released(rejected):
    folder, done = rejected
    assert done.returncode == 8, done.stdout + done.stderr
    assert "did not pass validation and is not released" in done.stderr
    assert "--force-release" in done.stderr
    assert (folder / "run" / "report.html").is_file()
    assert not (folder / "run" / "potential").exists()


def test_nor_exported_unless_forced(rejected):
    folder, _ = rejected
    refused = call(folder, "export", "mine")
    assert refused.returncode == 8
    assert "did not pass validation and is not released" in refused.stderr
    assert not (folder / "mine").exists()
    assert call(folder, "export", "mine", "--force-release").returncode == 0
    assert json.loads((folder / "mine" / "model_card.json").read_text())["forced"] is True


def test_unless_forced_and_then_its_card_says_so(rejected):
    folder, _ = rejected
    done = call(folder, "run", "-w", "1", "--force-release")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAILED its validation and was released by force" in done.stdout
    potential = folder / "run" / "potential"
    card = json.loads((potential / "model_card.json").read_text())
    assert (card["verdict"], card["forced"]) == ("fail", True)
    assert "released by force" in (potential / "model_card.md").read_text()
    assert (potential / "reproduce.yaml").is_file()
