"""The fit as a whole, on EMT copper."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT
from jobflow import JobStore, run_locally
from maggma.stores import MemoryStore

from mlip_autopipec.ace import AcePotential, BasisSpec, RowScales
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.schemas import ErrorStatistics, LabelBatchDoc, ParityPoint, PotentialDoc
from mlip_autopipec.testing import label_batch, maker_unchanged
from mlip_autopipec.training import LinearAceFitMaker
from mlip_autopipec.training.dataset import assemble
from mlip_autopipec.training.linear import LinearProblem, fit_linear, targets_of


def test_held_out_errors_are_small(copper, copper_ace, copper_held_out):
    errors = ErrorStatistics.from_parity(ParityPoint.predict(copper_ace, copper_held_out.labels, copper.e0))
    assert errors.n_structures == 8
    assert errors.energy_rmse < 0.002
    assert errors.force_rmse < 0.03
    assert errors.stress_rmse < 0.003


def test_the_document_tells_how_it_was_made(copper, copper_batch):
    assert copper.elements == ["Cu"]
    assert copper.e0 == pytest.approx({"Cu": 3.51})
    assert copper.e0_source == "labelled isolated atoms"
    assert copper.n_labels == copper_batch.n_labels
    assert [line.split(": ")[1] for line in copper.excluded] == ["isolated atom, gives E0"]
    assert [file.name for file in copper.files] == [
        "potential.yaml",
        "potential.yace",
        "potential.asi",
        "potential.posterior.npz",
    ]
    assert copper.fit.n_functions == sum(copper.n_functions.values()) == copper.fit.basis.n_functions
    assert 0 < copper.fit.rank <= copper.fit.n_functions
    assert copper.fit.trials == []
    assert copper.fit.force_noise == pytest.approx(0.05 * copper.fit.noise)
    assert copper.fit.evidence_converged
    assert max(copper.file_differences.values()) < 1e-5
    assert {"python-ace", "mlip_autopipec", "numpy"} == set(copper.versions)


def test_training_errors_are_those_of_the_delivered_files(copper, copper_ace, copper_batch):
    fitted = [item for item in copper_batch.labels if item.origin != "isolated_atom"]
    again = ErrorStatistics.from_parity(ParityPoint.predict(copper_ace, fitted, copper.e0))
    assert again.model_dump() == pytest.approx(copper.training_errors.model_dump(), rel=1e-5, abs=1e-9)


def test_gamma_is_at_most_one_on_the_training_set(copper, copper_ace, copper_batch):
    gammas = [
        copper_ace.evaluate(item.label.structure.to_ase()).gamma.max()
        for item in copper_batch.labels
        if item.origin != "isolated_atom"
    ]
    assert max(gammas) <= 1.001 + 1e-4
    assert max(gammas) > 0.99


def test_the_core_begins_at_the_shortest_training_distance(copper, copper_batch):
    dimers = [item.label.structure for item in copper_batch.labels if item.origin == "dimer"]
    shortest = min(s.positions[1][2] for s in dimers)
    assert copper.core.r_in["Cu-Cu"] == pytest.approx(shortest, abs=1e-5)


def test_the_fit_does_not_depend_on_the_order_of_the_labels(copper, copper_batch, tmp_path):
    half = len(copper_batch.labels) // 2
    parts = [copper_batch.labels[half:], copper_batch.labels[:half]]
    batches = [LabelBatchDoc(labels=p, failed=[], n_labels=len(p), wall_time=0.0) for p in parts]
    maker = LinearAceFitMaker(n_functions=60)
    with maker_unchanged(maker):
        again = maker.fit(batches, tmp_path)
    assert again.training_errors.energy_rmse == pytest.approx(copper.training_errors.energy_rmse, rel=1e-3)
    assert again.fit.noise == pytest.approx(copper.fit.noise, rel=1e-3)


def test_the_job_returns_the_document(copper_batch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = LinearAceFitMaker(n_functions=20).make([copper_batch])
    store = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
    with pytest.warns(FutureWarning, match="cd is deprecated"):
        found = run_locally(task, store=store, ensure_success=True)[task.uuid][1].output
    assert isinstance(found, PotentialDoc)
    assert (tmp_path / "potential.yaml").exists()


# Rows and weights


@pytest.fixture(scope="module")
def training(copper_batch):
    return assemble([copper_batch], 5.0)


def problem(training, scales, factors=None):
    return LinearProblem(
        training.structures,
        targets_of(training, None),
        np.ones(len(training.labels)) if factors is None else factors,
        [item.label_id for item in training.labels],
        scales,
    )


SPEC = BasisSpec(("Cu",), 5.0, 40)


def test_targets_are_the_labels_in_the_order_and_weighting_of_the_rows(training):
    scales, factors = RowScales(0.002, 0.05, 0.003), np.linspace(1.0, 2.0, len(training.labels))
    asked = problem(training, scales, factors)
    design = fit_linear(asked.part([0, 1]), SPEC).design
    blocks = design.blocks(asked.structures, asked.with_stress)
    for block, target, item, factor in zip(blocks, asked.targets, training.labels, factors, strict=True):
        label, weighted = item.label, target.weighted(scales, factor)
        n_atoms = label.structure.n_atoms
        assert block.weighted(scales, factor).shape[0] == len(weighted)
        assert weighted[0] * factor * 0.002 == pytest.approx((label.energy - 3.51 * n_atoms) / n_atoms)
        forces = weighted[1 : 1 + 3 * n_atoms].reshape(-1, 3)
        assert forces * factor * 0.05 == pytest.approx(np.array(label.forces))
        if label.stress is not None:
            s = np.array(label.stress)
            voigt = [s[0, 0], s[1, 1], s[2, 2], s[1, 2], s[0, 2], s[0, 1]]
            assert weighted[-6:] * factor * 0.003 == pytest.approx(np.array(voigt))


def test_looser_rows_weigh_less(training):
    scales = RowScales(0.002, 0.05, 0.003)
    design = fit_linear(problem(training, scales).part([0, 1]), SPEC).design
    block = design.block(training.structures[0])
    assert block.weighted(scales, 4.0) == pytest.approx(block.weighted(scales) / 4.0)


def stress_error(training, scales):
    fit = fit_linear(problem(training, scales), SPEC)
    off = [
        fit.design.block(atoms).stress @ fit.solution.coefficients
        - np.array(item.label.stress).ravel()[[0, 4, 8, 5, 2, 1]]
        for atoms, item in zip(training.structures, training.labels, strict=True)
        if item.label.stress is not None
    ]
    return float(np.sqrt(np.mean(np.square(off))))


def test_stress_alone_teaches_the_potential_its_stress(training):
    """Energies and forces weigh next to nothing: with a wrong sign the error would double, not vanish."""
    labels = [np.ravel(i.label.stress) for i in training.labels if i.label.stress is not None]
    size = float(np.sqrt(np.mean(np.square(labels))))
    assert stress_error(training, RowScales(1e4, 1e4, 1e-4)) < 0.02 * size


def test_stress_learnt_from_stress_gives_the_right_forces_and_volume(training):
    crystal = next(i for i, item in enumerate(training.labels) if item.origin == "user")
    fit = fit_linear(problem(training, RowScales(1e4, 1e4, 1e-4)), SPEC)
    energies = []
    by_emt = []
    for scale in (0.995, 1.0, 1.005):
        atoms = training.structures[crystal].copy()
        atoms.set_cell(atoms.cell.array * scale, scale_atoms=True)
        energies.append(fit.design.block(atoms, stress=False).energy @ fit.solution.coefficients)
        atoms.calc = EMT()
        by_emt.append(atoms.get_potential_energy() / len(atoms))
    # never saw an energy, yet the curve over the volume is the integral of the stress it saw
    assert np.diff(energies) == pytest.approx(np.diff(by_emt), rel=0.1, abs=2e-5)


def test_more_weight_on_stress_fits_stress_better(training):
    errors = [stress_error(training, RowScales(0.002, 0.05, sigma)) for sigma in (1e3, 1e-5)]
    assert errors[1] < 0.5 * errors[0]


def test_a_label_without_stress_is_fitted_without(candidate, tmp_path):
    atoms = bulk("Cu", cubic=True)
    structures = []
    for seed in range(12):
        moved = atoms.copy()
        moved.rattle(0.1 + 0.01 * seed, seed=seed)
        structures.append(candidate(moved))
    batch = label_batch(structures, EMT())
    bare = [i.model_copy(update={"label": i.label.model_copy(update={"stress": None})}) for i in batch.labels]
    found = LinearAceFitMaker(n_functions=15).fit([batch.model_copy(update={"labels": bare})], tmp_path)
    assert found.fit.n_rows == 12 * (1 + 12)
    assert found.training_errors.stress_rmse is None
    assert found.e0_source == "least squares over the compositions"


def test_parity_without_points_is_refused():
    with pytest.raises(ValueError, match="errors need at least one structure, got none"):
        ErrorStatistics.from_parity([])


def test_error_statistics_are_what_their_names_say(copper_batch):
    item = next(i for i in copper_batch.labels if i.origin == "user")
    n = item.label.structure.n_atoms
    point = ParityPoint.from_prediction(
        item,
        {"Cu": 3.51},
        item.label.energy - 3.51 * n + 0.04,
        np.array(item.label.forces) + np.array([0.1, 0, 0]),
        None,
    )
    found = ErrorStatistics.from_parity([point])
    assert found.energy_rmse == pytest.approx(0.04 / n)
    assert found.force_rmse == pytest.approx(0.1 / 3**0.5)
    assert found.force_mae == pytest.approx(0.1 / 3)
    assert found.force_max == pytest.approx(0.1)
    assert found.stress_rmse is None


def test_an_alloy_is_fitted_with_all_its_pairs(candidate, tmp_path):
    structures = []
    for seed in range(16):
        atoms = bulk("Cu", cubic=True, a=3.8)
        atoms.set_chemical_symbols(np.random.default_rng(seed).permutation(["Cu", "Cu", "Au", "Au"]))
        atoms.rattle(0.08, seed=seed)
        structures.append(candidate(atoms))
    found = LinearAceFitMaker(n_functions=25, cutoff=4.5).fit([label_batch(structures, EMT())], tmp_path)
    assert found.elements == ["Au", "Cu"]
    assert set(found.core.r_in) == {"Au-Au", "Au-Cu", "Cu-Cu"}
    assert found.training_errors.energy_rmse < 0.005
    yaml = found.write(tmp_path)
    assert AcePotential(yaml, yaml.with_suffix(".asi")).elements == ["Au", "Cu"]


@pytest.mark.parametrize("key", ["label_noise", "label_noise_energy"])
def test_noise_is_not_negative(key):
    with pytest.raises(ConfigError, match=f"'{key}' must not be negative, got -0.1"):
        LinearAceFitMaker(**{key: -0.1})


def test_noisy_energies_do_not_spoil_the_forces_if_the_fit_is_told(copper_batch, tmp_path):
    rng = np.random.default_rng(0)

    def shifted(item):
        off = 0.02 * rng.normal() * item.label.structure.n_atoms if item.origin != "isolated_atom" else 0.0
        label = item.label.model_copy(update={"energy": item.label.energy + off})
        return item.model_copy(update={"label": label})

    noisy = copper_batch.model_copy(update={"labels": [shifted(item) for item in copper_batch.labels]})
    found = {}
    for noise in (0.0, 0.02):
        folder = tmp_path / str(noise)
        folder.mkdir()
        found[noise] = LinearAceFitMaker(n_functions=60, label_noise_energy=noise).fit([noisy], folder)
    assert found[0.02].training_errors.force_rmse < 0.8 * found[0.0].training_errors.force_rmse
    # Believed: what the labels carry, and no less.
    assert found[0.02].fit.energy_noise == pytest.approx(
        found[0.02].fit.noise * np.hypot(0.001, 0.02), rel=1e-9
    )
