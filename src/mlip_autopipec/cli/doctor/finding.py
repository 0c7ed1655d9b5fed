"""What the doctor finds, and what a probe may look at."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mlip_autopipec.settings import Settings
from mlip_autopipec.store.file_system import MOUNTS

State = Literal["ok", "warning", "missing", "broken"]


@dataclass(frozen=True)
class Machine:
    """Where a probe looks.

    Parameters
    ----------
    settings
        Machine settings.
    home
        Folder of provisioned programs.
    run
        The run folder; it need not exist.
    scratch
        An empty folder to work in; removed afterwards.
    mounts
        Table of mounted file systems, in the form of Linux.
    """

    settings: Settings
    home: Path
    run: Path
    scratch: Path
    mounts: Path = MOUNTS


@dataclass(frozen=True)
class Finding:
    """The state of one thing that campaigns need.

    Parameters
    ----------
    subject
        The thing.
    state
        Whether it works, works but had better be otherwise, is not there, or does not work.
    measured
        What was run or looked at, and what came of it.
    advice
        The command or step that mends it; empty if it is ok.
    needed
        Whether no campaign can do without it.
    """

    subject: str
    state: State
    measured: str
    advice: str = ""
    needed: bool = False
