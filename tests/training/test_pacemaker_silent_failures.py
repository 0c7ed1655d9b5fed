"""Fifteen ways in which pacemaker and its companions go wrong without a word (each was seen), one test each.

The real program runs once, on a few structures with numerical gradients. What it would do silently is done to
its results by small scripts that stand in for it: they copy the recorded run and change one thing.
"""

import shlex
import shutil
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest
import yaml
from ase.build import bulk, fcc111
from ase.calculators.emt import EMT

from mlip_autopipec.ace import AcePotential, DesignMatrix, active_set_inverse, dimer_scan, grade, import_pyace
from mlip_autopipec.errors import CalculationError, ConfigError, FitError
from mlip_autopipec.schemas import AtomicStructure, ErrorStatistics, LabelBatchDoc, ParityPoint
from mlip_autopipec.testing import label_batch
from mlip_autopipec.training import PacemakerFitMaker
from mlip_autopipec.training.dataset import assemble
from mlip_autopipec.training.pacemaker_input import PotentialShape
from mlip_autopipec.training.pacemaker_result import set_core
from mlip_autopipec.training.pacemaker_setup import copper_cells
from mlip_autopipec.training.pacemaker_start import target_basis

HERE = f"{shlex.quote(sys.executable)} -I -m pyace.cli.pacemaker"

pytestmark = pytest.mark.xdist_group("silent failures")

KNOWN_KEYS = {
    "": {"cutoff", "seed", "metadata", "potential", "data", "fit", "backend"},
    "data": {"filename", "datapath", "test_filename"},
    "fit": {"loss", "optimizer", "maxiter", "weighting", "ladder_step", "ladder_type"},
    "loss": {"kappa", "L1_coeffs", "L2_coeffs"},
    "backend": {"evaluator", "batch_size", "display_step"},
}


def tiny(**change):
    options = {"command": HERE, "evaluator": "pyace", "cutoff": 4.0, "n_functions": 8, "max_iterations": 2}
    return PacemakerFitMaker(**(options | change))


def outlier():
    """A cell like no other in the set, whose forces no fit can learn."""
    atoms = bulk("Cu", "sc", a=2.5).repeat((2, 1, 1))
    atoms.rattle(0.15, seed=9)
    return atoms


def left_handed():
    atoms = bulk("Cu", cubic=True, a=3.7)
    atoms.rattle(0.05, seed=8)
    atoms.cell = atoms.cell[[1, 0, 2]]
    return atoms


@pytest.fixture(scope="module")
def batch(candidate):
    """Copper cells, a left-handed cell, a slab, and an outlier (the last label)."""
    more = label_batch([candidate(a) for a in (left_handed(), fcc111("Cu", (1, 1, 3)), outlier())], EMT())
    last = more.labels[-1]
    forces = (np.array(last.label.forces) + 3.0 * np.array([[1, 1, 0], [-1, -1, 0]])).tolist()
    more.labels[-1] = last.model_copy(update={"label": last.label.model_copy(update={"forces": forces})})
    first = copper_cells().labels
    print_as = {"fingerprint": more.labels[0].label.fingerprint}
    first = [i.model_copy(update={"label": i.label.model_copy(update=print_as)}) for i in first]
    labels = [*first, *more.labels]
    return LabelBatchDoc(labels=labels, failed=[], n_labels=len(labels), wall_time=0.0)


@pytest.fixture(scope="module")
def recorded(batch, tmp_path_factory):
    """Document and folder of a run of the real pacemaker."""
    folder = tmp_path_factory.mktemp("recorded")
    return tiny(max_iterations=3).fit([batch], folder), folder


@pytest.fixture
def fake(recorded, tmp_path):
    """A maker whose pacemaker copies the recorded run and then does what it is told."""

    def make(commands="", **change):
        program = tmp_path / "pacemaker"
        names = "output_potential.yaml log.txt metrics.txt fitting_data_info.pckl.gzip"
        program.write_text(f"#!/bin/sh\nfor name in {names}; do cp {recorded[1]}/$name .; done\n{commands}\n")
        program.chmod(0o755)
        return tiny(**({"command": str(program), "evaluator": "tensorpot"} | change))

    return make


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    return path


@pytest.fixture
def delivered(recorded, tmp_path):
    """The potential of the recorded run, from its delivered files."""
    path = recorded[0].write(tmp_path)
    return AcePotential(path, path.with_suffix(".asi"))


def test_the_recorded_run_is_accepted(fake, batch, folder, recorded):
    found = fake().fit([batch], folder)
    assert found.training_errors == recorded[0].training_errors
    assert found.fit.evaluator == "tensorpot"


def test_silent_failure_01_the_active_set_is_the_linear_one_never_full(recorded, batch, tmp_path):
    doc, _ = recorded
    path = doc.write(tmp_path)
    with np.load(path.with_suffix(".asi")) as arrays:
        assert arrays["Cu"].shape == (doc.n_functions["Cu"], doc.n_functions["Cu"])
    potential = AcePotential(path, path.with_suffix(".asi"))
    highest = max(potential.evaluate(i.label.structure.to_ase()).gamma.max() for i in batch.labels)
    assert 0.999 < highest < 1.002


def test_silent_failure_02_every_element_of_the_data_is_in_the_potential(fake, batch, folder):
    gold = label_gold(batch)
    with pytest.raises(FitError, match=r"output_potential.yaml of pacemaker holds 8 functions, .* asked for"):
        fake().fit([gold], folder)
    content = yaml.safe_load((folder / "input.yaml").read_text())
    assert content["potential"]["elements"] == ["Au", "Cu"]


def label_gold(batch):
    first = batch.labels[0]
    gold = first.label.structure.model_copy(update={"symbols": ["Au", "Cu", "Cu", "Cu"]})
    label = first.label.model_copy(update={"structure": gold})
    return batch.model_copy(update={"labels": [first.model_copy(update={"label": label}), *batch.labels[1:]]})


def test_silent_failure_03_a_dropped_structure_is_named(fake, batch, folder):
    drop = (
        "import pandas; p = 'fitting_data_info.pckl.gzip'; "
        "pandas.read_pickle(p, 'gzip')[1:].to_pickle(p, compression='gzip')"
    )
    with pytest.raises(FitError, match="pacemaker used 8 of 9 training structures; dropped: trial-0"):
        fake(f'{shlex.quote(sys.executable)} -c "{drop}"').fit([batch], folder)


def test_silent_failure_03_lonely_atoms_are_left_out_with_a_reason(fake, batch, folder):
    far = batch.labels[0].label.structure.model_copy(
        update={"symbols": ["Cu"] * 3, "positions": [(0, 0, 0), (0, 0, 2.5), (0, 0, 12)], "pbc": (False,) * 3}
    )
    label = batch.labels[0].label.model_copy(
        update={"structure": far, "forces": [(0.0, 0.0, 0.0)] * 3, "stress": None}
    )
    lonely = batch.labels[0].model_copy(update={"label": label, "label_id": "far"})
    found = fake().fit([batch.model_copy(update={"labels": [*batch.labels, lonely]})], folder)
    assert found.excluded == ["far (Cu3): 1 atoms without a neighbour"]


def test_silent_failure_04_coefficients_that_are_not_numbers(fake, batch, folder):
    for written, message in (
        (".nan", "holds coefficients that are not finite numbers"),
        (".inf", "holds coefficients that are not finite numbers"),
        ("nan", "cannot be read: .* bad conversion"),
    ):
        with pytest.raises(FitError, match=message):
            fake(f"sed -i 's/c: \\[[^,]*,/c: [{written},/' output_potential.yaml").fit([batch], folder)
    with pytest.raises(CalculationError, match="met numbers that are not finite during the fit"):
        fake("echo 'NaN result encountered' >> log.txt").fit([batch], folder)


def test_silent_failure_05_the_core_of_each_pair_begins_at_its_own_distance(batch, recorded, folder, fake):
    with pytest.raises(FitError, match="no structure that is fitted holds Au"):
        fake().fit([only_an_atom_of_gold(batch)], folder)
    assert "repulsion" not in (recorded[1] / "input.yaml").read_text().replace("core-repulsion", "")
    shape = PotentialShape(("Al", "Cu", "Ni"), 4.0, 1, (1.0, 1.0), "SBessel", (1,), (0,))
    config = target_basis(shape)
    structures = [bulk("Al"), bulk("Ni")]  # copper is absent, and no pair is mixed
    core = set_core(config, structures, 4.0)
    assert core["Al-Al"].r_in == pytest.approx(4.05 / 2**0.5, abs=1e-5)
    assert core["Ni-Ni"].r_in == pytest.approx(3.52 / 2**0.5, abs=1e-5)
    assert core["Cu-Ni"].r_in == pytest.approx(0.7 * (1.32 + 1.24), abs=1e-5)
    blocks = {block.block_name: block.r_in for block in config.funcspecs_blocks}
    assert blocks["Ni Cu"] == blocks["Cu Ni"] == core["Cu-Ni"].r_in
    assert blocks["Ni"] == core["Ni-Ni"].r_in


def only_an_atom_of_gold(batch):
    first = batch.labels[0]
    atom = AtomicStructure(
        symbols=["Au"], positions=[(0, 0, 0)], cell=first.label.structure.cell, pbc=(False,) * 3
    )
    label = first.label.model_copy(update={"structure": atom, "forces": [(0.0, 0.0, 0.0)], "stress": None})
    alone = first.model_copy(update={"label": label, "origin": "isolated_atom", "label_id": "gold"})
    return batch.model_copy(update={"labels": [*batch.labels, alone]})


def test_silent_failure_06_energies_are_given_without_e0_and_no_reference_is_asked_for(recorded, batch):
    doc, folder = recorded
    assert "reference_energy" not in (folder / "input.yaml").read_text()
    frame = pd.read_pickle(folder / "training.pckl.gzip", compression="gzip")  # noqa: S301 - our own file
    expected = [i.label.energy - doc.e0["Cu"] * i.label.structure.n_atoms for i in batch.labels]
    assert list(frame["energy_corrected"]) == pytest.approx(expected)
    assert "energy" not in frame


def test_silent_failure_07_the_core_is_never_of_zero_width(recorded, delivered):
    doc, _ = recorded
    assert doc.core.delta_in["Cu-Cu"] > 0.01
    energies = dimer_scan(lambda a: delivered.evaluate(a).energies.sum(), "Cu-Cu", np.arange(0.4, 1.1, 0.1))
    assert (energies > 10.0).all()
    assert (np.diff(energies) < 0.0).all()
    shape = PotentialShape(("Cu",), 4.0, 4, (1.0, 1.0), "SBessel", (4,), (0,))
    assert target_basis(shape).funcspecs_blocks[0].delta_in > 0.0


def test_silent_failure_08_errors_are_those_of_the_written_file(fake, batch, folder, recorded, delivered):
    better = "sed -i -E '$ s/^((\\S+ +){7})\\S+/\\11.0e-5/' metrics.txt"
    found = fake(better).fit([batch], folder)
    assert found.training_errors == recorded[0].training_errors
    assert any("pacemaker says 0.01" in line for line in found.fit.warnings)
    assert not any("pacemaker says" in line for line in recorded[0].fit.warnings)
    training = assemble([batch], 4.0)
    points = ParityPoint.predict(delivered, training.labels, training.e0)
    assert ErrorStatistics.from_parity(points).model_dump() == pytest.approx(
        found.training_errors.model_dump()
    )


def test_silent_failure_09_the_active_set_is_in_the_layout_that_is_read(recorded, delivered, batch, tmp_path):
    folder = recorded[1]
    with zipfile.ZipFile(folder / "potential.asi") as archive:
        assert [entry.compress_type for entry in archive.infolist()] == [zipfile.ZIP_STORED]
    with np.load(folder / "potential.asi") as arrays:
        inverse = arrays["Cu"]
    assert inverse.dtype == np.float64
    assert inverse.flags.c_contiguous
    atoms = batch.labels[2].label.structure.to_ase()
    expected = grade(DesignMatrix(delivered.basis).projections(atoms)["Cu"], inverse)
    assert delivered.evaluate(atoms).gamma == pytest.approx(expected, rel=1e-6)


def test_silent_failure_10_no_file_is_overwritten_whatever_the_folder_is_called(fake, batch, tmp_path):
    folder = tmp_path / "a.yaml" / "yaml.yml"
    folder.mkdir(parents=True)
    found = fake().fit([batch], folder)
    for file in found.files:
        assert (folder / file.name).is_file()
    pyace = import_pyace()
    fitted = pyace.BBasisConfiguration(str(folder / "output_potential.yaml"))
    assert fitted.get_all_coeffs() == pytest.approx(
        pyace.BBasisConfiguration(str(folder / "potential.yaml")).get_all_coeffs(), abs=1e-15
    )
    assert (folder / "potential.yace").read_text().startswith("elements")


def test_silent_failure_11_slabs_and_left_handed_cells_are_fitted_like_any_other(recorded, batch):
    """Positions that are not numbers never come this far: `AtomicStructure` refuses them."""
    doc, folder = recorded
    frame = pd.read_pickle(folder / "fitting_data_info.pckl.gzip", compression="gzip")  # noqa: S301 - our own file
    assert len(frame) == doc.fit.n_structures == len(batch.labels)
    assert all(len(set(atoms.pbc)) == 1 for atoms in frame["ase_atoms"])
    assert all(atoms.cell.handedness > 0 for atoms in frame["ase_atoms"])


def test_silent_failure_12_an_unknown_embedding_and_unknown_keys(fake, batch, folder, recorded):
    unknown = "sed -i 's/npoti: .*/npoti: FinisSinclair/' output_potential.yaml"
    with pytest.raises(FitError, match="has the embedding 'FinisSinclair' for Cu: its energy is zero"):
        fake(unknown).fit([batch], folder)
    content = yaml.safe_load((recorded[1] / "input.yaml").read_text())
    assert content.keys() == KNOWN_KEYS[""]
    for section in ("data", "fit", "backend"):
        assert content[section].keys() <= KNOWN_KEYS[section]
    assert content["fit"]["loss"].keys() == KNOWN_KEYS["loss"]


def test_silent_failure_13_a_radial_basis_that_does_not_vanish_is_refused(batch, folder):
    with pytest.raises(ConfigError, match=r"'radial_basis' must be one of SBessel, .* got 'ChebLinear'"):
        tiny(radial_basis="ChebLinear").fit([batch], folder)
    assert PacemakerFitMaker().radial_basis == "SBessel"


def test_silent_failure_14_a_fit_that_did_not_converge_says_so(fake, batch, folder, recorded):
    assert not recorded[0].fit.converged
    assert recorded[0].fit.warnings[0].startswith("not converged after 3 iterations: Maximum number of")
    assert fake("sed -i 's/success=False/success=True/' log.txt").fit([batch], folder).fit.converged
    with pytest.raises(CalculationError, match="tells no result of the optimization"):
        fake("sed -i '/Optimization result/d' log.txt").fit([batch], folder)


def test_silent_failure_15_outliers_are_in_the_active_set_too(delivered, batch):
    structures = [item.label.structure.to_ase() for item in batch.labels]
    assert delivered.evaluate(structures[-1]).gamma.max() < 1.002
    rows = [DesignMatrix(delivered.basis).projections(atoms)["Cu"] for atoms in structures]
    without = active_set_inverse(np.vstack(rows[:-1]), np.full(rows[0].shape[1], 1e-4))
    assert grade(rows[-1], without).max() > 1.5  # had it been left out, it would be extrapolation


# Whatever else a file could hold


def test_an_old_result_is_not_taken_for_a_new_one(fake, batch, folder, recorded):
    shutil.copytree(recorded[1], folder, dirs_exist_ok=True)
    with pytest.raises(FitError, match=r"pacemaker left no output_potential\.yaml"):
        fake("rm output_potential.yaml").fit([batch], folder)


@pytest.mark.parametrize(
    ("commands", "message"),
    [
        ("echo '{' > output_potential.yaml", "output_potential.yaml of pacemaker cannot be read"),
        ("sed -i 's/c: .*/c: [0, 0]}/' output_potential.yaml", "all coefficients in .* are zero"),
        ("rm fitting_data_info.pckl.gzip", "left no fitting_data_info.pckl.gzip"),
    ],
)
def test_a_broken_result_is_an_error(commands, message, fake, batch, folder):
    with pytest.raises(FitError, match=message):
        fake(commands).fit([batch], folder)
