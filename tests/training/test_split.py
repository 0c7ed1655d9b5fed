"""The division into training and test: no group on both sides, repeatable, of the size asked for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.training.split import group_split

names = st.lists(st.sampled_from(["", "a", "b", "c", "0", "md-0-300K-1"]), max_size=40)
fractions = st.floats(0.0, 1.0, exclude_max=True)
seeds = st.integers(0, 2**32)


def sizes(groups):
    """Size of every group; each that stands alone is one."""
    named = [g for g in groups if g]
    return sorted([named.count(g) for g in set(named)] + [1] * groups.count(""))


@given(names, fractions, seeds)
def test_no_group_straddles(groups, fraction, seed):
    test = group_split(groups, fraction, seed)
    assert test.shape == (len(groups),)
    assert test.dtype == bool
    for name in set(groups) - {""}:
        assert len({bool(test[i]) for i, g in enumerate(groups) if g == name}) == 1


@given(names, fractions, seeds)
def test_the_test_set_is_no_larger_than_asked_for_unless_it_is_the_smallest_group(groups, fraction, seed):
    test = group_split(groups, fraction, seed)
    several = len(sizes(groups)) > 1
    assert (test.sum() > 0) == (fraction > 0.0 and several)
    if test.any():
        assert test.sum() <= max(fraction * len(groups), sizes(groups)[0])
        assert not test.all()


@given(st.integers(2, 60), fractions, seeds)
def test_structures_that_stand_alone_fill_the_fraction(n, fraction, seed):
    expected = 0 if fraction == 0.0 else max(1, int(np.floor(fraction * n)))
    assert group_split([""] * n, fraction, seed).sum() == expected


@given(names, fractions, seeds)
def test_it_is_repeatable_and_does_not_depend_on_the_order_of_the_groups(groups, fraction, seed):
    named = [g or f"alone-{i}" for i, g in enumerate(groups)]
    forth = dict(zip(named, group_split(named, fraction, seed), strict=True))
    back = dict(zip(named[::-1], group_split(named[::-1], fraction, seed), strict=True))
    assert np.array_equal(group_split(groups, fraction, seed), group_split(groups, fraction, seed))
    if sizes(named)[:1] == [1]:  # else the smallest group may be one of several
        assert forth == back


def test_seeds_choose_differently_and_every_group_comes_to_the_test():
    groups = [f"g{i}" for i in range(10) for _ in range(3)]
    chosen = np.array([group_split(groups, 0.2, seed) for seed in range(200)])
    assert (chosen.sum(axis=1) == 6).all()
    assert chosen.mean(axis=0) == pytest.approx(0.2, abs=0.1)


def test_a_group_name_that_looks_like_an_index_is_no_stand_alone():
    groups = ["0", "", "0", "1", "1"]
    for seed in range(20):
        test = group_split(groups, 0.4, seed)
        assert test[0] == test[2]
        assert test[3] == test[4]


@pytest.mark.parametrize("fraction", [-0.1, 1.0, float("nan")])
def test_a_fraction_out_of_range_is_refused(fraction):
    with pytest.raises(ConfigError, match="'fraction' must be at least 0 and below 1, got"):
        group_split(["a", "b"], fraction, 0)
