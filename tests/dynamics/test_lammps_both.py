"""The input of the program, run by the real LAMMPS with python-ace in the place of ML-PACE."""

import shlex
import sys
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from mlip_autopipec.ace import choose_baseline, lammps_lines
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.schemas import AtomicStructure, BaselineDoc, Walker

COMMAND = shlex.join([sys.executable, str(Path(__file__).with_name("wheel_lmp.py"))])
CALM = StopRule(gamma=1e6, smallest_distance=0.0, temperature_ratio=1e3)


@pytest.fixture
def both(walk):
    """Walk by either back end."""

    def go(maker, walker, previous=(None, None), **where):
        program = replace(maker, backend="program", command=COMMAND)
        library = replace(maker, backend="library")
        return (
            walk(program, walker, previous[0], **where),
            walk(library, walker, previous[1], **where),
        )

    return go


def walker(temperature=300.0, n_steps=40):
    return Walker(index=0, round=0, start=0, temperature=temperature, n_steps=n_steps, seed=11)


def same(program, library, digits=1e-9):
    assert program.thermo.step == library.thermo.step
    for name in ("temperature", "potential_energy", "pressure", "volume", "gamma"):
        one, other = (getattr(run.thermo, name) for run in (program, library))
        assert one == pytest.approx(other, rel=digits, abs=digits), name
    names = ("walker", "timestep", "start_step", "end_step", "end_reason", "gamma_limit")
    for name in (*names, "n_swaps_tried", "n_swaps"):
        assert getattr(program, name) == getattr(library, name), name
    assert [f.detail for f in program.frames] == [f.detail for f in library.frames]
    assert [f.required for f in program.frames] == [f.required for f in library.frames]
    assert (program.restart is None) == (library.restart is None)


CASES = {
    "nve": {"ensemble": "nve"},
    "npt": {"pressure_end": 2.0, "temperature_end": 600.0},
    "tri": {"coupling": "tri"},
    "deformed": {"ensemble": "nvt", "strain_rate": (0.5, 0.0, -0.2)},
}


@pytest.mark.parametrize("settings", CASES.values(), ids=CASES)
def test_both_back_ends_walk_the_same_way(settings, both):
    maker = LammpsMDMaker(stop_rule=CALM, gamma_select=0.5, frame_spacing=1, **settings)
    program, library = both(maker, walker())
    same(program, library)
    assert program.end_reason == "completed"
    assert program.final.cell[0] == pytest.approx(library.final.cell[0], rel=1e-2)
    assert len(program.frames) > 3


def test_both_are_halted_by_gamma_at_one_frame_and_go_on_from_it(both):
    rule = StopRule(gamma=1.5, temperature_ratio=50)
    maker = LammpsMDMaker(stop_rule=rule, gamma_every=2, gamma_select=1.2)
    halted = both(maker, walker(1500.0, 400))
    same(*halted, digits=1e-6)
    program, library = halted
    assert program.end_reason == "gamma"
    assert program.end_value == pytest.approx(library.end_value, rel=1e-6)
    assert program.frames[-1].required
    distances = [run.frames[-1].structure.to_ase().get_all_distances(mic=True) for run in halted]
    assert distances[0] == pytest.approx(distances[1], abs=1e-5)
    calm = replace(maker, stop_rule=CALM)
    resumed = both(calm, walker(1500.0, program.end_step + 10), halted)
    same(*resumed, digits=1e-5)
    assert resumed[0].start_step == program.end_step
    assert resumed[0].thermo.temperature[0] == pytest.approx(program.thermo.temperature[-1], rel=1e-9)


@pytest.mark.parametrize(
    ("rule", "reason"),
    [
        (replace(CALM, temperature_ratio=1.1), "temperature"),
        (replace(CALM, largest_pressure=1.0), "pressure"),
        (replace(CALM, energy_change=0.01), "energy"),
    ],
)
def test_both_are_ended_by_the_same_limit_at_the_same_step(rule, reason, both):
    maker = LammpsMDMaker(stop_rule=rule, gamma_every=2, ensemble="nvt")
    program, library = both(maker, walker(300.0, 100))
    same(program, library)
    assert program.end_value == pytest.approx(library.end_value, rel=1e-6)
    assert program.end_reason == reason


def test_atoms_that_come_too_near_end_both(both, crystal):
    atoms = crystal.to_ase()
    vector = atoms.get_distance(0, 1, mic=True, vector=True)
    atoms.positions[1] -= vector * (1 - 1.2 / np.linalg.norm(vector))
    rule = replace(CALM, smallest_distance=0.85)
    maker = LammpsMDMaker(ensemble="nve", stop_rule=rule, timestep=0.1, gamma_every=1)
    program, library = both(maker, walker(), structure=AtomicStructure.from_ase(atoms))
    same(program, library)
    assert program.end_reason == "smallest_distance"
    assert program.end_value == pytest.approx(library.end_value, rel=1e-9)
    assert program.end_value < 0.85


@pytest.mark.parametrize("kind", ["zbl", "lj"])
def test_a_baseline_is_lammps_own_in_the_one_and_pythons_in_the_other(kind, both, copper):
    baseline = choose_baseline(kind, ["Cu"], {"Cu-Cu": 2.3}, 1.3)
    doc = BaselineDoc(**asdict(baseline), lammps=lammps_lines(baseline, ["Cu"]))
    potential = copper.model_copy(update={"baseline": doc})
    maker = LammpsMDMaker(ensemble="nve", stop_rule=CALM)
    program, library = both(maker, walker(900.0, 20), potential=potential)
    same(program, library)


def test_an_explosion_ends_both(both):
    rule = replace(CALM, temperature_ratio=1e12, gamma=1e30)
    maker = LammpsMDMaker(ensemble="nve", stop_rule=rule, timestep=40.0, gamma_every=1)
    for run in both(maker, walker(3000.0, 200)):
        assert run.end_reason in ("lost_atoms", "not_finite", "smallest_distance")
        assert run.restart is None
