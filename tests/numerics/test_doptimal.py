from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.errors import FitError
from mlip_autopipec.numerics import Budget, greedy_d_optimal, posterior_precision


def problem(seed, n_blocks=6, n_columns=4):
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(n_columns, n_columns))
    blocks = [rng.normal(size=(rng.integers(1, 4), n_columns)) * rng.uniform(0.1, 2) for _ in range(n_blocks)]
    return blocks, root @ root.T + 0.1 * np.eye(n_columns)


def log_det(precision, blocks):
    return np.linalg.slogdet(precision + sum(b.T @ b for b in blocks))[1]


def information(blocks, precision, chosen):
    """0.5 log det ratio of the posterior precisions: no covariance, no update."""
    return 0.5 * (
        log_det(precision, [blocks[i] for i in chosen]) - log_det(precision, [np.zeros((1, len(precision)))])
    )


def plain_greedy(blocks, precision, n_choose):
    chosen = []
    while len(chosen) < n_choose:
        rest = [i for i in range(len(blocks)) if i not in chosen]
        chosen.append(max(rest, key=lambda i: information(blocks, precision, [*chosen, i])))
    return chosen


seeds = st.integers(0, 2**32 - 1)


@given(seeds)
def test_the_lazy_choice_is_the_plain_greedy_one(seed):
    blocks, precision = problem(seed, n_blocks=9)
    assert greedy_d_optimal(blocks, precision, 5).indices == plain_greedy(blocks, precision, 5)


@given(seeds)
def test_gains_add_up_to_the_information_of_the_choice(seed):
    blocks, precision = problem(seed)
    choice = greedy_d_optimal(blocks, precision, 4)
    for n in range(1, 5):
        expected = information(blocks, precision, choice.indices[:n])
        assert sum(choice.gains[:n]) == pytest.approx(expected, rel=1e-7)


@given(seeds)
def test_gains_fall(seed):
    gains = greedy_d_optimal(*problem(seed), 6).gains
    assert all(a >= b - 1e-9 for a, b in pairwise(gains))
    assert min(gains) > 0.0


@given(seeds)
def test_the_choice_is_near_the_best_of_all(seed):
    blocks, precision = problem(seed)
    best = max(information(blocks, precision, c) for c in combinations(range(6), 3))
    found = sum(greedy_d_optimal(blocks, precision, 3).gains)
    assert (1 - np.exp(-1)) * best <= found <= best + 1e-9


@given(seeds)
def test_required_blocks_come_first_and_the_rest_knows_of_them(seed):
    blocks, precision = problem(seed)
    choice = greedy_d_optimal(blocks, precision, 4, required=[5, 2, 5])
    assert choice.indices[:2] == [5, 2]
    known = precision + blocks[5].T @ blocks[5] + blocks[2].T @ blocks[2]
    others = [b if i not in (5, 2) else np.zeros((1, 4)) for i, b in enumerate(blocks)]
    assert choice.indices[2:] == plain_greedy(others, known, 2)


def test_all_required_are_chosen_even_beyond_the_number():
    assert greedy_d_optimal(*problem(1), 1, required=[0, 1, 2]).indices == [0, 1, 2]


def test_no_more_are_chosen_than_there_are():
    assert sorted(greedy_d_optimal(*problem(1), 100).indices) == list(range(6))


def test_a_copy_of_a_sharp_experiment_is_worth_little():
    blocks = [1e3 * np.eye(2)[:1], 1e3 * np.eye(2)[:1], np.eye(2)[1:]]
    choice = greedy_d_optimal(blocks, np.eye(2), 3)
    assert choice.indices[1] == 2
    assert choice.gains[2] == pytest.approx(0.5 * np.log(2.0), rel=1e-5)


def test_a_block_of_zeros_is_worth_nothing():
    assert greedy_d_optimal([np.zeros((1, 3))], np.eye(3), 1).gains == [0.0]


@pytest.mark.parametrize(
    ("blocks", "precision", "message"),
    [
        ([np.ones((1, 2)), np.ones((2, 3))], np.eye(2), r"block 1 has shape \(2, 3\), expected \(n, 2\)"),
        ([np.ones(2)], np.eye(2), r"block 0 has shape \(2,\)"),
        ([np.ones((1, 2))], -np.eye(2), "not positive definite"),
    ],
)
def test_what_is_no_design_is_refused(blocks, precision, message):
    with pytest.raises(FitError, match=message):
        greedy_d_optimal(blocks, precision, 1)


def test_columns_of_very_different_size_are_no_trouble():
    """As of basis functions whose prior spreads over many orders of magnitude."""
    rng = np.random.default_rng(5)
    size = 10.0 ** rng.uniform(-9, 9, 40)
    known = rng.normal(size=(30, 40)) * size
    blocks = [rng.normal(size=(3, 40)) * size for _ in range(6)]
    precision = posterior_precision(known.T @ known, np.full(40, -60.0))
    found = greedy_d_optimal(blocks, precision, 3)
    scaled = greedy_d_optimal([b / size for b in blocks], precision / size[:, None] / size, 3)
    assert found.indices == scaled.indices
    assert found.gains == pytest.approx(scaled.gains, rel=1e-6)


def test_a_prior_is_believed_as_it_is_unless_it_is_next_to_nothing():
    gram = np.diag([4.0, 4.0, 0.0])
    found = posterior_precision(gram, np.log([2.0, 1e-30, 3.0]))
    assert found.diagonal() == pytest.approx([6.0, 4.0, 3.0])
    assert found[1, 1] > 4.0


def test_information_per_cost_decides_where_blocks_cost():
    blocks = [2.0 * np.eye(3)[:1], 1.9 * np.eye(3)[1:2], np.eye(3)[2:]]
    assert greedy_d_optimal(blocks, np.eye(3), 1).indices == [0]
    dear = Budget(costs=[10.0, 1.0, 1.0])
    assert greedy_d_optimal(blocks, np.eye(3), 3, budget=dear).indices == [1, 2, 0]


def test_a_group_gives_no_more_than_it_may_but_what_is_required_stays():
    blocks, precision = problem(3)
    groups = ["a", "a", "a", "b", "b", "b"]
    few = Budget(groups=groups, most={"a": 1})
    chosen = greedy_d_optimal(blocks, precision, 6, budget=few).indices
    assert sum(groups[i] == "a" for i in chosen) == 1
    assert sorted(i for i in chosen if i > 2) == [3, 4, 5]
    chosen = greedy_d_optimal(blocks, precision, 6, required=[0, 1], budget=few).indices
    assert sorted(chosen) == [0, 1, 3, 4, 5]
