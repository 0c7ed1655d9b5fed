"""Pairs of close atoms, and structures that are the same but for a motion or the order of their atoms."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.ace import shortest_distances
from mlip_autopipec.training.duplicates import (
    REACH,
    duplicate_pairs,
    sorted_distances,
)

seeds = st.integers(0, 10_000)


def random_structure(seed, n_atoms=6):
    rng = np.random.default_rng(seed)
    cell = 4.0 * np.eye(3) * rng.choice([-1, 1], 3) + 0.8 * rng.normal(size=(3, 3))
    symbols = rng.choice(["Cu", "Zr"], n_atoms)
    return Atoms(symbols, positions=8.0 * rng.normal(size=(n_atoms, 3)), cell=cell, pbc=rng.integers(0, 2, 3))


def moved(atoms, seed):
    """Rotate, shift, permute, perhaps reflect."""
    rng = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    found = atoms[rng.permutation(len(atoms))]
    found.set_cell(found.cell.array @ rotation)
    found.positions = found.positions @ rotation + rng.normal(size=3)
    return found


@given(seeds, seeds)
def test_a_moved_structure_is_a_duplicate(seed, motion):
    atoms = random_structure(seed)
    other = random_structure(seed + 1)
    assert duplicate_pairs([atoms, other, moved(atoms, motion)], 1e-6) == [(0, 2)]


@given(seeds, st.floats(1e-9, 1e-5))
def test_displacements_within_the_tolerance_do_not_hide_a_duplicate(seed, size):
    atoms = random_structure(seed)
    shaken = atoms.copy()
    steps = np.random.default_rng(seed).normal(size=(len(atoms), 3))
    shaken.positions += size * steps / np.linalg.norm(steps, axis=1, keepdims=True)
    assert duplicate_pairs([atoms, shaken], 2.0 * size + 1e-9) == [(0, 1)]


@given(seeds)
def test_larger_displacements_make_another_structure(seed):
    atoms = bulk("Cu", cubic=True).repeat(2)
    first, second = atoms.copy(), atoms.copy()
    first.rattle(0.05, seed=seed)
    second.rattle(0.05, seed=seed + 1)
    assert duplicate_pairs([atoms, first, second], 1e-3) == []


def test_each_duplicate_is_listed_once_with_the_first_of_its_kind():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=0)
    assert duplicate_pairs([atoms, bulk("Cu"), atoms, atoms], 1e-4) == [(0, 2), (0, 3)]


def test_exchanged_elements_and_supercells_are_no_duplicates():
    pair = bulk("CuZr", "cesiumchloride", a=3.2)
    rock = Atoms("Cu2Zr2", positions=[[0, 0, 0], [0, 0, 2.5], [0, 0, 5.0], [0, 0, 7.5]])
    other = Atoms("CuZrCuZr", positions=rock.positions)
    assert duplicate_pairs([pair, pair.repeat((2, 1, 1)), rock, other], 1e-3) == []


def test_atoms_out_of_reach_do_not_count():
    near = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, REACH - 1e-5]])
    far = Atoms("Cu2", positions=[[0, 0, 0], [0, 0, REACH + 1.0]])
    assert duplicate_pairs([near, far, Atoms("CuZr", positions=far.positions)], 1e-4) == [(0, 1)]


def test_distances_are_sorted_by_pair():
    found = sorted_distances(Atoms("ZrCuCu", positions=[[0, 0, 0], [0, 0, 2.0], [0, 3.0, 0]]))
    assert found["Cu-Cu"] == pytest.approx([np.sqrt(13.0)] * 2)
    assert found["Cu-Zr"] == pytest.approx([2.0, 3.0])
    assert found["Zr-Zr"].tolist() == []


def test_the_shortest_distance_of_each_pair():
    structures = [bulk("Cu", a=3.6), Atoms("CuZr", positions=[[0, 0, 0], [0, 0, 2.5]]), Atoms("Zr")]
    assert shortest_distances(structures, REACH) == pytest.approx({"Cu-Cu": 3.6 / np.sqrt(2), "Cu-Zr": 2.5})
