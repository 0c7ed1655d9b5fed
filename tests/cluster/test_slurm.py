"""A whole campaign by `qlaunch` on a real Slurm, LaunchPad and store on a real server: `make test-slurm`."""

import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import mlip_autopipec

sys.path.insert(0, str(Path(__file__).parent))
import slurm as slurm_service

ROOT = Path(__file__).parents[2]
WHY_NOT = slurm_service.missing()

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(1500),
    pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT)),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Environment in which Slurm's commands, and ours, work."""
    with slurm_service.running(tmp_path_factory.mktemp("slurm")) as environment:
        source = str(Path(mlip_autopipec.__file__).parents[1])
        programs = str(Path(sys.executable).parent)
        yield {**environment, "PATH": f"{programs}:{environment['PATH']}", "PYTHONPATH": source}


def run(command, environment, **options):
    """Run a program of the PATH."""
    program = shutil.which(command[0], path=environment["PATH"])
    options = {"capture_output": True, "text": True, "check": False} | options
    return subprocess.run([program, *command[1:]], env=environment, **options)


class Watch(threading.Thread):
    """Notes the states that `squeue` shows of each job."""

    def __init__(self, environment):
        super().__init__(daemon=True)
        self.environment, self.states, self.ended = environment, {}, threading.Event()

    def run(self):
        while not self.ended.wait(0.3):
            for line in run(["squeue", "-h", "-o", "%i %j %T"], self.environment).stdout.splitlines():
                number, name, state = line.split()
                states = self.states.setdefault((int(number), name), [])
                if state not in states:
                    states.append(state)


def test_the_tutorial_runs_a_campaign_by_qlaunch(slurm, mongo_server, tmp_path):
    folder = ROOT / "tutorials" / "04_qlaunch"
    (tmp_path / "config.yaml").write_text((folder / "config.yaml").read_text())
    environment = {**slurm, "MONGO": mongo_server.uri().rstrip("/"), "MLIP_AUTO_HOME": str(tmp_path / "home")}
    watch = Watch(environment)
    watch.start()
    done = run(["bash", str(folder / "commands.sh")], environment, cwd=tmp_path, timeout=1400)
    watch.ended.set()
    (tmp_path / "squeue.txt").write_text("\n".join(f"{job} {states}" for job, states in watch.states.items()))
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
