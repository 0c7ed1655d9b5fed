import numpy as np
import pytest

from mlip_autopipec.numerics.power_law import fit_power_law


def test_a_power_law_is_found_again():
    x = np.array([1, 2, 4, 8, 16, 32])
    law = fit_power_law(x, 0.5 * x**2.5)
    assert (law.prefactor, law.exponent) == (pytest.approx(0.5), pytest.approx(2.5))
    assert law.fitted
    assert law.spread == pytest.approx(1.0)
    assert law.sum_over([64, 64]) == pytest.approx(2 * 0.5 * 64**2.5)


@pytest.mark.parametrize(("x", "y"), [([8, 16], [1, 99]), ([8] * 9, [1, 2, 3] * 3)], ids=["few", "one size"])
def test_what_cannot_be_told_is_taken_as_given(x, y):
    law = fit_power_law(x, y)
    assert (law.exponent, law.fitted, law.n_points) == (3.0, False, len(x))
    assert law.sum_over(x) == pytest.approx(sum(y))
    assert law.spread > 1.0


def test_the_exponent_stays_between_zero_and_three():
    x = np.arange(1, 10)
    assert fit_power_law(x, x**-1.0).exponent == 0.0
    assert fit_power_law(x, x**5.0).exponent == 3.0


@pytest.mark.parametrize("points", [([], []), ([1, 0], [1, 1]), ([1, 1], [1, -1])])
def test_refuses_what_has_no_logarithm(points):
    with pytest.raises(ValueError, match="a power law needs positive points"):
        fit_power_law(*points)
