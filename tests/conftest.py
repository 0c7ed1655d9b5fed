"""What most tests need: one small potential, fitted once, and the recorded truth of python-ace."""

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from hypothesis import HealthCheck, settings

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.schemas import AtomicStructure, CandidateStructure
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

settings.register_profile(
    "repeatable",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("repeatable")

PACE = Path(__file__).parent / "data" / "pace"

_DEAR = {"finished", "rejected"}  # fixtures of a module that run a campaign: once, by one worker


def pytest_collection_modifyitems(items):
    for item in items:
        if _DEAR & set(item.fixturenames):
            item.add_marker(pytest.mark.xdist_group(f"campaign of {item.module.__name__}"))


@pytest.fixture(scope="session")
def pace_data():
    """Folder of potentials and results recorded with python-ace 0.3.0."""
    return PACE


@pytest.fixture(scope="session")
def recorded():
    """Read what python-ace 0.3.0 said of a potential: frames, function order."""
    return lambda name: json.loads((PACE / f"{name}.json").read_text())


def copper_candidates(seed, n_each, name):
    # Said in full: the tests are about these structures, whatever the defaults are.
    maker = SeedStructuresMaker(
        n_atoms=4,
        n_strained=n_each,
        n_rattled=n_each,
        n_volumes=4,
        dimer_distances=(0.65, 0.75, 0.9, 1.1, 1.4),
        seed=seed,
    )
    crystal = bulk("Cu", cubic=True)
    if name == "train":
        return maker.make.original(maker, [AtomicStructure.from_ase(crystal)]).candidates
    found = maker.perturbed(crystal, np.random.default_rng(seed))
    return [c.model_copy(update={"origin": "held_out"}) for c in found]


@pytest.fixture(scope="session")
def copper_batch():
    """EMT labels of strained and rattled copper, dimers and the free atom."""
    return label_batch(copper_candidates(0, 10, "train"), EMT())


@pytest.fixture(scope="session")
def copper_held_out():
    """EMT labels of structures made alike, with other random numbers."""
    return label_batch(copper_candidates(7, 4, "held_out"), EMT(), prefix="held-out")


@pytest.fixture(scope="session")
def copper(copper_batch, tmp_path_factory):
    """A linear ACE of copper fitted to EMT: the potential of all tests that need any."""
    return LinearAceFitMaker(n_functions=60).fit([copper_batch], tmp_path_factory.mktemp("copper"))


@pytest.fixture(scope="session")
def copper_files(copper, tmp_path_factory):
    """Path of its `.yaml`, the other files beside it."""
    return copper.write(tmp_path_factory.mktemp("copper-files"))


@pytest.fixture
def copper_ace(copper_files):
    return AcePotential(copper_files, copper_files.with_suffix(".asi"))


@pytest.fixture(scope="session")
def candidate():
    """Make a candidate from ASE atoms."""

    def make(atoms: Atoms, origin="rattle", **kwargs):
        return CandidateStructure(structure=AtomicStructure.from_ase(atoms), origin=origin, **kwargs)

    return make


@pytest.fixture
def rattled_copper():
    """Eight displaced copper atoms in a sheared, right-handed cell."""
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    atoms.set_cell(
        atoms.cell.array @ np.array([[1.02, 0.03, 0], [0, 0.99, 0.02], [0, 0, 1.01]]), scale_atoms=True
    )
    atoms.rattle(0.12, seed=3)
    return atoms


class MongoServer:
    """A server that speaks MongoDB's protocol, on a port and in a folder of its own; it can be killed."""

    def __init__(self, program, folder):
        self.command = [str(program), "--host", "127.0.0.1", "--storage-path", str(folder / "data")]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process = None
        self.log = folder / "server.log"

    def uri(self, database=""):
        return f"mongodb://127.0.0.1:{self.port}/{database}"

    def start(self):
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.command, "--sync-on-commit", "--port", str(self.port)],
                stdout=log,
                stderr=log,
                cwd=self.log.parent,
            )
        end = time.monotonic() + 30
        while time.monotonic() < end:
            assert self.process.poll() is None, self.log.read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return self
            time.sleep(0.05)
        raise AssertionError(self.log.read_text())

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture(scope="session")
def mongo_program(tmp_path_factory):
    """Install SecantusDB (GPL, tests only) in an environment of its own; 1 to 2 s."""
    folder = tmp_path_factory.mktemp("secantusdb")
    python = folder / "venv" / "bin" / "python"
    uv = [str(Path(sys.executable).with_name("uv"))]
    subprocess.run([*uv, "venv", "-q", "--python", sys.executable, str(folder / "venv")], check=True)
    install = [*uv, "pip", "install", "-q", "--python", str(python), "secantusdb==0.7.0b3"]
    done = subprocess.run(install, capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.skip(f"secantusdb cannot be installed from PyPI: {done.stderr.strip().splitlines()[-1]}")
    return python.with_name("secantusd-py")


@pytest.fixture(scope="session")
def mongo_uri(mongo_program, tmp_path_factory):
    """Make the URI of a new database on a running server."""
    server = MongoServer(mongo_program, tmp_path_factory.mktemp("mongo")).start()
    numbers = count()
    yield lambda: server.uri(f"test{next(numbers)}")
    server.kill()


@pytest.fixture
def mongo_server(mongo_program, tmp_path):
    """A running server of one's own, its data kept when it is killed and started again."""
    server = MongoServer(mongo_program, tmp_path).start()
    yield server
    server.kill()
