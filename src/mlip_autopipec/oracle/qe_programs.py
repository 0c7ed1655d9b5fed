"""Where pw.x and its pseudopotentials are on this machine, and why there."""

import shlex
import shutil
from pathlib import Path

from mlip_autopipec.process import Executable
from mlip_autopipec.provision import Located, environment_python, executable
from mlip_autopipec.settings import Settings, get_settings, home

FAMILY = "pseudo-dojo-0.4-pbe-sr-standard"

PW_HINT = "run `apt-get install quantum-espresso` (fastest), or `mlip-auto setup qe` (PyPI only, no root)."

# Without these pw.x starts threads for nothing, and a failed diagonalisation leaves no message.
PW_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "GFORTRAN_UNBUFFERED_ALL": "1"}


def which_pw(settings: Settings | None = None, folder: Path | None = None) -> Located:
    """Say which pw.x would run.

    Parameters
    ----------
    settings
        Machine settings; read now by default.
    folder
        Folder of provisioned programs; the one of this machine by default.

    Returns
    -------
    Located
        Its command.
    """
    settings, folder = settings or get_settings(), folder or home()
    if settings.pw_command:
        return Located(settings.pw_command, "from the machine setting pw_command (MLIP_AUTO_PW_COMMAND)")
    on_path = shutil.which("pw.x")
    if on_path:
        return Located("pw.x", f"found on PATH: {on_path}")
    if environment_python(folder / "qepy").exists():
        return Located(qepy_command(folder), "installed by `mlip-auto setup qe`")
    return Located(None, "pw_command is not set, pw.x is not on PATH, `mlip-auto setup qe` has not been run")


def which_pseudo_dir(settings: Settings | None = None, folder: Path | None = None) -> Located:
    """Say which folder of pseudopotentials would be used.

    Parameters
    ----------
    settings
        Machine settings; read now by default.
    folder
        Folder of provisioned programs; the one of this machine by default.

    Returns
    -------
    Located
        The folder.
    """
    settings, folder = settings or get_settings(), folder or home()
    if settings.pseudo_dir:
        return Located(str(settings.pseudo_dir), "from the machine setting pseudo_dir (MLIP_AUTO_PSEUDO_DIR)")
    provisioned = pseudopotential_folder(folder)
    if provisioned.is_dir():
        return Located(str(provisioned), "installed by `mlip-auto setup qe`")
    return Located(None, "pseudo_dir is not set, `mlip-auto setup qe` has not been run")


def pw_executable(settings: Settings | None = None, folder: Path | None = None) -> Executable:
    """Return the pw.x to run.

    Parameters
    ----------
    settings
        Machine settings; read now by default.
    folder
        Folder of provisioned programs; the one of this machine by default.

    Returns
    -------
    Executable
        A program that is there.

    Raises
    ------
    MissingProgramError
        There is none.
    """
    return executable(which_pw(settings, folder), "pw.x", PW_HINT)


def pseudopotential_folder(folder: Path) -> Path:
    """Return where the provisioned pseudopotentials are.

    Parameters
    ----------
    folder
        Folder of provisioned programs.

    Returns
    -------
    pathlib.Path
        The folder.
    """
    return folder / "pseudopotentials" / FAMILY


def qepy_command(folder: Path) -> str:
    """Return the command of the provisioned pw.x.

    Parameters
    ----------
    folder
        Folder of provisioned programs.

    Returns
    -------
    str
        Command for ``Executable``; isolated from the caller's PYTHONPATH and working folder.
    """
    return f"{shlex.quote(str(environment_python(folder / 'qepy')))} -I -m qepy --pw.x"
