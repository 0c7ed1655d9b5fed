"""Exchange of elements in the buffer of a small cell of a random alloy, with a potential fitted to EMT."""

from collections import Counter

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from mlip_autopipec.ace import load_potential
from mlip_autopipec.generation import SeedStructuresMaker
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.selection.embedding import (
    EmbeddingRule,
    Host,
    crystal_cell,
    cut_crystal,
    embed,
    exchanged,
    host_vectors,
    judge,
    judged,
)
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import LinearAceFitMaker

RULE = EmbeddingRule()


@pytest.fixture(scope="module")
def alloy(tmp_path_factory):
    """A hot random alloy of 576 atoms, where it began, and a young potential of it with its core radii."""
    rng = np.random.default_rng(0)
    crystal = bulk("Cu", cubic=True, a=3.7).repeat(2)
    crystal.symbols = rng.permutation(["Cu"] * 16 + ["Pd"] * 16)
    maker = SeedStructuresMaker(n_atoms=32, n_strained=1, n_rattled=2)
    seeds = maker.make.original(maker, [AtomicStructure.from_ase(crystal)])
    folder = tmp_path_factory.mktemp("alloy")
    fit = LinearAceFitMaker(n_functions=60, cutoff=4.5)
    potential = fit.fit([label_batch(seeds.candidates, EMT())], folder)
    start = AtomicStructure.from_ase(crystal).repeated(490).to_ase()
    ace, r_in = load_potential(potential, folder), potential.core.r_in
    for seed in range(20):
        hot = start.copy()
        hot.positions += np.random.default_rng(seed).normal(scale=0.1, size=hot.positions.shape)
        whole = judged(hot, ace, r_in)
        found = judge(cut(start, whole, ace), whole, ace, r_in, RULE)
        if found.gamma_buffer > 1.3 * max(RULE.buffer_gamma, found.gamma_buffer_host):
            return start, whole, ace, r_in
    raise AssertionError("no seed puts unlikely neighbours together across the seam")


def cut(start, whole, ace):
    core = float(ace.basis.cutoffmax)
    host, centre = Host.of(whole.atoms, core), int(whole.gamma.argmax())
    lattice = crystal_cell(host, centre, host_vectors(host, start), 2.0 * (core + RULE.buffer), 250)
    return cut_crystal(host, centre, lattice, core)


@pytest.fixture(scope="module")
def cells(alloy):
    """The small cell as it was cut, and with its buffer exchanged."""
    start, whole, ace, r_in = alloy
    before = cut(start, whole, ace)
    return before, exchanged(before, whole, ace, r_in, RULE)


def test_a_buffer_is_exchanged_until_it_is_as_certain_as_it_was(alloy, cells):
    _, whole, ace, r_in = alloy
    before, after = (judge(cell, whole, ace, r_in, RULE) for cell in cells)
    assert "gamma in the buffer is" in before.refusal
    assert after.accepted
    assert after.gamma_buffer <= after.gamma_buffer_host < before.gamma_buffer
    assert after.descriptor_difference < 1e-9


def test_core_composition_and_positions_stay(alloy, cells):
    _, _, ace, _ = alloy
    before, after = cells
    changed = np.flatnonzero(after.atoms.numbers != before.atoms.numbers)
    assert 0 < len(changed) < 0.5 * len(after.atoms)
    assert before.distance[changed].min() >= float(ace.basis.cutoffmax) + RULE.frozen
    assert Counter(after.atoms.symbols) == Counter(before.atoms.symbols)
    assert np.array_equal(after.atoms.positions, before.atoms.positions)


def test_a_cell_that_is_good_enough_stays_as_it_is(alloy, cells):
    _, whole, ace, r_in = alloy
    assert exchanged(cells[1], whole, ace, r_in, RULE) is cells[1]
    assert exchanged(cells[0], whole, ace, r_in, EmbeddingRule(exchanges=0)) is cells[0]


def test_an_embedding_of_an_alloy_exchanges_what_it_refuses(alloy):
    start, whole, ace, r_in = alloy
    tried = embed(whole, start, ace, r_in, EmbeddingRule(relax_steps=0))
    assert [cell.accepted for cell in tried] == [False, True]
    assert len(tried[-1].atoms) < 0.25 * len(whole.atoms)
