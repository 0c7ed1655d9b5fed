"""Evidence-tuned ridge regression against the textbook, by brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from mlip_autopipec.errors import FitError
from mlip_autopipec.numerics import evidence_ridge


def problem(seed, n_rows, n_columns, noise, alpha=1.0):
    rng = np.random.default_rng(seed)
    prior = np.exp(rng.normal(size=n_columns))
    design = rng.normal(size=(n_rows, n_columns)) * np.exp(rng.normal(size=n_columns))
    truth = rng.normal(size=n_columns) / np.sqrt(alpha * prior)
    return design, design @ truth + noise * rng.normal(size=n_rows), prior, truth


problems = st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 20), st.integers(1, 7), st.floats(0.05, 1.0))


def marginal(design, y, prior, alpha, sigma):
    """Log marginal likelihood from the full covariance of y: no SVD, no closed form."""
    covariance = sigma**2 * np.eye(len(y)) + (design / (alpha * prior)) @ design.T
    return stats.multivariate_normal(np.zeros(len(y)), covariance, allow_singular=True).logpdf(y)


@given(problems)
def test_the_solution_is_the_posterior_mean_of_its_own_hyperparameters(args):
    design, y, prior, _ = problem(*args)
    fit = evidence_ridge(design, y, prior)
    normal = design.T @ design / fit.noise**2 + fit.prior_precision * np.diag(prior)
    mean = np.linalg.solve(normal, design.T @ y / fit.noise**2)
    assert fit.coefficients == pytest.approx(mean, rel=1e-6, abs=1e-9)
    hat = design @ np.linalg.solve(normal, design.T) / fit.noise**2
    assert fit.effective_parameters == pytest.approx(np.trace(hat), rel=1e-6)


@given(problems)
def test_the_log_evidence_is_that_of_the_full_covariance(args):
    design, y, prior, _ = problem(*args)
    fit = evidence_ridge(design, y, prior)
    expected = marginal(design, y, prior, fit.prior_precision, fit.noise)
    assert fit.log_evidence == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(problems)
def test_no_other_hyperparameters_have_more_evidence(args):
    design, y, prior, _ = problem(*args)
    fit = evidence_ridge(design, y, prior)
    if not fit.converged:  # e.g. all signal: the evidence grows towards an end of the interval
        return

    def negative(logs):
        return -marginal(design, y, prior, *np.exp(np.clip(logs, -40, 40)))

    starts = ([np.log(fit.prior_precision), np.log(fit.noise)], [0.0, 0.0], [0.0, -3.0])
    best = min(optimize.minimize(negative, start, method="Nelder-Mead").fun for start in starts)
    assert -fit.log_evidence <= best + 1e-3


def test_recovers_coefficients_and_noise():
    design, y, prior, truth = problem(1, 4000, 12, noise=0.3)
    fit = evidence_ridge(design, y, prior)
    assert fit.converged
    assert fit.rank == 12
    assert fit.noise == pytest.approx(0.3, rel=4.0 / np.sqrt(2 * 4000))
    spread = 0.3 / np.sqrt(np.diag(design.T @ design))
    assert np.abs(fit.coefficients - truth).max() < 5.0 * spread.max()


def test_recovers_the_strength_of_the_prior():
    design, y, prior, _ = problem(2, 500, 160, noise=0.1, alpha=25.0)
    assert evidence_ridge(design, y, prior).prior_precision == pytest.approx(25.0, rel=5.0 / np.sqrt(80))


@given(problems, st.floats(0.01, 100.0))
def test_units_of_the_targets_pass_through(args, scale):
    design, y, prior, _ = problem(*args)
    one, other = evidence_ridge(design, y, prior), evidence_ridge(design, scale * y, prior)
    assert other.coefficients == pytest.approx(scale * one.coefficients, rel=1e-4, abs=1e-7 * scale)
    assert other.noise == pytest.approx(scale * one.noise, rel=1e-4)


def test_a_column_twice_is_shared_and_seen_in_the_rank():
    design, y, prior, _ = problem(3, 30, 4, noise=0.1)
    fit = evidence_ridge(np.hstack([design, design[:, :1]]), y, np.append(prior, prior[0]))
    assert fit.rank == 4
    assert fit.coefficients[0] == pytest.approx(fit.coefficients[4], rel=1e-6)
    assert np.isfinite(fit.condition)


def test_more_columns_than_rows_are_held_by_the_prior():
    design, y, prior, _ = problem(4, 6, 15, noise=0.1)
    fit = evidence_ridge(design, y, prior)
    assert fit.rank == 6
    assert fit.effective_parameters <= 6
    assert np.isfinite(fit.coefficients).all()
    assert np.isfinite(fit.log_evidence)


def test_pure_noise_is_shrunk_to_nothing():
    rng = np.random.default_rng(5)
    fit = evidence_ridge(rng.normal(size=(500, 5)), rng.normal(size=500), np.ones(5))
    assert fit.effective_parameters < 3
    assert np.abs(fit.coefficients).max() < 0.2


def test_a_vanishing_column_keeps_its_prior_mean():
    design, y, prior, _ = problem(6, 30, 4, noise=0.1)
    design[:, 2] = 0.0
    assert evidence_ridge(design, y, prior).coefficients[2] == 0.0


def test_noise_free_targets_are_fitted_exactly():
    design, y, prior, truth = problem(7, 30, 4, noise=0.0)
    fit = evidence_ridge(design, y, prior)
    assert fit.coefficients == pytest.approx(truth, rel=1e-5)
    assert not fit.converged


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a, y, p: (a, y[:-1], p), r"\(5, 2\) does not fit 4 targets and 2 priors"),
        (lambda a, y, p: (a, y, p[:1]), "does not fit 5 targets and 1 priors"),
        (lambda a, y, p: (a * np.nan, y, p), "design matrix holds 10 numbers that are not finite"),
        (lambda a, y, p: (a, y + np.array([np.inf, 0, 0, 0, 0]), p), "targets holds 1 numbers"),
        (lambda a, y, p: (a, y, p * np.nan), "prior holds 2 numbers"),
        (lambda a, y, p: (a, y, p * 0.0), "prior precisions must be positive, got 0.0"),
        (lambda a, y, p: (a, 0.0 * y, p), "all targets are zero"),
        (lambda a, y, p: (0.0 * a, y, p), "the design matrix is zero"),
    ],
)
def test_what_cannot_be_fitted_is_refused(change, message):
    with pytest.raises(FitError, match=message):
        evidence_ridge(*change(np.ones((5, 2)) + np.eye(5, 2), np.arange(5.0), np.ones(2)))
