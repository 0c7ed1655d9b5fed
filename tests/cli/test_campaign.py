"""A whole campaign by the command line: from config.yaml to a report; killed and resumed; failing oracles."""

import json
import os
import shutil
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
from mlip_autopipec.report import Campaign, open_project
from mlip_autopipec.schemas import CampaignDoc
from mlip_autopipec.store import find_outputs, open_store
from mlip_autopipec.training.dataset_import import read_labelled

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
validation: {n_steps: 60, checks: [elastic],
             max_bulk_modulus_error: 30, max_energy_rmse: 0.02, max_force_rmse: 0.3}
"""


def start(folder, *words):
    path = os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "COLUMNS": "120", "PYTHONPATH": path}
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
    for line in ("gen 0   label", "gen 0   fit", "gen 0   explore", "verdict", "this run took"):
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


@pytest.fixture
def copied(finished, tmp_path):
    """The finished campaign, to be changed."""
    shutil.copytree(finished[0], tmp_path / "campaign")
    return tmp_path / "campaign"


def planned(folder, *words):
    command = [MLIP_AUTO, "plan", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout


def finished_at(folder):
    """When each job ended, by id and index."""
    journal = Journal(folder)
    found = {entry.key: (entry.name, entry.ended_at) for entry in journal.entries()}
    journal.close()
    return found


def test_a_plan_of_what_is_finished_reuses_all_and_costs_nothing(finished):
    folder, _ = finished
    before = finished_at(folder / "run")
    plan = json.loads(planned(folder, "--json"))
    assert {job["fate"] for job in plan["jobs"]} == {"reused"}
    assert len(plan["jobs"]) >= len(before)
    assert (plan["changed"], plan["cost"]["n_labels"], plan["cost"]["at_most"]) == ([], 0, 0.0)
    assert finished_at(folder / "run") == before


def test_changing_one_setting_reruns_only_what_depends_on_it(copied):
    (copied / "config.yaml").write_text((CONFIG % "emt").replace("{n_steps: 60", "{n_steps: 70"))
    plan = json.loads(planned(copied, "--json"))
    assert plan["changed"] == ["validation.n_steps: 60 -> 70"]
    runs = {job["name"]: job["reason"] for job in plan["jobs"] if job["fate"] == "runs"}
    assert runs["validate stability"] == "n_steps: 60 -> 70"
    # The validation as a whole makes the lists of labels that the other judges take; the labels are reused.
    judges = [name for name in runs if name.startswith("validate ")]
    assert {"validate held-out errors", "validate equation of state"} < set(judges)
    assert not any(name.startswith(("fit", "explore", "select", "embed")) for name in runs)
    assert plan["cost"]["n_labels"] == 0
    text = planned(copied)
    assert "changed  validation.n_steps: 60 -> 70" in text
    assert "labels to be made: 0 known now" in text
    before = finished_at(copied / "run")
    code, out, err = finish(start(copied))
    assert code == 0, out + err
    after = finished_at(copied / "run")
    new = {name for key, (name, _) in after.items() if key not in before}
    # What decides carries the settings of all that follows; it costs nothing and leads to the same jobs.
    free = {job["name"] for job in plan["jobs"] if job["fate"] == "planned"}
    assert set(judges) <= new
    assert new <= {*runs, *free, "conclude"}
    assert all(after[key] == before[key] for key in before)


def test_another_oracle_is_planned_with_its_price(copied):
    (copied / "config.yaml").write_text(CONFIG % "emt, max_force: 140")
    plan = json.loads(planned(copied, "--json"))
    labels = [job for job in plan["jobs"] if job["fate"] == "runs" and job["n_atoms"]]
    assert {job["reason"] for job in labels} == {"max_force: 150.0 -> 140.0"}
    assert len(labels) == plan["cost"]["n_labels"] == 20
    assert plan["cost"]["at_most"] > plan["cost"]["wall_time"] > 0
    assert "rests on" in plan["cost"]["basis"]
    assert "labels by ase:emt and atoms^" in plan["cost"]["basis"]
    fit = next(job for job in plan["jobs"] if job["name"].startswith("fit"))
    assert (fit["fate"], fit["reason"]) == ("runs", "takes the output of 'label batch'")


def test_a_plan_before_anything_was_run(finished, tmp_path):
    (tmp_path / "config.yaml").write_text(CONFIG % "emt")
    text = planned(tmp_path)
    judged = campaign_of(finished[0] / "run").n_validation_labels
    # 200 by max_labels, and the ends of the walks of two repairs: 4 each.
    assert f"labels to be made: 20 known now, {200 + judged + 8} at the most, validation included" in text
    assert "cost: unknown, no label was made yet" in text
    assert not (tmp_path / "run").exists()


def test_a_project_is_read_as_tables(finished):
    folder, _ = finished
    with open_project(folder / "run") as project:
        end = project.campaign.end
        labels, gamma = project.labels(), project.gamma()
        assert len(labels[labels.generation.notna()]) == end.n_training_labels
        assert set(labels[labels.generation.isna()].origin) == {"held_out", "eos", "elastic"}
        assert labels.attrs["units"]["energy"] == "eV"
        generations = project.generations()
        assert generations.n_labels.iloc[-1] == end.n_training_labels
        halted = gamma[gamma.halted].groupby("job_id").gamma.max()
        assert len(halted) == generations.n_halts.sum()
        assert (halted > 1.5).all()
        potentials = project.potentials()
        assert potentials.delivered.sum() == 1
        assert project.potential() == project.potential(potentials[potentials.delivered].job_id.item())
        with pytest.raises(StoreError, match="fitted no potential"):
            project.potential(labels.label_id[0])
        cost = project.cost().set_index("work")
        assert cost.n_jobs["dynamics"] == generations.n_explorations.sum()
        assert cost.wall_time["training"] == pytest.approx(labels[labels.generation.notna()].wall_time.sum())


def test_a_label_knows_where_it_comes_from_and_what_it_did(finished):
    folder, _ = finished
    with open_project(folder / "run") as project:
        labels = project.labels()
        met = labels[(labels.origin == "md") & (labels.generation > 0) & ~labels.audit].iloc[0]
        lineage = project.lineage(met.label_id[:12])
        assert lineage.encounter.generation == met.generation - 1
        assert lineage.encounter.end_reason == "gamma"
        # graded by the potential that walked, on the same structure
        assert lineage.gamma == pytest.approx(met.gamma, rel=1e-3)
        assert lineage.after.force_rmse < lineage.before.force_rmse
        assert len(project.structure(met.label_id)) == met.n_atoms
        held = project.lineage(labels[labels.generation.isna()].label_id.iloc[0])
        assert (held.after, held.before) == (None, None)
        with pytest.raises(StoreError, match="no label begins with 'nobody'; there are"):
            project.lineage("nobody")
    shown = [MLIP_AUTO, "why", met.label_id]
    text = subprocess.run(shown, cwd=folder, capture_output=True, text=True, check=True).stdout
    for word in (
        "met by      a walk at",
        "uncertain   atom",
        "oracle      ase:emt",
        "weight",
        "before",
        "after",
    ):
        assert word in text


def test_labels_are_exported_and_read_again(finished, tmp_path):
    folder, _ = finished
    with open_project(folder / "run") as project:
        expected = project.labels().query("generation.notna()").label_id.tolist()
        fingerprint = project.campaign.fingerprint
        n_validation = project.labels().query("generation.isna()").label_id.nunique()
        files = [project.export_labels(tmp_path / name) for name in ("a.extxyz.gz", "b.db")]
    for file in files:
        batch = read_labelled(file, fingerprint)
        assert [label.label_id for label in batch.labels] == expected
        assert any(label.gamma is not None for label in batch.labels)
    command = [MLIP_AUTO, "export", str(tmp_path / "c.extxyz"), "--validation"]
    subprocess.run(command, cwd=folder, capture_output=True, check=True)
    assert len(read_labelled(tmp_path / "c.extxyz", fingerprint).labels) == n_validation


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
    assert len(labels_done(tmp_path / "run")) == 4  # three dimers and the free atom


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
