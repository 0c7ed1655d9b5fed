"""Which LAMMPS runs on this machine, and whether its gamma can be believed."""

from pathlib import Path
from typing import Literal

import numpy as np
from ase import Atoms
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data

from mlip_autopipec.ace import (
    AcePotential,
    BasisSpec,
    DesignMatrix,
    PotentialFiles,
    active_set_inverse,
    build_basis,
    write_potential,
)
from mlip_autopipec.dynamics import lammps_input as lines
from mlip_autopipec.dynamics.lammps_failures import failure_error, said
from mlip_autopipec.dynamics.lammps_log import read_thermo
from mlip_autopipec.dynamics.lammps_program import INPUT, version
from mlip_autopipec.errors import CalculationError, ConfigError, MissingProgramError
from mlip_autopipec.process import Executable
from mlip_autopipec.provision import Located, executable
from mlip_autopipec.settings import Settings, get_settings

Backend = Literal["auto", "program", "library"]

LAMMPS_HINT = (
    "set lammps_command (MLIP_AUTO_LAMMPS_COMMAND) to a LAMMPS with the package ML-PACE, e.g. conda-forge's, "
    "or exploration: {backend: library}."
)
_TOLERANCE = 1.0e-6  # relative; they agreed to 1e-10 in gamma and 1e-13 in energy
_TIMEOUT = 120.0


def which_lammps(command: str | None = None, settings: Settings | None = None) -> Located:
    """Say which `lmp` would run. None is taken from PATH: most have no ML-PACE.

    Parameters
    ----------
    command
        Command that goes before all others.
    settings
        Machine settings; read now by default.

    Returns
    -------
    Located
        Its command.
    """
    if command:
        return Located(command, "given as 'command'")
    settings = settings or get_settings()
    if settings.lammps_command:
        reason = "from the machine setting lammps_command (MLIP_AUTO_LAMMPS_COMMAND)"
        return Located(settings.lammps_command, reason)
    return Located(None, "lammps_command is not set")


def choose_backend(backend: Backend, command: str | None = None) -> tuple[Executable | None, str]:
    """Choose between the program and the library.

    Parameters
    ----------
    backend
        What was asked for.
    command
        Command of `lmp` that goes before the machine setting.

    Returns
    -------
    program
        The program; none for the library.
    reason
        Why.

    Raises
    ------
    MissingProgramError
        The program was asked for, or is set, and is not there.
    """
    if backend not in ("auto", "program", "library"):
        raise ConfigError(f"'backend' must be auto, program or library, got {backend!r}.")
    if backend == "library":
        return None, "backend is library"
    found = which_lammps(command)
    if backend == "auto" and found.value is None:
        return None, f"backend is auto and {found.reason}: LAMMPS in-process"
    return executable(found, "LAMMPS", LAMMPS_HINT), f"backend is {backend}, lmp {found.reason}"


def check_lammps(program: Executable, directory: Path) -> str:
    """Have an `lmp` evaluate a distorted cell, and compare energy and gamma with python-ace.

    Parameters
    ----------
    program
        The program.
    directory
        Where to run it.

    Returns
    -------
    str
        Its version.

    Raises
    ------
    MissingProgramError
        It has no ML-PACE, or its gamma is silently 0 (lammps#3966) or wrong.
    CalculationError
        It does not run.
    """
    files = probe_potential(directory)
    atoms = distorted_cell()
    write_lammps_data(directory / "data.lammps", atoms, specorder=["Cu"], masses=True)
    commands = [
        *lines.HEAD,
        "boundary p p p",
        "read_data data.lammps",
        *lines.pace_lines(None, ["Cu"], 1),
        *lines.log_lines(1, [f"c_{lines.GAMMA}"]),
        "run 0",
    ]
    (directory / INPUT).write_text("\n".join(commands) + "\n")
    words = ("-in", INPUT, "-log", "log.lammps", "-nocite")
    result = program.run(*words, directory=directory, timeout=_TIMEOUT)
    if complaint := said(result):
        raise failure_error(complaint, directory, result.stdout)
    try:
        table = read_thermo(result.stdout, ("PotEng", f"c_{lines.GAMMA}"))
    except CalculationError as error:
        raise failure_error(str(error), directory, result.stdout) from error
    expected = AcePotential(files.yaml, files.asi).evaluate(atoms)
    if expected.gamma is None:
        raise AssertionError("a potential with an active set gives gamma")
    _compare("gamma", table[f"c_{lines.GAMMA}"][0], float(expected.gamma.max()), program)
    _compare("energy", table["PotEng"][0], float(expected.energies.sum()), program)
    return version(result.stdout)


def probe_potential(directory: Path) -> PotentialFiles:
    """Write a small potential of copper that means nothing but has an active set.

    Parameters
    ----------
    directory
        Where.

    Returns
    -------
    PotentialFiles
        Its files.
    """
    spec = BasisSpec(("Cu",), 4.5, 12)
    design = DesignMatrix(build_basis(spec))
    rows = design.projections(distorted_cell())["Cu"]
    active = {"Cu": active_set_inverse(rows[: len(rows) // 2], np.full(rows.shape[1], 1.0e-2))}
    return write_potential(directory, spec, {}, np.linspace(-1.0, 1.0, rows.shape[1]), active)


def distorted_cell() -> Atoms:
    """Make the cell of the trial: in a perfect crystal a wrong gamma could pass.

    Returns
    -------
    ase.Atoms
        32 displaced atoms of copper.
    """
    atoms = bulk("Cu", cubic=True).repeat((2, 2, 2))
    atoms.rattle(0.15, seed=1)
    return atoms


def _compare(name: str, found: float, expected: float, program: Executable) -> None:
    if found == 0.0:
        raise MissingProgramError(
            f"{program.command!r} gives {name} 0 for a distorted cell, python-ace {expected:.6g}.",
            hint="use another LAMMPS: releases have had a gamma that is silently 0 (lammps#3966).",
        )
    if not np.isclose(found, expected, rtol=_TOLERANCE):
        raise MissingProgramError(
            f"{program.command!r} gives {name} {found:.12g} for a distorted cell, "
            f"python-ace {expected:.12g}.",
            hint="use another LAMMPS, or exploration: {backend: library}.",
        )
