import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.numerics import isotropic_repeat

lengths = st.tuples(*[st.floats(2.0, 12.0)] * 3).map(np.array)


@given(lengths, st.integers(1, 12), st.integers(1, 400))
def test_enough_atoms_and_never_more_than_twice_as_many(lengths, n_atoms, n_wanted):
    repeat = np.array(isotropic_repeat(lengths, n_atoms, n_wanted))
    assert n_atoms * repeat.prod() >= n_wanted
    assert (repeat >= 1).all()
    if repeat.max() > 1:
        assert n_atoms * repeat.prod() <= 2 * n_wanted


@given(lengths, st.integers(1, 400))
def test_the_cell_is_as_round_as_it_can_be(lengths, n_wanted):
    repeat = np.array(isotropic_repeat(lengths, 1, n_wanted))
    size = lengths * repeat
    # no direction was repeated while another was shorter than it was then
    for i in np.flatnonzero(repeat > 1):
        assert size[i] - lengths[i] <= size.min() + 1e-9


@pytest.mark.parametrize(
    ("lengths", "n_atoms", "n_wanted", "expected"),
    [
        ([5.4, 5.4, 5.4], 8, 64, (2, 2, 2)),
        ([4.0, 4.0, 4.0], 4, 4, (1, 1, 1)),
        ([2.0, 8.0, 8.0], 2, 8, (4, 1, 1)),
    ],
)
def test_examples(lengths, n_atoms, n_wanted, expected):
    assert isotropic_repeat(np.array(lengths), n_atoms, n_wanted) == expected
