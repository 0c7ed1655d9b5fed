"""The force-error estimate: its file, its calibration, and the calculator that carries it."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from mlip_autopipec.ace import AceCalculator, AcePotential, DesignMatrix, ForceErrorModel, Posterior
from mlip_autopipec.errors import FitError, StructureError


@pytest.fixture(scope="module")
def posterior(copper_files):
    return Posterior.read(copper_files.parent / "potential.posterior.npz")


@pytest.fixture(scope="module")
def model(copper_files, posterior):
    return ForceErrorModel(copper_files, posterior)


@pytest.fixture
def files(tmp_path, posterior):
    path = tmp_path / "potential.posterior.npz"
    posterior.write(path)
    return path


def rattled(amplitude, seed=0):
    atoms = bulk("Cu", cubic=True).repeat((2, 2, 1))
    atoms.rattle(amplitude, seed=seed)
    return atoms


# The file


def test_what_was_written_is_read(posterior, files):
    again = Posterior.read(files)
    assert (again.force_noise, again.scale, again.level) == (
        posterior.force_noise,
        posterior.scale,
        posterior.level,
    )
    assert np.array_equal(again.covariance_factor, posterior.covariance_factor)


def test_the_file_is_that_of_the_document(copper, posterior):
    calibration = copper.fit.force_error
    assert posterior.level == calibration.level == 0.9
    assert posterior.scale == pytest.approx(calibration.scale)
    assert posterior.force_noise == pytest.approx(copper.fit.force_noise)
    assert posterior.covariance_factor.shape == (60, 60)
    assert np.array_equal(posterior.covariance_factor, np.triu(posterior.covariance_factor))


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(FitError, match=r"posterior '.*nowhere\.npz' cannot be read"):
        Posterior.read(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"not a zip file"])
def test_a_broken_file_is_told(content, tmp_path):
    path = tmp_path / "broken.npz"
    path.write_bytes(content)
    with pytest.raises(FitError, match=r"posterior '.*broken\.npz' cannot be read"):
        Posterior.read(path)


@pytest.mark.parametrize("share", [0.3, 0.9])
def test_a_truncated_file_is_told(share, files):
    whole = files.read_bytes()
    files.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(FitError, match="cannot be read"):
        Posterior.read(files)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"scale": None}, "cannot be read: .*scale"),
        ({"covariance_factor": np.zeros((3, 2))}, r"shapes \[\(3, 2\)"),
        ({"covariance_factor": np.array(1.0)}, r"shapes \[\(\)"),
        ({"level": np.ones(2)}, r"not a matrix and numbers"),
        ({"force_noise": np.nan}, "numbers that are not finite"),
        ({"covariance_factor": np.full((2, 2), np.inf)}, "numbers that are not finite"),
        ({"scale": "wide"}, "cannot be read"),
    ],
)
def test_wrong_contents_are_told(change, message, tmp_path):
    good = {"covariance_factor": np.eye(2), "force_noise": 0.1, "scale": 1.0, "level": 0.9}
    content = {key: value for key, value in (good | change).items() if value is not None}
    np.savez(tmp_path / "wrong.npz", **content)
    with pytest.raises(FitError, match=message):
        Posterior.read(tmp_path / "wrong.npz")


def test_files_of_two_fits_do_not_go_together(copper_files):
    with pytest.raises(FitError, match="the posterior has 12 coefficients, the potential 60 functions"):
        ForceErrorModel(copper_files, Posterior(np.eye(12), 0.1, 1.0, 0.9))


# The estimate


def test_the_estimate_is_the_calibrated_standard_deviation(copper_files, posterior, model):
    atoms = rattled(0.1)
    design = DesignMatrix(AcePotential(copper_files).basis)
    covariance = posterior.covariance_factor @ posterior.covariance_factor.T
    block = design.block(atoms)
    variance = np.einsum("ij,jk,ik->i", block.forces, covariance, block.forces).reshape(-1, 3).sum(axis=1)
    expected = posterior.scale * np.sqrt(variance + 3.0 * posterior.force_noise**2)
    assert model.force_errors(atoms) == pytest.approx(expected, rel=1e-6)
    assert model.energy_error(atoms) == pytest.approx(np.sqrt(block.energy @ covariance @ block.energy))


def test_about_the_asked_share_of_held_out_errors_lies_below(copper_ace, copper_held_out, model):
    below = []
    for item in copper_held_out.labels:
        atoms = item.label.structure.to_ase()
        error = np.linalg.norm(copper_ace.evaluate(atoms).forces - item.label.forces, axis=1)
        below.append(error <= model.force_errors(atoms))
        energy_error = model.energy_error(atoms)
        assert np.isfinite(energy_error)
        assert energy_error > 0.0
    below = np.concatenate(below)
    assert len(below) == 32
    assert 0.7 <= below.mean() <= 1.0


def test_the_estimate_grows_away_from_the_data(model):
    near, far, farther = (model.force_errors(rattled(a)).mean() for a in (0.05, 0.4, 0.7))
    assert near < far < farther
    assert farther > 3.0 * near


def test_atoms_without_neighbours_have_the_noise_alone(model, posterior):
    floor = posterior.scale * np.sqrt(3.0) * posterior.force_noise
    assert model.force_errors(Atoms("Cu")) == pytest.approx([floor])


def test_a_copy_of_the_crystal_has_the_same_estimate(model):
    atoms = rattled(0.1)
    twice = atoms.repeat((2, 1, 1))
    once = model.force_errors(atoms)
    assert model.force_errors(twice).shape == (32,)
    # coefficients are common to all copies; each atom's force does not know of the other copies
    assert model.force_errors(twice) == pytest.approx(np.tile(once, 2), rel=1e-9)


# The calculator


def test_the_calculator_gives_the_estimate_each_time_and_only_if_asked(copper_ace, model):
    atoms = rattled(0.1)
    atoms.calc = AceCalculator(copper_ace, errors=model)
    atoms.get_potential_energy()
    assert atoms.calc.results["force_error"] == pytest.approx(model.force_errors(atoms))
    atoms.positions[0] += 0.2
    atoms.get_forces()
    assert atoms.calc.results["force_error"].shape == (16,)
    assert atoms.calc.results["force_error"] == pytest.approx(model.force_errors(atoms))
    atoms.calc = AceCalculator(copper_ace)
    atoms.get_forces()
    assert "force_error" not in atoms.calc.results


@pytest.mark.parametrize(
    "pbc", [(True, True, False), (False, False, True), (True, False, True), (False, False, False)]
)
def test_mixed_periodicity(pbc, copper_ace, model):
    """Open directions are as good as periodic ones with a lot of vacuum."""
    atoms = rattled(0.1)
    atoms.pbc = pbc
    padded = atoms.copy()
    padded.set_cell(atoms.cell.array * np.where(pbc, 1.0, 10.0)[:, None])
    padded.pbc = True
    atoms.calc, padded.calc = (AceCalculator(copper_ace, errors=model) for _ in range(2))
    forces = atoms.get_forces()
    assert forces == pytest.approx(padded.get_forces(), abs=1e-9)
    found = atoms.calc.results["force_error"]
    assert found.shape == (16,)
    assert found == pytest.approx(padded.calc.results["force_error"], rel=1e-6)


def test_a_left_handed_cell_has_the_same_estimate(copper_ace, model):
    atoms = rattled(0.1)
    mirrored = atoms.copy()
    mirrored.set_cell(atoms.cell.array[[1, 0, 2]])
    assert mirrored.cell.handedness == -1
    mirrored.calc = AceCalculator(copper_ace, errors=model)
    mirrored.get_forces()
    assert mirrored.calc.results["force_error"] == pytest.approx(model.force_errors(atoms), rel=1e-9)


def test_positions_that_are_not_finite_are_refused(copper_ace, model):
    atoms = rattled(0.1)
    atoms.positions[3, 1] = np.nan
    atoms.calc = AceCalculator(copper_ace, errors=model)
    for ask in (atoms.get_forces, lambda: model.force_errors(atoms), lambda: model.energy_error(atoms)):
        with pytest.raises(StructureError, match="not finite"):
            ask()
    assert "force_error" not in atoms.calc.results
