"""Get eOn from PyPI alone, without a compiler, and prove that it works.

The client is the library ``pyeonclient``, of which there are wheels. The server is pure Python, but comes
only inside a source distribution that wants a recent C++ compiler. pip is therefore given a build backend
that builds nothing and packs the server alone.
"""

import shutil
import tempfile
from importlib import resources
from pathlib import Path

from mlip_autopipec.dynamics.eon_programs import EON_HINT, newer_python
from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.process import Executable, tail
from mlip_autopipec.provision import environment_python, install_requirements, replacing, run_pip

_SERVER = "eon-akmc==3.6.0 --hash=sha256:31a5bc0b21df04fa462eafcdf8bddf1bd20b5bf2d4375ada47c12d4239e24727\n"
_BACKEND = "mesonpy"  # the name that the source distribution asks for
_PROBE = "import eon.server, eon.akmc, pyeonclient; from importlib.metadata import version; "
_SAY = "print(version('eon-akmc'), version('pyeonclient'))"
_TRIAL = """
import pyeonclient as eon
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io import write
cell = bulk("Cu", cubic=True)
cell.rattle(0.1, seed=0)
write("pos.con", cell, format="eon")
with open("config.ini", "w") as file:
    file.write("[Main]\\njob = minimization\\n[Optimizer]\\nconverged_force = 0.01\\n")
matter = eon.Matter(eon.potential_from_ase(EMT()), eon.load_parameters("config.ini"))
matter.con2matter("pos.con")
matter.relax(inplace=True, quiet=True)
print(matter.max_force, flush=True)
"""
_TRIAL_TIMEOUT = 120.0
_HINT = (
    "install one (Debian 13 has python3.13, pyenv builds any; Debian 12 and PyPI have none), or set "
    "eon_python (MLIP_AUTO_EON_PYTHON) to the Python of an environment that has eon-akmc and pyeonclient."
)


def provision_eon(home: Path) -> Path:
    """Install eOn into an environment of its own and try it, unless it is there.

    Parameters
    ----------
    home
        Folder of provisioned programs.

    Returns
    -------
    pathlib.Path
        Its interpreter.

    Raises
    ------
    MissingProgramError
        There is no Python that is new enough, or the installation failed.
    """
    target = home / "eon"
    if not target.is_dir():
        home.mkdir(parents=True, exist_ok=True)
        python = newer_python(home)
        if python.value is None:
            raise MissingProgramError(f"eOn needs a Python of 3.12 or 3.13: {python.reason}.", hint=_HINT)
        with replacing(target) as folder:
            install_eon(folder, Path(python.value))
            try_eon(Executable(str(environment_python(folder))), folder)
    return environment_python(target)


def install_eon(folder: Path, base: Path) -> None:
    """Fill an environment.

    Parameters
    ----------
    folder
        Where.
    base
        The Python it is made of.
    """
    package = resources.files("mlip_autopipec.dynamics")
    with resources.as_file(package / "eon_requirements.txt") as requirements:
        python = install_requirements(folder, requirements, base)
    with tempfile.TemporaryDirectory() as scratch, resources.as_file(package / "eon_backend.py") as backend:
        shutil.copy(backend, Path(scratch) / f"{_BACKEND}.py")
        wanted = Path(scratch) / "server.txt"
        wanted.write_text(_SERVER)
        options = ("--quiet", "--no-deps", "--require-hashes", "--no-build-isolation", "--no-cache-dir")
        run_pip(
            python,
            *("install", *options, "-r", str(wanted)),
            directory=folder,
            environment={"PYTHONPATH": scratch},
        )


def try_eon(python: Executable, directory: Path) -> str:
    """Have server and client library import themselves.

    Parameters
    ----------
    python
        The interpreter.
    directory
        Where to run.

    Returns
    -------
    str
        Their versions.

    Raises
    ------
    MissingProgramError
        They do not.
    """
    run = python.run("-I", "-c", _PROBE + _SAY, directory=directory, timeout=_TRIAL_TIMEOUT)
    versions = run.stdout.split()
    if run.returncode != 0 or len(versions) < 2:
        raise MissingProgramError(
            f"{python.command!r} does not run eOn: {tail(run.stderr or run.stdout, 3)}",
            hint="it must have the modules eon (the server of eon-akmc) and pyeonclient.",
        )
    return f"eOn {versions[-2]}, pyeonclient {versions[-1]}"


def relax_copper(python: Executable, directory: Path) -> float:
    """Have eOn's client library relax four copper atoms with forces from Python.

    Parameters
    ----------
    python
        The interpreter.
    directory
        Where to run.

    Returns
    -------
    float
        Largest force that is left in eV/Å.

    Raises
    ------
    MissingProgramError
        It does not say.
    """
    run = python.run("-I", "-c", _TRIAL, directory=directory, timeout=_TRIAL_TIMEOUT)
    try:
        return float(run.stdout.split()[0])
    except (IndexError, ValueError) as error:
        raise MissingProgramError(
            f"{python.command!r} does not relax four atoms by eOn: {tail(run.stderr or run.stdout, 3)}",
            hint=EON_HINT,
        ) from error
