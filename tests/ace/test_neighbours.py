"""Neighbour search against ASE's."""

from collections import Counter

import numpy as np
import pytest
from ase import Atoms
from ase.neighborlist import neighbor_list
from hypothesis import assume, given
from hypothesis import strategies as st

from mlip_autopipec.ace import bonds

seeds = st.integers(0, 10_000)


def random_structure(seed, n_atoms=6):
    rng = np.random.default_rng(seed)
    cell = 4.0 * np.eye(3) * rng.choice([-1, 1], 3) + 0.8 * rng.normal(size=(3, 3))
    symbols = rng.choice(["Cu", "Zr"], n_atoms)
    return Atoms(symbols, positions=8.0 * rng.normal(size=(n_atoms, 3)), cell=cell, pbc=rng.integers(0, 2, 3))


@given(seeds, st.floats(0.3, 7.0), st.booleans())
def test_bonds_are_those_of_ase(seed, reach, without_cell):
    atoms = random_structure(seed)
    assume(abs(atoms.cell.volume) > 5.0)
    if without_cell:
        atoms.set_cell(None)
        atoms.pbc = False
    i, j, d, vector = bonds(atoms, reach)
    mine = Counter(zip(i.tolist(), j.tolist(), np.round(d, 7).tolist(), strict=True))
    assert np.linalg.norm(vector, axis=1) == pytest.approx(d)
    ase = neighbor_list("ijd", atoms, reach)
    assert mine == Counter(zip(ase[0].tolist(), ase[1].tolist(), np.round(ase[2], 7).tolist(), strict=True))


def test_two_atoms_at_one_place_are_a_pair_and_an_atom_is_none_with_itself():
    i, j, d, _ = bonds(Atoms("Cu2", positions=np.zeros((2, 3))), 1.0)
    assert (i.tolist(), j.tolist(), d.tolist()) == ([0, 1], [1, 0], [0.0, 0.0])
    assert len(bonds(Atoms("Cu"), 9.0).i) == 0
