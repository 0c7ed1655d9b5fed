"""Distance to the convex hull, importance, label noise."""

import numpy as np
import pytest
from ase import Atoms
from hypothesis import given
from hypothesis import strategies as st
from pymatgen.analysis.phase_diagram import PDEntry, PhaseDiagram

from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.numerics import atomic_fractions, hull_distances, hull_energies
from mlip_autopipec.schemas import AtomicStructure, Fingerprint, LabelDoc, LabelledStructure
from mlip_autopipec.training import dataset
from mlip_autopipec.training.dataset import TrainingSet
from mlip_autopipec.training.weights import (
    energy_above_hull,
    importance,
    noise_floor,
    reduced_formula,
)


def training(*entries, e0=None):
    """Chains of atoms: (symbols, energy of the cell)."""
    labels, structures = [], []
    for number, (symbols, energy) in enumerate(entries):
        atoms = Atoms(symbols, positions=[[2.5 * i, 0, 0] for i in range(len(Atoms(symbols)))])
        label = LabelDoc(
            structure=AtomicStructure.from_ase(atoms),
            energy=energy,
            forces=np.zeros((len(atoms), 3)).tolist(),
            stress=None,
            fingerprint=Fingerprint(code="test", version="1"),
            wall_time=0.0,
        )
        labels.append(LabelledStructure(label=label, label_id=str(number), origin="user"))
        structures.append(atoms)
    elements = sorted({s for atoms in structures for s in atoms.get_chemical_symbols()})
    return TrainingSet(labels, structures, e0 or dict.fromkeys(elements, 0.0), "test")


def test_one_composition_counts_from_its_lowest_energy():
    found = energy_above_hull(training(("Cu2", -6.0), ("Cu3", -8.4), ("Cu2", -5.0)))
    assert found == pytest.approx([0.0, 0.2, 0.5])


def test_a_compound_above_the_tie_line_of_its_elements_decays_into_them():
    found = energy_above_hull(training(("Cu2", -2.0), ("Zr2", -4.0), ("CuZr", -2.0), ("CuZr", -4.0)))
    assert found == pytest.approx([0.0, 0.0, 1.0, 0.0])
    above = energy_above_hull(training(("Cu2", -2.0), ("Zr2", -4.0), ("CuZr", -2.0)))
    assert above == pytest.approx([0.0, 0.0, 0.5])


def test_without_the_elements_the_hull_spans_what_is_there():
    # Cu3Zr and CuZr3 are the corners; CuZr lies between them, 0.1 eV/atom above.
    found = energy_above_hull(training(("Cu3Zr", -4.0), ("CuZr3", -8.0), ("CuZr", -2.8), ("Cu3Zr", -3.6)))
    assert found == pytest.approx([0.0, 0.0, 0.1, 0.1])


def test_three_elements_of_one_line_make_a_flat_hull():
    found = energy_above_hull(training(("CuZrAl2", -4.0), ("Cu2Zr2Al4", -7.2), ("Al2", -2.0)))
    assert found == pytest.approx([0.0, 0.1, 0.0])


@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(0, 12))
def test_distances_are_those_of_pymatgen_where_all_elements_are_there(seed, n_elements, n_compounds):
    rng = np.random.default_rng(seed)
    elements = ["Al", "Cu", "Ni", "Zr"][:n_elements]
    counts = np.vstack([np.eye(n_elements, dtype=int), rng.integers(0, 4, (n_compounds, n_elements))])
    counts = counts[counts.sum(axis=1) > 0]
    energies = rng.normal(size=len(counts))
    entries = [
        PDEntry(dict(zip(elements, row.tolist(), strict=True)), e * row.sum())
        for row, e in zip(counts, energies, strict=True)
    ]
    diagram = PhaseDiagram(entries)
    expected = [diagram.get_e_above_hull(entry) for entry in entries]
    found = hull_distances(counts / counts.sum(axis=1, keepdims=True), energies)
    assert found == pytest.approx(expected, abs=1e-6)


@given(st.integers(0, 10_000), st.floats(1e-3, 10.0))
def test_other_energies_of_the_elements_do_not_move_the_hull(seed, scale):
    rng = np.random.default_rng(seed)
    fractions = rng.dirichlet(np.ones(3), size=8)
    energies, shift = rng.normal(size=8), scale * rng.normal(size=3)
    moved = hull_distances(fractions, energies + fractions @ shift)
    assert moved == pytest.approx(hull_distances(fractions, energies), abs=1e-6 * max(1.0, scale))


@given(st.integers(0, 10_000), st.floats(1e-3, 10.0), st.integers(1, 15))
def test_importance_is_at_least_one_and_one_for_something(seed, energy_scale, n):
    rng = np.random.default_rng(seed)
    symbols = ["Cu2", "CuZr", "Zr2", "Cu3Zr", "AlCu", "Al2Zr"]
    entries = [(symbols[rng.integers(6)], 5.0 * rng.normal()) for _ in range(n)]
    factors = importance(training(*entries), energy_scale)
    assert factors.shape == (n,)
    assert (factors >= 1.0).all()
    assert factors.min() == pytest.approx(1.0)


def test_importance_doubles_at_the_scale():
    assert importance(training(("Cu2", -6.0), ("Cu2", -5.4)), 0.3) == pytest.approx([1.0, 2.0])
    assert dataset.importance is importance


@pytest.mark.parametrize("scale", [0.0, -0.3, float("nan")])
def test_a_scale_that_is_not_positive_is_refused(scale):
    with pytest.raises(ConfigError, match="'energy_scale' must be positive, got"):
        importance(training(("Cu2", -6.0)), scale)


def test_energies_that_no_solver_can_digest_have_no_hull():
    fractions = atomic_fractions([["Cu"], ["Zr"], ["Cu", "Zr"]])
    with pytest.raises(FitError, match="the convex hull needs finite energies"):
        hull_distances(fractions, np.array([0.0, np.nan, 0.0]))
    with pytest.raises(FitError, match=r"the convex hull at composition \[0\.5 0\.5\] cannot be found"):
        hull_distances(fractions, np.array([0.0, 1e25, -1e25]))  # beyond what the solver calls finite


def test_no_mixture_of_what_is_there_has_another_composition():
    fractions = atomic_fractions([["Cu"], ["Cu", "Zr"], ["Zr"], ["Cu", "Cu", "Cu", "Zr"]])
    found = hull_energies(fractions, fractions[:2], np.array([0.0, -1.0]))
    assert found == pytest.approx([0.0, -1.0, np.inf, -0.5])


def test_fractions_are_those_of_the_elements_in_alphabetical_order():
    assert atomic_fractions([["Zr", "Cu", "Zr"], ["Al"]]).tolist() == [[0, 1 / 3, 2 / 3], [1, 0, 0]]
    assert reduced_formula(["Zr", "Cu", "Zr", "Cu"]) == "CuZr"


def test_noise_adds_in_squares():
    assert noise_floor(3.0, 4.0) == 5.0
    assert noise_floor([0.0, 3.0], [1.0, 4.0]) == pytest.approx([1.0, 5.0])
    assert noise_floor([0.1, 0.2], 0.0).tolist() == [0.1, 0.2]


@pytest.mark.parametrize(
    ("sigma", "noise", "name"), [(-1.0, 0.0, "sigma"), (1.0, [0.1, -0.1], "noise"), (1.0, np.inf, "noise")]
)
def test_a_standard_deviation_that_is_none_is_refused(sigma, noise, name):
    with pytest.raises(ConfigError, match=f"'{name}' must be finite and not negative, got"):
        noise_floor(sigma, noise)
