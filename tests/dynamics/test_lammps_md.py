"""Walks with ACE in the real LAMMPS."""

from itertools import pairwise

import numpy as np
import pytest
from ase import Atoms, units
from ase.md.verlet import VelocityVerlet

from mlip_autopipec.ace import AceCalculator, load_error_model
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.errors import CalculationError, ConfigError, StructureError
from mlip_autopipec.schemas import AtomicStructure, ErrorLimit
from mlip_autopipec.testing import maker_unchanged
from mlip_autopipec.training import LinearAceFitMaker

CALM = StopRule(gamma=1e6, smallest_distance=0.0, temperature_ratio=1e3)


def total_energies(run, n_atoms):
    from mlip_autopipec.units import KELVIN_TO_EV

    kinetic = 1.5 * KELVIN_TO_EV * np.array(run.thermo.temperature) * (n_atoms - 1) / n_atoms
    return kinetic + np.array(run.thermo.potential_energy)


def test_nve_conserves_the_energy(walk, walker, crystal):
    maker = LammpsMDMaker(ensemble="nve", stop_rule=CALM, gamma_every=2)
    with maker_unchanged(maker):
        run = walk(maker, walker(300.0, 100))
    assert run.end_reason == "completed"
    assert not run.halted
    assert (run.start_step, run.end_step) == (0, 100)
    energies = total_energies(run, crystal.n_atoms)
    kinetic_range = np.ptp(run.thermo.potential_energy)
    assert np.ptp(energies) < 0.01 * kinetic_range
    assert run.thermo.temperature[0] == pytest.approx(600.0, rel=1e-6)
    assert run.engine.startswith("LAMMPS")


def test_nve_walks_where_ase_walks(walk, walker, copper, copper_ace):
    """Both begin in the state after 10 steps, with velocities from two positions a step apart."""
    maker = LammpsMDMaker(
        ensemble="nve", stop_rule=CALM, gamma_every=1, gamma_select=0.0, frame_spacing=1, max_frames=1000
    )
    run = walk(maker, walker(300.0, 40))
    frames = [f.structure.to_ase() for f in run.frames]
    assert len(frames) == 41
    step = units.fs
    before, now, after = frames[9], frames[10], frames[11]
    difference = after.positions - before.positions
    difference -= np.round(difference @ np.linalg.inv(now.cell.array)) @ now.cell.array
    now.calc = AceCalculator(copper_ace)
    now.set_masses(np.full(len(now), 63.546))
    now.set_velocities(difference / (2 * step))
    VelocityVerlet(now, timestep=step).run(20)
    off = now.positions - frames[30].positions
    off -= np.round(off @ np.linalg.inv(now.cell.array)) @ now.cell.array
    travelled = np.abs(now.positions - frames[10].positions).max()
    assert np.abs(off - off.mean(axis=0)).max() < 1e-3 * max(travelled, 0.1)


def test_potential_energy_and_pressure_are_those_of_the_potential(walk, walker, copper_ace):
    run = walk(
        LammpsMDMaker(
            ensemble="nve", stop_rule=CALM, gamma_every=1, gamma_select=0.0, frame_spacing=1, max_frames=50
        ),
        walker(n_steps=6),
    )
    for frame, energy, pressure, temperature in zip(
        run.frames, run.thermo.potential_energy, run.thermo.pressure, run.thermo.temperature, strict=True
    ):
        atoms = frame.structure.to_ase()
        found = copper_ace.evaluate(atoms)
        assert energy == pytest.approx(found.energies.mean(), abs=1e-8)
        n, volume = len(atoms), atoms.get_volume()
        kinetic = (n - 1) * units.kB * temperature / volume
        expected = (kinetic + np.trace(found.virial) / 3 / volume) / units.GPa
        assert pressure == pytest.approx(expected, rel=1e-4, abs=1e-4)
        assert frame.gamma == pytest.approx(found.gamma.max(), rel=1e-6)


@pytest.mark.parametrize("ensemble", ["nve", "nvt", "npt"])
def test_forty_steps_are_twenty_and_twenty(ensemble, walk, walker):
    maker = LammpsMDMaker(ensemble=ensemble, stop_rule=CALM)
    whole = walk(maker, walker(600.0, 40))
    first = walk(maker, walker(600.0, 20))
    second = walk(maker, walker(600.0, 40, steps_done=20), previous=first)
    assert (second.start_step, second.end_step) == (20, 40)
    one, other = whole.final.to_ase(), second.final.to_ase()
    assert other.cell.array == pytest.approx(one.cell.array, abs=1e-9)
    off = one.positions - other.positions
    off -= np.round(off @ np.linalg.inv(one.cell.array)) @ one.cell.array
    assert np.abs(off).max() < 1e-9
    assert second.thermo.potential_energy[-1] == pytest.approx(whole.thermo.potential_energy[-1], abs=1e-10)


@pytest.fixture(scope="session")
def other_copper(copper_batch, tmp_path_factory):
    """A refit: fewer functions, another answer."""
    return LinearAceFitMaker(n_functions=30).fit([copper_batch], tmp_path_factory.mktemp("other"))


def test_gamma_halts_the_walk_and_a_refit_goes_on_from_the_same_frame(walk, walker, other_copper, copper):
    maker = LammpsMDMaker(
        stop_rule=StopRule(gamma=1.5, temperature_ratio=50), gamma_every=2, gamma_select=1.2
    )
    run = walk(maker, walker(1500.0, 400))
    assert run.end_reason == "gamma"
    assert run.halted
    assert 0 < run.end_step < 400
    assert run.end_value == pytest.approx(run.gamma_max) == run.thermo.gamma[-1]
    assert run.gamma_max > 1.5
    assert all(g <= 1.5 for g in run.thermo.gamma[:-1])
    last = run.frames[-1]
    assert last.structure == run.final
    assert [frame.required for frame in run.frames] == [False] * (len(run.frames) - 1) + [True]
    assert last.gamma == pytest.approx(run.end_value)
    assert last.detail == f"MD at 1500 K, step {run.end_step}"
    assert all(frame.gamma > 1.2 for frame in run.frames)
    calm = LammpsMDMaker(stop_rule=CALM, gamma_every=1, gamma_select=0.0, frame_spacing=1, max_frames=100)
    again = walk(calm, walker(1500.0, run.end_step + 5), previous=run, potential=other_copper)
    assert (again.start_step, again.end_step) == (run.end_step, run.end_step + 5)
    one, other = last.structure.to_ase(), again.frames[0].structure.to_ase()
    assert other.cell.array == pytest.approx(one.cell.array, abs=1e-9)
    assert other.get_all_distances(mic=True) == pytest.approx(one.get_all_distances(mic=True), abs=1e-9)
    assert again.gamma_start == pytest.approx(again.frames[0].gamma)
    assert again.thermo.temperature[0] == pytest.approx(run.thermo.temperature[-1], rel=1e-6)
    assert run.replayed == []
    assert [(f.detail, f.gamma_before) for f in again.replayed] == [(f.detail, f.gamma) for f in run.frames]
    assert again.replayed[-1].gamma_after == pytest.approx(again.gamma_start)
    assert run.certain is None
    assert again.certain.structure == again.final
    assert (again.certain.audit, again.certain.gamma) == (True, again.thermo.gamma[-1])


def test_halts_are_lifted_where_the_forces_are_good_enough(
    walk, walker, copper, crystal, tmp_path, monkeypatch
):
    maker = LammpsMDMaker(stop_rule=StopRule(gamma=2.5, temperature_ratio=50), gamma_every=2)
    monkeypatch.chdir(tmp_path)
    hot = walker(2500.0, 400)
    alone = maker.make.original(maker, copper, hot, crystal)
    assert (alone.end_reason, alone.lifted, alone.force_error) == ("gamma", [], None)

    strict = maker.make.original(maker, copper, hot, crystal, limit=ErrorLimit(scale=2, tolerated_error=1e-9))
    assert (strict.end_step, strict.lifted) == (alone.end_step, [])
    errors = load_error_model(copper, tmp_path)
    scale = max(2.0, errors.posterior.scale)
    estimate = scale * errors.force_deviations(strict.final.to_ase()).max()
    assert strict.force_error == pytest.approx(estimate)

    tolerated = 1.5 * estimate
    run = maker.make.original(
        maker, copper, hot, crystal, limit=ErrorLimit(scale=2, tolerated_error=tolerated)
    )
    assert run.lifted[0].step == alone.end_step
    assert run.lifted[0].force_error == pytest.approx(estimate)
    assert all(halt.force_error <= tolerated for halt in run.lifted)
    assert run.start_step == 0 < alone.end_step < run.end_step
    assert run.thermo.step == list(range(0, run.end_step + 1, 2))
    assert run.thermo.gamma[: len(alone.thermo.gamma)] == pytest.approx(alone.thermo.gamma)
    assert run.gamma_max == max(run.thermo.gamma)
    assert [f.required for f in run.frames if f.detail.endswith(f"step {alone.end_step}")] in ([], [False])
    assert maker.stop_rule.gamma == 2.5


def test_only_the_largest_grades_are_kept(walk, walker):
    settings = {
        "ensemble": "nve",
        "stop_rule": CALM,
        "gamma_every": 1,
        "gamma_select": 0.0,
        "frame_spacing": 1,
    }
    every = walk(LammpsMDMaker(**settings, max_frames=1000), walker(900.0, 20)).frames
    few = walk(LammpsMDMaker(**settings, max_frames=5), walker(900.0, 20)).frames
    best = sorted(every, key=lambda f: -f.gamma)[:5]
    assert [f.detail for f in few] == [f.detail for f in every if f in best]


def test_frames_are_kept_apart_in_time(walk, walker):
    maker = LammpsMDMaker(
        ensemble="nve", stop_rule=CALM, gamma_every=1, gamma_select=0.0, frame_spacing=7, max_frames=1000
    )
    steps = [int(frame.detail.split()[-1]) for frame in walk(maker, walker(900.0, 40)).frames]
    assert len(steps) >= 3
    assert min(b - a for a, b in pairwise(steps)) >= 7


def test_too_hot_is_an_end(walk, walker):
    rule = StopRule(gamma=1e6, smallest_distance=0.0, temperature_ratio=1.05)
    run = walk(LammpsMDMaker(ensemble="nve", stop_rule=rule), walker(300.0, 50))
    assert run.end_reason == "temperature"
    assert run.end_value > 1.05
    assert run.restart is None
    assert run.halted


def test_too_close_is_an_end(walk, walker, crystal):
    atoms = crystal.to_ase()
    i, j = 0, int(np.argsort(atoms.get_distances(0, range(len(atoms)), mic=True))[1])
    vector = atoms.get_distance(i, j, mic=True, vector=True)
    atoms.positions[j] -= vector * (1 - 1.2 / np.linalg.norm(vector))
    rule = StopRule(gamma=1e6, smallest_distance=0.85, temperature_ratio=1e6)
    run = walk(
        LammpsMDMaker(ensemble="nve", stop_rule=rule, timestep=0.1, gamma_every=1),
        walker(300.0, 20),
        structure=AtomicStructure.from_ase(atoms),
    )
    assert run.end_reason == "smallest_distance"
    assert run.end_value < 0.85
    assert run.restart is None
    assert not any(frame.required for frame in run.frames)


def test_atoms_that_leave_a_box_that_is_not_periodic_are_lost(walk, walker, crystal):
    atoms = crystal.to_ase()
    atoms.pbc = False
    atoms.center(vacuum=0.3)
    maker = LammpsMDMaker(ensemble="nve", stop_rule=CALM, timestep=2.0)
    run = walk(maker, walker(3000.0, 400), structure=AtomicStructure.from_ase(atoms))
    assert run.end_reason == "lost_atoms"
    assert run.restart is None
    assert run.halted


def test_no_frame_of_a_walk_that_lost_atoms_lacks_any(walk, walker, crystal):
    maker = LammpsMDMaker(
        ensemble="nve", stop_rule=CALM, timestep=40.0, gamma_select=0.0, frame_spacing=1, gamma_every=1
    )
    run = walk(maker, walker(3000.0, 200))
    assert run.end_reason == "lost_atoms"
    assert {frame.structure.n_atoms for frame in run.frames} == {crystal.n_atoms}
    assert run.final.n_atoms == crystal.n_atoms


def test_a_barostat_on_a_cluster_is_refused(walk, walker, crystal):
    structure = crystal.model_copy(update={"pbc": (False, False, False)})
    with pytest.raises(ConfigError, match="npt needs a structure periodic in three dimensions"):
        walk(LammpsMDMaker(stop_rule=CALM), walker(), structure=structure)


def test_an_explosion_is_an_end_and_not_a_crash(walk, walker):
    maker = LammpsMDMaker(ensemble="nve", stop_rule=CALM, timestep=150.0, gamma_every=1000)
    run = walk(maker, walker(3000.0, 200))
    assert run.end_reason in ("not_finite", "lost_atoms")
    assert run.restart is None


def test_atoms_in_one_place_from_the_start_are_an_error(walk, walker, crystal):
    atoms = crystal.to_ase()
    atoms.positions[1] = atoms.positions[0] + [0, 0, 1e-5]
    with pytest.raises(CalculationError, match="the potential cannot be evaluated"):
        walk(LammpsMDMaker(stop_rule=CALM), walker(), structure=AtomicStructure.from_ase(atoms))


def test_an_element_that_the_potential_does_not_know_is_an_error(walk, walker):
    atoms = Atoms("AuCu", positions=[[0, 0, 0], [0, 0, 2.6]], cell=[8, 8, 8], pbc=True)
    with pytest.raises(StructureError, match="Au"):
        walk(LammpsMDMaker(stop_rule=CALM), walker(), structure=AtomicStructure.from_ase(atoms))


def test_a_cluster_and_a_slab_walk(walk, walker, crystal):
    for pbc in ((False, False, False), (True, True, False)):
        atoms = crystal.to_ase()
        atoms.pbc = pbc
        atoms.center(vacuum=8.0, axis=[i for i in range(3) if not pbc[i]])
        run = walk(
            LammpsMDMaker(ensemble="nvt", stop_rule=CALM),
            walker(200.0, 10),
            structure=AtomicStructure.from_ase(atoms),
        )
        assert run.end_reason == "completed"
        assert run.final.pbc == pbc


@pytest.mark.parametrize("rows", [[1, 0, 2], [1, 2, 0]], ids=["left-handed", "turned"])
def test_a_cell_in_any_frame_walks_with_its_own_energy(rows, walk, walker, crystal, copper_ace):
    atoms = crystal.to_ase()
    shear = np.array([[1, 0.02, 0], [0.3, 1, 0], [0.1, -0.2, 1]])
    atoms.set_cell((atoms.cell.array @ shear)[rows], scale_atoms=False)
    atoms.set_positions(crystal.to_ase().get_scaled_positions() @ (crystal.to_ase().cell.array @ shear))
    maker = LammpsMDMaker(ensemble="nve", stop_rule=CALM)
    run = walk(maker, walker(200.0, 10), structure=AtomicStructure.from_ase(atoms))
    expected = copper_ace.evaluate(atoms).energies.mean()
    assert run.thermo.potential_energy[0] == pytest.approx(expected, abs=1e-6)


def test_the_same_walker_walks_the_same_way_and_another_seed_another(walk, walker):
    maker = LammpsMDMaker(stop_rule=CALM)
    one, other = walk(maker, walker()), walk(maker, walker())
    assert one.final == other.final
    assert one.frames == other.frames
    third = walk(maker, walker().model_copy(update={"seed": 12}))
    assert third.final != one.final
