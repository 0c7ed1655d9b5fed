"""A real Slurm of one node in a folder of its own: its own key, sockets and ports, nothing of the system."""

import os
import secrets
import shutil
import socket
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "qsub", "qstat")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller}
SlurmdPort={node}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=batch_sched_delay=0,sched_interval=2,bf_interval=2
ReturnToService=2
MpiDefault=none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} RealMemory={memory} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def missing():
    """Say why there can be no Slurm here, if so."""
    absent = [name for name in PROGRAMS if not shutil.which(name, path=_path())]
    if absent:
        return f"{', '.join(absent)} not found: make test-slurm installs Slurm"
    return None if os.geteuid() == 0 else "Slurm's daemons need root here"


@contextmanager
def running(folder):
    """Run Slurm; gives the environment for its commands."""
    ports = _free_ports(2)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    key = folder / "munge.key"
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    file = folder / "slurm.conf"
    file.write_text(
        CONFIGURATION.format(
            host=socket.gethostname(),
            controller=ports[0],
            node=ports[1],
            folder=folder,
            cores=len(os.sched_getaffinity(0)),
            memory=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20 * 9 // 10,
        )
    )
    environment = {**os.environ, "PATH": _path(), "SLURM_CONF": str(file)}
    files = [f"--{what}-file={folder}/munge.{what}" for what in ("key", "pid", "log", "seed")]
    munge = ["munged", "--foreground", "--force", f"--socket={folder}/munge.socket", *files]
    commands = [munge, ["slurmctld", "-D", "-c", "-f", str(file)], ["slurmd", "-D", "-c", "-f", str(file)]]
    processes = []
    try:
        for command in commands:
            with (folder / f"{command[0]}.out").open("wb") as log:
                processes.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
            if command is munge:
                _wait(lambda: (folder / "munge.socket").exists(), folder)
        _wait(lambda: "idle" in _output(["sinfo", "-h", "-o", "%t"], environment), folder)
        yield environment
    finally:
        _output(["scancel", "--user=root"], environment)
        for process in reversed(processes):
            process.terminate()
            process.wait(timeout=30)


def _path():
    return f"{os.environ['PATH']}:/usr/sbin:/sbin"


def _free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def _output(command, environment):
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False).stdout


def _wait(ready, folder):
    end = time.monotonic() + 30
    while not ready():
        logs = "\n".join(f"{p.name}: {p.read_text()[-2000:]}" for p in sorted(Path(folder).glob("*.[lo]*g")))
        assert time.monotonic() < end, logs
        time.sleep(0.1)
