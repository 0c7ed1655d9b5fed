"""Which eOn runs on this machine: a Python of its own that has eOn's server and client library."""

import shlex
import shutil
from pathlib import Path

from mlip_autopipec.process import Executable
from mlip_autopipec.provision import Located, environment_python, executable
from mlip_autopipec.settings import Settings, get_settings, home

EON_HINT = "run `mlip-auto setup eon` (PyPI only, no root, 320 MB; needs a Python of 3.12 or newer)."

_OLDEST = (3, 12)
_NEWEST = (3, 13)  # for which there are pinned wheels
_ASK = "import sys; print(*sys.version_info[:2])"


def which_eon(
    python: str | None = None, settings: Settings | None = None, folder: Path | None = None
) -> Located:
    """Say which Python would run eOn.

    Parameters
    ----------
    python
        Interpreter that goes before all others.
    settings
        Machine settings; read now by default.
    folder
        Folder of provisioned programs; the one of this machine by default.

    Returns
    -------
    Located
        Its command.
    """
    if python:
        return Located(python, "given as 'python'")
    settings, folder = settings or get_settings(), folder or home()
    if settings.eon_python:
        return Located(settings.eon_python, "from the machine setting eon_python (MLIP_AUTO_EON_PYTHON)")
    provisioned = environment_python(folder / "eon")
    if provisioned.exists():
        return Located(shlex.quote(str(provisioned)), "installed by `mlip-auto setup eon`")
    return Located(None, "eon_python is not set and `mlip-auto setup eon` has not been run")


def eon_executable(python: str | None = None) -> Executable:
    """Return the Python that runs eOn.

    Parameters
    ----------
    python
        Interpreter that goes before all others.

    Returns
    -------
    Executable
        A program that is there.

    Raises
    ------
    MissingProgramError
        There is none.
    """
    return executable(which_eon(python), "eOn", EON_HINT)


def newer_python(directory: Path) -> Located:
    """Find a Python that is new enough for eOn's client library, on ``PATH`` or of pyenv.

    Parameters
    ----------
    directory
        Where candidates are asked for their version.

    Returns
    -------
    Located
        The interpreter.
    """
    names = [f"python3.{minor}" for minor in range(_NEWEST[1], _OLDEST[1] - 1, -1)] + ["python3"]
    found = [path for path in map(shutil.which, names) if path is not None]
    versions = Path.home() / ".pyenv" / "versions"
    found += [str(p) for name in names for p in sorted(versions.glob(f"*/bin/{name}"), reverse=True)]
    for candidate in found:
        run = Executable(shlex.quote(candidate)).run("-I", "-c", _ASK, directory=directory, timeout=60.0)
        words = run.stdout.split()
        if run.returncode == 0 and len(words) == 2 and _OLDEST <= tuple(map(int, words)) <= _NEWEST:
            return Located(candidate, f"Python {words[0]}.{words[1]}")
    return Located(None, f"none of {', '.join(names)} on PATH or in {versions} is of 3.12 or 3.13")
