"""Which `pacemaker` runs on this machine, and what it can do."""

import shlex
import shutil
import sys
from pathlib import Path

from mlip_autopipec.process import Executable
from mlip_autopipec.provision import Located, environment_python, executable
from mlip_autopipec.settings import Settings, get_settings, home

PACEMAKER_HINT = "run `mlip-auto setup pacemaker` (PyPI only, no root, about 2 GB)."

_PROBE = (
    "import importlib.util as u; "
    "print(*(n for n in ('tensorflow', 'tf_keras', 'tensorpotential') if u.find_spec(n) is None))"
)


def which_pacemaker(
    command: str | None = None, settings: Settings | None = None, folder: Path | None = None
) -> Located:
    """Say which pacemaker would run.

    Parameters
    ----------
    command
        Command that goes before all others.
    settings
        Machine settings; read now by default.
    folder
        Folder of provisioned programs; the one of this machine by default.

    Returns
    -------
    Located
        Its command.
    """
    if command:
        return Located(command, "given as 'command'")
    settings, folder = settings or get_settings(), folder or home()
    if settings.pacemaker_command:
        reason = "from the machine setting pacemaker_command (MLIP_AUTO_PACEMAKER_COMMAND)"
        return Located(settings.pacemaker_command, reason)
    if environment_python(folder / "pacemaker").exists():
        return Located(provisioned_command(folder), "installed by `mlip-auto setup pacemaker`")
    beside = Path(sys.executable).parent / "pacemaker"
    if beside.exists():
        return Located(shlex.quote(str(beside)), "beside the Python of this program")
    return Located(
        None,
        "pacemaker_command is not set, `mlip-auto setup pacemaker` has not been run, "
        f"there is none in {beside.parent}",
    )


def pacemaker_executable(command: str | None = None) -> Executable:
    """Return the pacemaker to run.

    Parameters
    ----------
    command
        Command that goes before all others.

    Returns
    -------
    Executable
        A program that is there.

    Raises
    ------
    MissingProgramError
        There is none.
    """
    return executable(which_pacemaker(command), "pacemaker", PACEMAKER_HINT)


def provisioned_command(folder: Path) -> str:
    """Return the command of the provisioned pacemaker.

    Parameters
    ----------
    folder
        Folder of provisioned programs.

    Returns
    -------
    str
        Command for ``Executable``; isolated from the caller's PYTHONPATH and working folder.
    """
    return f"{shlex.quote(str(environment_python(folder / 'pacemaker')))} -I -m pyace.cli.pacemaker"


def missing_for_tensorpot(executable: Executable) -> str | None:
    """Say what keeps a pacemaker from using TensorFlow.

    Parameters
    ----------
    executable
        The program.

    Returns
    -------
    str or None
        The missing modules, or None if there are none, or if the program is no Python script and cannot be
        asked.
    """
    python = interpreter(executable)
    if python is None:
        return None
    run = Executable(shlex.quote(str(python))).run("-I", "-c", _PROBE, directory=Path.cwd(), timeout=120.0)
    return ", ".join(run.stdout.split()) or None


def interpreter(executable: Executable) -> Path | None:
    """Find the Python that runs a program.

    Parameters
    ----------
    executable
        The program.

    Returns
    -------
    pathlib.Path or None
        Its Python; None if it is not a Python script.
    """
    first = executable.resolve()
    if first.name.startswith("python"):
        return first
    with first.open("rb") as file:
        line = file.readline(4096)
    if not line.startswith(b"#!"):
        return None
    words = shlex.split(line[2:].decode(errors="replace"))
    named = [word for word in words if Path(word).name.startswith("python")]
    found = shutil.which(named[0]) if named else None
    return Path(found) if found else None
