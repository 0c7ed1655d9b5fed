"""The files for a cluster, and the commands around it as far as they need none."""

import stat
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml
from fireworks import FWorker, LaunchPad
from fireworks.user_objects.queue_adapters.common_adapter import CommonAdapter
from typer.testing import CliRunner

from mlip_autopipec.cli.app import app
from mlip_autopipec.cli.init_hpc import write_cluster
from mlip_autopipec.cli.run import parse_walltime
from mlip_autopipec.errors import ConfigError, MissingProgramError, StoreError
from mlip_autopipec.execution.launchpad import Note, note_submission
from mlip_autopipec.settings import ROLES
from mlip_autopipec.store import open_store

CONFIG = "composition: Cu\noracle: {engine: ase, calculator: emt}\n"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MLIP_AUTO_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text(CONFIG)
    return tmp_path


def call(*words):
    done = CliRunner().invoke(app, words)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.mark.parametrize(
    ("scheduler", "head", "line"),
    [("slurm", "SLURM", "#SBATCH --time=04:00:00"), ("pbs", "PBS", "#PBS -l walltime=04:00:00")],
)
def test_fireworks_reads_its_files(folder, scheduler, head, line):
    assert call("init", "--hpc", scheduler).exit_code == 0
    cluster = folder / "cluster"
    with_roles = {path.name for path in cluster.iterdir() if path.is_dir()} - {"logs"}
    assert with_roles == set(ROLES)
    for role in ROLES:
        worker = FWorker.from_file(str(cluster / role / "my_fworker.yaml"))
        assert (worker.name, worker.category) == (role, role)
        assert (cluster / role / "my_launchpad.yaml").samefile(cluster / "my_launchpad.yaml")
        adapter = CommonAdapter.from_file(str(cluster / role / "my_qadapter.yaml"))
        assert adapter.q_type == head
    adapter = CommonAdapter.from_file(str(cluster / "oracle" / "my_qadapter.yaml"))
    script = adapter.get_script_str("/launch")
    assert line in script
    assert "export OMP_NUM_THREADS=1" in script
    assert f"-c {cluster}/oracle singleshot" in script
    assert "EDIT" not in script
    assert "None" not in script
    pad = LaunchPad.from_file(str(cluster / "my_launchpad.yaml"))
    pad.connection.close()
    assert (pad.host, pad.name, pad.password, pad.uri_mode) == ("localhost", "fireworks", None, False)
    options = yaml.safe_load((cluster / "FW_config.yaml").read_text())
    assert options["LAUNCHPAD_LOC"] == str(cluster / "my_launchpad.yaml")
    assert set(options) <= set(vars(__import__("fireworks.fw_config").fw_config))


def test_a_secret_is_written_only_if_it_is_given_and_for_oneself(folder):
    write_cluster(folder / "with", "slurm", "mongodb://me:Pa55@host:1234/atoms?authSource=admin")
    file = folder / "with" / "my_launchpad.yaml"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    pad = LaunchPad.from_file(str(file))
    pad.connection.close()
    assert (pad.host.count("Pa55"), pad.name, pad.uri_mode) == (1, "atoms", True)
    others = [path for path in (folder / "with").rglob("*.yaml") if not path.samefile(file)]
    assert not [path for path in others if "Pa55" in path.read_text()]


def test_nothing_is_overwritten(folder):
    (folder / "cluster").mkdir()
    (folder / "cluster" / "FW_config.yaml").write_text("mine")
    with pytest.raises(ConfigError, match=r"FW_config.yaml exists already; nothing was written"):
        call("init", "--hpc", "pbs")
    assert [path.name for path in (folder / "cluster").iterdir()] == ["FW_config.yaml"]


def test_refuses_what_it_cannot_write(folder):
    with pytest.raises(ConfigError, match="'--hpc' must be one of slurm, pbs, got 'lsf'"):
        call("init", "--hpc", "lsf")
    with pytest.raises(ConfigError, match="'--uri' must name a server and a database") as caught:
        call("init", "--hpc", "slurm", "--uri", "mongodb://me:secret@host")
    assert "secret" not in str(caught.value)
    with pytest.raises(StoreError, match="'/proc/nobody' cannot be written"):
        write_cluster(Path("/proc/nobody"), "slurm")


def test_submit_needs_a_launchpad(folder):
    with pytest.raises(ConfigError, match="no LaunchPad is given"):
        call("submit")
    (folder / "pad.yaml").write_text(
        "{host: 127.0.0.1, port: 9, mongoclient_kwargs: {serverSelectionTimeoutMS: 50}}"
    )
    with pytest.raises(StoreError, match=r"LaunchPad 'fireworks' at 127.0.0.1 does not answer"):
        call("submit", "--launchpad", "pad.yaml")
    assert not (folder / "run").exists()


def test_status_says_what_it_knows_before_the_launchpad_is_asked(folder):
    open_store(folder / "run").close()
    (folder / "pad.yaml").write_text(
        "{host: 127.0.0.1, port: 9, mongoclient_kwargs: {serverSelectionTimeoutMS: 50}}"
    )
    note_submission(folder / "run", Note("abc", folder / "pad.yaml"))
    done = CliRunner().invoke(app, ["status"])
    assert "no label has finished yet" in done.stdout
    assert isinstance(done.exception, StoreError)
    assert "does not answer" in str(done.exception)
    assert not (folder / "run" / "journal.sqlite").exists()


def test_submit_to_jobflow_remote_needs_it(folder):
    if find_spec("jobflow_remote"):
        pytest.skip("jobflow-remote is installed")
    with pytest.raises(MissingProgramError, match="jobflow-remote is not installed"):
        call("submit", "--remote", "project")
    assert not (folder / "run").exists()


def test_a_submitted_campaign_is_not_run_here(folder):
    (folder / "run").mkdir()
    note_submission(folder / "run", Note("abc"))
    with pytest.raises(ConfigError, match="was submitted to a cluster"):
        call("run")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90.0), ("30m", 1800.0), ("2h", 7200.0), ("1.5d", 129600.0), ("23:59:01", 86341.0)],
)
def test_wall_times(text, seconds):
    assert parse_walltime(text) == seconds


@pytest.mark.parametrize("text", ["2", "0h", "-1h", "2 h", "1:2", "00:00:00", ""])
def test_no_wall_times(text):
    with pytest.raises(ConfigError, match=r"'--walltime' must be a time such as 90s.*, got"):
        parse_walltime(text)
