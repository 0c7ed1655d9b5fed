"""A potential that comes as files becomes a document that can be judged."""

import numpy as np
import pytest

from mlip_autopipec.ace import AcePotential, load_potential
from mlip_autopipec.errors import ConfigError, FitError
from mlip_autopipec.flows.validate_given import potential_files
from mlip_autopipec.training.given import GivenPotentialMaker, given_e0, missing_energies


@pytest.fixture(scope="module")
def taken(copper_files, copper_held_out, tmp_path_factory):
    """The document of copper's files, as if they came by mail."""

    def take(suffix, e0=None):
        folder = tmp_path_factory.mktemp("given")
        maker = GivenPotentialMaker(e0=e0)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(folder)
            return maker.make.original(
                maker, potential_files(copper_files.with_suffix(suffix)), copper_held_out, "a mail"
            )

    return take


def test_e0_is_found_and_the_errors_are_those_of_the_potential(taken, copper, copper_held_out):
    found = taken(".yaml")
    assert found.e0["Cu"] == pytest.approx(copper.e0["Cu"], abs=0.01)
    assert found.fit.source == "a mail"
    assert found.elements == ["Cu"]
    assert found.n_functions == copper.n_functions
    assert found.cutoff == pytest.approx(copper.cutoff)
    assert found.training_errors.force_rmse < 0.2
    assert taken(".yaml", e0={"Cu": -1.0}).e0 == {"Cu": -1.0}


def test_gamma_is_there_with_an_active_set_and_not_without(taken, rattled_copper, tmp_path):
    whole = load_potential(taken(".yaml"), tmp_path)
    (tmp_path / "alone").mkdir()
    alone = load_potential(taken(".yace"), tmp_path / "alone")
    assert whole.has_gamma
    assert not alone.has_gamma
    first, second = whole.evaluate(rattled_copper), alone.evaluate(rattled_copper)
    assert np.allclose(first.forces, second.forces, atol=1e-8)


def test_what_does_not_fit_is_refused(copper_files, copper_batch, pace_data, tmp_path):
    ace = AcePotential(copper_files)
    with pytest.raises(FitError, match="the potential is for Cu; the labels are of nothing"):
        missing_energies(ace, [])
    assert given_e0([]) is None
    assert given_e0(["Cu=-3.5", "Au=1e-1"]) == {"Cu": -3.5, "Au": 0.1}
    with pytest.raises(FitError, match=r"an E0 must look like Cu=-3.21"):
        given_e0(["Cu:3"])
    with pytest.raises(ConfigError, match=r"must be a .yaml or .yace file, got 'x.pt'"):
        potential_files(tmp_path / "x.pt")
    with pytest.raises(ConfigError, match=r"potential file .* is missing"):
        potential_files(tmp_path / "x.yace")
