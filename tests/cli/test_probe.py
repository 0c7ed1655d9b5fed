"""`mlip-auto probe` as a user meets it."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

CONFIG = """
composition: Si
oracle: {engine: qe, ecutwfc: 12, k_spacing: 1.2}
generation: {n_atoms: 2}
validation: {max_force_rmse: 0.0001}
"""


def call(*words, cwd, **env):
    return subprocess.run(
        [str(Path(sys.executable).with_name("mlip-auto")), *words],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


@pytest.fixture
def pseudos(tmp_path):
    """A folder with one pseudopotential of silicon, from Debian's quantum-espresso-data."""
    program = shutil.which("pw.x")
    file = program and Path(program).resolve().parents[1] / "share/espresso/pseudo/Si.pbe-rrkj.UPF"
    if not file or not file.exists():
        pytest.skip("no pw.x with its data package on PATH")
    folder = tmp_path / "pseudo"
    folder.mkdir()
    (folder / file.name).symlink_to(file)
    return folder


@pytest.mark.pw
def test_the_probe_prints_a_table_and_what_to_write(tmp_path, pseudos):
    (tmp_path / "config.yaml").write_text(CONFIG)
    done = call("probe", "-w", "1", cwd=tmp_path, MLIP_AUTO_PSEUDO_DIR=str(pseudos))
    assert done.returncode == 0, done.stderr
    assert "k_spacing [1/Å]  ecutwfc [Ry]  energy [meV/atom]" in done.stdout
    doc = json.loads((tmp_path / "run" / "probe.json").read_text())
    assert doc["rows"][0]["force_noise"] > 0.001
    assert f"label_noise: {doc['rows'][0]['force_noise']:.2g}" in done.stdout
    assert "validation.max_force_rmse 0.0001 eV/Å is below the noise" in done.stdout
    again = call("probe", "-w", "1", cwd=tmp_path, MLIP_AUTO_PSEUDO_DIR=str(pseudos))
    assert again.stdout.count("reused") == 18, again.stdout


def test_an_oracle_without_settings_has_nothing_to_probe(tmp_path):
    (tmp_path / "config.yaml").write_text("composition: Cu\noracle: {engine: ase, calculator: emt}\n")
    done = call("probe", cwd=tmp_path)
    assert done.returncode == 2
    assert "neither k-points nor a cut-off" in done.stderr
    assert not (tmp_path / "run").exists()
