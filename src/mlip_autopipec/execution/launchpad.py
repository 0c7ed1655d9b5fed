"""Campaigns in a LaunchPad of FireWorks: put in once, looked at, tried again."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from filelock import FileLock
from jobflow import Flow, JobStore
from pymongo.errors import PyMongoError

from mlip_autopipec.errors import ConfigError, MissingProgramError, StoreError
from mlip_autopipec.schemas.files import write_atomic
from mlip_autopipec.settings import Role

_ENDED = ["COMPLETED", "ARCHIVED", "DEFUSED"]
_NOTE = "submission.json"
_HINT = "write one with `mlip-auto init --hpc slurm`, and name it with --launchpad or MLIP_AUTO_LAUNCHPAD."


@dataclass(frozen=True)
class ClusterJob:
    """A job in a LaunchPad; ``state`` is FireWorks' word, ``error`` the last lines of a failure."""

    number: int
    name: str
    role: str
    state: str
    folder: str | None = None
    error: str | None = None


@dataclass(frozen=True)
class Submission:
    """What `put` did.

    ``number`` is the id of the campaign's first firework, None if nothing was left to do; ``added`` says
    whether it was put in now, ``retried`` are the numbers of failed jobs that were made ready again.
    """

    number: int | None
    added: bool
    retried: tuple[int, ...] = ()


@contextmanager
def open_launchpad(file: Path | None) -> Iterator[Any]:
    """Open a LaunchPad and see that it answers.

    Parameters
    ----------
    file
        A my_launchpad.yaml; none for the one that FireWorks finds.

    Yields
    ------
    fireworks.LaunchPad
        Connected, until the end of the block.

    Raises
    ------
    MissingProgramError
        FireWorks is not installed.
    ConfigError
        There is no such file, or it holds no LaunchPad.
    StoreError
        Its database cannot be reached.
    """
    try:
        from fireworks import LaunchPad
        from fireworks.fw_config import LAUNCHPAD_LOC
    except ImportError as error:
        raise MissingProgramError(
            "FireWorks is not installed.", hint="install it: pip install 'mlip_autopipec[fireworks]'."
        ) from error
    found = file or (Path(LAUNCHPAD_LOC) if LAUNCHPAD_LOC else None)
    if found is None:
        # FireWorks would take localhost, and wait there for a server.
        raise ConfigError("no LaunchPad is given: there is no my_launchpad.yaml.", hint=_HINT)
    try:
        # Not LaunchPad.from_file: it decodes whatever the file names.
        values = yaml.safe_load(found.read_text())
        launchpad = LaunchPad.from_dict({**values, "strm_lvl": "ERROR"})
    except OSError as error:
        raise ConfigError(
            f"LaunchPad file {str(found)!r} cannot be read: {error.strerror}.", hint=_HINT
        ) from error
    except (KeyError, TypeError, ValueError, PyMongoError, yaml.YAMLError) as error:
        # Not its text: it may quote a password.
        raise ConfigError(
            f"{str(found)!r} is no LaunchPad file of FireWorks ({type(error).__name__}).", hint=_HINT
        ) from None
    with closing(launchpad.connection):
        with _answering(launchpad):
            launchpad.db.command("ping")
        yield launchpad


def put(
    flow: Flow,
    *,
    launchpad: Any,
    store: JobStore,
    directory: Path,
    queue: Mapping[Role, Mapping[str, Any]] | None = None,
) -> Submission:
    """Put a campaign into a LaunchPad; if it is there, make its failed jobs ready again instead.

    Parameters
    ----------
    flow
        Its flow, with ids of `identify`.
    launchpad
        What `open_launchpad` returns.
    store
        Where outputs go.
    directory
        The run folder.
    queue
        Keys of the queue adapter for each role.

    Returns
    -------
    Submission
        What was done.

    Raises
    ------
    ConfigError
        Another campaign of this folder is under way in the LaunchPad.
    StoreError
        The LaunchPad cannot be reached.
    """
    from mlip_autopipec.execution.fireworks import place, workflow_of

    where = place(directory, store, queue or {})
    metadata = {"campaign": flow.uuid, "store": store.name, "directory": where["directory"]}
    with FileLock(directory / "submit.lock"), _answering(launchpad):
        known = launchpad.workflows.find_one(
            {"metadata.campaign": flow.uuid, "metadata.store": store.name, "state": {"$ne": "ARCHIVED"}}
        )
        if known is not None:
            return Submission(min(known["nodes"]), added=False, retried=_retry(launchpad, known))
        _refuse_another(launchpad, where["directory"])
        workflow = workflow_of(flow, store, where, metadata=metadata)
        if workflow is None:
            return Submission(None, added=False)
        if launchpad.fw_id_assigner.find_one() is None:
            # A new database: this makes counters and indices, and refuses if there are workflows.
            launchpad.reset("", require_password=False, max_reset_wo_password=0)
        return Submission(min(launchpad.add_wf(workflow).values()), added=True)


@dataclass(frozen=True)
class Note:
    """Where the campaign of a run folder was submitted to.

    ``launchpad`` is the my_launchpad.yaml, None for the one that FireWorks finds; ``remote`` is the project
    of jobflow-remote instead.
    """

    campaign: str
    launchpad: Path | None = None
    remote: str | None = None


def note_submission(directory: Path, note: Note) -> None:
    """Note in a run folder where its campaign was submitted to.

    Parameters
    ----------
    directory
        The run folder.
    note
        Where.
    """
    launchpad = None if note.launchpad is None else str(note.launchpad.resolve())
    text = json.dumps({"campaign": note.campaign, "launchpad": launchpad, "remote": note.remote})
    write_atomic(directory / _NOTE, text + "\n")


def noted_submission(directory: Path) -> Note | None:
    """Read what `note_submission` wrote.

    Parameters
    ----------
    directory
        The run folder.

    Returns
    -------
    Note or None
        None if nothing was submitted.

    Raises
    ------
    StoreError
        The note cannot be read.
    """
    file = directory / _NOTE
    if not file.exists():
        return None
    try:
        note = json.loads(file.read_text())
        launchpad = None if note["launchpad"] is None else Path(note["launchpad"])
        return Note(note["campaign"], launchpad, note["remote"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"{str(file)!r} cannot be read ({type(error).__name__}).",
            hint="run `mlip-auto submit` again; it writes it anew.",
        ) from error


def campaign_jobs(launchpad: Any, campaign: str, store: str) -> list[ClusterJob]:
    """List the jobs of a campaign in a LaunchPad.

    Parameters
    ----------
    launchpad
        What `open_launchpad` returns.
    campaign
        Id of its flow.
    store
        Name of its store.

    Returns
    -------
    list[ClusterJob]
        In the order they were added; empty if it is not there.

    Raises
    ------
    StoreError
        The LaunchPad cannot be reached.
    """
    with _answering(launchpad):
        known = launchpad.workflows.find_one({"metadata.campaign": campaign, "metadata.store": store})
        if known is None:
            return []
        fields = {"fw_id": 1, "name": 1, "state": 1, "spec._category": 1, "launches": 1}
        found = launchpad.fireworks.find({"fw_id": {"$in": known["nodes"]}}, fields).sort("fw_id", 1)
        return [_cluster_job(launchpad, document) for document in found]


def count_jobs(jobs: list[ClusterJob]) -> str:
    """Say in one line how many jobs are in which state.

    Parameters
    ----------
    jobs
        The jobs.

    Returns
    -------
    str
        Such as ``12 completed, 2 running (oracle), 1 waiting``.
    """
    counts = Counter(job.state for job in jobs)
    roles = {state: sorted({job.role for job in jobs if job.state == state}) for state in counts}
    return ", ".join(
        f"{n} {state.lower()}" + ("" if state == "COMPLETED" else f" ({', '.join(roles[state])})")
        for state, n in counts.items()
    )


def _retry(launchpad: Any, known: dict[str, Any]) -> tuple[int, ...]:
    """Make failed jobs ready again, except those that their dependents did without."""
    fields = {"fw_id": 1, "state": 1, "spec._tasks.job": 1}
    found = {d["fw_id"]: d for d in launchpad.fireworks.find({"fw_id": {"$in": known["nodes"]}}, fields)}

    def did_without(number: int) -> bool:
        children = [found[child] for child in known["links"].get(str(number), []) if child in found]
        return any(
            did_without(child["fw_id"]) if _hands_on(child) else child["state"] == "COMPLETED"
            for child in children
        )

    failed = [number for number, document in sorted(found.items()) if document["state"] == "FIZZLED"]
    needed = [number for number in failed if not did_without(number)]
    for number in needed:
        launchpad.rerun_fw(number)
    return tuple(needed)


def _hands_on(document: dict[str, Any]) -> bool:
    """Whether a firework only stands for a replaced job, and completes whatever became of that."""
    task = json.loads(document["spec"]["_tasks"][0]["job"])
    return not task["config"]["resolve_references"]


def _refuse_another(launchpad: Any, directory: str) -> None:
    query = {"metadata.directory": directory, "state": {"$nin": _ENDED}}
    other = launchpad.workflows.find_one(query)
    if other is not None:
        raise ConfigError(
            f"another campaign of {directory!r} is {other['state'].lower()} in the LaunchPad, "
            f"from firework {min(other['nodes'])} on.",
            hint=f"let it end, take it out (lpad archive -i {min(other['nodes'])}), or use another folder.",
        )


def _cluster_job(launchpad: Any, document: dict[str, Any]) -> ClusterJob:
    folder = error = None
    if document["state"] == "FIZZLED" and document["launches"]:
        launch = launchpad.get_launch_by_id(document["launches"][-1])
        folder = launch.launch_dir
        details = (launch.action.stored_data if launch.action else {}).get("_exception") or {}
        error = _last_words(str(details.get("_stacktrace") or ""))
    return ClusterJob(
        number=document["fw_id"],
        name=document["name"],
        role=document["spec"].get("_category", "other"),
        state=document["state"],
        folder=folder,
        error=error,
    )


def _last_words(traceback: str) -> str | None:
    """Return what an exception said: the lines of a traceback after the last indented one."""
    lines = [line for line in traceback.splitlines() if line.strip()]
    last = max((i for i, line in enumerate(lines) if line.startswith(" ")), default=-1)
    return "\n".join(lines[last + 1 :]) or None


@contextmanager
def _answering(launchpad: Any) -> Iterator[None]:
    try:
        yield
    except PyMongoError as error:
        # Not `from error`: the driver's message may quote the URI with its password.
        host = str(launchpad.host).rpartition("@")[2].rpartition("//")[2]
        raise StoreError(
            f"the LaunchPad {launchpad.name!r} at {host} does not answer ({type(error).__name__}).",
            hint="check my_launchpad.yaml and that the server runs and can be reached from here.",
        ) from None
