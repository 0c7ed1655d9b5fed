"""Evidence-shaped regression from moments against the textbook, by brute force."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize, stats

from mlip_autopipec.errors import FitError
from mlip_autopipec.numerics import Moments, PriorModel, evidence_fit


def moments(design, y):
    found = Moments(design.shape[1])
    half = len(y) // 2
    found.add(design[:half], y[:half])
    found.add(design[half:], y[half:])
    return found


def free(prior):
    """One amplitude over a fixed shape, and no expectation of it."""
    return PriorModel(np.ones((len(prior), 1)), np.zeros(1), np.full(1, np.inf), np.log(prior))


def problem(seed, n_rows, n_columns, noise, alpha=1.0):
    rng = np.random.default_rng(seed)
    prior = np.exp(rng.normal(size=n_columns))
    design = rng.normal(size=(n_rows, n_columns)) * np.exp(rng.normal(size=n_columns))
    truth = rng.normal(size=n_columns) / np.sqrt(alpha * prior)
    return design, design @ truth + noise * rng.normal(size=n_rows), prior, truth


problems = st.tuples(st.integers(0, 2**32 - 1), st.integers(8, 20), st.integers(1, 7), st.floats(0.05, 1.0))


def marginal(design, y, precision, sigma):
    """Log marginal likelihood from the full covariance of y: no Cholesky, no closed form."""
    covariance = sigma**2 * np.eye(len(y)) + (design / precision) @ design.T
    return stats.multivariate_normal(np.zeros(len(y)), covariance, allow_singular=True).logpdf(y)


@given(problems)
def test_the_solution_is_the_posterior_mean_of_its_own_hyperparameters(args):
    design, y, prior, _ = problem(*args)
    fit = evidence_fit(moments(design, y), free(prior))
    normal = design.T @ design / fit.noise**2 + np.diag(fit.precision)
    mean = np.linalg.solve(normal, design.T @ y / fit.noise**2)
    assert fit.coefficients == pytest.approx(mean, rel=1e-6, abs=1e-9)
    covariance = np.linalg.inv(normal)
    found = fit.covariance_factor @ fit.covariance_factor.T
    assert found == pytest.approx(covariance, rel=1e-5, abs=1e-7 * np.abs(covariance).max())
    hat = design @ np.linalg.solve(normal, design.T) / fit.noise**2
    assert fit.effective_parameters == pytest.approx(np.trace(hat), rel=1e-5, abs=1e-8)


@given(problems)
def test_the_log_evidence_is_that_of_the_full_covariance(args):
    design, y, prior, _ = problem(*args)
    fit = evidence_fit(moments(design, y), free(prior))
    expected = marginal(design, y, fit.precision, fit.noise)
    assert fit.log_evidence == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(problems)
def test_no_other_noise_and_amplitude_have_more_evidence(args):
    design, y, prior, _ = problem(*args)
    fit = evidence_fit(moments(design, y), free(prior))

    def negative(logs):
        return -marginal(
            design, y, prior * np.exp(np.clip(logs[0], -40, 40)), np.exp(np.clip(logs[1], -40, 40))
        )

    start = [np.log(fit.precision[0] / prior[0]), np.log(fit.noise)]
    best = optimize.minimize(negative, start, method="Nelder-Mead").fun
    assert -fit.log_evidence <= best + 1e-3 * abs(best) + 1e-2


def test_the_gradient_leads_to_the_maximum_over_several_parameters():
    rng = np.random.default_rng(1)
    features = np.column_stack([np.ones(12), np.arange(12.0)])
    precision = np.exp(features @ [0.5, 0.8])
    design = rng.normal(size=(400, 12))
    y = design @ (rng.normal(size=12) / np.sqrt(precision)) + 0.05 * rng.normal(size=400)
    prior = PriorModel(features, np.zeros(2), np.full(2, np.inf))
    fit = evidence_fit(moments(design, y), prior)
    assert fit.converged

    def negative(theta):
        return -marginal(design, y, np.exp(features @ theta) / fit.noise**2, fit.noise)

    found = optimize.minimize(negative, [0.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-3})
    assert fit.theta == pytest.approx(found.x, abs=0.03)


def test_the_noise_is_found():
    design, y, prior, _ = problem(3, 4000, 5, 0.2)
    assert evidence_fit(moments(design, y), free(prior)).noise == pytest.approx(0.2, rel=0.04)


def test_noise_below_the_floor_is_not_believed():
    design, y, prior, truth = problem(4, 60, 4, 0.0)
    fit = evidence_fit(moments(design, y), free(prior), noise_floor=0.01)
    assert fit.noise == pytest.approx(0.01)
    assert fit.coefficients == pytest.approx(truth, rel=0.05, abs=0.02)


def test_an_expectation_holds_where_the_data_say_little():
    rng = np.random.default_rng(0)
    design, y = rng.normal(size=(3, 1)), rng.normal(size=3)
    tight = PriorModel(np.ones((1, 1)), np.array([2.0]), np.array([1e-3]))
    assert evidence_fit(moments(design, y), tight).theta == pytest.approx([2.0], abs=0.01)


def test_a_column_twice_is_one_rank_less():
    design, y, prior, _ = problem(5, 50, 4, 0.1)
    fit = evidence_fit(moments(np.hstack([design, design[:, :1]]), y), free(np.append(prior, prior[0])))
    assert fit.rank == 4
    assert fit.coefficients[0] == pytest.approx(fit.coefficients[4], rel=1e-5)
    assert np.isfinite(fit.condition)


def test_a_column_without_data_stays_at_its_prior():
    design, y, prior, _ = problem(6, 50, 4, 0.1)
    design[:, 2] = 0.0
    assert evidence_fit(moments(design, y), free(prior)).coefficients[2] == 0.0


def test_moments_do_not_depend_on_how_the_rows_come():
    design, y, _, _ = problem(7, 40, 6, 0.1)
    whole = Moments(6)
    whole.add(design, y)
    assert whole.gram == pytest.approx(moments(design, y).gram, rel=1e-12)
    assert whole.gram == pytest.approx(design.T @ design, rel=1e-12)


@pytest.mark.parametrize(
    ("rows", "targets", "message"),
    [
        (np.ones((3, 2)), np.ones(4), r"rows of shape \(3, 2\) do not fit 4 targets and 2 columns"),
        (np.ones((3, 3)), np.ones(3), r"rows of shape \(3, 3\) do not fit"),
        (np.full((3, 2), np.nan), np.ones(3), "numbers that are not finite"),
        (np.ones((3, 2)), np.array([1.0, np.inf, 0.0]), "numbers that are not finite"),
    ],
)
def test_rows_that_cannot_be_added_are_refused(rows, targets, message):
    with pytest.raises(FitError, match=message):
        Moments(2).add(rows, targets)


@pytest.mark.parametrize(
    ("rows", "targets", "message"),
    [
        (np.ones((3, 2)), np.zeros(3), "all targets are zero"),
        (np.zeros((3, 2)), np.ones(3), "the design matrix is zero"),
    ],
)
def test_what_cannot_be_fitted_is_refused(rows, targets, message):
    with pytest.raises(FitError, match=message):
        evidence_fit(moments(rows, targets), free(np.ones(2)))


def test_a_matrix_that_is_none_is_told_by_lapack():
    broken = Moments(2)
    broken.add(np.eye(2), np.ones(2))
    broken.gram[:] = [[1.0, 5.0], [5.0, 1.0]]  # not a Gram matrix of anything
    broken.gram *= 1e6
    with pytest.raises(FitError, match="LAPACK dpotrf could not factorise the normal matrix: info = 2"):
        evidence_fit(broken, free(np.ones(2)))
