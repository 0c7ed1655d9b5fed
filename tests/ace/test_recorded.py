"""Potentials and results recorded with python-ace 0.3.0: every kind of basis, core, embedding and cell."""

from itertools import combinations_with_replacement

import numpy as np
import pytest
from ase import Atoms

from mlip_autopipec.ace import AceCalculator, AcePotential, functions

VOIGT = [0, 4, 8, 5, 2, 1]
NAMES = [f"p{number}" for number in range(1, 9)]


def to_atoms(frame):
    return Atoms(frame["symbols"], positions=frame["positions"], cell=frame["cell"], pbc=frame["pbc"])


@pytest.fixture(params=NAMES)
def case(request, pace_data, recorded):
    folder, name = pace_data, request.param
    return AcePotential(folder / f"{name}.yaml", folder / f"{name}.asi"), recorded(name)


def test_energies_forces_stress_and_gamma_are_the_recorded_ones(case):
    potential, record = case
    for frame in record["frames"]:
        atoms = to_atoms(frame)
        found = potential.evaluate(atoms)
        expected = np.array(frame["forces"])
        size = max(1.0, np.abs(expected).max())
        assert found.energies == pytest.approx(np.array(frame["energies"]), abs=1e-9 * size), frame["name"]
        assert found.forces == pytest.approx(expected, abs=1e-7 * size), frame["name"]
        tolerance = 1e-9 * np.array(frame["gamma_scale"]) + 1e-12
        assert (np.abs(found.gamma - frame["gamma"]) <= tolerance).all(), frame["name"]
        if frame["stress"] is not None:
            stress = -found.virial.flat[VOIGT] / atoms.get_volume()
            assert stress == pytest.approx(np.array(frame["stress"]), abs=1e-8 * size), frame["name"]


def test_frames_of_every_periodicity_were_recorded(recorded):
    kinds = {tuple(frame["pbc"]) for name in NAMES for frame in recorded(name)["frames"]}
    assert {(True,) * 3, (False,) * 3, (True, True, False), (False, False, True)} <= kinds


def test_a_left_handed_cell_gives_the_same(case):
    potential, record = case
    for frame in record["frames"]:
        atoms = to_atoms(frame)
        if not atoms.pbc.all():
            continue
        mirrored = atoms.copy()
        mirrored.set_cell(atoms.cell.array[[1, 0, 2]])
        assert mirrored.cell.handedness == -atoms.cell.handedness
        one, other = potential.evaluate(atoms), potential.evaluate(mirrored)
        size = max(1.0, np.abs(one.forces).max())
        assert other.energies == pytest.approx(one.energies, abs=1e-9 * size)
        assert other.forces == pytest.approx(one.forces, abs=1e-9 * size)
        assert other.virial == pytest.approx(one.virial, abs=1e-8 * size)


def test_periodicity_that_reaches_nothing_changes_nothing(pace_data):
    potential = AcePotential(pace_data / "p1.yaml", pace_data / "p1.asi")
    free = Atoms("Cu4", positions=[[0, 0, 0], [2.5, 0, 0], [0, 2.4, 0.2], [0.1, 0.3, 2.6]])
    expected = potential.evaluate(free)
    for pbc in np.ndindex(2, 2, 2):
        boxed = free.copy()
        boxed.set_cell([30.0, 31.0, 32.0])
        boxed.pbc = pbc
        found = potential.evaluate(boxed)
        assert found.energies == pytest.approx(expected.energies, abs=1e-12)
        assert found.gamma == pytest.approx(expected.gamma, rel=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_dimers_of_every_pair_and_a_close_pair_were_recorded(name, recorded):
    record = recorded(name)
    frames = {frame["name"] for frame in record["frames"]}
    assert "17_close_pair_in_crystal" in frames
    for a, b in combinations_with_replacement(record["elements"], 2):
        assert sum(frame.startswith(f"dimer_{a}{b}_") for frame in frames) >= 6


@pytest.mark.parametrize("name", NAMES)
def test_the_yace_file_says_the_same(name, pace_data, recorded):
    potential = AcePotential(pace_data / f"{name}.yace")
    for frame in recorded(name)["frames"]:
        found = potential.evaluate(to_atoms(frame))
        size = max(1.0, np.abs(frame["forces"]).max())
        assert found.energies.sum() == pytest.approx(
            frame["yace_energy"], abs=1e-9 * size * len(found.energies)
        )
        assert found.forces == pytest.approx(np.array(frame["forces"]), abs=1e-7 * size), frame["name"]
        assert found.gamma is None


def test_functions_are_in_the_recorded_order(case):
    potential, record = case
    names = potential.elements
    expected = [
        (element, f["neigh"], f["ns"], f["ls"])
        for element, order in sorted(record["function_order"].items())
        for f in order
    ]
    found = [
        (names[f.mu0], [names[mu] for mu in f.mus], list(f.ns), list(f.ls))
        for f in functions(potential.basis)
    ]
    assert found == expected


def test_the_calculator_adds_e0_and_gives_what_the_evaluation_gives(pace_data, recorded):
    potential = AcePotential(pace_data / "p8.yaml", pace_data / "p8.asi")
    frame = next(f for f in recorded("p8")["frames"] if f["name"] == "05_sheared_rattled")
    atoms = to_atoms(frame)
    atoms.calc = AceCalculator(potential, {"Cu": -1.5, "Zr": 4.0})
    e0 = sum({"Cu": -1.5, "Zr": 4.0}[s] for s in frame["symbols"])
    assert atoms.get_potential_energy() == pytest.approx(frame["energy"] + e0, abs=1e-8)
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()
    assert atoms.get_potential_energies().sum() == pytest.approx(atoms.get_potential_energy(), rel=1e-12)
    assert atoms.get_stress() == pytest.approx(np.array(frame["stress"]), abs=1e-8)
    assert atoms.calc.results["gamma"] == pytest.approx(np.array(frame["gamma"]), rel=1e-5)


def test_a_molecule_has_no_stress(pace_data):
    calculator = AceCalculator(AcePotential(pace_data / "p1.yaml"))
    atoms = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 2.4]], calculator=calculator)
    atoms.get_forces()
    assert not {"stress", "gamma"} & set(atoms.calc.results)
