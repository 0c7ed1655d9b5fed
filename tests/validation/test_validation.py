"""Verdicts, and the validators on the fitted copper."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.eos import EquationOfState
from ase.units import GPa
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.ace import AceCalculator
from mlip_autopipec.errors import CalculationError, FitError
from mlip_autopipec.schemas import AtomicStructure, LabelBatchDoc
from mlip_autopipec.testing import label_batch, maker_unchanged
from mlip_autopipec.validation import (
    EosMaker,
    HeldOutMaker,
    StabilityMaker,
    check,
    eos_structures,
    of_each_crystal,
    worst,
)

# ASE 3.29 has a new name for the velocities.
pytestmark = pytest.mark.filterwarnings("ignore:Use thermalize_momenta:DeprecationWarning")

CRYSTAL = AtomicStructure.from_ase(bulk("Cu", cubic=True))


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def make(maker, *args):
    with maker_unchanged(maker):
        return maker.make.original(maker, *args)


# Verdicts


@pytest.mark.parametrize(
    ("value", "verdict"),
    [
        (0.0, "pass"),
        (1.0, "pass"),
        (-1.0, "pass"),
        (1.001, "warn"),
        (2.0, "warn"),
        (-2.001, "fail"),
        (np.inf, "fail"),
        (np.nan, "fail"),
    ],
)
def test_verdicts_at_their_boundaries(value, verdict):
    assert check("x", value, 1.0, "eV").verdict == verdict
    assert check("x", 10.0 + value, 1.0, "eV", reference=10.0).verdict == verdict


def test_a_limit_of_zero_passes_nothing_but_zero():
    assert [check("x", v, 0.0, "1").verdict for v in (0.0, 1e-9)] == ["pass", "fail"]


def test_the_reason_names_value_reference_and_limit():
    found = check("bulk modulus", 130.0, 5.0, "GPa", reference=134.0)
    assert found.reason == "130 GPa against 134 by the oracle: off by 4; limit 5 GPa"
    assert check("rmse", 0.001, 0.005, "eV/atom").reason == "0.001 eV/atom; limit 0.005 eV/atom"


@given(st.lists(st.sampled_from(["pass", "warn", "fail"]), min_size=1))
def test_the_worst_is_the_worst(verdicts):
    values = {"pass": 0.5, "warn": 1.5, "fail": 9.0}
    found = worst(check("x", values[v], 1.0, "1") for v in verdicts)
    assert found == next(v for v in ("fail", "warn", "pass") if v in verdicts)


def test_no_checks_have_no_verdict():
    with pytest.raises(ValueError, match="empty"):
        worst([])


# Equation of state


def test_eos_structures_are_even_strains():
    found = eos_structures([CRYSTAL], 5, 0.04)
    volumes = [c.structure.to_ase().get_volume() for c in found]
    assert (np.array(volumes) / CRYSTAL.to_ase().get_volume()) ** (1 / 3) - 1 == pytest.approx(
        np.linspace(-0.04, 0.04, 5)
    )
    assert all(c.required and c.origin == "eos" for c in found)


@pytest.fixture(scope="module")
def eos_batch():
    return label_batch(eos_structures([CRYSTAL], 7, 0.04), EMT())


def test_eos_agrees_with_the_oracle_and_with_ase(copper, eos_batch):
    doc = make(EosMaker(), copper, eos_batch)
    (found,) = doc.curves
    energies = [item.label.energy / 4 for item in eos_batch.labels]
    v0, e0, b0 = EquationOfState(found.volumes, energies, eos="birchmurnaghan").fit()
    assert found.reference.v0 == pytest.approx(v0, rel=1e-3)
    assert found.reference.e0 == pytest.approx(e0 - 3.51, abs=1e-3)
    assert found.reference.b0 == pytest.approx(b0 / GPa, rel=0.03)
    assert [c.verdict for c in doc.checks] == ["pass", "pass"]
    assert found.predicted.v0 == pytest.approx(found.reference.v0, rel=0.01)
    assert found.predicted.b0 == pytest.approx(found.reference.b0, rel=0.08)
    assert found.formula == "Cu4"


def test_eos_judges_by_percent_of_the_reference(copper, eos_batch):
    found = make(EosMaker(max_volume_error=1e-6, max_bulk_modulus_error=50.0), copper, eos_batch)
    assert [c.verdict for c in found.checks] == ["fail", "pass"]
    assert found.checks[1].limit == pytest.approx(0.5 * found.curves[0].reference.b0)


def test_eos_counts_only_its_own_labels(copper, eos_batch, copper_held_out):
    both = eos_batch.model_copy(update={"labels": [*copper_held_out.labels, *eos_batch.labels]})
    assert make(EosMaker(), copper, both) == make(EosMaker(), copper, eos_batch)


def test_eos_that_turns_nowhere_is_an_error(copper):
    compressed = bulk("Cu", a=3.2)
    batch = label_batch(eos_structures([AtomicStructure.from_ase(compressed)], 7, 0.02), EMT())
    with pytest.raises(FitError, match="no minimum between"):
        make(EosMaker(), copper, batch)


def test_crystals_are_judged_each_and_by_their_order(copper, eos_batch):
    bcc, salt = (AtomicStructure.from_ase(bulk("Cu", kind, a=a)) for kind, a in (("bcc", 2.94), ("sc", 2.1)))
    batch = label_batch(eos_structures([CRYSTAL, bcc, salt], 7, 0.04), EMT())
    assert [len(group) for group in of_each_crystal(batch)] == [7, 7, 7]
    found = make(EosMaker(max_phase_error=1e-6), copper, batch)
    assert [curve.formula for curve in found.curves] == ["Cu4", "Cu"]
    assert [c.name for c in found.checks] == [
        "equilibrium volume",
        "bulk modulus",
        "equilibrium volume of Cu in Im-3m",
        "bulk modulus of Cu in Im-3m",
        "energy of Cu in Im-3m above the first",
    ]
    fits = [
        EquationOfState(c.volumes, c.energies_reference, eos="birchmurnaghan").fit() for c in found.curves
    ]
    assert found.checks[-1].reference == pytest.approx(fits[1][1] - fits[0][1], abs=1e-4)
    assert 0.02 < found.checks[-1].reference < 0.05  # eV/atom, bcc above fcc by EMT
    assert found.checks[-1].verdict == "fail"
    # Simple cubic copper as dense as that has its minimum elsewhere, by the oracle as well.
    assert found.notes[0].startswith("Cu in Pm-3m, by the oracle: ")


def test_energies_of_other_compositions_are_not_compared(copper, eos_batch):
    (curve,) = make(EosMaker(), copper, eos_batch).curves
    assert len(EosMaker()._ordered(curve, curve)) == 1
    assert EosMaker()._ordered(curve, curve.model_copy(update={"formula": "CuAu"})) == []


def test_a_potential_without_a_minimum_fails(copper, eos_batch):
    (curve,) = make(EosMaker(), copper, eos_batch).curves
    falling = curve.model_copy(update={"predicted": None, "energies_predicted": [*range(7, 0, -1)]})
    (found,) = EosMaker()._judged(falling, " of it")
    assert (found.verdict, found.value) == ("fail", max(curve.volumes))
    assert "no minimum" in found.reason


@pytest.mark.parametrize("n_labels", [0, 3])
def test_eos_with_too_few_labels_is_an_error(copper, eos_batch, n_labels):
    few = eos_batch.model_copy(update={"labels": eos_batch.labels[:n_labels]})
    with pytest.raises(FitError, match=f"at least 4 points, got {n_labels}"):
        make(EosMaker(), copper, few)


# Held-out errors


def test_held_out_errors_of_a_good_potential_pass(copper, copper_held_out):
    found = make(HeldOutMaker(), copper, copper_held_out)
    assert [c.verdict for c in found.checks] == ["pass", "pass"]
    assert found.errors.n_structures == len(found.parity) == 8
    energy = [p.energy_predicted - p.energy_reference for p in found.parity]
    assert found.checks[0].value == pytest.approx(np.sqrt(np.mean(np.square(energy))))


def test_held_out_errors_of_a_potential_for_something_else_fail(copper, copper_held_out):
    wrong = copper.model_copy(update={"e0": {"Cu": 3.6}})
    found = make(HeldOutMaker(), wrong, copper_held_out)
    assert [c.verdict for c in found.checks] == ["fail", "pass"]
    assert found.errors.energy_rmse == pytest.approx(0.09, rel=0.1)


def test_without_held_out_labels_no_error_is_stated(copper, eos_batch):
    with pytest.raises(FitError, match="no held-out structure has a label"):
        make(HeldOutMaker(), copper, eos_batch)
    with pytest.raises(FitError, match="no held-out structure"):
        make(HeldOutMaker(), copper, LabelBatchDoc(labels=[], failed=[], n_labels=0, wall_time=0.0))


# Stability


def test_copper_is_stable(copper):
    found = make(StabilityMaker(n_atoms=32, n_steps=100, temperature=300.0), copper, CRYSTAL)
    assert [c.verdict for c in found.checks] == ["pass", "pass", "pass", "pass"]
    assert (found.n_atoms, found.n_steps, found.lost_atoms) == (32, 100, 0)
    assert len(found.time) == len(found.total_energy) == 101
    assert found.time[-1] == pytest.approx(100.0)
    assert found.total_energy[0] == 0.0
    assert found.temperature == pytest.approx(300.0, rel=0.5)
    assert list(found.dimer_energies) == ["Cu-Cu"]
    assert found.dimer_distances[-1] == pytest.approx(copper.cutoff)
    assert found.dimer_energies["Cu-Cu"][-1] == pytest.approx(0.0, abs=1e-3)


def test_the_run_is_under_the_pressure_that_was_asked_for(copper, copper_ace):
    from mlip_autopipec.validation.stability import _compressed

    for pressure in (0.0, 4.0, -2.0):
        atoms = _compressed(copper_ace, CRYSTAL.to_ase(), pressure)
        atoms.calc = AceCalculator(copper_ace)
        assert -atoms.get_stress()[:3].mean() / GPa == pytest.approx(pressure, abs=0.01)
    found = make(StabilityMaker(n_atoms=4, n_steps=5, temperature=100.0, pressure=4.0), copper, CRYSTAL)
    assert found.pressure == 4.0


def test_what_a_crystal_bears_is_where_its_pressure_stops_to_rise(copper, copper_ace):
    found = make(StabilityMaker(n_atoms=4, n_steps=5), copper, CRYSTAL).bears_pressure
    pressures = []
    for scale in np.arange(1.0, 0.75, -0.005):
        atoms = CRYSTAL.to_ase()
        atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
        atoms.calc = AceCalculator(copper_ace)
        pressures.append(-atoms.get_stress()[:3].mean() / GPa)
    rising = next((i for i, d in enumerate(np.diff(pressures)) if d < 0), len(pressures) - 1)
    assert found == pytest.approx(pressures[rising], rel=1e-6)
    assert found > 20.0
    weak = make(StabilityMaker(n_atoms=4, n_steps=5, min_pressure=1e4), copper, CRYSTAL).checks
    assert [c.verdict for c in weak if "compression" in c.name] == ["fail"]


def test_a_pressure_that_no_cell_has_is_an_error(copper):
    with pytest.raises(CalculationError, match=r"no cell between .* times the lengths"):
        make(StabilityMaker(n_atoms=4, n_steps=5, pressure=1e6), copper, CRYSTAL)


def test_a_long_time_step_drifts(copper):
    calm = make(StabilityMaker(n_atoms=4, n_steps=60, temperature=300.0, timestep=1.0), copper, CRYSTAL)
    rough = make(StabilityMaker(n_atoms=4, n_steps=60, temperature=300.0, timestep=12.0), copper, CRYSTAL)
    assert np.ptp(rough.total_energy) > 10 * np.ptp(calm.total_energy)


def test_the_same_seed_gives_the_same_run(copper):
    maker = StabilityMaker(n_atoms=4, n_steps=10)
    assert make(maker, copper, CRYSTAL) == make(maker, copper, CRYSTAL)


def test_energies_relative_to_the_start_are_in_ev_per_atom(copper):
    small, large = (make(StabilityMaker(n_atoms=n, n_steps=5), copper, CRYSTAL) for n in (4, 32))
    assert np.abs(large.total_energy).max() < 10 * max(np.abs(small.total_energy).max(), 1e-5)


def test_a_cluster_is_run_as_it_is(copper):
    cluster = AtomicStructure.from_ase(
        Atoms(
            "Cu4", positions=[[0, 0, 0], [2.5, 0, 0], [0, 2.5, 0], [0, 0, 2.5]], cell=[15, 15, 15], pbc=False
        )
    )
    found = make(StabilityMaker(n_atoms=4, n_steps=5, temperature=50.0), copper, cluster)
    assert found.n_atoms == 4
