"""Examples that go with a potential: run before they are handed out, and they say what was run of them."""

import sys
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write as write_structure
from ase.io.lammpsdata import write_lammps_data

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.dynamics.lammps_library import ForceResult, LammpsLibrary
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.process import Executable, tail
from mlip_autopipec.schemas import PotentialDoc
from mlip_autopipec.schemas.files import write_atomic

_INCLUDE = "include potential.lammps"
_STEPS = 10
_SAME = 1.0e-6  # eV/atom
_TIMEOUT = 300.0
_MARK = "energy [eV]:"

_ASE = '''"""Energy, forces and extrapolation grades by ASE.

{note}
Needs mlip_autopipec and python-ace (non-commercial use only).
"""

import json
from pathlib import Path

from ase.io import read

from mlip_autopipec.ace import AceCalculator, AcePotential
{imports}
here = Path(__file__).parent
card = json.loads((here / "potential.json").read_text())
potential = AcePotential(here / "potential.yaml", here / "potential.asi"{baseline})

atoms = read(here / "example.extxyz")
atoms.calc = AceCalculator(potential, card["e0"])  # with E0: total energies as the oracle has them
print("energy [eV]:", atoms.get_potential_energy())
print("largest force [eV/Å]:", abs(atoms.get_forces()).max())
print("largest gamma (1 is the edge of what was learned):", atoms.calc.results["gamma"].max())
'''
_BASELINE_IMPORTS = """from mlip_autopipec.ace import PairBaseline
from mlip_autopipec.schemas import BaselineDoc
"""
_LAMMPS = f"""units metal
atom_style atomic
atom_modify map array
boundary p p p
box tilt large
read_data example.data
{_INCLUDE}
velocity all create 300.0 12345
fix nve all nve
timestep 0.001
thermo 5
run {_STEPS}
"""


def write_examples(
    potential: PotentialDoc, ace: AcePotential, crystal: Atoms, folder: Path
) -> dict[str, str]:
    """Write the examples beside the potential's files, and run them.

    Parameters
    ----------
    potential
        The potential.
    ace
        The same, loaded.
    crystal
        What they are about.
    folder
        Where the potential's files are.

    Returns
    -------
    dict
        What was run of each, by file name.

    Raises
    ------
    CalculationError
        An example fails or gives another energy than the potential.
    """
    atoms = crystal.copy()
    atoms.rattle(0.02, seed=1)
    write_structure(folder / "example.extxyz", atoms)
    with (folder / "example.data").open("w") as stream:
        write_lammps_data(stream, atoms, specorder=potential.elements, masses=True)
    return {
        "example_ase.py": _ase(potential, ace, atoms, folder),
        "example.lammps": _lammps(potential, ace, folder),
    }


def _ase(potential: PotentialDoc, ace: AcePotential, atoms: Atoms, folder: Path) -> str:
    baseline = potential.baseline is not None
    code = _ASE.format(
        note="Run when it was released: the energy below is that of the potential to 1e-6 eV/atom.",
        imports=_BASELINE_IMPORTS if baseline else "",
        baseline=', PairBaseline.from_record(BaselineDoc(**card["baseline"]))' if baseline else "",
    )
    path = folder / "example_ase.py"
    write_atomic(path, code)
    expected = float(ace.evaluate(atoms, gamma=False).energies.sum())
    expected += sum(potential.e0[symbol] for symbol in atoms.get_chemical_symbols())
    result = Executable(sys.executable).run(path.name, directory=folder, timeout=_TIMEOUT)
    lines = [line for line in result.stdout.splitlines() if line.startswith(_MARK)]
    if not lines:
        raise CalculationError(f"{path.name} failed: {tail(result.stderr)}", directory=folder)
    _agree(path.name, float(lines[0].removeprefix(_MARK)), expected, len(atoms), folder)
    return "run as it is by Python with ASE"


def _lammps(potential: PotentialDoc, ace: AcePotential, folder: Path) -> str:
    """Run all lines but the potential's own: the LAMMPS that comes with Python has no ML-PACE."""

    def force(_: int, atoms: Atoms) -> ForceResult:
        found = ace.evaluate(atoms, gamma=False)
        return ForceResult(float(found.energies.sum()), found.forces, found.virial, (0.0,))

    with LammpsLibrary(folder, potential.elements, force, n_signals=1) as engine:
        for line in _LAMMPS.splitlines():
            if line == _INCLUDE:
                engine.attach(potential.cutoff)
            else:
                engine.commands(line.replace("example.data", f'"{folder / "example.data"}"'))
        engine.commands("variable energy equal pe", "run 0")
        energy, end = engine.variable("energy"), engine.structure()
        version = engine.version
    (folder / "log.lammps").unlink(missing_ok=True)
    _agree("example.lammps", energy, float(ace.evaluate(end, gamma=False).energies.sum()), len(end), folder)
    head = f"""# Short MD with the potential. LAMMPS needs the package ML-PACE.
# When it was released this input was run by {version} in-process, with python-ace in the place of the
# line '{_INCLUDE}': that LAMMPS has no ML-PACE, so the pair_style lines themselves were NOT run.
"""
    write_atomic(folder / "example.lammps", head + _LAMMPS)
    return f"run by {version} with python-ace in the place of '{_INCLUDE}', whose lines were not run"


def _agree(name: str, found: float, expected: float, n_atoms: int, folder: Path) -> None:
    off = abs(found - expected) / n_atoms
    if not np.isfinite(off) or off > _SAME:
        raise CalculationError(
            f"{name} gives {found:.6f} eV, the potential {expected:.6f} eV.", directory=folder
        )
