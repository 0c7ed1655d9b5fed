"""A whole campaign by the command line: from config.yaml to a report; killed and resumed; failing oracles."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import ase.io
import numpy as np
import pytest
from ase.build import bulk

from mlip_autopipec.ace import AceCalculator, AcePotential
from mlip_autopipec.cli.export import write_frame
from mlip_autopipec.errors import StoreError
from mlip_autopipec.execution.journal import Journal
from mlip_autopipec.report import Campaign
from mlip_autopipec.schemas import CampaignDoc
from mlip_autopipec.store import find_outputs, open_store

MLIP_AUTO = str(Path(sys.executable).with_name("mlip-auto"))
HERE = Path(__file__).parent
CONFIG = """
composition: Cu
seed: 1
oracle: {engine: ase, calculator: %s}
generation: {n_atoms: 8, n_strained: 12, n_rattled: 12}
training: {n_functions: 60, cutoff: 4.6}
exploration: {temperatures: [300, 900], n_steps: 300, gamma_halt: 2, gamma_select: 1.5}
active_learning: {n_initial: 20, quiet_rounds: 1, max_generations: 30}
validation: {n_steps: 60, max_bulk_modulus_error: 30, max_energy_rmse: 0.02, max_force_rmse: 0.3}
"""


def start(folder, *words):
    environment = {**os.environ, "COLUMNS": "120", "PYTHONPATH": str(HERE)}
    return subprocess.Popen(
        [MLIP_AUTO, "run", "-w", "2", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=280)
    return process.returncode, out, err


def labels_done(folder):
    """How often each label was computed, by id."""
    journal = Journal(folder)
    entries = [e for e in journal.entries() if "label" in e.metadata and e.state == "done"]
    journal.close()
    return Counter({entry.uuid: entry.attempts for entry in entries})


def campaign_of(folder):
    (end,) = [out.output for out in find_outputs(open_store(folder), stage="conclude")]
    assert isinstance(end, CampaignDoc)
    return end


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("campaign")
    (folder / "config.yaml").write_text(CONFIG % "emt")
    code, out, err = finish(start(folder))
    assert code == 0, out + err
    return folder, out


def test_the_loop_halts_learns_and_goes_on(finished):
    folder, out = finished
    end = campaign_of(folder / "run")
    assert end.verdict in ("pass", "warn")
    assert end.state.stop_reason == "no_halt"
    assert sum(record.n_halts for record in end.state.history) > 0
    assert end.n_training_labels > 20
    assert end.n_training_labels == end.state.history[-1].n_labels
    # a walk that was halted went on from where it was, and walked all its steps
    assert any(walker.n_halts or walker.finished for walker in end.state.walkers)
    for line in ("gen 0   label", "gen 0   fit", "gen 0   explore", "verdict"):
        assert line in out


def test_the_potential_is_delivered_and_python_ace_alone_agrees(finished):
    folder, _ = finished
    potential = folder / "run" / "potential"
    card = json.loads((potential / "potential.json").read_text())
    ours = AceCalculator(AcePotential(potential / "potential.yaml", potential / "potential.asi"), card["e0"])
    from pyace import PyACECalculator

    atoms = bulk("Cu", cubic=True).repeat(2)
    atoms.rattle(0.1, seed=4)
    alone = PyACECalculator(str(potential / "potential.yace"))
    mine, theirs = atoms.copy(), atoms.copy()
    mine.calc, theirs.calc = ours, alone
    expected = theirs.get_potential_energy() + len(atoms) * card["e0"]["Cu"]
    assert mine.get_potential_energy() == pytest.approx(expected, abs=1e-8)
    assert mine.get_forces() == pytest.approx(theirs.get_forces(), abs=1e-8)
    assert mine.get_stress() == pytest.approx(theirs.get_stress(), abs=1e-10)


def test_status_and_report_read_the_finished_run(finished):
    folder, _ = finished
    status = subprocess.run([MLIP_AUTO, "status"], cwd=folder, capture_output=True, text=True, check=True)
    assert "labels" in status.stdout
    (folder / "run" / "report.html").unlink()
    subprocess.run([MLIP_AUTO, "report"], cwd=folder, capture_output=True, text=True, check=True)
    assert "not DFT" in (folder / "run" / "report.html").read_text()


def test_a_second_run_computes_nothing(finished):
    folder, _ = finished
    before = labels_done(folder / "run")
    code, out, err = finish(start(folder))
    assert code == 0, out + err
    assert labels_done(folder / "run") == before
    assert "reused" in out


def test_a_killed_run_goes_on_and_ends_alike(finished, tmp_path):
    """SIGKILL after some labels, twice; no label is computed twice and the end is the same."""
    undisturbed, _ = finished
    (tmp_path / "config.yaml").write_text(CONFIG % "emt")
    for n_labels in (6, 21):
        process = start(tmp_path)
        while process.poll() is None and _n_labels(tmp_path / "run") < n_labels:
            time.sleep(0.1)
        kept = _n_labels(tmp_path / "run")
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert kept >= n_labels
    code, out, err = finish(start(tmp_path))
    assert code == 0, out + err
    attempts = labels_done(tmp_path / "run")
    # those that the kill cut off in mid-calculation may have been started again, but never one that was done
    assert sum(1 for n in attempts.values() if n > 1) <= 4
    first, second = campaign_of(undisturbed / "run"), campaign_of(tmp_path / "run")
    assert first.state.history == second.state.history
    assert first.n_training_labels == second.n_training_labels
    assert set(attempts) == set(labels_done(undisturbed / "run"))
    files = [folder / "run" / "potential" / "potential.yace" for folder in (undisturbed, tmp_path)]
    assert files[0].read_bytes() == files[1].read_bytes()


def _n_labels(folder):
    if not (folder / "journal.sqlite").is_file():
        return 0
    return len(labels_done(folder))


@pytest.mark.parametrize(
    ("calculator", "message"),
    [("bad_calculators:Raising", "this calculator always fails"), ("bad_calculators:NotANumber", "finite")],
)
def test_an_oracle_that_never_works_ends_the_campaign(tmp_path, calculator, message):
    (tmp_path / "config.yaml").write_text(CONFIG % calculator)
    code, out, err = finish(start(tmp_path))
    assert code == 7, out + err
    assert message in out
    assert "finished labels are kept" in err
    assert (tmp_path / "run" / "report.html").is_file()


def test_labels_that_worked_survive_an_oracle_that_fails_later(tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG % "bad_calculators:FailsOnBigCells")
    code, out, err = finish(start(tmp_path))
    assert code == 7, out + err
    assert len(labels_done(tmp_path / "run")) == 6  # five dimers and the free atom


def call(folder, *words):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])}
    return subprocess.run(
        [MLIP_AUTO, *words], cwd=folder, capture_output=True, text=True, env=environment, check=False
    )


def test_status_as_json_speaks_of_the_domain(finished):
    folder, _ = finished
    found = json.loads(call(folder, "status", "--json").stdout)
    assert found["stop_reason"] == "no_halt"
    assert found["labels"]["training"] == campaign_of(folder / "run").n_training_labels
    assert found["generations"][-1]["n_halts"] == 0
    assert found["failed_jobs"] == []
    assert found["training_errors"]["energy_rmse"] < 0.02


def test_labels_and_potential_are_exported(finished):
    folder, _ = finished
    n_labels = campaign_of(folder / "run").n_training_labels
    for name in ("labels.extxyz", "labels.db", "labels.pckl.gzip"):
        done = call(folder, "export", name)
        assert f"{n_labels} labels" in done.stdout, done.stderr
    frames = ase.io.read(folder / "labels.extxyz", ":")
    assert len(frames) == n_labels
    assert np.isfinite([atoms.get_potential_energy() for atoms in frames]).all()
    done = call(folder, "export", "--validation", "held-out.extxyz.gz")
    assert f"{campaign_of(folder / 'run').n_validation_labels} labels" in done.stdout
    assert call(folder, "export", "mine").returncode == 0
    assert (folder / "mine" / "potential.yace").is_file()
    unknown = call(folder, "export", "labels.cif")
    assert unknown.returncode == 2
    assert "accepted endings: .extxyz" in unknown.stderr
    refused = call(folder, "export", "config.yaml/labels.extxyz")
    assert refused.returncode == 6
    assert "cannot be written" in refused.stderr


def test_a_run_that_has_nothing_yet_has_nothing_to_export(tmp_path):
    open_store(tmp_path / "run").close()
    empty = {"labels.extxyz": "holds no such label yet", "mine": "has no potential to deliver"}
    for target, said in empty.items():
        done = call(tmp_path, "export", target)
        assert done.returncode == 6
        assert said in done.stderr
    with pytest.raises(StoreError, match="needs E0, which is known after the first fit"):
        write_frame([], Campaign(), tmp_path / "x.pckl.gzip")


@pytest.mark.parametrize(("name", "gamma"), [("potential.yaml", True), ("theirs.yace", False)])
def test_a_potential_file_is_validated(finished, name, gamma):
    folder, _ = finished
    potential = folder / "run" / "potential"
    (potential / "theirs.yace").write_bytes((potential / "potential.yace").read_bytes())
    done = call(folder, "validate", str(potential / name), "-d", "judged", "-w", "2")
    assert done.returncode == 0, done.stderr
    assert "pass  bulk modulus" in done.stdout
    doc = json.loads((folder / "judged" / "validation.json").read_text())
    assert doc["verdict"] in ("pass", "warn")
    assert (doc["stability"]["gamma_max"] is not None) == gamma
    (point,) = doc["held_out"]["learning_curve"]
    assert point["method"] == "given"


def test_a_potential_that_is_not_good_enough_is_rejected(finished):
    folder, _ = finished
    strict = folder / "strict.yaml"
    strict.write_text((folder / "config.yaml").read_text().replace("0.02,", "1.0e-9,"))
    words = ("-c", "strict.yaml", "-d", "judged", "-w", "2")
    done = call(folder, "validate", "run/potential/potential.yaml", *words)
    assert done.returncode == 8
    assert "fail  held-out energy RMSE" in done.stdout
    bad = folder / "bad.yace"
    bad.write_text("nothing")
    done = call(folder, "validate", "bad.yace", "-d", "judged", "-w", "2")
    assert done.returncode == 7
    assert "the validation did not end: take given potential" in done.stderr
