"""A whole campaign by `qlaunch` on a real Slurm, LaunchPad and store on a real server: `make test-slurm`."""

import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from jobflow import Flow

import mlip_autopipec
from mlip_autopipec.execution.launchpad import campaign_jobs, open_launchpad, put
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.settings import ROLES, Settings
from mlip_autopipec.store import find_outputs, load_output, open_store

HERE = Path(__file__).parent
EXECUTION = HERE.parent / "execution"
sys.path[:0] = [str(HERE), str(EXECUTION)]
import jobs_for_tests as jobs  # noqa: E402
import slurm as slurm_service  # noqa: E402

ROOT = Path(__file__).parents[2]
WHY_NOT = slurm_service.missing()

pytestmark = [
    pytest.mark.slurm,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(WHY_NOT is not None, reason=str(WHY_NOT)),
]


@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    """Environment in which Slurm's commands, and ours, work."""
    with slurm_service.running(tmp_path_factory.mktemp("slurm")) as environment:
        source = str(Path(mlip_autopipec.__file__).parents[1])
        programs = str(Path(sys.executable).parent)
        yield {
            **environment,
            "PATH": f"{programs}:{environment['PATH']}",
            "PYTHONPATH": f"{source}:{EXECUTION}",
        }


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


class Killer(threading.Thread):
    """Cancels a queue job in the middle of a label, and has FireWorks notice it."""

    def __init__(self, environment, folder):
        super().__init__(daemon=True)
        self.environment, self.folder, self.victim, self.told = environment, folder, None, ""
        self.pad = folder / "cluster" / "my_launchpad.yaml"

    def run(self):
        wait_for((self.folder / "launches" / "other").exists)
        with open_launchpad(self.pad) as pad:
            wait_for(lambda: self._strike(pad), seconds=900)
        words = ["lpad", "-l", str(self.pad), "detect_lostruns", "--time", "40", "--rerun"]

        def noticed():
            self.told += run(words, self.environment, cwd=self.folder).stdout
            return f"[{self.victim}]" in self.told.replace(" ", "")

        wait_for(noticed)

    def _strike(self, pad):
        found = pad.fireworks.find_one(
            {"state": "RUNNING", "spec._category": "oracle"}, {"fw_id": 1, "launches": 1}
        )
        if found is None:
            return False
        launch = pad.launches.find_one({"launch_id": found["launches"][-1]})
        (number,) = {
            state["reservation_id"] for state in launch["state_history"] if "reservation_id" in state
        }
        run(["scancel", number], self.environment)
        wait_for(lambda: number not in run(["squeue", "-h", "-o", "%i"], self.environment).stdout.split())
        time.sleep(1.0)
        state = pad.fireworks.find_one({"fw_id": found["fw_id"]}, {"state": 1})["state"]
        self.victim = found["fw_id"] if state == "RUNNING" else None  # it had ended before
        return self.victim is not None


@pytest.fixture
def environment(slurm, mongo_server, tmp_path):
    mongo = mongo_server.uri().rstrip("/")
    return {**slurm, "MONGO": mongo, "MLIP_AUTO_HOME": str(tmp_path / "home")}


def test_scripts_for_pbs_are_run(environment, tmp_path):
    """By the qsub and qstat that Slurm brings for those who come from PBS.

    First of all: this qstat lists jobs that ended for minutes, and FireWorks counts them as waiting.
    """
    words = ["mlip-auto", "init", "--hpc", "pbs", "--uri", f"{environment['MONGO']}/pbs"]
    assert run(words, environment, cwd=tmp_path).returncode == 0
    adapter = tmp_path / "cluster" / "other" / "my_qadapter.yaml"
    adapter.write_text(adapter.read_text().replace("queue: null ", "queue: all  "))
    flow = identify(Flow([jobs.add(1, 2)]))
    put_in(tmp_path, flow)
    done = qlaunch(environment, tmp_path)
    assert "jobs in queue. Maximum allowed by user: 4" in done.stdout + done.stderr
    (script,) = (tmp_path / "launches").rglob("FW_submit.script")
    assert "#PBS -l nodes=1:ppn=1" in script.read_text()
    wait_for(lambda: states(tmp_path, flow) == ["COMPLETED"])
    assert results(tmp_path, flow) == [3]


def test_the_tutorial_runs_a_campaign_by_qlaunch(environment, tmp_path):
    """The same potential as `mlip-auto run`, each label once, each role by its launcher; one is killed."""
    folder = ROOT / "tutorials" / "04_qlaunch"
    shutil.copy(folder / "config.yaml", tmp_path)
    watch = Watch(environment)
    watch.start()
    killer = Killer(environment, tmp_path)
    killer.start()
    done = run(["bash", str(folder / "commands.sh")], environment, cwd=tmp_path, timeout=2400)
    watch.ended.set()
    print(done.stdout)
    print("\n".join(f"{number:4} {name:24} {states}" for (number, name), states in watch.states.items()))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "is there already, from job 1 on; nothing was changed" in done.stdout
    assert "the potential passed the validation" in done.stdout
    with open_launchpad(killer.pad) as pad:
        killed = pad.get_fw_by_id(killer.victim)
    print(killer.told)
    assert (killed.state, len(killed.launches) + len(killed.archived_launches)) == ("COMPLETED", 2)
    names = {role: launched(tmp_path / "launches" / role) for role in ROLES}
    labels = names["oracle"]
    assert len(labels) > 20
    assert len(labels) - 1 == len(set(labels_stored(tmp_path, environment)))
    assert {name.split("_")[0] for name in labels} == {"label"}
    assert set(names["training"]) == {"fit_linear_ace"}
    assert {name.rpartition("_")[0] for name in names["exploration"]} == {"explore_by_lammps"}
    there = run(["mlip-auto", "run", "-d", "local"], environment, cwd=tmp_path, timeout=600)
    assert there.returncode == 0, there.stdout + there.stderr
    potentials = [tmp_path / name / "potential" / "potential.yace" for name in ("run", "local")]
    assert potentials[0].read_bytes() == potentials[1].read_bytes()
    settings = [path.with_name("reproduce.yaml").read_text() for path in potentials]
    assert settings[0] == settings[1]


def labels_stored(folder, environment):
    """Ids of the labels that the campaign has, of training and validation."""
    settings = Settings(store_uri=environment["MONGO"])
    with open_store(folder / "run", settings) as store:
        return [out.uuid for out in find_outputs(store) if "label" in out.metadata]


def launched(folder):
    """Names of the queue jobs that a launcher submitted."""
    return [file.name.rpartition("-")[0] for file in folder.glob("block_*/launcher_*/*.out")]


def put_in(folder, flow):
    """Put a flow of small jobs into the LaunchPad of ./cluster, with the embedded store of ./run."""
    with open_launchpad(folder / "cluster" / "my_launchpad.yaml") as pad, open_store(folder / "run") as store:
        put(flow, launchpad=pad, store=store, directory=folder / "run")


def results(folder, flow):
    with open_store(folder / "run") as store:
        return [load_output(store, uuid) for uuid in flow.job_uuids]


def qlaunch(environment, folder, role="other"):
    words = ["qlaunch", "-c", f"cluster/{role}", "--launch_dir", "launches", "-r", "rapidfire"]
    (folder / "launches").mkdir(exist_ok=True)
    done = run([*words, "-m", "4", "--nlaunches", "1", "--sleep", "1"], environment, cwd=folder, timeout=120)
    assert "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
    return done


def fibonacci():
    loop = jobs.fibonacci(0, 1, 1)
    return identify(Flow([loop, jobs.add(loop.output, 10)]))


def states(folder, flow):
    with open_launchpad(folder / "cluster" / "my_launchpad.yaml") as pad, open_store(folder / "run") as store:
        return sorted(job.state for job in campaign_jobs(pad, flow.uuid, store.name))


def wait_for(condition, seconds=180):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.5)


def test_offline_nodes_hand_their_answers_over_by_files(environment, tmp_path):
    """Replacements, too: they are in FW_offline.json until `lpad recover_offline` reads them."""
    words = ["mlip-auto", "init", "--hpc", "slurm", "--uri", f"{environment['MONGO']}/offline"]
    assert run(words, environment, cwd=tmp_path).returncode == 0
    adapter = tmp_path / "cluster" / "other" / "my_qadapter.yaml"
    lines = [line for line in adapter.read_text().splitlines() if not line.startswith("rocket_launch")]
    adapter.write_text("\n".join(lines).replace("# rocket_launch", "rocket_launch"))
    flow = fibonacci()
    put_in(tmp_path, flow)
    recover = ["lpad", "-l", "cluster/my_launchpad.yaml", "recover_offline"]

    def ended():
        assert "FIZZLED" not in states(tmp_path, flow)
        if "READY" in states(tmp_path, flow):
            qlaunch(environment, tmp_path)
        run(recover, environment, cwd=tmp_path)
        return set(states(tmp_path, flow)) == {"COMPLETED"}

    wait_for(ended, seconds=600)
    assert results(tmp_path, flow) == [1, 11]
    assert len(states(tmp_path, flow)) == 5
