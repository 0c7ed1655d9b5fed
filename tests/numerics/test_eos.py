import numpy as np
import pytest
from ase.eos import birchmurnaghan
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.errors import FitError
from mlip_autopipec.numerics import fit_birch_murnaghan


@given(st.floats(8.0, 40.0), st.floats(-10.0, 10.0), st.floats(0.05, 2.0), st.floats(2.5, 6.5))
def test_recovers_the_parameters_of_ases_curve(v0, e0, b0, b0_prime):
    volumes = v0 * np.linspace(0.92, 1.07, 7)
    found = fit_birch_murnaghan(volumes, birchmurnaghan(volumes, e0, b0, b0_prime, v0))
    assert found.v0 == pytest.approx(v0, rel=1e-5)
    assert found.e0 == pytest.approx(e0, abs=1e-6)
    assert found.b0 == pytest.approx(b0, rel=1e-4)
    assert found.b0_prime == pytest.approx(b0_prime, abs=0.02)


def test_bulk_modulus_is_minus_v_dp_dv():
    volumes = np.linspace(10.5, 13.0, 8)
    found = fit_birch_murnaghan(volumes, birchmurnaghan(volumes, 0.0, 0.9, 4.7, 11.8))
    h = 1e-3
    curve = birchmurnaghan(found.v0 + h * np.array([-1, 0, 1]), found.e0, found.b0, found.b0_prime, found.v0)
    assert found.v0 * (curve[0] - 2 * curve[1] + curve[2]) / h**2 == pytest.approx(found.b0, rel=1e-5)


@pytest.mark.parametrize(
    ("volumes", "energies", "message"),
    [
        (np.arange(1.0, 4.0), np.arange(3.0), "at least 4 points, got 3 and 3"),
        (np.arange(1.0, 6.0), np.arange(4.0), "at least 4 points, got 5 and 4"),
        (np.linspace(8, 12, 5), np.linspace(1, 0, 5), "no minimum between 8.00 and 12.00"),
        (np.linspace(8, 12, 5), -((np.linspace(8, 12, 5) - 10) ** 2), "no minimum"),
    ],
)
def test_what_is_no_equation_of_state_is_refused(volumes, energies, message):
    with pytest.raises(FitError, match=message):
        fit_birch_murnaghan(volumes, energies)
