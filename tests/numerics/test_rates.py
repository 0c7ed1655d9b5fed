"""Rates, shares and error curves against known distributions."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import poisson

from mlip_autopipec.numerics import error_curve, rate_limit, share_interval


def test_no_event_gives_the_rule_of_three():
    assert rate_limit(0, 20.0) == pytest.approx(-math.log(0.05) / 20.0)
    assert rate_limit(0, 0.0) == math.inf


@given(st.integers(0, 30), st.floats(0.1, 1e4), st.sampled_from([0.9, 0.95, 0.99]))
def test_at_the_limit_so_few_events_are_as_rare_as_stated(n, exposure, confidence):
    limit = rate_limit(n, exposure, confidence)
    assert poisson.cdf(n, limit * exposure) == pytest.approx(1.0 - confidence)


def test_bounds_of_a_share():
    assert share_interval(0, 0) == (0.0, 1.0)
    low, high = share_interval(0, 60)
    assert low == 0.0
    assert high == pytest.approx(1.0 - 0.025 ** (1 / 60))
    low, high = share_interval(3, 10)
    assert low < 0.3 < high


def grown(n, seed=0, slope=0.02):
    """Errors whose scale is proportional to the grade."""
    rng = np.random.default_rng(seed)
    grades = rng.uniform(0.0, 10.0, n)
    return grades, slope * grades * np.abs(rng.normal(size=n))


def test_the_curve_finds_the_grade_at_which_an_error_is_exceeded():
    curve = error_curve(*grown(20_000), 0.9)
    # 1.645 standard deviations hold 90 %
    assert curve.threshold(0.02 * 5.0 * 1.645) == pytest.approx(5.0, abs=0.6)
    assert curve.threshold(10.0) is None
    assert curve.threshold(0.0) == pytest.approx(0.0, abs=0.01)


@given(st.integers(20, 400), st.integers(0, 1000), st.sampled_from([0.5, 0.8, 0.9]))
def test_the_curve_never_falls_and_counts_every_value(n, seed, level):
    rng = np.random.default_rng(seed)
    curve = error_curve(rng.exponential(size=n), rng.exponential(size=n), level)
    assert (np.diff(curve.quantiles) >= 0.0).all()
    assert (np.diff(curve.edges) >= 0.0).all()
    assert curve.counts.sum() == n
    assert curve.counts.min() >= 20


def test_the_stated_share_of_new_errors_lies_below_the_curve():
    curve = error_curve(*grown(4_000, seed=1), 0.9)
    grades, errors = grown(4_000, seed=2)
    bins = np.clip(np.searchsorted(curve.edges, grades, side="right") - 1, 0, None)
    assert np.mean(errors <= curve.quantiles[bins]) == pytest.approx(0.9, abs=0.02)


def test_a_high_level_needs_more_values_than_a_low_one():
    grades, errors = grown(50)
    assert error_curve(grades, errors, 0.9) is not None
    assert error_curve(grades, errors, 0.99) is None
    assert error_curve(grades[:19], errors[:19], 0.5) is None
