"""Fixtures of the oracle tests: a store, a fake pw.x that is a real program, and the real one."""

import os
import shutil
from pathlib import Path

import pytest
from jobflow import JobStore
from maggma.stores import MemoryStore

from mlip_autopipec.oracle import QeStaticMaker
from mlip_autopipec.oracle.qe_programs import which_pseudo_dir, which_pw

# jobflow 0.4 uses monty's deprecated `cd`.
JOBFLOW_CD = "ignore:cd is deprecated:FutureWarning"

DATA = Path(__file__).parents[1] / "data" / "qe"

UPF = """<UPF version="2.0.1">
<PP_HEADER
element="{element}"
pseudo_type="{kind}"
functional="{functional}"
wfc_cutoff="{cutoff}"
{extra}
/>
</UPF>
"""


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.filterwarnings(JOBFLOW_CD))


@pytest.fixture
def store():
    with JobStore(MemoryStore(), additional_stores={"data": MemoryStore()}) as opened:
        yield opened


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """An empty machine: no settings, no provisioned programs, a PATH with a few tools of a shell."""
    for key in list(os.environ):
        if key.startswith("MLIP_AUTO_"):
            monkeypatch.delenv(key)
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setenv("MLIP_AUTO_HOME", str(folder))
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "cat", "test", "sleep", "grep"):
        (tools / tool).symlink_to(shutil.which(tool))
    monkeypatch.setenv("PATH", str(tools))
    return folder


@pytest.fixture
def make_upf(machine):
    """Write a pseudopotential that has a header and nothing else, where `mlip-auto setup qe` would."""
    folder = machine / "pseudopotentials" / "pseudo-dojo-0.4-pbe-sr-standard"
    folder.mkdir(parents=True)

    def write(element="Si", name=None, kind="NC", functional="PBE", cutoff=30.0, extra=""):
        path = folder / (name or f"{element}.upf")
        path.write_text(
            UPF.format(element=element, kind=kind, functional=functional, cutoff=cutoff, extra=extra)
        )
        return path

    return write


@pytest.fixture
def fake_pw(machine, make_upf, monkeypatch, tmp_path):
    """A shell script in the place of pw.x: wants ``-i`` and an input, prints a recorded run."""
    make_upf("Si")

    def install(case="ref_si8_k3", returncode=0, extra=""):
        script = tmp_path / "fake-pw"
        script.write_text(
            "#!/bin/sh\n"
            'test "$1" = -i && test -f "$2" || exit 99\n'
            f"{extra}\n"
            f"cat '{DATA / case}.out'\n"
            f"exit {returncode}\n"
        )
        script.chmod(0o755)
        monkeypatch.setenv("MLIP_AUTO_PW_COMMAND", str(script))
        return script

    return install


@pytest.fixture
def real_pw(monkeypatch):
    """A Maker for silicon that the real pw.x of this machine runs in half a second."""
    program = which_pw()
    if program.value is None:
        pytest.skip(f"no pw.x: {program.reason}")
    folder = which_pseudo_dir()
    quick = QeStaticMaker(ecutwfc=16.0, k_spacing=1.4, conv_thr=1e-11)
    if folder.value is not None:
        return quick
    program_file = shutil.which("pw.x")
    if program_file is None:
        pytest.skip(f"no pseudopotential of Si: {folder.reason}")
    system = Path(program_file).resolve().parents[1] / "share" / "espresso" / "pseudo"
    name = "Si.pbe-rrkj.UPF"
    if not (system / name).exists():
        pytest.skip(f"no pseudopotential of Si: {folder.reason}")
    monkeypatch.setenv("MLIP_AUTO_PSEUDO_DIR", str(system))
    quick.pseudopotentials = {"Si": name}
    return quick
