"""Small cases for packages with compiled parts; run as a program, as these can take a process down.

``python -m mlip_autopipec.cli.doctor.trial NAME`` ends with one line of JSON: state and what was measured.
"""

import json
import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io.lammpsdata import write_lammps_data

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.dynamics import lammps_input as lines
from mlip_autopipec.dynamics.lammps_library import ForceResult, LammpsLibrary
from mlip_autopipec.dynamics.lammps_programs import distorted_cell, probe_potential
from mlip_autopipec.errors import MLIPError

_STEP = 1.0e-4  # Å
_N_STEPS = 20
_TIMESTEP = 2.0e-5  # ps; the trial's potential means nothing and is stiff
_MOST = {"python-ace": 1.0e-5, "lammps": 1.0e-4}  # eV/Å and eV/atom


def try_python_ace(directory: Path) -> tuple[bool, str]:
    """Compare forces with differences of energies, and look at the grade of a distorted cell.

    Parameters
    ----------
    directory
        Where to write a potential.

    Returns
    -------
    passed
        Whether it can be used.
    measured
        The numbers.
    """
    ace = _potential(directory)
    atoms = distorted_cell()
    found = ace.evaluate(atoms)
    sides = []
    for sign in (1.0, -1.0):
        moved = atoms.copy()
        moved.positions[0, 0] += sign * _STEP
        sides.append(float(ace.evaluate(moved, gamma=False).energies.sum()))
    error = abs(float(found.forces[0, 0]) + (sides[0] - sides[1]) / (2.0 * _STEP))
    gamma = 0.0 if found.gamma is None else float(np.max(found.gamma))
    measured = f"32 atoms: a force is {error:.1e} eV/Å off the slope of the energy, largest gamma {gamma:.3g}"
    return error < _MOST["python-ace"] and gamma > 0.0, measured


def try_lammps(directory: Path) -> tuple[bool, str]:
    """Run constant-energy dynamics with forces of python-ace.

    Parameters
    ----------
    directory
        Where to work.

    Returns
    -------
    passed
        Whether the energy stays.
    measured
        The numbers.
    """
    ace = _potential(directory)
    atoms = distorted_cell()
    data = directory / "data.lammps"
    write_lammps_data(data, atoms, specorder=["Cu"], masses=True)

    def force(_: int, now: Atoms) -> ForceResult:
        result = ace.evaluate(now, gamma=False)
        return ForceResult(float(result.energies.sum()), result.forces, result.virial, (0.0,))

    with LammpsLibrary(directory, ["Cu"], force, n_signals=1) as engine:
        engine.commands(*lines.HEAD, "boundary p p p", f'read_data "{data}"')
        engine.attach(float(ace.basis.cutoffmax))
        engine.commands(f"timestep {_TIMESTEP}", "fix move all nve", "variable total equal etotal")
        engine.run(0)
        before = engine.variable("total")
        engine.run(_N_STEPS)
        drift = abs(engine.variable("total") - before) / len(atoms)
        version = engine.version
    measured = f"{version}, {_N_STEPS} steps of 32 atoms: the energy drifts by {drift:.1e} eV/atom"
    return drift < _MOST["lammps"], measured


def _potential(directory: Path) -> AcePotential:
    files = probe_potential(directory)
    return AcePotential(files.yaml, files.asi)


def main(name: str) -> None:
    """Run a trial in the working folder and print its verdict.

    Parameters
    ----------
    name
        ``"python-ace"`` or ``"lammps"``.
    """
    trial = {"python-ace": try_python_ace, "lammps": try_lammps}[name]
    try:
        passed, measured = trial(Path.cwd())
        verdict = {"passed": passed, "measured": measured, "hint": ""}
    except MLIPError as error:
        verdict = {"passed": False, "measured": str(error.args[0]), "hint": error.hint or ""}
    print(json.dumps(verdict))  # noqa: T201 - the parent reads it


if __name__ == "__main__":
    main(sys.argv[1])
