"""V-optimal choice against the definition: inverse matrices and all subsets."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.errors import FitError
from mlip_autopipec.numerics import Budget, greedy_v_optimal

seeds = st.integers(0, 2**32 - 1)


def problem(seed, n_blocks=6, n_columns=4):
    rng = np.random.default_rng(seed)
    root, rows = rng.normal(size=(n_columns, n_columns)), rng.normal(size=(5, n_columns))
    blocks = [rng.normal(size=(rng.integers(1, 4), n_columns)) * rng.uniform(0.1, 2) for _ in range(n_blocks)]
    return blocks, root @ root.T + 0.1 * np.eye(n_columns), rows.T @ rows


def expected_error(blocks, precision, target, chosen):
    information = precision + sum((blocks[i].T @ blocks[i] for i in chosen), np.zeros_like(precision))
    return float(np.trace(target @ np.linalg.inv(information)))


@given(seeds)
def test_gains_are_shares_of_the_expected_error(seed):
    blocks, precision, target = problem(seed)
    choice = greedy_v_optimal(blocks, precision, target, 4)
    before = expected_error(blocks, precision, target, [])
    for n in range(1, 5):
        after = expected_error(blocks, precision, target, choice.indices[:n])
        assert 1.0 - sum(choice.gains[:n]) == pytest.approx(after / before, rel=1e-6, abs=1e-9)


@given(seeds)
def test_each_choice_is_the_best_next_one(seed):
    blocks, precision, target = problem(seed)
    chosen = greedy_v_optimal(blocks, precision, target, 3).indices
    for n in range(3):
        rest = [i for i in range(len(blocks)) if i not in chosen[:n]]
        errors = {i: expected_error(blocks, precision, target, [*chosen[:n], i]) for i in rest}
        assert errors[chosen[n]] <= min(errors.values()) * (1.0 + 1e-9)


def test_two_greedy_choices_are_nearly_the_best_pair():
    ratios = []
    for seed in range(20):
        blocks, precision, target = problem(seed)
        best = min(expected_error(blocks, precision, target, pair) for pair in combinations(range(6), 2))
        chosen = greedy_v_optimal(blocks, precision, target, 2).indices
        ratios.append(expected_error(blocks, precision, target, chosen) / best)
    assert max(ratios) < 1.5
    assert np.median(ratios) == pytest.approx(1.0)


def test_what_nobody_asks_about_is_not_learned():
    # The first column is the least certain, but only the second one is asked for.
    blocks = [np.array([[10.0, 0.0]]), np.array([[0.0, 1.0]])]
    choice = greedy_v_optimal(blocks, np.diag([0.01, 1.0]), np.diag([0.0, 1.0]), 1)
    assert choice.indices == [1]
    assert choice.gains == pytest.approx([0.5])


def test_required_costs_and_groups():
    blocks, precision, target = problem(3)
    assert greedy_v_optimal(blocks, precision, target, 1, required=[5, 5, 2]).indices == [5, 2]
    one_group = Budget(groups=["a"] * 6, most={"a": 2})
    assert len(greedy_v_optimal(blocks, precision, target, 5, budget=one_group).indices) == 2
    free = greedy_v_optimal(blocks, precision, target, 1).indices[0]
    dear = Budget(costs=[1e9 if i == free else 1.0 for i in range(6)])
    assert greedy_v_optimal(blocks, precision, target, 1, budget=dear).indices != [free]


def test_a_target_that_makes_no_sense_is_refused():
    blocks, precision, _ = problem(0)
    with pytest.raises(FitError, match=r"target has shape \(3, 3\), expected \(4, 4\)"):
        greedy_v_optimal(blocks, precision, np.eye(3), 1)
    with pytest.raises(FitError, match="predictions whose error can fall"):
        greedy_v_optimal(blocks, precision, np.zeros((4, 4)), 1)
