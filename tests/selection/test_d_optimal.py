from dataclasses import replace

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT

from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.schemas import FailedLabel, SelectionDoc
from mlip_autopipec.selection import DOptimalSelectionMaker
from mlip_autopipec.testing import label_batch, maker_unchanged


@pytest.fixture(scope="module")
def pool(candidate):
    found = []
    for seed in range(10):
        atoms = bulk("Cu", cubic=True, a=3.61 * (0.96 + 0.01 * seed))
        atoms.rattle(0.05 + 0.02 * (seed % 4), seed=seed)
        found.append(candidate(atoms, "md", detail=str(seed), gamma=float(seed)))
    return found


@pytest.fixture(scope="module")
def maker():
    return DOptimalSelectionMaker(n_functions=15, cutoff=4.5)


def digests(selection):
    return [c.structure.digest for c in selection.candidates]


def test_as_many_as_wanted_are_chosen_by_falling_information(maker, pool):
    with maker_unchanged(maker):
        chosen = maker.select(pool, 4, [], None)
    assert len(set(digests(chosen))) == 4
    assert all(c in pool for c in chosen.candidates)
    assert chosen.gain == sorted(chosen.gain, reverse=True)
    assert (chosen.n_considered, chosen.n_duplicates) == (10, 0)
    assert 10 <= chosen.n_functions <= 20


def test_required_ones_come_first_and_beyond_the_number(maker, pool):
    marked = [c.model_copy(update={"required": i in (3, 8)}) for i, c in enumerate(pool)]
    assert [c.detail for c in maker.select(marked, 1, [], None).candidates] == ["3", "8"]
    assert [c.detail for c in maker.select(marked, 4, [], None).candidates[:2]] == ["3", "8"]


def test_duplicates_are_set_aside(maker, pool):
    chosen = maker.select([*pool, pool[0], pool[1]], 12, [], None)
    assert (chosen.n_considered, chosen.n_duplicates, len(chosen.candidates)) == (12, 2, 10)


def test_what_has_a_label_is_not_chosen_again(maker, pool):
    batch = label_batch(pool[:6], EMT())
    chosen = maker.select(pool, 10, [batch], None)
    assert digests(chosen)
    assert not set(digests(chosen)) & {c.structure.digest for c in pool[:6]}
    assert chosen.n_duplicates == 6


def test_a_required_duplicate_stays_required(maker, pool):
    """A frame found first as a candidate, later as the halted frame of another walk, must be labelled."""
    again = pool[0].model_copy(update={"required": True})
    assert maker.select([pool[0], *pool[1:], again], 1, [], None).candidates[0].structure == pool[0].structure


def test_information_falls_with_what_is_known(maker, pool):
    totals = []
    for n in (0, 2, 5):
        batches = [label_batch(pool[:n], EMT())] if n else []
        totals.append(maker.select(pool[5:], 3, batches, None).gain[0])
    assert totals[0] > totals[1] > totals[2] > 0.0


def test_information_is_that_of_the_whole_posterior(maker, pool):
    """The gains add up to half the log determinant ratio, with rows built by hand."""
    from mlip_autopipec.ace import BasisSpec, DesignMatrix, build_basis, default_prior

    chosen = maker.select(pool, 3, [], None)
    basis = build_basis(BasisSpec(("Cu",), 4.5, 15))
    design = DesignMatrix(basis)
    expected = default_prior(basis)
    spread = np.exp(
        -0.5 * expected.log_precision(expected.guess)
    )  # unscaled, rounding eats small eigenvalues
    ratio = np.eye(design.n_functions)
    for c in chosen.candidates:
        block = design.block(c.structure.to_ase())
        for rows, sigma in (
            (block.energy[None], maker.energy_sigma),
            (block.forces, maker.force_sigma),
            (block.stress, maker.stress_sigma),
        ):
            ratio += (rows * spread).T @ (rows * spread) / sigma**2
    assert sum(chosen.gain) == pytest.approx(0.5 * np.linalg.slogdet(ratio)[1], rel=1e-4)


def test_prior_and_basis_are_those_of_the_fit(maker, pool, copper):
    fit = copper.fit
    tighter = {key: value + 5.0 if key.startswith("rank") else value for key, value in fit.prior.items()}
    sure = copper.model_copy(update={"fit": fit.model_copy(update={"prior": tighter})})
    chosen = maker.select(pool, 3, [], copper)
    assert chosen.n_functions == 60 != maker.n_functions
    assert sum(maker.select(pool, 3, [], sure).gain) < sum(chosen.gain)


def test_what_the_fit_will_take_loosely_teaches_less(pool, copper, copper_batch):
    """The cells of most energy are chosen first while all count alike, and last where they are loose."""
    tight, loose = (DOptimalSelectionMaker(energy_scale=scale) for scale in (1e9, 0.01))

    def energy_of_first(maker):
        atoms = maker.select(pool, 2, [copper_batch], copper).candidates[0].structure.to_ase()
        atoms.calc = EMT()
        return atoms.get_potential_energy() / len(atoms)

    assert energy_of_first(loose) < energy_of_first(tight) - 0.05
    alike = loose.select(pool, 3, [copper_batch], None)  # nothing is expected without a potential
    assert alike == tight.select(pool, 3, [copper_batch], None)


def test_free_atoms_bring_no_information_and_do_not_hurt(maker, pool, candidate):
    alone = candidate(Atoms("Cu", positions=[[0, 0, 0]]), "isolated_atom", required=True)
    chosen = maker.select([*pool, alone], 3, [], None)
    assert chosen.candidates[0] == alone
    assert chosen.gain[0] == 0.0


def test_a_cluster_without_stress_can_be_chosen(maker, pool, candidate):
    cluster = candidate(Atoms("Cu3", positions=[[0, 0, 0], [0, 0, 2.3], [0, 2.3, 0.4]]))
    assert len(maker.select([*pool, cluster], 11, [], None).candidates) == 11


def test_what_failed_is_not_chosen_again(maker, pool, copper, copper_batch):
    first = maker.select(pool, 2, [copper_batch], copper)
    lost = [
        FailedLabel(label_id=str(i), structure=c.structure, origin=c.origin)
        for i, c in enumerate(first.candidates)
    ]
    batch = copper_batch.model_copy(update={"failed": lost})
    second = maker.select(pool, 2, [batch], copper)
    assert [c for c in second.candidates if c in first.candidates] == []
    # When nothing but failures is left, there is nothing to choose; that is no error.
    assert maker.select(first.candidates, 2, [batch], copper).candidates == []


def test_the_next_best_ones_stand_by_once_there_is_a_potential(maker, pool, copper, copper_batch):
    found = maker.select(pool, 2, [copper_batch], copper)
    assert len(found.spare) == len(found.candidates) == len(found.gain) == 2
    assert maker.select(pool, 4, [copper_batch], copper).candidates == [*found.candidates, *found.spare]
    assert maker.select(pool, 2, [], None).spare == []


def test_nothing_left_is_an_error(maker, pool):
    with pytest.raises(FitError, match="nothing is left to label: all 2 candidates have labels already"):
        maker.select(pool[:2], 1, [label_batch(pool[:2], EMT())], None)


def test_the_job_flattens_lists_of_candidates(maker, pool):
    found = maker.make.original(maker, [pool[:3], pool[3], pool[4:6]], 2)
    assert isinstance(found, SelectionDoc)
    assert found.n_considered == 6


def test_small_cells_are_preferred_where_atoms_cost(pool, candidate):
    large = []
    for entry in pool:
        atoms = entry.structure.to_ase().repeat((2, 1, 1))
        atoms.rattle(0.02, seed=1)
        large.append(candidate(atoms, "md"))
    free, dear = (DOptimalSelectionMaker(n_functions=15, cutoff=4.5, cost_exponent=p) for p in (0.0, 3.0))
    sizes = [
        [c.structure.n_atoms for c in maker.select([*pool, *large], 5, [], None).candidates]
        for maker in (free, dear)
    ]
    assert sizes[0].count(8) > sizes[1].count(8)
    assert sizes[1][0] == 4


def test_no_origin_takes_more_than_its_quota(pool):
    mixed = [c.model_copy(update={"origin": "strain"}) if n > 6 else c for n, c in enumerate(pool)]
    maker = DOptimalSelectionMaker(n_functions=15, cutoff=4.5, quotas={"md": 0.25})
    assert [c.origin for c in maker.select(mixed, 4, [], None).candidates].count("md") == 1


def test_some_are_drawn_at_random_and_marked(pool):
    maker = DOptimalSelectionMaker(n_functions=15, cutoff=4.5, control_share=0.5, seed=3)
    chosen = maker.select(pool, 4, [], None)
    assert [c.control for c in chosen.candidates] == [True, True, False, False]
    assert chosen == maker.select(pool, 4, [], None)
    others = [replace(maker, seed=s).select(pool, 4, [], None) for s in range(5)]
    assert len({tuple(sorted(digests(c)[:2])) for c in others}) > 1
    label = label_batch(chosen.candidates, EMT()).labels[0]
    assert label.control


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"cost_exponent": -1.0}, "'cost_exponent' must not be negative"),
        ({"quotas": {"melt": 0.5}}, "'quotas' knows no origin melt; known: user"),
        ({"quotas": {"md": 1.5}}, "'md' must lie between 0 and 1"),
        ({"energy_scale": 0.0}, "'energy_scale' must be positive, got 0.0 eV/atom"),
        ({"control_share": -0.1}, "'control_share' must lie between 0 and 1"),
    ],
)
def test_settings_that_mean_nothing_are_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        DOptimalSelectionMaker(**setting)
