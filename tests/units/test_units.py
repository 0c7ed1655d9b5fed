import ase.units
import pytest

from mlip_autopipec import units


@pytest.mark.parametrize(
    ("factor", "by_ase"),
    [
        (units.EV_PER_A3_TO_GPA, 1.0 / ase.units.GPa),
        (units.BAR_TO_GPA, ase.units.bar / ase.units.GPa),
        (units.GPA_TO_BAR, ase.units.GPa / ase.units.bar),
        (units.KELVIN_TO_EV, ase.units.kB),
        (units.RY_TO_EV, ase.units.Rydberg),
        (units.BOHR_TO_A, ase.units.Bohr),
        (units.FS_TO_PS, ase.units.fs / (1000.0 * ase.units.fs)),
    ],
)
def test_factors_agree_with_ase(factor, by_ase):
    # ASE's constants are of CODATA 2014
    assert factor == pytest.approx(by_ase, rel=2e-6)
