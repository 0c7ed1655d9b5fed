"""Where VASP and atomate2 are on this machine."""

import importlib
from typing import Any

from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.settings import get_settings

VASP_HINT = "install it with `pip install 'mlip_autopipec[vasp]'`."


def vasp_command() -> str:
    """Return the command of VASP: the machine setting, else atomate2's ``VASP_CMD``.

    Returns
    -------
    str
        The command.
    """
    given = get_settings().vasp_command
    return given or str(import_atomate2("SETTINGS").VASP_CMD)


def import_atomate2(name: str) -> Any:
    """Import a module of atomate2, which takes seconds, or take its settings.

    Parameters
    ----------
    name
        Name of the module below atomate2, or ``"SETTINGS"``.

    Returns
    -------
    Any
        The module or the settings.

    Raises
    ------
    MissingProgramError
        atomate2 is not installed.
    """
    try:
        if name == "SETTINGS":
            return importlib.import_module("atomate2").SETTINGS
        return importlib.import_module(f"atomate2.{name}")
    except ImportError as error:
        raise MissingProgramError(f"the VASP oracle needs atomate2: {error}.", hint=VASP_HINT) from error
