"""VASP labels: the input that is written, real output that is read, real handlers of custodian in between.

VASP itself is not free and was never run here. In its place a small program serves a recorded output.
"""

import lzma
import re
import subprocess
import sys
import time
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from jobflow import run_locally
from pymatgen.io.vasp import Incar, Kpoints

from mlip_autopipec.errors import CalculationError, ConfigError, MissingProgramError, UnconvergedError
from mlip_autopipec.oracle import VaspStaticMaker
from mlip_autopipec.oracle.vasp_output import changed_physics, read_vasp
from mlip_autopipec.oracle.vasp_programs import import_atomate2, vasp_command
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.units import EV_PER_A3_TO_GPA, KBAR_TO_GPA

RECORD = Path(__file__).parents[1] / "data" / "vasp" / "nacl_rattled.vasprun.xml.xz"

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pymatgen", "ignore::UserWarning:custodian")

REPLAY = """#!{python}
# Answers as VASP did: what {faults} says, one fault a call, then the recorded run.
import lzma, pathlib, sys
calls = pathlib.Path("calls")
n = len(calls.read_text()) if calls.exists() else 0
calls.write_text("." * (n + 1))
incar = pathlib.Path("INCAR").read_text()
for wanted in ("ISYM = 0", "ISIF = 2", "NSW = 0", "LWAVE = False", "LCHARG = False"):
    if wanted not in incar:
        sys.exit("not the input of a label: " + wanted)
for name in ("OSZICAR", "CONTCAR", "OUTCAR"):
    pathlib.Path(name).write_text("")
faults = {faults!r}
if n < len(faults):
    print(faults[n])
else:
    pathlib.Path("vasprun.xml").write_bytes(lzma.open({record!r}).read())
"""


@pytest.fixture(scope="module")
def xml():
    return lzma.open(RECORD).read().decode("latin-1")


@pytest.fixture(scope="module")
def recorded(xml):
    """Structure, forces and stress as they stand in the file, read without pymatgen."""
    tree = ElementTree.fromstring(xml)  # noqa: S314 - our own file
    rows = lambda path: np.array([[float(x) for x in v.text.split()] for v in tree.find(path)])  # noqa: E731
    cell = rows("structure[@name='finalpos']/crystal/varray[@name='basis']")
    scaled = rows("structure[@name='finalpos']/varray[@name='positions']")
    return {
        "atoms": Atoms("Na32Cl32", scaled_positions=scaled, cell=cell, pbc=True),
        "forces": rows("calculation/varray[@name='forces']"),
        "stress": rows("calculation/varray[@name='stress']"),
        "energy": float(tree.find("calculation/energy/i[@name='e_fr_energy']").text),
    }


@pytest.fixture
def maker():
    """A Maker that needs no POTCAR."""
    pytest.importorskip("atomate2", reason="atomate2 is not installed (extra 'vasp')")
    return VaspStaticMaker(functional="PBEsol", potcar_spec=True, timeout=60.0)


@pytest.fixture
def vasp(tmp_path, monkeypatch):
    def install(*faults):
        script = tmp_path / "vasp_std"
        script.write_text(REPLAY.format(python=sys.executable, faults=faults, record=str(RECORD)))
        script.chmod(0o755)
        monkeypatch.setenv("MLIP_AUTO_VASP_COMMAND", str(script))
        folder = tmp_path / "run"
        folder.mkdir()
        monkeypatch.chdir(folder)
        return folder

    return install


def write_xml(folder, text):
    (folder / "vasprun.xml").write_text(text, encoding="latin-1")


def test_the_input_is_that_of_a_label(maker, tmp_path):
    maker.write_input(bulk("Si", cubic=True), tmp_path)
    incar = Incar.from_file(tmp_path / "INCAR")
    wanted = {"ISYM": 0, "EDIFF": 1e-6, "ISIF": 2, "LWAVE": False, "LCHARG": False, "PREC": "Accurate"}
    wanted |= {"NSW": 0, "IBRION": -1, "ISMEAR": 0, "SIGMA": 0.05, "KSPACING": 0.2, "GGA": "Ps", "ISPIN": 1}
    assert {key: incar.get(key) for key in wanted} == wanted
    assert not {"MAGMOM", "LORBIT", "METAGGA", "LDAUU"} & incar.keys()
    assert not (tmp_path / "KPOINTS").exists()
    assert (tmp_path / "POTCAR.spec").read_text().split() == ["Si"]


def test_a_molecule_gets_one_k_point(maker, tmp_path):
    atoms = Atoms("N2", positions=[[0, 0, 0], [0, 0, 1.1]], cell=[9, 9, 10], pbc=False)
    maker.write_input(atoms, tmp_path)
    assert Kpoints.from_file(tmp_path / "KPOINTS").kpts == [(1, 1, 1)]
    assert "KSPACING" not in Incar.from_file(tmp_path / "INCAR")


def test_what_the_user_adds_is_written_and_is_part_of_the_conditions(maker, tmp_path, recorded, xml):
    maker.incar = {"IVDW": 12}
    maker.write_input(recorded["atoms"], tmp_path)
    assert Incar.from_file(tmp_path / "INCAR")["IVDW"] == 12
    write_xml(tmp_path, xml)
    result = read_vasp(tmp_path, recorded["atoms"])
    assert maker.fingerprint(result).settings["INCAR IVDW"] == 12
    plain = VaspStaticMaker(functional="PBEsol").fingerprint(result)
    assert plain.differences(maker.fingerprint(result)) == ["INCAR IVDW: (not set) / 12.0"]


def test_numbers_have_our_units_and_sign(tmp_path, xml, recorded):
    write_xml(tmp_path, xml)
    result = read_vasp(tmp_path, recorded["atoms"])
    assert result.energy == recorded["energy"] == -223.88632405
    assert np.array_equal(result.forces, recorded["forces"])
    # The file's stress is VASP's pressure-like one: kbar, positive under compression.
    assert result.stress == pytest.approx(-recorded["stress"] * 0.1 / 160.2176634, rel=1e-6)
    assert np.trace(result.stress) / 3 * EV_PER_A3_TO_GPA / KBAR_TO_GPA == pytest.approx(
        -np.trace(recorded["stress"]) / 3
    )
    assert (result.scf_iterations, result.version) == (23, "6.3.2")
    assert result.settings["encut [eV]"] == 520.0
    assert (result.settings["gga"], result.settings["sigma [eV]"]) == ("PS", 0.01)
    assert result.potcars == {"Na": "PAW_PBE Na_pv 19Sep2006", "Cl": "PAW_PBE Cl 06Sep2000"}


def test_an_scf_that_used_all_its_iterations_is_refused(tmp_path, xml, recorded):
    write_xml(tmp_path, re.sub(r'(name="NELM">) *\d+', r"\g<1> 23", xml))
    with pytest.raises(UnconvergedError, match="did not converge in 23 iterations"):
        read_vasp(tmp_path, recorded["atoms"])


def test_a_file_that_was_cut_is_refused(tmp_path, xml, recorded):
    write_xml(tmp_path, xml[: len(xml) // 2])
    with pytest.raises(CalculationError, match=r"vasprun\.xml cannot be read"):
        read_vasp(tmp_path, recorded["atoms"])


@pytest.mark.parametrize("change", ["moved", "element", "cell"])
def test_output_of_another_structure_is_refused(tmp_path, xml, recorded, change):
    write_xml(tmp_path, xml)
    atoms = recorded["atoms"].copy()
    if change == "moved":
        atoms.positions[3, 1] += 0.01
    elif change == "element":
        atoms.symbols[0] = "K"
    else:
        atoms.set_cell(atoms.cell.array * 1.001, scale_atoms=True)
    with pytest.raises(CalculationError, match=r"another structure \(NaCl\)"):
        read_vasp(tmp_path, atoms)


def interleaved(atoms):
    """Na Cl Na Cl …, as no POSCAR would have it; each element in its own order."""
    return atoms[np.arange(64).reshape(2, 32).T.ravel()]


@pytest.mark.parametrize("faults", [(), ("BRMIX: very serious problems",)], ids=["smooth", "brmix"])
def test_custodian_corrects_and_the_label_keeps_the_order_of_its_structure(
    maker, vasp, recorded, store, faults
):
    folder = vasp(*faults)
    structure = AtomicStructure.from_ase(interleaved(recorded["atoms"]))
    label = run_locally(job := maker.make(structure), store=store, ensure_success=True)[job.uuid][1].output
    assert label.energy == recorded["energy"]
    assert np.array_equal(label.forces, recorded["forces"].reshape(2, 32, 3).swapaxes(0, 1).reshape(64, 3))
    assert np.array_equal(label.stress, -recorded["stress"] * KBAR_TO_GPA / EV_PER_A3_TO_GPA)
    assert (label.fingerprint.code, label.fingerprint.version) == ("vasp", "6.3.2")
    assert len((folder / "calls").read_text()) == len(faults) + 1
    if faults:
        assert "VaspErrorHandler saw brmix" in label.notes[0]
        assert Incar.from_file(folder / "INCAR")["IMIX"] == 1
    else:
        assert label.notes == []


def test_vasp_that_never_works_is_no_label(maker, vasp, recorded):
    folder = vasp(*["BRMIX: very serious problems"] * 9)
    with pytest.raises(CalculationError, match="VASP failed under custodian") as caught:
        maker.compute(AtomicStructure.from_ase(recorded["atoms"]), folder)
    assert "BRMIX" in caught.value.log_tail


def test_a_cure_of_another_smearing_is_no_label(maker, vasp, recorded):
    maker.sigma = 0.02
    folder = vasp("Tetrahedron method fails for NKPT<4")
    with pytest.raises(CalculationError, match=r"cure changed what is computed: SIGMA 0\.02 to 0\.05"):
        maker.compute(AtomicStructure.from_ase(recorded["atoms"]), folder)


KILLED = """
import sys
from pathlib import Path
from ase.build import bulk
from mlip_autopipec.oracle import VaspStaticMaker
from mlip_autopipec.schemas import AtomicStructure
VaspStaticMaker(potcar_spec=True).compute(AtomicStructure.from_ase(bulk("Si")), Path.cwd())
"""


def test_vasp_dies_with_the_worker_that_runs_it(maker, tmp_path, monkeypatch):
    assert maker
    script = tmp_path / "vasp_std"
    script.write_text("#!/bin/sh\necho $$ > pid.new\nmv pid.new pid\nexec sleep 300\n")
    script.chmod(0o755)
    monkeypatch.setenv("MLIP_AUTO_VASP_COMMAND", str(script))
    worker = subprocess.Popen([sys.executable, "-c", KILLED], cwd=tmp_path, stderr=subprocess.DEVNULL)
    assert within(60, (tmp_path / "pid").exists)
    worker.kill()
    worker.wait()
    vasp = Path("/proc") / (tmp_path / "pid").read_text().strip()
    assert within(5, lambda: not (vasp / "cmdline").exists() or not (vasp / "cmdline").read_bytes())


def within(seconds, condition):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.05)
    return condition()


def test_under_the_mock_of_atomate2(maker, tmp_path, recorded, xml, store, monkeypatch):
    from atomate2.utils.testing.vasp import monkeypatch_vasp

    reference = tmp_path / "nacl"
    (reference / "outputs").mkdir(parents=True)
    maker.write_input(recorded["atoms"], reference / "inputs")
    write_xml(reference / "outputs", xml)
    run = tmp_path / "run"
    run.mkdir()
    monkeypatch.chdir(run)
    job = maker.make(AtomicStructure.from_ase(recorded["atoms"]))
    for mock in monkeypatch_vasp(monkeypatch, tmp_path):
        mock({job.name: "nacl"}, {job.name: {"clear_inputs": False}})
        label = run_locally(job, store=store, ensure_success=True)[job.uuid][1].output
    assert label.energy == recorded["energy"]


def test_a_cure_that_changes_the_physics_is_seen(tmp_path):
    (tmp_path / "INCAR").write_text("ISMEAR = 0\nSIGMA = 0.03\nIMIX = 1\n")
    assert changed_physics("ISMEAR = 0\nSIGMA = 0.05\n", tmp_path) == ["SIGMA 0.05 to 0.03"]


def test_atomate2_missing_is_said_with_the_command(monkeypatch):
    with pytest.raises(
        MissingProgramError, match=r"needs atomate2.*\n.*pip install 'mlip_autopipec\[vasp\]'"
    ):
        import_atomate2("no_such_part")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"functional": "LDA"}, "'functional' must be one of PBE, PBEsol with VASP, got 'LDA'"),
        ({"encut": -1.0}, "'encut' must be a positive number, got -1.0"),
        ({"nspin": 4}, "'nspin' must be 1 or 2, got 4"),
        ({}, "Fe is usually magnetic"),
    ],
)
def test_bad_settings_are_refused_before_anything_runs(settings, message):
    with pytest.raises(ConfigError, match=message):
        VaspStaticMaker(**settings).check(["Fe"])


def test_the_command_is_that_of_the_machine_else_that_of_atomate2(maker, monkeypatch):
    assert maker
    monkeypatch.setenv("MLIP_AUTO_VASP_COMMAND", "mpirun -np 4 vasp_std")
    assert vasp_command() == "mpirun -np 4 vasp_std"
    monkeypatch.delenv("MLIP_AUTO_VASP_COMMAND")
    assert vasp_command() == import_atomate2("SETTINGS").VASP_CMD
