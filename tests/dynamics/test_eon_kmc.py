"""The kMC Maker around a program that is not eOn: conditions, failures, what becomes of each."""

import configparser
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io import read

from mlip_autopipec.dynamics import EonKmcMaker, StopRule
from mlip_autopipec.dynamics.eon_conditions import KmcConditions
from mlip_autopipec.dynamics.eon_document import kmc_frames, neighbour_cutoff
from mlip_autopipec.dynamics.eon_forces import ForceServer, ForceWatch, WatchedSearch
from mlip_autopipec.dynamics.eon_input import in_blocks, write_con, write_config
from mlip_autopipec.dynamics.eon_output import read_con, read_results
from mlip_autopipec.dynamics.eon_run import EonRun
from mlip_autopipec.dynamics.eon_segment import Known, Segment, pack_folder, unpack_folder
from mlip_autopipec.dynamics.observer import Frame
from mlip_autopipec.errors import CalculationError, ConfigError, StructureError
from mlip_autopipec.process import Executable
from mlip_autopipec.schemas import AtomicStructure, RecheckedEvent

EVENT = Path(__file__).parents[1] / "data" / "eon" / "states" / "0" / "procdata"
NUMBER = 3720903859869004324
# Stands in for eOn's Python: says its versions, relaxes nothing, and its "server" does what a test wants.
PROGRAM = """#!/bin/sh
case "$2" in
  -c) echo 3.6.0 0.4.2 ;;
  -m) {server} ;;
  *) cp pos.con min.con; exec {python} {client} "$3" ;;
esac
"""
CLIENT = """
import json, sys, numpy as np
from multiprocessing.connection import Client
from ase.io import read
with Client(sys.argv[1], family="AF_UNIX") as connection:
    atoms = read("pos.con", format="eon")
    header = {"task": "relax", "symbols": atoms.get_chemical_symbols()}
    connection.send_bytes(json.dumps(header).encode())
    connection.send_bytes(np.vstack([atoms.cell.array, atoms.positions]).tobytes())
    code = 0 if connection.recv_bytes()[:1] == b"F" else 11
open("results.dat", "w").write(f"{code} termination_reason")
"""


@pytest.fixture
def vacancy():
    atoms = bulk("Cu", cubic=True).repeat(2)
    del atoms[0]
    return AtomicStructure.from_ase(atoms)


@pytest.fixture
def run(copper, tmp_path):
    """Run the Maker with a "server" that is a line of shell."""

    def go(server, structure, previous=None, **fields):
        program, client = tmp_path / "python", tmp_path / "client.py"
        client.write_text(CLIENT)
        program.write_text(PROGRAM.format(server=server, python=sys.executable, client=client))
        program.chmod(0o755)
        rule = fields.pop("rule", StopRule(gamma=1e9, smallest_distance=0.0))
        maker = EonKmcMaker(python=str(program), stop_rule=rule, **fields)
        work = tmp_path / "work"
        work.mkdir(exist_ok=True)
        return maker.explore(copper, structure, previous, work)

    return go


def test_repeated_failure_ends_with_its_reason(run, vacancy):
    server = "mkdir -p jobs/scratch/0_1; echo 'out of memory' > jobs/scratch/0_1/stderr.dat"
    done = run(server, vacancy, max_idle=2)
    assert (done.end_reason, done.halted) == ("failed", False)
    assert done.end_detail.startswith("2 batches of searches in a row left no result")
    assert done.end_detail.endswith("out of memory")
    assert (done.n_crashed, done.n_steps, done.events) == (2, 0, [])
    assert done.final.n_atoms == 31


def test_a_server_that_fails_is_an_error(run, vacancy):
    with pytest.raises(CalculationError, match=r"eOn's server failed with exit status 3(?s:.)*no config"):
        run("echo no config >&2; exit 3", vacancy)
    with pytest.raises(CalculationError, match=r"server failed(?s:.)*Server is locked by pid 7"):
        run("echo Server is locked by pid 7", vacancy)


def test_a_start_that_is_uncertain_is_handed_back(run, vacancy):
    shaken = vacancy.to_ase()
    shaken.rattle(0.3, seed=0)
    vacancy = AtomicStructure.from_ase(shaken)
    done = run("exit 9", vacancy, rule=StopRule(gamma=2.0, smallest_distance=0.0))
    assert done.end_detail.startswith("on the way to the first minimum: gamma ")
    assert (done.end_reason, done.halted, done.n_halted) == ("uncertain", True, 1)
    (frame,) = done.frames
    assert (frame.origin, frame.arm, frame.required) == ("kmc", "kmc", True)
    assert frame.gamma > 2.0
    assert np.allclose(frame.structure.positions, vacancy.positions)


def test_a_structure_that_it_cannot_take(run, vacancy):
    other = vacancy.model_copy(update={"symbols": ["Al"] * 31})
    with pytest.raises(StructureError, match="element Al is not in the potential; known: Cu"):
        run("exit 9", other)
    with pytest.raises(ConfigError, match="needs a structure periodic in three dimensions"):
        run("exit 9", vacancy.model_copy(update={"pbc": (True, True, False)}))


@pytest.fixture
def here(copper_ace, copper, tmp_path):
    """A run in a folder, with a server of forces."""
    watch = ForceWatch(copper_ace, copper.core.r_in, StopRule(), 100)
    with ForceServer(watch) as server:
        yield EonRun(tmp_path, Executable("true"), KmcConditions(), copper_ace, watch, server, 3.1, 0)


def finished_search(folder, **changes):
    job = folder / "jobs" / "scratch" / "0_7"
    job.mkdir(parents=True)
    for kind in ("reactant", "saddle", "product"):
        shutil.copy(EVENT / f"{kind}_{NUMBER}.con", job / f"{kind}.con")
    text = (EVENT / f"results_{NUMBER}.dat").read_text()
    for key, value in changes.items():
        text = "\n".join(f"{value} {key}" if line.endswith(f" {key}") else line for line in text.split("\n"))
    (job / "results.dat").write_text(text)
    return job


@pytest.mark.parametrize(
    ("changes", "code", "reason"),
    [
        ({"potential_energy_saddle": 1e6}, 3.0, "an energy of 1e+06 eV"),
        ({"prefactor_product_to_reactant": 3e22}, 7.0, "a prefactor of 3e+22 1/s"),
    ],
)
def test_numbers_that_no_rate_can_have_are_refused(here, changes, code, reason):
    job = finished_search(here.folder, **changes)
    assert here.one_pass(60.0) == 1
    assert read_results(job / "results.dat")["termination_reason"] == code
    (rejected,) = here.rejected
    assert rejected.state == "0"
    assert rejected.reason == reason


def test_a_saddle_has_one_negative_mode(here):
    job = finished_search(here.folder)
    shutil.copy(job / "reactant.con", job / "saddle.con")  # a minimum is none
    here.one_pass(60.0)
    assert read_results(job / "results.dat")["termination_reason"] == 16.0
    (rejected,) = here.rejected
    assert (rejected.n_negative_modes, rejected.reason) == (0, "0 negative modes at the saddle")


def test_a_pass_that_hangs_is_ended(here, tmp_path):
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\nsleep 30\n")
    program.chmod(0o755)
    here.python = Executable(str(program))
    assert here.one_pass(0.2) == 0
    assert "killed after its wall-time limit of 0.2 s" in here.complaint


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"temperature": 0.0}, "'temperature' must be positive"),
        ({"n_steps": 0}, "'n_steps' must be at least 1, got 0"),
        ({"confidence": 1.0}, "'confidence' must lie between 0 and 1"),
        ({"prefactor": 1.0}, "'prefactor' must lie between 1e9 and 1e16 1/s"),
        ({"max_time": -1.0}, "'max_time' must be positive, got -1.0 s"),
        ({"displacement_radius": 0.0}, "'displacement_radius' must be positive, got 0.0 Å"),
        ({"n_confirm": -1}, "'n_confirm' must not be negative, got -1"),
        (
            {"displace": "all"},
            "'displace' must be least_coordinated or under_coordinated or random, got 'all'",
        ),
        ({"method": "md"}, "'method' must be akmc or parallel_replica, got 'md'"),
    ],
)
def test_conditions_that_are_none(fields, words):
    with pytest.raises(ConfigError, match=words):
        EonKmcMaker(**fields)


def test_the_configuration_of_the_server(tmp_path):
    conditions = KmcConditions(temperature=500.0, confidence=0.9, prefactor="htst", superbasin=True)
    write_config(tmp_path, conditions.options(3.1, 7, may_step=False))
    read_back = configparser.ConfigParser()
    read_back.read(tmp_path / "config.ini")
    assert read_back["Main"]["temperature"] == "500.0"
    assert read_back["Prefactor"]["default_value"] == "0", "eOn computes them"
    assert read_back["Coarse Graining"]["use_mcamc"] == "True"
    assert float(read_back["AKMC"]["confidence"]) > 1.0, "no step from a state with an uncertain search"


def test_replicas_have_a_configuration_of_their_own(tmp_path):
    conditions = KmcConditions(method="parallel_replica", timestep=1.0, replica_time=3.0, check_time=0.5)
    write_config(tmp_path, conditions.options(3.1, 7))
    read_back = configparser.ConfigParser()
    read_back.read(tmp_path / "config.ini")
    assert read_back["Main"]["job"] == "parallel_replica"
    assert (read_back["Dynamics"]["time"], read_back["Dynamics"]["thermostat"]) == ("3000.0", "langevin")
    assert read_back["Parallel Replica"]["state_check_interval"] == "500.0"
    assert conditions.max_calls == conditions.max_force_calls + 8000
    assert KmcConditions().max_calls == KmcConditions().max_force_calls


def test_structures_go_there_and_back(tmp_path):
    atoms = bulk("NaCl", "rocksalt", a=5.6, cubic=True)
    atoms.rattle(0.1, seed=0)
    structure = AtomicStructure.from_ase(in_blocks(atoms))
    assert structure.symbols == ["Cl"] * 4 + ["Na"] * 4
    write_con(tmp_path / "x.con", structure)
    back = read_con(tmp_path / "x.con")
    assert back.get_chemical_symbols() == structure.symbols
    assert np.allclose(back.positions, structure.positions, atol=1e-12)
    assert len(read(tmp_path / "x.con", format="eon")) == 8


def test_neighbours_are_between_the_shells():
    for crystal in (bulk("Cu", cubic=True), bulk("Si", cubic=True)):
        cell = crystal.repeat(2)
        distances = np.unique(np.round(cell.get_all_distances(mic=True), 3))
        assert distances[1] < neighbour_cutoff(cell) < distances[2]


def test_frames_that_ended_a_search_go_first(vacancy):
    def seen(task, gamma, end=None):
        frame = Frame(3, vacancy.to_ase(), gamma)
        return WatchedSearch(task, gamma_max=gamma, top=frame, end=end, last=frame)

    searches = [
        seen("0_1", 8.0),
        seen("0_2", 12.0, ("gamma", 12.0)),
        seen("0_3", 1.0),
        seen("0_4", 30.0, ("smallest_distance", 0.5)),  # broken: no label could mend it
        seen("0_5", 20.0, ("gamma", 20.0)),
    ]
    frames = kmc_frames(searches, 3.0, 8, group="g", detail="kMC")
    assert [(f.gamma, f.required) for f in frames] == [(20.0, True), (12.0, False), (8.0, False)]
    assert [f.gamma for f in kmc_frames(searches, 3.0, 1, group="g", detail="kMC")] == [20.0]


def test_a_folder_travels_with_its_document(tmp_path):
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(EVENT.parents[2], source)
    target.mkdir()
    (source / "client").write_text("of this machine")
    saddle = read_con(EVENT / f"saddle_{NUMBER}.con")
    event = RecheckedEvent(event="0.0.1", found_in=0, barrier_before=0.7, barrier_after=None, outcome="gone")
    Segment(2, 1.5, (event,), (Known(1, saddle.positions.tolist()),)).write(source)
    unpack_folder(pack_folder(source, tmp_path), target)
    assert not (target / "client").exists()
    assert (target / "dynamics.txt").read_text() == (source / "dynamics.txt").read_text()
    back = Segment.read(target)
    assert back == Segment.read(source)
    assert (back.generation, back.time, back.rechecked) == (2, 1.5, (event,))
    assert back.found_in(saddle) == 1
    saddle.positions[0] += 0.2
    assert back.found_in(saddle) == 2
