"""The folder of a label by pw.x.

It holds ``pw.in``, ``pw.out`` and ``pw.err`` of the last attempt, ``pw_run.json`` (how it was started and
ended), ``pw.1.in``, ``pw.1.out``, ``pw.1.err`` and ``pw.1.json`` of the first failed attempt and so on, and
custodian's own ``custodian.json``. What pw.x saves in ``scratch`` is removed at the end.
"""

import json
from dataclasses import asdict
from pathlib import Path

from mlip_autopipec.oracle.qe_launch import Launch
from mlip_autopipec.oracle.qe_recovery import PwRun

SCRATCH = "scratch"
_STATE = "pw_run.json"
_FILES = ("in", "out", "err")


def read_launch(folder: Path) -> Launch:
    """Return how the next attempt is started.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    Launch
        The launch.
    """
    state = json.loads((folder / _STATE).read_text())
    return Launch(**state["launch"])


def write_state(folder: Path, launch: Launch, **result: float) -> None:
    """Write how an attempt is started, and ended.

    Parameters
    ----------
    folder
        The folder.
    launch
        How it is started.
    **result
        ``returncode`` and ``wall_time`` in s, once it ended.
    """
    (folder / _STATE).write_text(json.dumps({"launch": asdict(launch), **result}, indent=1))


def read_run(folder: Path) -> PwRun:
    """Return the last attempt of a folder.

    Parameters
    ----------
    folder
        The folder.

    Returns
    -------
    PwRun
        The attempt.
    """
    state = json.loads((folder / _STATE).read_text())
    text, stdout, stderr = ((folder / f"pw.{name}").read_text() for name in _FILES)
    return PwRun(
        text=text,
        launch=Launch(**state["launch"]),
        stdout=stdout,
        stderr=stderr,
        returncode=state["returncode"],
        wall_time=state["wall_time"],
    )


def keep_attempt(folder: Path) -> None:
    """Set the files of an attempt aside as ``pw.<n>.*``.

    Parameters
    ----------
    folder
        The folder.
    """
    number = 1 + len(list(folder.glob("pw.*.out")))
    for name in _FILES:
        (folder / f"pw.{name}").rename(folder / f"pw.{number}.{name}")
    (folder / _STATE).rename(folder / f"pw.{number}.json")


def clean(folder: Path) -> None:
    """Remove what an earlier calculation left in a folder, but its input.

    Parameters
    ----------
    folder
        The folder.
    """
    for pattern in ("pw.out", "pw.err", "pw.*.in", "pw.*.out", "pw.*.err", "pw.*.json", _STATE):
        for path in folder.glob(pattern):
            path.unlink()
