from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.errors import FitError
from mlip_autopipec.numerics import maxvol


def coordinates(matrix, rows):
    return np.linalg.solve(matrix[rows].T, matrix.T).T


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(0, 40))
def test_no_row_reaches_beyond_the_chosen_ones(seed, n_columns, n_more):
    matrix = np.random.default_rng(seed).normal(size=(n_columns + n_more, n_columns))
    rows = maxvol(matrix)
    assert len(set(rows.tolist())) == n_columns
    assert np.abs(coordinates(matrix, rows)).max() <= 1.001 + 1e-9


@given(st.integers(0, 2**32 - 1))
def test_the_volume_is_near_the_largest(seed):
    matrix = np.random.default_rng(seed).normal(size=(9, 3))
    best = max(abs(np.linalg.det(matrix[list(rows)])) for rows in combinations(range(9), 3))
    found = abs(np.linalg.det(matrix[maxvol(matrix)]))
    # Goreinov's bound: a quasi-dominant submatrix reaches n^(-n/2) of the largest volume
    assert best * 3**-1.5 <= found <= best * (1 + 1e-9)


@given(st.integers(0, 2**32 - 1))
def test_column_scales_do_not_change_what_is_inside(seed):
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(30, 5)) * 10.0 ** rng.uniform(-4, 4, 5)
    assert np.abs(coordinates(matrix, maxvol(matrix))).max() <= 1.002


def test_rows_of_the_unit_matrix_are_found_among_small_ones():
    small = 0.3 * np.random.default_rng(1).uniform(-1, 1, (20, 4))
    assert sorted(maxvol(np.vstack([small, np.eye(4)]))) == [20, 21, 22, 23]


def test_a_square_matrix_is_chosen_whole():
    assert sorted(maxvol(np.random.default_rng(2).normal(size=(5, 5)))) == list(range(5))


def test_the_recorded_selection_of_pacemaker_is_reproduced(pace_data):
    record = np.load(pace_data / "maxvol_p1.npz")
    rows = maxvol(record["projections"], tolerance=float(record["tol"]), max_swaps=300)
    assert rows.tolist() == record["selected_rows"].tolist()
    gamma = np.abs(coordinates(record["projections"], rows)).max(axis=1)
    assert gamma == pytest.approx(record["gamma"], abs=1e-5)


def test_after_the_last_swap_the_best_so_far_is_returned():
    matrix = np.random.default_rng(3).normal(size=(50, 6))
    few, many = (abs(np.linalg.det(matrix[maxvol(matrix, max_swaps=n)])) for n in (0, 1000))
    assert 0.0 < few <= many


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        (np.ones((2, 3)), r"at least as many rows as columns, got shape \(2, 3\)"),
        (np.ones((5, 2)), r"columns of the \(5, 2\) matrix are linearly dependent"),
        (np.zeros((5, 2)), "linearly dependent"),
        pytest.param(
            np.full((5, 2), np.nan),
            "not finite|linearly dependent",
        ),
    ],
)
def test_what_has_no_volume_is_refused(matrix, message):
    with pytest.raises(FitError, match=message):
        maxvol(matrix)
