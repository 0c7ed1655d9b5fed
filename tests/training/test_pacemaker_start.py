"""Warm starts: which coefficients are carried over, and what the potential says with them."""

import re

import numpy as np
import pytest
from ase.build import bulk

from mlip_autopipec.ace import AcePotential, BasisSpec, build_basis, import_pyace
from mlip_autopipec.training.pacemaker_input import PotentialShape
from mlip_autopipec.training.pacemaker_start import (
    function_keys,
    incompatible,
    starting_basis,
    target_basis,
)


def shape(**change):
    values = {
        "elements": ("Cu",),
        "cutoff": 5.0,
        "n_functions": 20,
        "fs_parameters": (1.0, 1.0, 1.0, 0.5),
        "radial_basis": "SBessel",
        "nradmax_by_orders": (6, 4, 2),
        "lmax_by_orders": (0, 2, 1),
    }
    return PotentialShape(**(values | change))


def energy(config, atoms, tmp_path):
    config.save(str(tmp_path / "tried.yaml"))
    return AcePotential(tmp_path / "tried.yaml").evaluate(atoms)


def test_a_linear_potential_goes_into_the_first_density(copper_files, copper_ace, rattled_copper, tmp_path):
    found, reason = starting_basis(copper_files, shape(), seed=1)
    assert reason is None
    assert function_keys(found) == function_keys(import_pyace().BBasisConfiguration(str(copper_files)))
    coefficients = np.array(found.get_func_coeffs()).reshape(-1, 2)
    assert 0.0 < np.abs(coefficients[:, 1]).max() < 1e-5
    say = energy(found, rattled_copper, tmp_path), copper_ace.evaluate(rattled_copper)
    assert say[0].energies == pytest.approx(say[1].energies, abs=1e-3)
    again = starting_basis(copper_files, shape(), seed=1)[0]
    assert again.get_all_coeffs() == found.get_all_coeffs()
    assert starting_basis(copper_files, shape(), seed=2)[0].get_all_coeffs() != found.get_all_coeffs()


def test_a_linear_potential_of_two_elements(tmp_path):
    basis = build_basis(BasisSpec(("Au", "Cu"), 4.5, 20))
    basis.basis_coeffs = 0.1 * np.random.default_rng(3).standard_normal(len(basis.basis_coeffs))
    basis.save(str(tmp_path / "linear.yaml"))
    found, reason = starting_basis(tmp_path / "linear.yaml", shape(elements=("Au", "Cu"), cutoff=4.5), seed=0)
    assert reason is None
    atoms = bulk("Cu", cubic=True, a=3.8)
    atoms.set_chemical_symbols(["Cu", "Cu", "Au", "Au"])
    atoms.rattle(0.08, seed=1)
    expected = AcePotential(tmp_path / "linear.yaml").evaluate(atoms).energies
    assert energy(found, atoms, tmp_path).energies == pytest.approx(expected, abs=1e-3)


def seeded(basis, seed=5):
    """Give a basis coefficients; radial ones as well."""
    numbers = np.random.default_rng(seed).standard_normal(len(basis.get_all_coeffs()))
    basis.set_all_coeffs((0.1 * numbers + np.array(basis.get_all_coeffs())).tolist())
    return basis


def test_the_same_functions_are_carried_over_exactly(rattled_copper, tmp_path):
    old = seeded(target_basis(shape()))
    old.save(str(tmp_path / "old.yaml"))
    found, reason = starting_basis(tmp_path / "old.yaml", shape(), seed=0)
    assert reason is None
    assert found.get_all_coeffs() == pytest.approx(old.get_all_coeffs(), abs=1e-14)


def test_a_smaller_basis_is_extended_and_says_the_same(rattled_copper, tmp_path):
    old = seeded(target_basis(shape(n_functions=12)))
    old.save(str(tmp_path / "old.yaml"))
    found, reason = starting_basis(tmp_path / "old.yaml", shape(), seed=0)
    assert reason is None
    assert found.total_number_of_functions == target_basis(shape()).total_number_of_functions > 12
    mine = energy(found, rattled_copper, tmp_path).energies
    assert mine == pytest.approx(
        AcePotential(tmp_path / "old.yaml").evaluate(rattled_copper).energies, abs=1e-9
    )


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"elements": ("Au", "Cu")}, "elements Cu instead of Au, Cu"),
        ({"cutoff": 6.0}, "rcutij of Cu 5.0 instead of 6.0"),
        ({"radial_basis": "ChebPow"}, "radbase of Cu SBessel instead of ChebPow"),
        ({"fs_parameters": (1.0, 0.5)}, r"embedding .* instead of \[1.0, 0.5\]"),
    ],
)
def test_what_cannot_be_carried_over_is_said(change, reason, tmp_path):
    target_basis(shape()).save(str(tmp_path / "old.yaml"))
    found, said = starting_basis(tmp_path / "old.yaml", shape(**change), seed=0)
    assert re.search(reason, said)
    assert not any(found.get_func_coeffs())


def test_the_radial_parameter_matters_only_where_it_is_used():
    one, other = target_basis(shape(radial_basis="ChebPow")), target_basis(shape(radial_basis="ChebPow"))
    block = other.funcspecs_blocks[0]
    block.radparameters = [3.0]
    assert incompatible(one, other) == "radparameters of Cu [1.0] instead of [3.0]"
    one, other = target_basis(shape()), target_basis(shape())
    other.funcspecs_blocks[0].radparameters = [3.0]
    assert incompatible(one, other) is None
