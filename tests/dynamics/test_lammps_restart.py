"""A walk of 2N steps is N steps, a restart, and N steps: ramps, barostats, exchange of atoms included."""

from dataclasses import replace

import numpy as np
import pytest
from ase.build import bulk

from mlip_autopipec.ace import AcePotential, write_active_set
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.schemas import AtomicStructure, PotentialDoc, Walker
from mlip_autopipec.schemas.files import pack_file

CALM = StopRule(gamma=1e9, smallest_distance=0.0, temperature_ratio=1e3)


@pytest.fixture(scope="session")
def alloy():
    atoms = bulk("Ni", "fcc", a=3.6, cubic=True).repeat((3, 2, 2))
    atoms.set_chemical_symbols(["Al", "Ni", "Ni"] * 16)
    return AtomicStructure.from_ase(atoms)


@pytest.fixture(scope="session")
def alni(copper, pace_data):
    """The recorded potential of Al and Ni: random coefficients, a smooth function and no physics."""
    files = [pack_file(pace_data / f"p3.{suffix}") for suffix in ("yaml", "yace", "asi")]
    core = copper.core.model_copy(update={"r_in": dict.fromkeys(("Al-Al", "Al-Ni", "Ni-Ni"), 1.0)})
    update = {"elements": ["Al", "Ni"], "files": files, "cutoff": 7.0, "core": core}
    return PotentialDoc.model_validate(copper.model_copy(update=update).model_dump())


def difference(one, other):
    """Largest difference of positions in Å, whole lattice vectors apart."""
    one, other = one.to_ase(), other.to_ase()
    off = one.positions - other.positions
    off -= np.round(off @ np.linalg.inv(one.cell.array)) @ one.cell.array
    return max(np.abs(off).max(), np.abs(one.cell.array - other.cell.array).max())


def watched(potential, folder):
    """The same potential, whose grades are a thousand times larger: it halts at the first look."""
    yaml = potential.write(folder)
    asi = yaml.with_suffix(".asi")
    write_active_set(asi, {element: 1e3 * x for element, x in np.load(asi).items()})
    files = [pack_file(asi) if file.name.endswith(".asi") else file for file in potential.files]
    return potential.model_copy(update={"files": files})


@pytest.fixture
def halves(walk, tmp_path):
    """Walk at once, and with a halt in the middle."""

    def go(potential, structure, **settings):
        maker = LammpsMDMaker(**settings, stop_rule=CALM, gamma_every=5)
        halting = replace(maker, stop_rule=replace(CALM, gamma=2.0), gamma_every=20)
        walker = Walker(index=0, round=0, start=0, temperature=300.0, n_steps=40, seed=11)
        sharp = watched(potential, tmp_path)
        whole = walk(maker, walker, potential=potential, structure=structure)
        first = walk(halting, walker, potential=sharp, structure=structure)
        second = walk(maker, walker, first, potential, structure)
        assert (first.end_reason, first.end_step) == ("gamma", 20)
        assert (second.start_step, second.end_step, second.end_reason) == (20, 40, "completed")
        return whole, second

    return go


SETTINGS = {
    "nvt": {"ensemble": "nvt"},
    "nvt heated": {"ensemble": "nvt", "temperature_end": 900.0},
    "npt": {"ensemble": "npt"},
    "npt heated and pressed": {"ensemble": "npt", "temperature_end": 900.0, "pressure_end": 2.0},
    "aniso": {"ensemble": "npt", "coupling": "aniso", "pressure_end": 1.0},
    "tri": {"ensemble": "npt", "coupling": "tri"},
    "nve": {"ensemble": "nve"},
}


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_a_halt_in_the_middle_changes_nothing(settings, halves, copper, crystal):
    whole, second = halves(copper, crystal, **settings)
    assert difference(whole.final, second.final) < 1e-10
    assert second.thermo.step[-1] == whole.thermo.step[-1] == 40
    for name in ("temperature", "potential_energy", "pressure", "volume"):
        one, other = (getattr(run.thermo, name)[-1] for run in (whole, second))
        assert other == pytest.approx(one, rel=1e-8, abs=1e-9), name


EXCHANGE = {
    "exchange": {"swap_attempts": 5},
    "exchange in a ramp": {"temperature_end": 600.0},
    "semi-grand": {"chemical_potentials": {"Al": 0.0, "Ni": 0.1}},
}


@pytest.mark.parametrize("settings", EXCHANGE.values(), ids=EXCHANGE)
def test_monte_carlo_moves_go_on_as_if_nothing_had_been(settings, halves, alni, alloy):
    # Hot moves, for with random coefficients the elements differ by eV.
    often = {"swap_every": 10, "swap_temperature": 20_000.0}
    whole, second = halves(alni, alloy, ensemble="nvt", **often, **settings)
    assert second.final.symbols == whole.final.symbols
    assert difference(whole.final, second.final) < 1e-9
    assert whole.n_swaps_tried == second.n_swaps_tried >= 20
    assert 0 < whole.n_swaps == second.n_swaps <= whole.n_swaps_tried
    assert whole.final.symbols != alloy.symbols


def test_exchange_keeps_the_composition_and_semi_grand_moves_do_not(walk, alni, alloy):
    walker = Walker(index=0, round=0, start=0, temperature=300.0, n_steps=40, seed=11)
    settings = {"ensemble": "nvt", "stop_rule": CALM, "swap_every": 5}
    kept = walk(LammpsMDMaker(**settings), walker, potential=alni, structure=alloy).final
    assert sorted(kept.symbols) == sorted(alloy.symbols)
    pushed = LammpsMDMaker(**settings, chemical_potentials={"Al": 0.0, "Ni": -50.0})
    found = walk(pushed, walker, potential=alni, structure=alloy).final.symbols
    pulled = LammpsMDMaker(**settings, chemical_potentials={"Al": 0.0, "Ni": 50.0})
    other = walk(pulled, walker, potential=alni, structure=alloy).final.symbols
    assert abs(found.count("Ni") - other.count("Ni")) > 10


def test_trials_of_monte_carlo_are_no_frames(walk, alni, alloy, pace_data):
    """Grades at every step, moves at every other: the frames are those of the log."""
    often = {"swap_every": 2, "swap_temperature": 20_000.0, "gamma_every": 1}
    kept = {"gamma_select": 0.0, "frame_spacing": 1, "max_frames": 100}
    maker = LammpsMDMaker(ensemble="nvt", stop_rule=CALM, **often, **kept)
    walker = Walker(index=0, round=0, start=0, temperature=300.0, n_steps=10, seed=11)
    run = walk(maker, walker, potential=alni, structure=alloy)
    ace = AcePotential(pace_data / "p3.yaml", pace_data / "p3.asi")
    assert [frame.gamma for frame in run.frames] == pytest.approx(run.thermo.gamma, rel=1e-12)
    for frame, energy in zip(run.frames, run.thermo.potential_energy, strict=True):
        assert ace.evaluate(frame.structure.to_ase()).energies.mean() == pytest.approx(energy, abs=1e-9)
    assert len({tuple(frame.structure.symbols) for frame in run.frames}) > 1


def test_a_deformed_walk_resumes_on_the_same_box(halves, copper, crystal):
    """Not to the last digit: at the halt the box has just moved, and LAMMPS evaluates the forces anew."""
    settings = {"coupling": "aniso", "strain_rate": (0.5, 0.0, 0.0)}
    whole, second = halves(copper, crystal, **settings)
    edge = crystal.cell[0][0] * np.exp(0.5 * 0.039)  # as the forces of step 40 see it; then it moves on
    assert whole.final.cell[0][0] == pytest.approx(edge, rel=1e-9)
    assert second.final.cell[0][0] == pytest.approx(edge, rel=1e-9)
    assert difference(whole.final, second.final) < 1e-3


def test_a_ramp_heats_and_presses(walk, copper, crystal):
    walker = Walker(index=0, round=0, start=0, temperature=200.0, n_steps=1000, seed=11)
    settings = {"stop_rule": CALM, "gamma_every": 50, "timestep": 2.0, "damping": 25.0}
    run = walk(LammpsMDMaker(**settings, temperature_end=1000.0, pressure_end=5.0), walker)
    thermo = run.thermo
    assert np.mean(thermo.temperature[-5:]) == pytest.approx(900.0, rel=0.25)
    assert np.mean(thermo.temperature[3:7]) < 550.0
    assert np.mean(thermo.pressure[-5:]) == pytest.approx(4.5, abs=1.5)
    assert thermo.volume[0] == pytest.approx(abs(np.linalg.det(crystal.cell)) / crystal.n_atoms)


def test_a_tilting_box_tilts_and_an_isotropic_one_does_not(walk, copper, crystal):
    walker = Walker(index=0, round=0, start=0, temperature=600.0, n_steps=40, seed=11)
    tilted = walk(LammpsMDMaker(coupling="tri", stop_rule=CALM), walker).final.cell
    assert np.abs(np.tril(tilted, -1)).max() > 1e-4
    edges = np.diag(walk(LammpsMDMaker(coupling="aniso", stop_rule=CALM), walker).final.cell)
    assert np.ptp(edges) > 1e-4
    straight = walk(LammpsMDMaker(stop_rule=CALM), walker).final.cell
    assert np.ptp(np.diag(straight)) < 1e-9
