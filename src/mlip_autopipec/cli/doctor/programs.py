"""Programs, each run on a tiny case."""

import importlib.util
import shutil
import time
from pathlib import Path

from mlip_autopipec.cli.doctor.finding import Finding, Machine
from mlip_autopipec.dynamics.eon_programs import EON_HINT, which_eon
from mlip_autopipec.dynamics.eon_setup import relax_copper, try_eon
from mlip_autopipec.dynamics.lammps_programs import LAMMPS_HINT, check_lammps, which_lammps
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.oracle.qe_programs import PW_HINT, which_pseudo_dir, which_pw
from mlip_autopipec.oracle.qe_pseudo import SETUP_HINT, Pseudopotential, find_file, known_hashes
from mlip_autopipec.oracle.qe_setup import try_pw
from mlip_autopipec.oracle.vasp_programs import VASP_HINT, vasp_command
from mlip_autopipec.process import Executable
from mlip_autopipec.provision import executable
from mlip_autopipec.training.pacemaker_programs import (
    PACEMAKER_HINT,
    missing_for_tensorpot,
    which_pacemaker,
)
from mlip_autopipec.training.pacemaker_setup import try_pacemaker

_LONGEST_LIST = 4
_RELAXED = 0.011  # eV/Å; to 0.01 it is asked
_ZERO_FORCE = 1.0e-3  # eV/Å, of two atoms whose forces vanish by symmetry


def probe_pw(machine: Machine) -> Finding:
    """Have pw.x compute two silicon atoms.

    Parameters
    ----------
    machine
        Where to look.

    Returns
    -------
    Finding
        Version, energy and wall time.
    """
    found = which_pw(machine.settings, machine.home)
    if found.value is None:
        return Finding("pw.x", "missing", found.reason, PW_HINT)
    program = executable(found, "pw.x", PW_HINT)
    folder = which_pseudo_dir(machine.settings, machine.home)
    if folder.value is None:
        return Finding("pw.x", "warning", f"{found.reason}; not run: {folder.reason}", SETUP_HINT)
    silicon = find_file("Si", Path(folder.value), None)
    start = time.perf_counter()
    result = try_pw(program, silicon.parent, silicon.name)
    took = time.perf_counter() - start
    largest = float(abs(result.forces).max())
    measured = (
        f"version {result.version}, {found.reason}; 2 Si atoms: {result.energy:.3f} eV, "
        f"largest force {largest:.1e} eV/Å (0 by symmetry), {took:.1f} s"
    )
    if largest > _ZERO_FORCE:
        return Finding("pw.x", "broken", measured, PW_HINT)
    return Finding("pw.x", "ok", measured)


def probe_pseudopotentials(machine: Machine) -> Finding:
    """Read every pseudopotential and compare the hashes of those that are known.

    Parameters
    ----------
    machine
        Where to look.

    Returns
    -------
    Finding
        Number of files, and which are damaged.
    """
    subject = "pseudopotentials"
    found = which_pseudo_dir(machine.settings, machine.home)
    if found.value is None:
        return Finding(subject, "missing", found.reason, SETUP_HINT)
    folder = Path(found.value)
    files = sorted(p for p in folder.glob("*") if p.suffix.lower() == ".upf") if folder.is_dir() else []
    if not files:
        return Finding(subject, "missing", f"no UPF file in {folder} ({found.reason})", SETUP_HINT)
    hashes = known_hashes(folder.name)
    damaged = [f"{path.name}: {why}" for path in files if (why := _damage(path, hashes))]
    checked = f"{sum(path.stem in hashes for path in files)} compared by SHA-256"
    measured = f"{len(files)} files in {folder} ({found.reason}), {checked}"
    if damaged:
        more = f" and {len(damaged) - _LONGEST_LIST} more" if len(damaged) > _LONGEST_LIST else ""
        advice = (
            f"replace these files; if they came from `mlip-auto setup qe`: rm -r {folder}; mlip-auto setup qe"
        )
        return Finding(subject, "broken", f"{'; '.join(damaged[:_LONGEST_LIST])}{more}. {measured}", advice)
    return Finding(subject, "ok", measured)


def _damage(path: Path, hashes: dict[str, str]) -> str | None:
    """Say what is wrong with a pseudopotential."""
    try:
        pseudo = Pseudopotential.read(path)
    except ConfigError:
        return "no UPF header of version 2"
    known = hashes.get(path.stem)
    if known is not None and known != pseudo.sha256:
        return f"SHA-256 {pseudo.sha256[:12]}…, must be {known[:12]}…"
    if b"</UPF>" not in path.read_bytes()[-64:]:
        return "does not end with </UPF>: cut off"
    return None


def probe_lammps_program(machine: Machine) -> Finding:
    """Have `lmp` evaluate a distorted cell, and compare energy and gamma with python-ace's.

    Parameters
    ----------
    machine
        Where to look.

    Returns
    -------
    Finding
        Its version.
    """
    subject = "LAMMPS program"
    found = which_lammps(settings=machine.settings)
    if found.value is None:
        return Finding(subject, "missing", f"{found.reason}: walks run in-process", LAMMPS_HINT)
    program = executable(found, "LAMMPS", LAMMPS_HINT)
    version = check_lammps(program, _folder(machine, "lammps-program"))
    return Finding(subject, "ok", f"{version} ({found.reason}); energy and gamma of 32 atoms as python-ace's")


def probe_eon(machine: Machine) -> Finding:
    """Have eOn relax four copper atoms.

    Parameters
    ----------
    machine
        Where to look.

    Returns
    -------
    Finding
        Versions and the force that is left.
    """
    found = which_eon(settings=machine.settings, folder=machine.home)
    if found.value is None:
        return Finding("eOn", "missing", found.reason, EON_HINT)
    program, folder = executable(found, "eOn", EON_HINT), _folder(machine, "eon")
    versions, left = try_eon(program, folder), relax_copper(program, folder)
    measured = f"{versions}, {found.reason}; 4 Cu atoms relaxed to {left:.1e} eV/Å"
    if left > _RELAXED:
        return Finding("eOn", "broken", measured, EON_HINT)
    return Finding("eOn", "ok", measured)


def probe_pacemaker(machine: Machine) -> Finding:
    """Fit six copper cells by pacemaker, with TensorFlow if it has it.

    Parameters
    ----------
    machine
        Where to look.

    Returns
    -------
    Finding
        Back end, error and wall time.
    """
    found = which_pacemaker(settings=machine.settings, folder=machine.home)
    if found.value is None:
        return Finding("pacemaker", "missing", found.reason, PACEMAKER_HINT)
    lacking = missing_for_tensorpot(executable(found, "pacemaker", PACEMAKER_HINT))
    start = time.perf_counter()
    fit = try_pacemaker(found.value, "pyace" if lacking else "tensorpot")
    took = time.perf_counter() - start
    measured = (
        f"{found.reason}; 5 iterations on 6 cells: {fit.training_errors.force_rmse:.2g} eV/Å, {took:.0f} s"
    )
    if lacking:
        return Finding(
            "pacemaker", "warning", f"{measured}; without {lacking}: tiny fits only", PACEMAKER_HINT
        )
    return Finding("pacemaker", "ok", f"{measured} by TensorFlow")


def probe_vasp(machine: Machine) -> Finding:
    """Look for VASP; it is not run, as its POTCAR files are the user's own.

    Parameters
    ----------
    machine
        Where to look.

    Returns
    -------
    Finding
        Its path.
    """
    if importlib.util.find_spec("atomate2") is None:
        return Finding("VASP", "missing", "the VASP oracle needs atomate2", VASP_HINT)
    command = machine.settings.vasp_command or vasp_command()
    program = Executable(command).argv()[0]
    path = shutil.which(program)
    if path is None:
        advice = f"set vasp_command (MLIP_AUTO_VASP_COMMAND); {VASP_HINT}"
        return Finding("VASP", "missing", f"{program!r} is not on PATH", advice)
    return Finding("VASP", "warning", f"{path} is there; not run", "label one structure: mlip-auto probe")


def _folder(machine: Machine, name: str) -> Path:
    folder = machine.scratch / name
    folder.mkdir()
    return folder
