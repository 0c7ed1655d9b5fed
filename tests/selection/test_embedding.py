"""Small periodic cells out of large ones: geometry by property, physics by EMT, refusals one by one."""

from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT
from hypothesis import given, settings
from hypothesis import strategies as st

from mlip_autopipec.ace import AcePotential, bonds, nearest_distance
from mlip_autopipec.errors import CalculationError, ConfigError
from mlip_autopipec.schemas import AtomicStructure
from mlip_autopipec.selection.embedding import (
    Embedding,
    EmbeddingMaker,
    EmbeddingRule,
    Host,
    balanced,
    core_weights,
    crystal_cell,
    cut_box,
    cut_crystal,
    embed,
    gamma_excess,
    host_vectors,
    judge,
    judged,
    refusal,
)

CORE = 4.5
APART = 9.6


def thermal(atoms, seed, amplitude=0.12):
    moved = atoms.copy()
    moved.positions += np.random.default_rng(seed).normal(scale=amplitude, size=moved.positions.shape)
    return moved


def core_of(atoms, centre, radius=CORE):
    """Vectors and species within a radius of an atom."""
    found = bonds(atoms, radius)
    mine = found.i == centre
    vectors = found.vector[mine]
    order = np.argsort(np.linalg.norm(vectors, axis=1))
    symbols = np.array(atoms.get_chemical_symbols())[found.j[mine]][order]
    return vectors[order], symbols.tolist()


def check(host_atoms, centre, cut):
    """What holds of every cut: the core as it was, no atom too many or too near, a cell that is periodic."""
    here, there = core_of(cut.atoms, 0), core_of(host_atoms, centre)
    assert here[1] == there[1]
    assert here[0] == pytest.approx(there[0], abs=1e-9)
    assert len(cut.atoms) < len(host_atoms)
    assert tuple(cut.atoms.pbc) == tuple(host_atoms.pbc)
    assert (np.diff(cut.distance) >= 0.0).all()
    host = np.array(host_atoms.get_chemical_symbols())
    assert cut.atoms.symbols[0] == host[centre]


def density(atoms):
    return len(atoms) / atoms.get_volume()


@settings(max_examples=6)
@given(
    seed=st.integers(0, 10_000),
    centre=st.integers(0, 499),
    vacancy=st.booleans(),
    strain=st.floats(-0.03, 0.03),
)
def test_a_rattled_crystal_is_cut_along_its_own_lattice(seed, centre, vacancy, strain):
    start = bulk("Cu", cubic=True).repeat(5)
    if vacancy:
        del start[(centre + 1) % 500]
        centre %= 499
    atoms = thermal(start, seed)
    atoms.set_cell(
        atoms.cell.array @ (np.eye(3) + strain * np.array([[1, 0.5, 0], [0, 1, 0], [0, 0, -1]])), True
    )
    host = Host.of(atoms, CORE)
    vectors = host_vectors(host, start)
    assert abs(np.linalg.det(vectors)) == pytest.approx(atoms.get_volume() / 500, rel=1e-9)
    cell = crystal_cell(host, centre, vectors, APART, 250)
    cut = cut_crystal(host, centre, cell, CORE)
    check(atoms, centre, cut)
    multiples = cell @ np.linalg.inv(vectors)
    assert multiples == pytest.approx(np.rint(multiples), abs=1e-6)
    sites = round(abs(np.linalg.det(multiples)))
    assert sites - vacancy <= len(cut.atoms) <= sites
    assert np.linalg.norm(cell, axis=1).min() >= APART - 1e-9
    assert nearest_distance(cut.atoms) > 0.5 * host.spacing


@settings(max_examples=4)
@given(seed=st.integers(0, 10_000), shape=st.sampled_from(["left", "triclinic", "mirrored"]))
def test_the_shape_and_the_hand_of_the_host_cell_do_not_matter(seed, shape):
    start = bulk("Cu").repeat(8)
    if shape == "left":
        start = bulk("Cu", cubic=True).repeat(5)
        start.cell = start.cell[[1, 0, 2]]
    if shape == "mirrored":
        start.cell = -start.cell.array
    atoms = thermal(start, seed)
    host = Host.of(atoms, CORE)
    cell = crystal_cell(host, 3, host_vectors(host, start), APART, 200)
    cut = cut_crystal(host, 3, cell, CORE)
    check(atoms, 3, cut)
    assert cut.atoms.cell.handedness > 0
    assert density(cut.atoms) == pytest.approx(density(atoms), rel=1e-6)


def liquid(n_side, seed, elements=("Cu",), pbc=True):
    """Points that keep their distance but no lattice."""
    rng = np.random.default_rng(seed)
    n = 4 * n_side**3
    atoms = Atoms(
        [elements[k % len(elements)] for k in range(n)], positions=rng.uniform(0, 3.7 * n_side, (n, 3))
    )
    atoms.cell, atoms.pbc = np.eye(3) * 3.7 * n_side, pbc
    for _ in range(150):
        found = bonds(atoms, 2.3)
        if not len(found.i):
            break
        push = np.zeros((n, 3))
        np.add.at(push, found.i, -found.vector * (0.3 * (2.35 / found.distance - 1.0))[:, None])
        atoms.positions += push
    return atoms


@settings(max_examples=2)
@given(seed=st.integers(0, 10_000))
def test_a_liquid_goes_into_a_dense_box(seed):
    atoms = liquid(5, seed, ("Cu", "Au"))
    host = Host.of(atoms, CORE)
    assert (
        crystal_cell(host, 0, host_vectors(host, bulk("Cu", cubic=True, a=3.7).repeat(5)), APART, 250) is None
    )
    cut = cut_box(host, 0, APART, CORE)
    check(atoms, 0, cut)
    assert cut.kind == "box"
    assert density(cut.atoms) == pytest.approx(density(atoms), rel=0.12)
    golden = np.mean(np.array(cut.atoms.get_chemical_symbols()) == "Au")
    assert golden == pytest.approx(0.5, abs=0.51 / len(cut.atoms) * 2)
    assert np.linalg.norm(cut.atoms.cell.array, axis=1) == pytest.approx(APART, rel=1e-6)


def test_an_ordered_compound_keeps_its_order_and_a_random_alloy_need_not_repeat_itself():
    ordered = bulk("Cu", cubic=True, a=3.75).repeat(5)
    ordered.symbols[::4] = "Au"
    host = Host.of(thermal(ordered, 1), CORE)
    cell = crystal_cell(host, 7, host_vectors(host, ordered), APART, 400)
    cut = cut_crystal(host, 7, cell, CORE)
    check(host.atoms, 7, cut)
    assert cut.atoms.get_chemical_symbols().count("Au") * 4 == len(cut.atoms)
    # all neighbours of gold are copper, across the faces too
    symbols = np.array(cut.atoms.get_chemical_symbols())
    near = bonds(cut.atoms, 1.2 * host.spacing)
    assert set(symbols[near.j[symbols[near.i] == "Au"]]) == {"Cu"}

    random = ordered.copy()
    random.symbols = np.random.default_rng(0).permutation(ordered.get_chemical_symbols())
    host = Host.of(thermal(random, 1), CORE)
    cell = crystal_cell(host, 7, host_vectors(host, random), APART, 250)
    cut = cut_crystal(host, 7, cell, CORE)
    check(host.atoms, 7, cut)
    share = cut.atoms.get_chemical_symbols().count("Au") / len(cut.atoms)
    assert share == pytest.approx(0.25, abs=1.6 / len(cut.atoms))


@pytest.mark.parametrize("axis", [0, 2])
def test_a_slab_stays_a_slab(axis):
    start = fcc111("Cu", (10, 10, 5), vacuum=8.0)
    if axis == 0:  # the normal need not be the last vector
        start.cell, start.pbc = start.cell[[2, 0, 1]], [False, True, True]
    atoms = thermal(start, 2, 0.08)
    centre = int(np.argmax(atoms.positions[:, 2]))
    host = Host.of(atoms, CORE)
    assert host.slab
    cell = crystal_cell(host, centre, host_vectors(host, start), APART, 250)
    cut = cut_crystal(host, centre, cell, CORE)
    check(atoms, centre, cut)
    assert len(cut.atoms) % 5 == 0
    assert np.ptp(cut.atoms.positions[:, 2]) == pytest.approx(np.ptp(atoms.positions[:, 2]), abs=0.5)
    assert cut.atoms.cell[axis] == pytest.approx(start.cell[axis])
    check(atoms, centre, cut_box(host, centre, APART, CORE))


def test_a_slab_in_a_periodic_box_keeps_its_vacuum():
    start = fcc111("Cu", (10, 10, 5), vacuum=8.0)
    start.pbc = True
    atoms = thermal(start, 2, 0.08)
    host = Host.of(atoms, CORE)
    cut = cut_crystal(host, 0, crystal_cell(host, 0, host_vectors(host, start), APART, 250), CORE)
    check(atoms, 0, cut)
    assert density(cut.atoms) == pytest.approx(density(atoms), rel=1e-6)


def test_no_small_cell_means_none():
    start = bulk("Cu", cubic=True).repeat(5)
    host = Host.of(start, CORE)
    assert crystal_cell(host, 0, host_vectors(host, start), APART, 30) is None


@given(st.lists(st.sampled_from("AB"), min_size=4, max_size=60), st.integers(1, 3), st.floats(0.1, 0.9))
def test_the_balance_of_species_touches_no_core(found, n_core, share):
    symbols = [{"A": "Cu", "B": "Ni"}[x] for x in found]
    host = ["Cu"] * round(100 * share) + ["Ni"] * (100 - round(100 * share))
    after = balanced(symbols, host, n_core, 0.0)
    assert after[:n_core] == symbols[:n_core]
    off = after.count("Cu") - len(after) * host.count("Cu") / 100
    outer = after[n_core:]
    assert abs(off) <= 0.5 + 1e-9 or (("Cu" if off > 0 else "Ni") not in outer)


def test_weights_are_one_in_the_core_and_fall_to_nothing():
    weights = core_weights(np.array([0.0, 4.0, 5.0, 5.5, 6.0]), 5.0)
    assert weights == pytest.approx([1.0, 1.0, 1.0, 0.5, 0.0], abs=1e-12)
    assert core_weights(np.array([0.0, 3.0]), 5.0) == pytest.approx([1.0, 1.0])


# --- with a potential ---


@pytest.fixture(scope="module")
def hot():
    start = bulk("Cu", cubic=True).repeat(5)
    return start, thermal(start, 5, 0.1)


@pytest.fixture(scope="module")
def potential(copper_files):
    return AcePotential(copper_files, copper_files.with_suffix(".asi"))


@pytest.fixture(scope="module")
def tried(hot, potential, copper):
    start, atoms = hot
    whole = judged(atoms, potential, copper.core.r_in)
    return whole, embed(whole, start, potential, copper.core.r_in, EmbeddingRule())


def test_the_uncertain_atom_sees_no_difference_and_the_oracle_hardly_any(hot, tried):
    _, atoms = hot
    whole, cells = tried
    found = cells[-1]
    assert found.accepted
    assert found.kind == "crystal"
    assert len(found.atoms) < 0.25 * len(atoms)
    assert found.descriptor_difference < 1e-9
    assert found.gamma == pytest.approx(found.gamma_host, rel=1e-9)
    assert found.gamma_host == pytest.approx(whole.gamma.max())
    whole_atoms, small = atoms.copy(), found.atoms.copy()
    whole_atoms.calc, small.calc = EMT(), EMT()
    expected = whole_atoms.get_forces()[int(whole.gamma.argmax())]
    assert small.get_forces()[0] == pytest.approx(expected, abs=0.02)
    assert np.linalg.norm(expected) > 0.1


def test_only_the_buffer_is_relaxed(hot, tried):
    _, atoms = hot
    whole, cells = tried
    here, there = (
        core_of(a, i, 5.2)[0] for a, i in ((cells[-1].atoms, 0), (atoms, int(whole.gamma.argmax())))
    )
    assert here == pytest.approx(there, abs=1e-9)


GOOD = Embedding(
    atoms=bulk("Cu").repeat((4, 5, 5)),
    kind="crystal",
    distance=np.zeros(100),
    n_core=43,
    separation=11.0,
    descriptor_difference=0.0,
    gamma=9.0,
    gamma_host=9.0,
    gamma_core=9.0,
    gamma_core_host=9.0,
    gamma_buffer=1.5,
    gamma_buffer_host=3.0,
    smallest_distance=1.1,
    smallest_distance_host=1.0,
)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({}, ""),
        ({"descriptor_difference": 0.01}, "surroundings changed by 1.0e-02"),
        ({"descriptor_difference": np.nan}, "surroundings changed"),
        ({"gamma": 9.1}, "surroundings changed by 1.1e-02"),
        ({"smallest_distance": 0.9}, "two atoms are 0.90 of the closest known"),
        ({"smallest_distance": 0.9, "smallest_distance_host": 0.9}, ""),
        ({"gamma_buffer": 2.5}, ""),
        ({"gamma_buffer": 3.5}, "gamma in the buffer is 3.5, was 3.0"),
        ({"gamma_buffer": 1.9, "gamma_buffer_host": 1.0}, ""),
        ({"gamma_core": 10.5}, "gamma in the core is 10.5, was 9.0"),
        ({"atoms": bulk("Cu").repeat((6, 7, 6))}, "252 atoms are more than 0.5 of 500"),
    ],
)
def test_each_rule_refuses(change, reason):
    found = refusal(replace(GOOD, **change), 500, EmbeddingRule())
    assert reason in found
    assert bool(found) == bool(reason)


def test_a_broken_core_is_seen(hot, tried, potential, copper):
    start, _ = hot
    whole, _ = tried
    host, centre = Host.of(whole.atoms, 5.0), int(whole.gamma.argmax())
    cut = cut_crystal(host, centre, crystal_cell(host, centre, host_vectors(host, start), 11.0, 250), 5.0)
    cut.atoms.positions[3] += 0.05
    found = judge(cut, whole, potential, copper.core.r_in, EmbeddingRule())
    assert found.descriptor_difference > 1e-3
    assert "surroundings changed" in found.refusal


def test_a_potential_without_active_set_calls_no_atom_uncertain(copper_files, copper, hot):
    with pytest.raises(CalculationError, match="gives no gamma"):
        judged(hot[1], AcePotential(copper_files), copper.core.r_in)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frozen": 2.0}, "'frozen' must lie between 0 and 'buffer'"),
        ({"largest_share": 1.0}, "'largest_share' must lie between 0 and 1"),
        ({"exchanges": -1}, "'exchanges' must not be negative, got -1"),
        ({"buffer_gamma": 0.5}, "'buffer_gamma' must be at least 1"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        EmbeddingRule(**change)


# --- the job ---


@pytest.fixture
def frames(candidate, hot):
    _, atoms = hot
    crystal = AtomicStructure.from_ase(bulk("Cu", cubic=True))

    def make(structure=atoms, **kwargs):
        return candidate(
            structure, origin="md", detail="MD at 900 K, step 5", group="md-0", **kwargs
        ), crystal

    return make


def test_a_large_frame_becomes_a_small_candidate_with_weights(copper, frames, tmp_path):
    frame, crystal = frames(required=True, gamma=7.0)
    found = EmbeddingMaker().embed(copper, [(frame, crystal)], tmp_path)
    (small,) = found.candidates
    (cell,) = found.cells
    assert (found.n_embedded, found.n_small, found.whole, found.dropped) == (1, 0, [], [])
    assert small.structure.n_atoms == cell.n_atoms == len(small.weights.forces) < 100
    assert (small.required, small.group, small.gamma) == (True, "md-0", 7.0)
    assert small.detail == f"MD at 900 K, step 5, {cell.n_atoms} of 500 atoms (crystal)"
    assert small.weights.forces[: cell.n_core] == [1.0] * cell.n_core
    assert small.weights.forces[-1] < 0.01
    assert small.weights.energy == cell.energy_counts == (cell.gamma_buffer <= 2.0)
    assert cell.accepted


def test_a_small_frame_is_left_alone(copper, frames, tmp_path):
    frame, crystal = frames(bulk("Cu", cubic=True).repeat(2))
    found = EmbeddingMaker().embed(copper, [(frame, crystal)], tmp_path)
    assert found.candidates == [frame]
    assert (found.n_small, found.cells) == (1, [])


@pytest.mark.parametrize("required", [True, False])
def test_what_must_be_labelled_stays_whole_and_the_rest_is_dropped(required, copper, frames, tmp_path):
    strict = EmbeddingMaker(rule=EmbeddingRule(largest_share=0.05))
    frame, crystal = frames(required=required)
    other = frames(bulk("Cu", cubic=True).repeat(2))
    found = strict.embed(copper, [(frame, crystal), other], tmp_path)
    assert [c.structure.n_atoms for c in found.candidates] == ([32, 500] if required else [32])
    (reason,) = found.whole if required else found.dropped
    assert reason == "MD at 900 K, step 5: no cell is small enough"


def test_something_is_left_to_be_labelled(copper, frames, tmp_path):
    strict = EmbeddingMaker(rule=EmbeddingRule(largest_share=0.05))
    found = strict.embed(copper, [frames(gamma=3.0), frames(gamma=4.0)], tmp_path)
    assert [c.gamma for c in found.candidates] == [4.0]


def test_what_is_too_large_for_a_label_goes_into_the_least_bad_cell(copper, frames, tmp_path):
    rule = EmbeddingRule(relax_steps=0)
    for seed in range(20):
        hopeless = frames(thermal(bulk("Cu", cubic=True).repeat(5), seed, 0.2), required=True, gamma=7.0)
        found = EmbeddingMaker(rule=rule, largest_whole=499).embed(copper, [hopeless], tmp_path)
        if not any(cell.accepted for cell in found.cells):
            break
    (small,) = found.candidates
    assert small.structure.n_atoms in {cell.n_atoms for cell in found.cells}
    (reason,) = found.forced
    assert reason.endswith("500 atoms are too many for a label")
    assert small.structure.n_atoms < 250
    assert small.weights.energy is False
    assert (found.n_embedded, found.whole, found.dropped) == (1, [], [])
    whole = EmbeddingMaker(rule=rule, largest_whole=500).embed(copper, [hopeless], tmp_path)
    assert whole.candidates == [hopeless[0]]
    assert whole.forced == []


def test_more_than_gamma_must_not_be_wrong_even_then():
    rule = EmbeddingRule()
    assert gamma_excess(GOOD, 500, rule) == pytest.approx(9.0 / 9.9)
    assert gamma_excess(replace(GOOD, gamma_buffer=6.0), 500, rule) == pytest.approx(2.0)
    assert gamma_excess(replace(GOOD, smallest_distance=0.5), 500, rule) == np.inf
    assert gamma_excess(replace(GOOD, descriptor_difference=0.1), 500, rule) == np.inf


def test_no_cluster_is_made_of_what_is_not_periodic(copper, frames, tmp_path, hot):
    wire = hot[1].copy()
    wire.pbc = [False, False, True]
    frame, crystal = frames(wire, required=True)
    found = EmbeddingMaker().embed(copper, [(frame, crystal)], tmp_path)
    assert found.candidates == [frame]


def test_embed_above_must_be_a_number_of_atoms():
    with pytest.raises(ConfigError, match="'embed_above' must be at least 1"):
        EmbeddingMaker(embed_above=0)
    with pytest.raises(ConfigError, match="'largest_whole' must not be below 'embed_above'"):
        EmbeddingMaker(embed_above=100, largest_whole=50)
