"""`mlip-auto init --hpc`: FireWorks' files for a cluster, one folder a role."""

import sys
from pathlib import Path
from string import Template

import typer

from mlip_autopipec.errors import ConfigError, StoreError
from mlip_autopipec.settings import ROLES, Role

_LAUNCHPAD = Template("""\
# The database of FireWorks (a MongoDB). All machines that submit, launch or work need this file.
$where
# Do not wait half a minute for a server that is not there.
mongoclient_kwargs: {serverSelectionTimeoutMS: 10000}
# Queries of the workers, by role.
user_indices: [spec._category]
wf_user_indices: [metadata.campaign]
""")
_HOST = """\
host: localhost                # EDIT, or give it to `mlip-auto init --uri mongodb://...`
port: 27017
name: fireworks
username: null                 # a password stands here in clear text: keep the file to yourself (chmod 600)
password: null
"""
_URI = """\
host: "{uri}"
uri_mode: true
name: {name}
"""
_CONFIG = Template("""\
# Options of FireWorks itself; put into effect by: export FW_CONFIG_FILE=$folder/FW_config.yaml
LAUNCHPAD_LOC: $folder/my_launchpad.yaml
QUEUE_UPDATE_INTERVAL: 5       # s between two submissions; the queue must have noticed the first
RAPIDFIRE_SLEEP_SECS: 30       # s between two looks of `qlaunch rapidfire` at the LaunchPad
PING_TIME_SECS: 300            # s between two signs of life of a job; see detect_lostruns
PRINT_FW_JSON: false           # no copy of each job in its folder; offline mode writes one anyway
""")
_WORKER = Template("""\
# Who runs jobs of this role. One worker may serve several: category: [training, exploration]
name: $role
category: $role
query: '{}'
""")
_HEAD = Template("""\
# Queue adapter of the $role jobs ($what).
# All keys: https://materialsproject.github.io/fireworks/queue_tutorial.html; what is null is left out of the
# script. The keys of `resources.$role.queue` in settings.yaml win over these.
_fw_name: CommonAdapter
""")
_SLURM = Template("""\
_fw_q_type: SLURM
rocket_launch: $rlaunch -c $folder/$role singleshot
nodes: 1
ntasks: $cores                      # MPI processes, as in `pw_command: srun pw.x`
cpus_per_task: 1
mem: null                      # such as 16G
walltime: "$walltime"
queue: null                    # EDIT: the partition
account: null                  # EDIT, where time is booked
""")
_PBS = Template("""\
_fw_q_type: PBS
rocket_launch: $rlaunch -c $folder/$role singleshot
nnodes: 1
ppnode: $cores                      # processes on the node
pmem: null                     # memory of a process, such as 2gb
walltime: "$walltime"
queue: null                    # EDIT: the queue (`qlaunch -m` counts the jobs in it)
account: null                  # EDIT, where time is booked
""")
_TAIL = Template("""\
pre_rocket: |                  # what a job needs before it starts
  # module load ...
  export OMP_NUM_THREADS=$threads
  # export MLIP_AUTO_HOME=...  # where the workers' settings.yaml is: programs, store_uri
post_rocket: null
logdir: $folder/logs
# For nodes that do not reach the LaunchPad see docs/cluster.md, and use this instead:
# rocket_launch: $python -m mlip_autopipec.execution.rlaunch -c $folder/$role singleshot --offline
""")
_PAD = "my_launchpad.yaml"
_SCHEDULERS = {"slurm": _SLURM, "pbs": _PBS}
# What it is, cores, wall time. One core in the queue file is a start that any cluster accepts.
_ROLES: dict[Role, tuple[str, int, str]] = {
    "oracle": ("each single label: DFT", 1, "04:00:00"),
    "training": ("fits", 1, "02:00:00"),
    "exploration": ("molecular dynamics", 1, "04:00:00"),
    "other": ("jobs of seconds that select, gather and decide", 1, "00:30:00"),
}


def write_cluster(folder: Path, scheduler: str, uri: str | None = None) -> None:
    """Write FireWorks' files for a cluster.

    Parameters
    ----------
    folder
        The folder; none of the files may be there.
    scheduler
        ``"slurm"`` or ``"pbs"``.
    uri
        MongoDB URI of the LaunchPad, with its database; none for a server on this machine.

    Raises
    ------
    ConfigError
        The scheduler is not known, the URI names no database, or a file is there already.
    StoreError
        The files cannot be written.
    """
    if scheduler not in _SCHEDULERS:
        raise ConfigError(f"'--hpc' must be one of {', '.join(_SCHEDULERS)}, got {scheduler!r}.")
    files = _files(folder.resolve(), scheduler, _where(uri))
    links = [folder.resolve() / role / _PAD for role in ROLES]
    there = [str(file) for file in [*files, *links] if file.exists()]
    if there:
        raise ConfigError(
            f"{', '.join(there)} exists already; nothing was written.",
            hint="give another folder with --output.",
        )
    try:
        for file, text in files.items():
            file.parent.mkdir(parents=True, exist_ok=True)
            file.touch(mode=0o600 if file.name == _PAD else 0o644)
            file.write_text(text, encoding="utf-8")
        for role in ROLES:
            # `qlaunch -c` and `rlaunch -c` look for it beside the two others; the password stays in one file.
            (folder / role / _PAD).symlink_to(Path("..") / _PAD)
        (folder / "logs").mkdir(exist_ok=True)
    except OSError as error:
        raise StoreError(f"{str(folder)!r} cannot be written: {error.strerror}.") from error
    typer.echo("\n".join(f"wrote {file}" for file in files))
    typer.echo(
        f"next: edit them (EDIT); export FW_CONFIG_FILE={folder.resolve() / 'FW_config.yaml'}; "
        f"mlip-auto submit; qlaunch -c {folder}/oracle -r rapidfire"
    )


def _files(folder: Path, scheduler: str, where: str) -> dict[Path, str]:
    rlaunch = Path(sys.executable).with_name("rlaunch")
    files = {
        folder / _PAD: _LAUNCHPAD.substitute(where=where.rstrip()),
        folder / "FW_config.yaml": _CONFIG.substitute(folder=folder),
    }
    for role in ROLES:
        what, cores, walltime = _ROLES[role]
        values = {
            "role": role,
            "what": what,
            "cores": cores,
            "walltime": walltime,
            "folder": folder,
            "rlaunch": rlaunch,
            "python": sys.executable,
            "threads": 1,
        }
        adapter = (_HEAD, _SCHEDULERS[scheduler], _TAIL)
        files[folder / role / "my_fworker.yaml"] = _WORKER.substitute(values)
        files[folder / role / "my_qadapter.yaml"] = "".join(part.substitute(values) for part in adapter)
    return files


def _where(uri: str | None) -> str:
    if uri is None:
        return _HOST
    name = uri.partition("://")[2].partition("/")[2].partition("?")[0]
    if not uri.startswith(("mongodb://", "mongodb+srv://")) or not name:
        # Not the URI itself: it may hold a password.
        raise ConfigError("'--uri' must name a server and a database: mongodb://HOST:PORT/DATABASE.")
    return _URI.format(uri=uri, name=name)
