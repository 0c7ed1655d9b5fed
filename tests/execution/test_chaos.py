"""Kill anything at any moment: the same labels in the end, none twice, none lost, the same fit."""

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from jobflow import JobStore

from mlip_autopipec.schemas import LabelDoc
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import find_outputs, open_store

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
from calculator_for_tests import name_of  # noqa: E402

_AT_WORK = 0.7  # of the kills come after something was done; the others may hit workers that start
VICTIMS = ("run", "worker", "writer")


@dataclass
class Chaos:
    """A run folder in which a program is killed and started again until it ends by itself."""

    folder: Path
    seed: int
    longest: float  # time between two kills, s
    seconds: float = 0.0  # that a label takes
    n_labels: int = 24
    kills: Counter = field(default_factory=Counter)
    kept: list[tuple[int, set[str]]] = field(default_factory=list)

    def __post_init__(self):
        self.rng = random.Random(self.seed)  # noqa: S311 - no secret
        self.log = self.folder / "labels.log"
        self.environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]),
            "LABEL_LOG": str(self.log),
            "LABEL_SECONDS": str(self.seconds),
        }

    def start(self):
        with (self.folder / "program.log").open("ab") as output:
            return subprocess.Popen(
                [sys.executable, str(HERE / "program_for_chaos.py"), "run", str(self.n_labels)],
                cwd=self.folder,
                env=self.environment,
                stdout=output,
                stderr=output,
            )

    def run(self, n_kills):
        process = self.start()
        try:
            while process.poll() is None:
                if self.kills.total() < n_kills:
                    self._strike(process)
                else:
                    process.wait()
                if process.poll() == -signal.SIGKILL:
                    # What is stored now must never be computed again.
                    self.kept.append((len(self.computed()), self.stored()))
                    process = self.start()
            assert process.returncode == 0, (self.folder / "program.log").read_text()
        finally:
            process.kill()
            process.wait()

    def _strike(self, process):
        """Wait for a random moment and kill, unless the program ends before."""
        victim = self.rng.choice(VICTIMS)
        while not _children(process.pid):
            if process.poll() is not None:
                return
            time.sleep(0.02)
        if self.rng.random() < _AT_WORK:
            self._await_a_write(process)
        time.sleep(self.rng.uniform(0.0, self.longest))
        if victim == "writer":
            self._await_a_write(process)
        workers = _children(process.pid)
        target = process.pid if victim == "run" or not workers else self.rng.choice(workers)
        if process.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(target, signal.SIGKILL)
                self.kills["run" if target == process.pid else victim] += 1
        if target == process.pid:
            process.wait()

    def _await_a_write(self, process):
        """Return in the moment in which the store is being written, at best in the middle of it."""
        logs = [self.folder / "run" / f"{name}.sqlite-wal" for name in ("store", "journal")]
        before = [_state(log) for log in logs]
        end = time.monotonic() + 30
        while [_state(log) for log in logs] == before and time.monotonic() < end and process.poll() is None:
            time.sleep(0.0002)

    def computed(self):
        return self.log.read_text().splitlines() if self.log.exists() else []

    def stored(self):
        with open_store(self.folder / "run", get_settings()) as store:
            return set(labels(store))

    def check(self, undisturbed):
        """Compare with a run that nobody disturbed; return the figures."""
        log = self.computed()
        with open_store(self.folder / "run", get_settings()) as store, open_store(undisturbed) as reference:
            assert labels(store) == labels(reference)
            assert len(potentials(store)) == 2
            assert potentials(store) == potentials(reference)
            twice = [
                key for key, n in Counter((d["uuid"], d["index"]) for d in store.query()).items() if n > 1
            ]
            names = set(labels(store))
        for offset, kept in self.kept:
            assert not kept & set(log[offset:]), "a label that was in the store was computed again"
        figures = {
            "kills": dict(self.kills),
            "labels": len(names),
            "computations": len(log),
            "cut off before they were stored": len(log) - len(names),
            "stored twice": len(twice),
            "lost": len(names - set(log)),
        }
        print(figures)
        assert (figures["stored twice"], figures["lost"]) == (0, 0)
        # Only those that were in a worker's hands when it was killed.
        assert figures["cut off before they were stored"] <= 2 * self.kills.total()
        return figures


def _children(pid):
    """Workers of a process, without multiprocessing's own helper."""
    found = []
    with suppress(OSError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            with suppress(OSError):
                if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                    found.append(int(child))
    return found


def _state(path):
    with suppress(OSError):
        status = path.stat()
        return status.st_size, status.st_mtime_ns
    return None


def labels(store: JobStore):
    """Energy and forces of each label, by what was computed."""
    found = [out.output for out in find_outputs(store) if isinstance(out.output, LabelDoc)]
    names = [name_of(label.structure.positions) for label in found]
    assert len(set(names)) == len(names), "a label was stored twice"
    return {name: (label.energy, tuple(label.forces)) for name, label in zip(names, found, strict=True)}


def potentials(store: JobStore):
    """Bytes of the files of each potential, by its job; which of them ended last is chance."""
    fits = find_outputs(store, stage="fit")
    return {fit.uuid: [file.sha256 for file in fit.output.files] for fit in fits}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The small campaign, with nobody disturbing it."""
    folder = tmp_path_factory.mktemp("undisturbed")
    quiet = Chaos(folder, seed=0, longest=0.0)
    quiet.run(0)
    assert len(quiet.computed()) == 24
    return folder / "run"


@pytest.mark.timeout(900)  # a few s each on an idle machine, but each kill costs a start
def test_a_few_kills_change_nothing(undisturbed, tmp_path):
    chaos = Chaos(tmp_path, seed=7, longest=1.0, seconds=0.1)
    chaos.run(4)
    chaos.check(undisturbed)


@pytest.mark.chaos
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("seed", range(4))
def test_many_kills_change_nothing(undisturbed, tmp_path, seed):
    chaos = Chaos(tmp_path, seed=seed, longest=1.5, seconds=0.3)
    chaos.run(25)
    figures = chaos.check(undisturbed)
    assert sum(figures["kills"].values()) >= 15
