"""One recorded trajectory for all: the verdict, and the `fix halt` of the real LAMMPS."""

from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data

from mlip_autopipec.dynamics import Signs, StopRule
from mlip_autopipec.dynamics import lammps_input as lines
from mlip_autopipec.dynamics.lammps_conditions import MDConditions
from mlip_autopipec.dynamics.lammps_library import ForceResult, LammpsLibrary
from mlip_autopipec.dynamics.lammps_log import read_halt, read_thermo
from mlip_autopipec.schemas import Walker
from mlip_autopipec.testing import SignsAt, WatchdogContract
from mlip_autopipec.units import BAR_TO_GPA, EV_PER_A3_TO_GPA

DATA = Path(__file__).parents[1] / "data" / "lammps"
EVERY, BATH, MASS, STEP = 10, 300.0, 63.546, 0.001
CALM = {"gamma": 1e6, "temperature_ratio": 1e6, "smallest_distance": 0.0}
BOLTZMANN, TO_EV = 8.617343e-5, 1.0364269e-4  # LAMMPS' own in metal units


@pytest.fixture(scope="module")
def looks():
    """The heating run of Cu that ML-PACE halted at step 380, gamma 11.75; distances were not recorded."""
    table = read_thermo((DATA / "out.20_heat_soft").read_text(), ["Step", "Temp", "PotEng", "Press"])
    rows = zip(
        *(table[name] for name in ("Step", "Temp", "PotEng", "Press", "c_max_pace_gamma")), strict=True
    )
    first = table["PotEng"][0]
    return [
        SignsAt(
            int(step),
            Signs(
                gamma=gamma,
                distance_ratio=1.2001 - 0.001 * step,
                temperature_ratio=temperature / BATH,
                pressure=pressure * BAR_TO_GPA,
                energy_change=(energy - first) / 500,
            ),
        )
        for step, temperature, energy, pressure, gamma in rows
    ]


class ScriptedForces:
    """Forces that make LAMMPS go through given signs: its thermometer and manometer are its own.

    In velocity Verlet the velocity at the end of step n is that in its middle plus dt F / 2m, so the force
    that brings each atom to a wanted velocity is known when F is asked for; the virial then gives what the
    kinetic pressure leaves.
    """

    def __init__(self, looks, n_atoms):
        self.looks, self.n_atoms = looks, n_atoms
        self.engine = None
        shape = np.random.default_rng(1).normal(size=(n_atoms, 3))
        shape -= shape.mean(axis=0)
        kinetic = 0.5 * MASS * TO_EV * (shape**2).sum()
        self.unit = shape / np.sqrt(kinetic / (1.5 * (n_atoms - 1) * BOLTZMANN))  # 1 K

    def velocities(self, step):
        look = self.looks[min(step // EVERY, len(self.looks) - 1)]
        return self.unit * np.sqrt(look.signs.temperature_ratio * BATH)

    def __call__(self, step, atoms):
        signs = self.looks[min(step // EVERY, len(self.looks) - 1)].signs
        lmp = self.engine._lmp
        order = np.argsort(lmp.numpy.extract_atom("id")[: self.n_atoms])
        middle = lmp.numpy.extract_atom("v")[: self.n_atoms][order]
        forces = (self.velocities(step) - middle) * 2.0 * MASS * TO_EV / STEP if step else 0.0 * middle
        kinetic = (self.n_atoms - 1) * BOLTZMANN * signs.temperature_ratio * BATH
        trace = 3.0 * (signs.pressure / EV_PER_A3_TO_GPA * atoms.get_volume() - kinetic)
        return ForceResult(
            energy=-100.0 + signs.energy_change * self.n_atoms,
            forces=forces,
            virial=np.eye(3) * trace / 3.0,
            signals=(signs.gamma, signs.distance_ratio),
        )


@pytest.fixture
def lammps_stop(tmp_path):
    """Where LAMMPS stops, by the same lines that walks have."""

    def stop(rule, looks):
        atoms = bulk("Cu", cubic=True).repeat(2)
        script = ScriptedForces(looks, len(atoms))
        n_steps = looks[-1].step
        walk = Walker(index=0, round=0, start=0, temperature=BATH, n_steps=n_steps, seed=1)
        conditions = MDConditions(ensemble="nvt", gamma_every=EVERY)
        write_lammps_data(tmp_path / "data", atoms, specorder=["Cu"], masses=True)
        with LammpsLibrary(tmp_path, ["Cu"], script, 2) as engine:
            script.engine = engine
            engine.commands(*lines.HEAD, f"read_data {tmp_path / 'data'}")
            engine.commands(f"mass 1 {MASS}")
            for index, (x, y, z) in enumerate(script.velocities(0), start=1):
                engine.commands(f"set atom {index} vx {x:.17g} vy {y:.17g} vz {z:.17g}")
            engine.attach(5.0)
            engine.commands(
                f"timestep {STEP}",
                "fix integrate all nve",
                "variable max_pace_gamma equal f_ext[1]",
                "variable distance equal f_ext[2]",
                *lines.sign_lines(rule, conditions, walk),
                *lines.halt_lines(rule, EVERY),
                *lines.log_lines(EVERY, ["v_distance", "v_max_pace_gamma"]),
                lines.run_line(walk),
            )
            step = engine.step
        log = (tmp_path / "log.lammps").read_text()
        table = read_thermo(log, ["Step", "Temp", "Press"])
        for index, found in enumerate(table["Step"]):  # the script does what it is meant to do
            signs = looks[index].signs
            assert found == looks[index].step
            assert table["Temp"][index] == pytest.approx(signs.temperature_ratio * BATH, rel=1e-5)
            assert table["Press"][index] * BAR_TO_GPA == pytest.approx(signs.pressure, rel=1e-5, abs=1e-4)
        halt = read_halt(log)
        return step, halt.reason if halt else None

    return stop


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, (380, None)),
        ({"gamma": 10.0}, (380, "gamma")),  # what ML-PACE's run was halted by
        ({"gamma": 4.0}, (250, "gamma")),
        ({"temperature_ratio": 3.0}, (340, "temperature")),
        ({"temperature_ratio": 3.0, "gamma": 4.0}, (250, "gamma")),
        ({"largest_pressure": 3.4}, (40, "pressure")),  # tension
        ({"largest_pressure": 2.9}, (20, "pressure")),  # compression
        ({"energy_change": 0.1}, (300, "energy")),
        ({"smallest_distance": 0.85}, (360, "smallest_distance")),
        ({"smallest_distance": 0.85, "temperature_ratio": 3.3}, (360, "smallest_distance")),  # both at 360
        ({"gamma": 11.75, "largest_pressure": 1e3, "energy_change": 9.0}, (380, "gamma")),
    ],
)
def test_verdict_and_lammps_stop_at_the_same_step_for_the_same_reason(limits, expected, looks, lammps_stop):
    assert WatchdogContract(lammps_stop).check(StopRule(**(CALM | limits)), looks) == expected


def test_an_engine_that_stops_elsewhere_breaks_the_contract(looks):
    late = WatchdogContract(lambda rule, looks: (looks[-1].step, "gamma"))
    with pytest.raises(AssertionError, match=r"the engine stops at \(380, 'gamma'\), the rule at \(250, 'g"):
        late.check(StopRule(**(CALM | {"gamma": 4.0})), looks)


def test_recorded_halt_of_ml_pace_is_that_of_the_rule(looks):
    halt = read_halt((DATA / "out.20_heat_soft").read_text())
    stopped = WatchdogContract(lambda rule, looks: (halt.step, halt.reason))
    assert stopped.check(StopRule(gamma=10.0, smallest_distance=0.0), looks) == (380, "gamma")
