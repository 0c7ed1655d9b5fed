"""Failures of the real pw.x, provoked and cured."""

import os
import re
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest
from ase.build import bulk
from jobflow import run_locally

from mlip_autopipec.errors import CalculationError
from mlip_autopipec.oracle import QeStaticMaker
from mlip_autopipec.oracle.qe_custodian import run_with_recovery
from mlip_autopipec.oracle.qe_launch import Launch
from mlip_autopipec.oracle.qe_namelist import with_variable
from mlip_autopipec.oracle.qe_output import read_result
from mlip_autopipec.oracle.qe_programs import pw_executable, which_pseudo_dir, which_pw
from mlip_autopipec.schemas import AtomicStructure

pytestmark = pytest.mark.pw

# 1 meV/atom for two atoms; all of these agree to less than 0.01.
SAME = 2e-3


@pytest.fixture
def si2():
    atoms = bulk("Si", a=5.43)
    atoms.rattle(0.1, seed=3)
    return AtomicStructure.from_ase(atoms)


@pytest.fixture
def reference(real_pw, si2, tmp_path):
    return real_pw.compute(si2, tmp_path).energy


@pytest.fixture
def run(real_pw, si2, tmp_path):
    """Run pw.x on the input of the Maker with some variables changed."""

    def start(changes, edit=lambda text: text, allow_physics=False):
        text = real_pw.pw_input(si2, real_pw.find_pseudopotentials(si2.symbols)).text()
        for key, value in changes.items():
            text = with_variable(text, key, value)
        (tmp_path / "pw.in").write_text(edit(text))
        launch = Launch(pw_executable().command)
        done = run_with_recovery(tmp_path, launch, 60.0, 8, allow_physics)
        return read_result(done.run.stdout, 2).energy, [c.cure for c in done.corrections]

    return start


def test_an_scf_that_is_cut_short_gets_its_iterations(real_pw, si2, store, tmp_path, reference):
    real_pw.electron_maxstep = 2
    job = real_pw.make(si2)
    label = run_locally(job, store=store, ensure_success=True, root_dir=tmp_path)[job.uuid][1].output
    assert label.energy == pytest.approx(reference, abs=SAME)
    (correction,) = label.corrections
    assert (correction.symptom, correction.changes) == ("unconverged", {"electron_maxstep": 100})
    assert 0.0 < correction.wall_time < label.wall_time


def test_too_few_bands(run):
    energy, cures = run({"SYSTEM.nbnd": 3, "SYSTEM.occupations": "fixed"})
    assert cures == ["leave the number of bands to pw.x"]
    assert energy == pytest.approx(run({"SYSTEM.occupations": "fixed"})[0], abs=SAME)


def test_bands_that_do_not_converge_with_a_crippled_cg(run, reference):
    crippled = {
        "ELECTRONS.diagonalization": "cg",
        "ELECTRONS.diago_cg_maxiter": 1,
        "ELECTRONS.diago_thr_init": 1e-12,
        "SYSTEM.nbnd": 30,
    }
    energy, cures = run(crippled)
    assert cures == ["Davidson diagonalisation"]
    assert energy == pytest.approx(reference, abs=SAME)


@pytest.mark.parametrize(
    ("edit", "match"),
    [
        (lambda text: text.replace("degauss", "degaus"), "bad line in namelist"),
        (lambda text: text.replace("Si.", "Sj."), "not found"),
    ],
    ids=["misspelt variable", "missing pseudopotential"],
)
def test_a_wrong_input_is_refused_at_once(run, tmp_path, edit, match):
    with pytest.raises(CalculationError, match=match) as caught:
        run({}, edit)
    assert caught.value.directory == tmp_path
    assert not (tmp_path / "pw.1.out").exists()


@pytest.fixture
def slow(real_pw):
    """A second or two of SCF."""
    real_pw.k_spacing, real_pw.ecutwfc = 0.6, 20.0
    return real_pw


def test_a_run_that_reaches_max_seconds_is_resumed(slow, si2, tmp_path):
    start = time.perf_counter()
    whole = slow.compute(si2, tmp_path)
    slow.max_seconds = (time.perf_counter() - start) / 4
    resumed = slow.compute(si2, tmp_path)
    assert resumed.energy == pytest.approx(whole.energy, abs=1e-5)
    assert abs(resumed.forces - whole.forces).max() < 1e-3
    cures = [c.cure for c in resumed.corrections]
    assert "resume from the saved state" in cures
    assert "Calculation restarted from scf iteration" in (tmp_path / "pw.out").read_text()
    assert not (tmp_path / "scratch").exists()


def children_named(name):
    """Process ids of this process's children with a name."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            try:
                if Path(f"/proc/{pid}/comm").read_text().strip() == name:
                    found.append(int(pid))
            except FileNotFoundError:
                continue
    return found


def cpu_time(pid):
    """CPU time of a process in s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def kill_once(after):
    """Send SIGKILL to pw.x when it has used some CPU time, which no load of the machine changes."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        time.sleep(0.01)
        for pid in children_named("pw.x"):
            if cpu_time(pid) > after:
                os.kill(pid, signal.SIGKILL)
                return


def test_kill_9_in_the_middle_of_the_scf(slow, si2, tmp_path):
    whole = slow.compute(si2, tmp_path)
    used = float(re.search(r"electrons +: +([0-9.]+)s CPU", (tmp_path / "pw.out").read_text())[1])
    killer = threading.Thread(target=kill_once, args=(0.5 * used,))
    killer.start()
    again = slow.compute(si2, tmp_path)
    killer.join()
    (correction,) = again.corrections
    assert (correction.symptom, correction.cure) == ("killed", "run again from the start")
    killed = (tmp_path / "pw.1.out").read_text()
    assert "iteration #" in killed
    assert "End of self-consistent calculation" not in killed
    assert again.energy == pytest.approx(whole.energy, abs=1e-6)


@pytest.fixture
def aluminium(monkeypatch):
    """A Maker that takes aluminium for an insulator, in the Debian package's pseudopotential."""
    folder = Path("/usr/share/espresso/pseudo")
    if not (folder / "Al.pz-vbc.UPF").exists():
        pytest.skip(f"no Al.pz-vbc.UPF: {which_pseudo_dir().reason}")
    monkeypatch.setenv("MLIP_AUTO_PSEUDO_DIR", str(folder))
    names = {"Al": "Al.pz-vbc.UPF"}
    return QeStaticMaker(
        functional="LDA", ecutwfc=12.0, k_spacing=0.8, smearing="fixed", pseudopotentials=names
    )


def test_a_metal_with_fixed_occupations_is_refused(aluminium, tmp_path):
    crystal = AtomicStructure.from_ase(bulk("Al"))
    with pytest.raises(CalculationError, match=r"smearing is needed .* it changes the physics"):
        aluminium.compute(crystal, tmp_path)


def test_a_metal_with_fixed_occupations_is_smeared_if_that_is_allowed(aluminium, tmp_path):
    crystal = AtomicStructure.from_ase(bulk("Al"))
    aluminium.physics_cures = True
    result = aluminium.compute(crystal, tmp_path)
    assert result.corrections[0].physics
    aluminium.smearing, aluminium.degauss = "mv", 0.02
    meant = aluminium.compute(crystal, tmp_path)
    assert result.energy == pytest.approx(meant.energy, abs=1e-3)
    assert result.fingerprint == meant.fingerprint
    assert meant.corrections == ()


def test_nickel_keeps_its_moment(monkeypatch, tmp_path):
    folder = Path("/usr/share/espresso/pseudo")
    name = "Ni.pbe-nd-rrkjus.UPF"
    if not (folder / name).exists():
        pytest.skip(f"no {name}")
    monkeypatch.setenv("MLIP_AUTO_PSEUDO_DIR", str(folder))
    maker = QeStaticMaker(
        ecutwfc=20.0, ecutrho=160.0, k_spacing=0.9, conv_thr=1e-6, pseudopotentials={"Ni": name}
    )
    spin = maker.compute(AtomicStructure.from_ase(bulk("Ni")), tmp_path)
    assert spin.magnetization == pytest.approx(spin.absolute_magnetization, rel=0.3)
    # 0.6 Bohr magnetons in nature; few k-points here.
    assert 0.3 < spin.magnetization < 1.2
    assert spin.fingerprint.settings["nspin"] == 2


def test_two_processes_in_two_pools_give_the_same_numbers(real_pw, si2, tmp_path, monkeypatch):
    if which_pw().value != "pw.x" or shutil.which("mpirun") is None:
        pytest.skip("no mpirun for pw.x")
    real_pw.k_spacing = 1.0
    alone = real_pw.compute(si2, tmp_path)
    launcher = "mpirun --allow-run-as-root --oversubscribe --bind-to none -np 2"
    monkeypatch.setenv("MLIP_AUTO_PW_COMMAND", f"{launcher} pw.x")
    both = real_pw.compute(si2, tmp_path)
    assert "K-points division:     npool     =       2" in (tmp_path / "pw.out").read_text()
    assert both.corrections == ()
    assert both.energy == pytest.approx(alone.energy, abs=1e-5)
    assert abs(both.forces - alone.forces).max() < 1e-4
