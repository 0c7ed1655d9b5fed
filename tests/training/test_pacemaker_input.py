"""What pacemaker is given: input by value, data set, cells, and what is refused before anything runs."""

import numpy as np
import pandas as pd
import pytest
import yaml
from ase import Atoms
from ase.build import bulk, fcc111

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.training.dataset import assemble
from mlip_autopipec.training.pacemaker_data import loss_weights, portable, write_dataset
from mlip_autopipec.training.pacemaker_input import (
    FitChoice,
    PotentialShape,
    arguments,
    input_dict,
    input_text,
)

SHAPE = {
    "elements": ("Al", "Ni"),
    "cutoff": 5.5,
    "n_functions": 60,
    "fs_parameters": (1.0, 1.0, 1.0, 0.5),
    "radial_basis": "SBessel",
    "nradmax_by_orders": (8, 3),
    "lmax_by_orders": (0, 2),
}
CHOICE = {
    "kappa": 0.3,
    "l1": 1e-8,
    "l2": 1e-7,
    "weighting": "uniform",
    "optimizer": "BFGS",
    "max_iterations": 30,
    "ladder_step": None,
    "ladder_type": "body_order",
}


def content(shape=(), choice=(), **kwargs):
    options = {"evaluator": "tensorpot", "batch_size": 50, "seed": 7} | kwargs
    return input_dict(
        PotentialShape(**(SHAPE | dict(shape))), FitChoice(**(CHOICE | dict(choice))), **options
    )


def test_the_input_by_value():
    assert content() == {
        "cutoff": 5.5,
        "seed": 7,
        "metadata": {"origin": "mlip_autopipec"},
        "potential": {
            "deltaSplineBins": 0.001,
            "elements": ["Al", "Ni"],
            "embeddings": {
                "ALL": {
                    "npot": "FinnisSinclairShiftedScaled",
                    "fs_parameters": [1.0, 1.0, 1.0, 0.5],
                    "ndensity": 2,
                }
            },
            "bonds": {
                "ALL": {
                    "radbase": "SBessel",
                    "radparameters": [1.0],
                    "rcut": 5.5,
                    "dcut": 0.01,
                    "NameOfCutoffFunction": "cos",
                    "core-repulsion": [1.0, 1.0],
                    "inner_cutoff_type": "zbl",
                    "r_in": 0.1,
                    "delta_in": 0.05,
                }
            },
            "functions": {
                "number_of_functions_per_element": 60,
                "ALL": {"nradmax_by_orders": [8, 3], "lmax_by_orders": [0, 2]},
            },
        },
        "data": {"filename": "training.pckl.gzip", "datapath": "."},
        "fit": {
            "loss": {"kappa": 0.3, "L1_coeffs": 1e-8, "L2_coeffs": 1e-7},
            "optimizer": "BFGS",
            "maxiter": 30,
        },
        "backend": {"evaluator": "tensorpot", "batch_size": 50, "display_step": 50},
    }


def test_what_is_chosen_appears_in_the_input():
    found = content(
        {"radial_basis": "ChebExpCos", "fs_parameters": (1.0, 1.0)},
        {"kappa": "auto", "weighting": "energy", "ladder_step": 0.1, "optimizer": "L-BFGS-B"},
        tested=True,
    )
    assert found["potential"]["bonds"]["ALL"]["radparameters"] == [5.25]
    assert found["potential"]["embeddings"]["ALL"]["ndensity"] == 1
    assert found["data"]["test_filename"] == "test.pckl.gzip"
    assert found["fit"]["loss"]["kappa"] == "auto"
    assert found["fit"]["weighting"]["type"] == "EnergyBasedWeightingPolicy"
    assert found["fit"]["weighting"]["seed"] == 7
    assert (found["fit"]["ladder_step"], found["fit"]["ladder_type"]) == (0.1, "body_order")
    assert yaml.safe_load(input_text(found)) == found


def test_numbers_are_numbers_to_a_yaml_1_2_reader_too():
    """Pacemaker reads by ruamel, where `1e-08` (without a point) is text."""
    from ruamel.yaml import YAML

    read = YAML(typ="safe", pure=True).load(input_text(content()))
    assert read == content()


def test_the_arguments_by_value():
    cold = ["input.yaml", "--no-predict", "-o", "output_potential.yaml"]
    assert arguments(warm=False) == cold
    assert arguments(warm=True) == [*cold, "-p", "start.yaml"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cutoff": 0.5}, "'cutoff' must be larger than 1 Å, got 0.5"),
        ({"n_functions": 0}, "'n_functions' must be positive, got 0"),
        ({"fs_parameters": (1.0, 1.0, 1.0)}, "'fs_parameters' must be pairs of weight and exponent"),
        ({"radial_basis": "Bessel"}, "'radial_basis' must be one of SBessel, ChebExpCos, ChebPow"),
        ({"lmax_by_orders": (0,)}, r"'lmax_by_orders' must be of the same length .* \(2\), got \(0,\)"),
    ],
)
def test_a_shape_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        content(change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kappa": 1.5}, "'kappa' must be between 0 and 1, or 'auto', got 1.5"),
        ({"kappa": "car"}, "'kappa' must be between 0 and 1, or 'auto', got 'car'"),
        ({"l1": -1.0}, "'l1_coeffs' must be at least 0"),
        ({"l2": -1.0}, "'l2_coeffs' must be at least 0"),
        ({"weighting": "heavy"}, "'weighting' must be one of uniform, importance, energy"),
        ({"optimizer": "Adam"}, "'optimizer' must be one of BFGS, L-BFGS-B, got 'Adam'"),
        ({"max_iterations": 0}, "'max_iterations' must be positive"),
        ({"ladder_step": 0}, "'ladder_step' must be positive"),
        ({"ladder_type": "up"}, "'ladder_type' must be one of body_order, power_order"),
    ],
)
def test_a_choice_that_makes_no_sense_is_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        content((), change)


def test_the_data_set_holds_energies_without_e0_and_the_chosen_rows(copper_batch, tmp_path):
    training = assemble([copper_batch], 4.0)
    path = tmp_path / "data.pckl.gzip"
    write_dataset(path, training, [3, 0], 4.0, np.linspace(1.0, 2.0, len(training.labels)))
    frame = pd.read_pickle(path, compression="gzip")  # noqa: S301 - our own file
    items = [training.labels[3], training.labels[0]]
    assert list(frame.columns) == ["ase_atoms", "energy_corrected", "forces", "name", "w_energy", "w_forces"]
    assert list(frame["name"]) == [f"label {item.label_id}" for item in items]
    assert list(frame["energy_corrected"]) == pytest.approx(
        [i.label.energy - 3.51 * i.label.structure.n_atoms for i in items]
    )
    for atoms, forces, item in zip(frame["ase_atoms"], frame["forces"], items, strict=True):
        assert atoms == item.label.structure.to_ase()
        assert np.array_equal(forces, item.label.forces)
        assert atoms.calc is None


def test_ids_cannot_look_like_augmented_structures(copper_batch, tmp_path):
    """Pacemaker weighs what is named `augmented…` by 1e-4."""
    labels = [i.model_copy(update={"label_id": f"augmented{n}"}) for n, i in enumerate(copper_batch.labels)]
    training = assemble([copper_batch.model_copy(update={"labels": labels})], 4.0)
    write_dataset(tmp_path / "data.pckl.gzip", training, [0], 4.0)
    frame = pd.read_pickle(tmp_path / "data.pckl.gzip", compression="gzip")  # noqa: S301 - our own file
    assert not frame["name"].str.startswith("augmented").any()
    assert "w_energy" not in frame


def test_weights_add_up_to_one_and_fall_with_the_square_of_the_looseness():
    energy, forces = loss_weights(np.array([1.0, 2.0]), [4, 2])
    assert energy == pytest.approx([0.8, 0.2])
    assert [len(f) for f in forces] == [4, 2]
    assert np.concatenate(forces).sum() == pytest.approx(1.0)
    assert forces[0][0] == pytest.approx(4.0 * forces[1][0])


def left_handed():
    atoms = bulk("Cu", cubic=True).repeat((2, 1, 1))
    atoms.rattle(0.1, seed=1)
    atoms.cell = atoms.cell[[1, 0, 2]]
    assert atoms.cell.handedness < 0
    return atoms


def slab():
    atoms = fcc111("Cu", (1, 2, 3))  # its third lattice vector is zero
    atoms.rattle(0.1, seed=2)
    return atoms


def wire():
    atoms = bulk("Cu", cubic=True)
    atoms.rattle(0.1, seed=3)
    atoms.pbc = [False, True, False]
    return atoms


def cluster():
    return Atoms(
        "Cu3", positions=[[0, 0, 0], [0, 0, 2.4], [0, 2.3, 0.3]], cell=[[0, 1, 0], [1, 0, 0], [0, 0, 1]]
    )


@pytest.mark.parametrize("make", [left_handed, slab, wire, cluster, lambda: bulk("Cu")])
def test_any_cell_becomes_one_that_pacemaker_takes_and_nothing_changes(make, copper_ace):
    atoms = make()
    before = atoms.copy()
    found = portable(atoms, 5.0)
    assert len(set(found.pbc)) == 1
    assert found.cell.handedness > 0 or not found.pbc.any()
    assert np.array_equal(found.positions, atoms.positions)
    a, b = copper_ace.evaluate(atoms), copper_ace.evaluate(found)
    assert b.energies == pytest.approx(a.energies, abs=1e-10)
    assert b.forces == pytest.approx(a.forces, abs=1e-9)
    assert atoms == before
