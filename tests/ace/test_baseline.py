"""The pair baseline: LAMMPS' formulas, ASE's Lennard-Jones, the core of python-ace, and its derivatives."""

import re
from dataclasses import asdict
from itertools import product
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.calculator import Calculator
from ase.calculators.lj import LennardJones
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.ace import (
    AceCalculator,
    AcePotential,
    PairBaseline,
    choose_baseline,
    lammps_lines,
    load_potential,
)
from mlip_autopipec.errors import CalculationError, ConfigError, StructureError
from mlip_autopipec.schemas import BaselineDoc
from mlip_autopipec.testing import PotentialContract

PAIRS = ["Cu-Cu", "Cu-Zr", "Zr-Zr"]
SHORTEST = {"Cu-Cu": 2.2, "Cu-Zr": 2.4, "Zr-Zr": 2.7}
KINDS = ["zbl", "lj"]


def baseline(kind="zbl", reach=1.3, elements=("Cu", "Zr")):
    return choose_baseline(kind, list(elements), SHORTEST, reach)


def alloy(seed=3):
    """Return rattled, sheared CuZr with pairs of all elements inside the baseline's range."""
    atoms = bulk("Cu", "fcc", a=3.7, cubic=True).repeat((2, 1, 1))
    atoms.set_chemical_symbols(["Cu", "Zr", "Cu", "Cu", "Zr", "Zr", "Cu", "Zr"])
    atoms.set_cell(atoms.cell.array @ [[1, 0.06, 0], [0, 0.96, 0.05], [0.02, 0, 1.03]], scale_atoms=True)
    atoms.rattle(0.12, seed=seed)
    return atoms


class Alone(Calculator):
    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012 - as in ASE

    def __init__(self, of):
        super().__init__()
        self.of = of

    def calculate(self, atoms=None, properties=None, system_changes=()):
        super().calculate(atoms, properties, system_changes)
        energies, forces, virial = self.of.evaluate(self.atoms)
        self.results = {"energy": energies.sum(), "forces": forces}
        if self.atoms.cell.rank == 3:
            self.results["stress"] = -virial.flat[[0, 4, 8, 5, 2, 1]] / self.atoms.get_volume()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symbol", ["alloy", "Cu"])
def test_symmetries_and_derivatives_are_those_of_a_potential(kind, symbol):
    atoms = alloy()
    if symbol == "Cu":
        atoms.set_chemical_symbols(["Cu"] * len(atoms))
    found = baseline(kind)
    assert found.evaluate(atoms)[0].min() > 1e-4
    PotentialContract(lambda: Alone(found), atoms, 4.0, tolerance=1e-10, derivative_tolerance=1e-7).check()


@pytest.mark.parametrize("kind", KINDS)
def test_the_sum_with_an_ace_keeps_the_contract(kind, pace_data):
    whole = AcePotential(pace_data / "p8.yaml", pace_data / "p8.asi", baseline(kind))
    PotentialContract(lambda: AceCalculator(whole), alloy(), 6.0, derivative_tolerance=1e-4).check()


@given(
    pair=st.sampled_from(["H-H", "Cu-Cu", "Cu-Zr", "H-W", "W-W"]),
    outer=st.floats(0.8, 4.0),
    fraction=st.floats(0.2, 0.95),
)
def test_zbl_falls_smoothly_to_nothing(pair, outer, fraction):
    inner = fraction * outer
    found = PairBaseline("zbl", {pair: inner}, {pair: outer})
    r = np.linspace(0.1, 1.2 * outer, 400)
    energy, slope = found.pair_energy(pair, r)
    assert (energy[r >= outer] == 0.0).all()
    assert (slope[r >= outer] == 0.0).all()
    # Close to its end the energy goes as the cube of the distance to it: round-off is all that is left.
    noise = 1e-12 * energy[0]
    assert (np.diff(energy) < noise).all()
    assert (slope < noise / outer).all()
    middle, h = r[1:-1], 1e-5
    plus, minus = found.pair_energy(pair, middle + h)[0], found.pair_energy(pair, middle - h)[0]
    assert (plus - minus) / (2 * h) == pytest.approx(slope[1:-1], rel=1e-5, abs=1e-6 * energy[0])
    for knot, order in ((outer, 2), (inner, 0)):
        before, at, after = (found.pair_energy(pair, np.array([knot + d])) for d in (-1e-6, 0.0, 1e-6))
        assert before[0] == pytest.approx(after[0], abs=3e-6 * abs(at[1][0]) + noise)
        assert before[1] == pytest.approx(after[1], rel=1e-3, abs=1e-6 * abs(slope).max())
        if order == 2:  # the slope of the force is continuous as well
            assert abs(before[1][0]) / 1e-6 < 1e-3 * np.abs(np.diff(slope) / np.diff(r)).max()


def test_zbl_is_the_formula_of_lammps_below_inner():
    """Written out once more, from the manual of pair_style zbl; the switch adds a constant there."""
    found = PairBaseline("zbl", {"Cu-Zr": 2.0}, {"Cu-Zr": 2.5})
    r = np.linspace(0.3, 1.9, 9)
    x = r * (29**0.23 + 40**0.23) / 0.46850
    phi = (
        0.18175 * np.exp(-3.19980 * x)
        + 0.50986 * np.exp(-0.94229 * x)
        + 0.28022 * np.exp(-0.40290 * x)
        + 0.02817 * np.exp(-0.20162 * x)
    )
    shift = found.pair_energy("Cu-Zr", r)[0] - 14.399645 * 29 * 40 * phi / r
    assert shift == pytest.approx(shift[-1], rel=1e-9)
    assert shift[-1] < 0.0


@pytest.mark.parametrize(("name", "pairs", "cutoff"), [("p5", ["Cu-Cu"], 6.5), ("p8", PAIRS, 6.0)])
def test_zbl_is_the_core_of_python_ace(name, pairs, cutoff, pace_data):
    """Below r_in - delta_in those files are ZBL alone, switched over the last 0.01 Å before the cut-off."""
    ace = AcePotential(pace_data / f"{name}.yaml")
    found = PairBaseline("zbl", dict.fromkeys(pairs, cutoff - 0.01), dict.fromkeys(pairs, cutoff))
    coulomb = 14.399645351950543 / 14.399645  # that of python-ace over that of LAMMPS
    for pair, r in product(pairs, (0.5, 0.9, 1.2, 1.6)):
        dimer = Atoms(pair.split("-"), positions=[[0, 0, 0], [0.0, 0.6 * r, 0.8 * r]])
        expected, (energies, forces, virial) = ace.evaluate(dimer), found.evaluate(dimer)
        assert coulomb * energies == pytest.approx(expected.energies, rel=1e-9)
        assert coulomb * forces == pytest.approx(expected.forces, rel=1e-9)
        assert coulomb * virial == pytest.approx(expected.virial, rel=1e-9)


@pytest.mark.parametrize("pbc", [(True, True, True), (True, False, True), (False, False, False)])
def test_lj_is_the_lennard_jones_of_ase(pbc):
    atoms = bulk("Cu", "fcc", a=3.4, cubic=True).repeat((2, 2, 2))
    atoms.rattle(0.1, seed=1)
    atoms.pbc = pbc
    found = choose_baseline("lj", ["Cu"], {"Cu-Cu": 2.2}, 1.3)
    numbers = {"sigma": found.inner, "epsilon": found.epsilon, "rc": found.outer}
    atoms.calc = LennardJones(**{name: by_pair["Cu-Cu"] for name, by_pair in numbers.items()}, smooth=False)
    energies, forces, virial = found.evaluate(atoms)
    assert energies == pytest.approx(atoms.get_potential_energies(), abs=1e-11)
    assert forces == pytest.approx(atoms.get_forces(), abs=1e-11)
    assert -virial / atoms.get_volume() == pytest.approx(atoms.get_stress(voigt=False), abs=1e-12)


def by_images(found, atoms):
    """Sum over all images of all pairs, one by one."""
    energy, forces = 0.0, np.zeros((len(atoms), 3))
    shifts = product(*((-2, -1, 0, 1, 2) if periodic else (0,) for periodic in atoms.pbc))
    for shift in map(np.array, shifts):
        for i, j in product(range(len(atoms)), repeat=2):
            bond = atoms.positions[j] + shift @ atoms.cell.array - atoms.positions[i]
            r = np.linalg.norm(bond)
            if r > 1e-9:
                pair = "-".join(sorted((atoms.symbols[i], atoms.symbols[j])))
                value, slope = found.pair_energy(pair, np.array([r]))
                energy += 0.5 * value[0]
                forces[i] += slope[0] * bond / r
    return energy, forces


@pytest.mark.parametrize("pbc", list(product([True, False], repeat=3)))
@pytest.mark.parametrize("left_handed", [True, False])
def test_every_periodicity_and_handedness(pbc, left_handed, pace_data):
    atoms = alloy()
    atoms.pbc = pbc
    if left_handed:
        atoms.set_cell(atoms.cell.array[[1, 0, 2]])
        atoms.pbc = [pbc[1], pbc[0], pbc[2]]
        assert atoms.cell.handedness == -1
    found = baseline("zbl")
    energies, forces, virial = found.evaluate(atoms)
    energy, expected = by_images(found, atoms)
    assert energies.sum() == pytest.approx(energy, rel=1e-12)
    assert forces == pytest.approx(expected, abs=1e-10)
    assert virial == pytest.approx(virial.T, abs=1e-12)
    # ... and so it is added to an ACE, which sees the same.
    paths = pace_data / "p8.yaml", pace_data / "p8.asi"
    ace, whole = AcePotential(*paths).evaluate(atoms), AcePotential(*paths, found).evaluate(atoms)
    assert whole.energies - ace.energies == pytest.approx(energies, abs=1e-12)
    assert whole.forces - ace.forces == pytest.approx(forces, abs=1e-11)
    assert whole.virial - ace.virial == pytest.approx(virial, abs=1e-10)
    assert (whole.gamma == ace.gamma).all()
    assert whole.shortest == ace.shortest


def test_no_cell_at_all_and_lone_atoms():
    found = baseline()
    pair = Atoms("CuZr", positions=[[0, 0, 0], [0, 0, 2.2]])
    value, slope = found.pair_energy("Cu-Zr", np.array([2.2]))
    energies, forces, _ = found.evaluate(pair)
    assert energies == pytest.approx([0.5 * value[0]] * 2)
    assert forces[:, 2] == pytest.approx([slope[0], -slope[0]])
    for array in found.evaluate(Atoms("Zr")):
        assert (array == 0.0).all()


@pytest.mark.parametrize("suffix", ["yaml", "yace"])
def test_a_potential_without_gamma_takes_a_baseline_too(suffix, pace_data):
    found = baseline()
    whole = AcePotential(pace_data / f"p8.{suffix}", baseline=found)
    alone = AcePotential(pace_data / f"p8.{suffix}")
    difference = whole.evaluate(alloy()).energies - alone.evaluate(alloy()).energies
    assert difference == pytest.approx(found.evaluate(alloy())[0], abs=1e-12)


def test_the_range_is_chosen_from_the_training_set():
    found = choose_baseline("zbl", ["Zr", "Cu"], {"Cu-Cu": 2.0, "Zr-Zr": 3.0}, 1.25)
    assert found.outer == pytest.approx(
        {"Cu-Cu": 2.5, "Cu-Zr": 1.25 * 0.7 * (1.32 + 1.75), "Zr-Zr": 3.75}, abs=1e-4
    )
    assert found.inner == pytest.approx({p: 0.6 * end for p, end in found.outer.items()}, abs=1e-4)
    assert found.epsilon is None


def test_lj_has_one_ev_at_the_shortest_distance_or_at_sigma():
    closest, sigma = np.array([2.0]), 2.5 / 2 ** (1 / 6)
    for energy in (1.0, 0.5):
        found = choose_baseline("lj", ["Cu"], {"Cu-Cu": 2.0}, 1.25, energy)
        assert found.inner["Cu-Cu"] == pytest.approx(sigma, abs=1e-4)
        assert found.outer["Cu-Cu"] == pytest.approx(2.5, abs=1e-4)
        assert found.pair_energy("Cu-Cu", closest)[0] == pytest.approx(energy, rel=1e-3)
        assert found.epsilon["Cu-Cu"] < 0.2 * energy
        found = choose_baseline("lj", ["Cu"], {"Cu-Cu": 2.0}, 1.05, energy)
        assert found.epsilon["Cu-Cu"] == energy
        assert found.pair_energy("Cu-Cu", np.array([found.inner["Cu-Cu"]]))[0] == pytest.approx(energy)
        assert 0.0 < found.pair_energy("Cu-Cu", closest)[0] < energy
    with pytest.raises(ConfigError, match=r"'epsilon' of Cu-Cu must be positive, got 0\.0 eV"):
        choose_baseline("lj", ["Cu"], {}, 1.2, 0.0)


@pytest.mark.parametrize("reach", [1.0, 1.3])
def test_both_kinds_push_hard_where_there_are_no_data(reach):
    for kind, pair in product(KINDS, PAIRS):
        found, closest = baseline(kind, reach), SHORTEST[pair]
        half, inside, there = found.pair_energy(pair, closest * np.array([0.5, 0.8, 1.0]))[0]
        assert half > 25.0
        assert inside > 1.0
        assert there < 3.0
        assert reach > 1.0 or there == pytest.approx(0.0, abs=1e-4)


def test_lammps_lines():
    zbl = PairBaseline("zbl", dict.fromkeys(PAIRS, 1.5), {"Cu-Cu": 2.5, "Cu-Zr": 2.75, "Zr-Zr": 3.0})
    assert lammps_lines(zbl, ["Cu", "Zr"]) == [
        "pair_style hybrid/overlay pace product zbl 1.5 2.5 zbl 1.5 2.75 zbl 1.5 3.0",
        "pair_coeff * * pace potential.yace Cu Zr",
        "pair_coeff 1 1 zbl 1 29 29",
        "pair_coeff 1 2 zbl 2 29 40",
        "pair_coeff 2 2 zbl 3 40 40",
    ]
    assert lammps_lines(zbl, ["Zr", "Cu"])[3] == "pair_coeff 1 2 zbl 2 40 29"
    assert lammps_lines(zbl, ["Zr"], "zr.yace") == [
        "pair_style hybrid/overlay pace product zbl 1.5 3.0",
        "pair_coeff * * pace zr.yace Zr",
        "pair_coeff 1 1 zbl 40 40",
    ]
    assert lammps_lines(None, ["Cu"]) == ["pair_style pace product", "pair_coeff * * potential.yace Cu"]
    lj = choose_baseline("lj", ["Cu"], {"Cu-Cu": 2.0}, 1.0)
    assert lammps_lines(lj, ["Cu"]) == [
        f"pair_style hybrid/overlay pace product lj/cut {lj.outer['Cu-Cu']!r}",
        "pair_modify pair lj/cut shift yes",
        "pair_coeff * * pace potential.yace Cu",
        f"pair_coeff 1 1 lj/cut 1.0 1.7818 {lj.outer['Cu-Cu']!r}",
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_document_carries_it_to_whoever_evaluates(kind, copper, tmp_path, rattled_copper):
    found = baseline(kind, 1.2, ["Cu"])
    doc = BaselineDoc(**asdict(found), lammps=lammps_lines(found, ["Cu"]))
    again = BaselineDoc.model_validate_json(doc.model_dump_json())
    assert PairBaseline.from_record(again) == found
    rattled_copper.set_cell(0.93 * rattled_copper.cell, scale_atoms=True)
    added = found.evaluate(rattled_copper)
    assert added[0].sum() > 0.01
    bare = load_potential(copper, tmp_path).evaluate(rattled_copper)
    whole = load_potential(copper.model_copy(update={"baseline": again}), tmp_path).evaluate(rattled_copper)
    assert whole.energies - bare.energies == pytest.approx(added[0], abs=1e-12)
    assert whole.forces - bare.forces == pytest.approx(added[1], abs=1e-11)
    assert (whole.gamma == bare.gamma).all()


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"kind": "morse"}, "must be 'zbl' or 'lj', got 'morse'"),
        ({"kind": "lj"}, "'epsilon' goes with a baseline of kind 'lj' only, got 'lj'"),
        ({"epsilon": {"Cu-Zr": 1.0}}, "'epsilon' goes with a baseline of kind 'lj' only, got 'zbl'"),
        ({"outer": {"Zr-Cu": 2.0}}, "sorted symbols, got 'Zr-Cu'"),
        ({"outer": {"Cu-Zr": 0.9}}, "0 < inner < outer, got 1.0 and 0.9 Å"),
        ({"inner": {}}, "0 < inner < outer, got nan and 2.0 Å"),
        ({"outer": {"Cu-Zr": np.inf}}, "0 < inner < outer, got 1.0 and inf Å"),
        ({"kind": "lj", "epsilon": {"Cu-Zr": 0.0}}, "'epsilon' of Cu-Zr must be positive, got 0.0 eV"),
        ({"kind": "lj", "epsilon": {}}, "'epsilon' of Cu-Zr must be positive, got nan eV"),
        ({"kind": "lj", "epsilon": {"Cu-Zr": 1.0}}, r"must end at 2\^\(1/6\) sigma = 1.12\d* Å, got 2.0 Å"),
    ],
)
def test_numbers_that_are_no_potential_are_refused(change, match):
    fields = {"kind": "zbl", "inner": {"Cu-Zr": 1.0}, "outer": {"Cu-Zr": 2.0}, "epsilon": None} | change
    with pytest.raises(ConfigError, match=match):
        PairBaseline.from_record(SimpleNamespace(**fields))


@pytest.mark.parametrize("reach", [0.0, -1.0, np.nan, np.inf])
def test_reach_must_be_positive(reach):
    with pytest.raises(ConfigError, match="'reach' of the baseline must be positive, got"):
        baseline(reach=reach)


def test_elements_it_does_not_know_are_refused():
    with pytest.raises(StructureError, match="no pair Al-Al, Al-Cu; it has Cu-Cu, Cu-Zr, Zr-Zr"):
        baseline().evaluate(Atoms("CuAl", positions=[[0, 0, 0], [0, 0, 9]]))
    with pytest.raises(StructureError, match="no pair Al-Al"):
        lammps_lines(baseline(), ["Al"])


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_not_finite_is_refused(kind, pace_data):
    found = baseline(kind)
    with pytest.raises(CalculationError, match="the baseline gives numbers that are not finite"):
        found.evaluate(Atoms("Cu2", positions=[[0, 0, 1], [0, 0, 1]]))
    nowhere = Atoms("Cu2", positions=[[0, 0, 1], [0, 0, np.nan]])
    whole = AcePotential(pace_data / "p8.yaml", baseline=found)
    for evaluate in (found.evaluate, whole.evaluate):
        with pytest.raises(StructureError, match="positions that are not finite"):
            evaluate(nowhere)
    with pytest.raises(CalculationError, match="cannot be evaluated"):
        whole.evaluate(Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 1e-4]]))


def test_a_baseline_that_is_not_finite_stops_the_potential(pace_data):
    huge = PairBaseline("lj", {"Cu-Cu": 2.0}, {"Cu-Cu": 2.0 * 2 ** (1 / 6)}, {"Cu-Cu": 1e305})
    close = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, 1.0]])
    with pytest.raises(CalculationError, match="the baseline gives numbers that are not finite"):
        AcePotential(pace_data / "p5.yaml", baseline=huge).evaluate(close)


@pytest.mark.parametrize("suffix", ["yaml", "yace"])
def test_with_a_core_of_zero_strength_only_the_baseline_is_left_inside(suffix, pace_data, tmp_path):
    """As a fit writes the files in delta mode: E = f E_ace + baseline; f falls to zero below r_in."""
    text = (pace_data / f"p5.{suffix}").read_text()
    empty, count = re.subn(r"core-repulsion: \[1, 1\]|prehc: 1\b", lambda m: m[0].replace("1", "0", 1), text)
    assert count == 1
    path = tmp_path / f"p5.{suffix}"
    path.write_text(empty)
    found = baseline(reach=1.3, elements=["Cu"])
    whole, ace = AcePotential(path, baseline=found), AcePotential(pace_data / f"p5.{suffix}")
    r_in, delta_in = 2.2357207901050611, 0.1
    for r in (0.5, 1.0, 2.0, r_in - delta_in - 1e-3, r_in + 1e-3, 2.6, 3.5):
        dimer = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, r]])
        expected = found.evaluate(dimer)
        if r > r_in:
            alone = ace.evaluate(dimer)
            expected = alone.energies + expected[0], alone.forces + expected[1], alone.virial + expected[2]
        got = whole.evaluate(dimer)
        assert got.energies == pytest.approx(expected[0], rel=1e-12)
        assert got.forces == pytest.approx(expected[1], rel=1e-12, abs=1e-12)
        assert got.virial == pytest.approx(expected[2], rel=1e-12, abs=1e-12)
