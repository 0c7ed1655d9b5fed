"""The factory: each key of the configuration belongs to a Maker, each value to a source."""

from dataclasses import fields
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from mlip_autopipec.config import MLIPConfig, parse_config
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.oracle import AseStaticMaker, QeStaticMaker, VaspStaticMaker
from mlip_autopipec.training import LinearAceFitMaker

HERE = Path()
EMT = {"engine": "ase", "calculator": "emt"}


def values(data):
    return {value.path: value for value in plan(parse_config(data), HERE).values}


def test_every_key_of_the_configuration_has_a_value_and_a_source():
    for oracle in ({"engine": "qe"}, {"engine": "vasp"}, EMT):
        found = values({"composition": "Cu", "oracle": oracle})
        for name, field in MLIPConfig.model_fields.items():
            if name in ("composition", "structures", "seed", "oracle"):
                continue
            for key in field.annotation.model_fields:
                assert f"{name}.{key}" in found
        assert all(value.source in ("yours", "inferred", "default") for value in found.values())
        assert all(value.reason for value in found.values() if value.source == "inferred")


def test_vasp_is_an_oracle_like_the_others():
    oracle = {
        "engine": "vasp",
        "functional": "PBEsol",
        "encut": 450.0,
        "potcars": {"Na": "Na_pv"},
        "nspin": 2,
    }
    data = {
        "composition": "NaCl",
        "oracle": oracle,
        "training": {"realign": True, "label_noise_energy": 0.002},
    }
    maker = plan(parse_config(data), HERE).maker
    made = maker.label_maker.oracle_maker
    assert isinstance(made, VaspStaticMaker)
    assert (made.functional, made.encut, made.potcars, made.nspin) == ("PBEsol", 450.0, {"Na": "Na_pv"}, 2)
    assert maker.seed_maker.n_atoms == 8
    assert (maker.fit_maker.realign, maker.fit_maker.label_noise_energy) == (True, 0.002)
    found = values(data)
    assert found["oracle.k_spacing"].value == VaspStaticMaker().k_spacing
    assert "oracle.ecutwfc" not in found


def test_realignment_reaches_the_last_fit():
    data = {"composition": "Cu", "oracle": EMT, "training": {"final_fit": "pacemaker", "realign": True}}
    assert plan(parse_config(data), HERE).maker.final_fit_maker.realign is True


@pytest.mark.parametrize(
    ("oracle", "match"),
    [
        ({"engine": "vasp", "ecutwfc": 30.0}, "ecutwfc does not apply to engine 'vasp'"),
        ({"engine": "qe", "encut": 500.0}, "encut does not apply to engine 'qe'"),
        (EMT | {"k_spacing": 0.2}, "k_spacing does not apply to engine 'ase'"),
    ],
)
def test_keys_of_another_engine_are_refused(oracle, match):
    with pytest.raises(ConfigError, match=match):
        parse_config({"composition": "Cu", "oracle": oracle})


def test_a_default_is_the_makers_own():
    found = values({"composition": "Cu", "oracle": EMT})
    default = {f.name: f.default for f in fields(LinearAceFitMaker)}
    assert found["training.force_sigma"].value == default["force_sigma"]
    assert found["training.force_sigma"].source == "default"


WALKS = {
    "backend": "library",
    "ensemble": "npt",
    "coupling": "aniso",
    "pressure": 1.0,
    "pressure_end": 2.0,
    "temperature_end": 900.0,
    "strain_rate": [0.1, 0.0, 0.0],
    "swap_every": 50,
    "swap_attempts": 7,
    "swap_pairs": ["Cu-Ni"],
    "swap_temperature": 800.0,
}
LIMITS = {
    "smallest_distance": 0.8,
    "temperature_ratio": 4.0,
    "largest_pressure": 30.0,
    "energy_change": 0.7,
}


def walks(composition, exploration):
    data = {"composition": composition, "oracle": EMT, "exploration": exploration}
    return plan(parse_config(data), HERE).maker.exploration_maker


def test_what_the_user_says_of_the_walks_reaches_their_maker():
    maker = walks({"Cu": 0.5, "Ni": 0.5}, WALKS | LIMITS)
    for name, value in WALKS.items():
        assert getattr(maker, name) == (tuple(value) if isinstance(value, list) else value), name
    for name, value in LIMITS.items():
        assert getattr(maker.stop_rule, name) == value, name
    potentials = {"Cu": 0.0, "Ni": -0.5}
    made = walks({"Cu": 0.5, "Ni": 0.5}, {"swap_every": 10, "chemical_potentials": potentials})
    assert made.chemical_potentials == potentials


@pytest.mark.parametrize(
    ("exploration", "message"),
    [
        ({"swap_every": 10}, "two elements among Cu, got none"),
        ({"swap_every": 10, "swap_pairs": ["Cu-Ni"]}, "among Cu, got Cu-Ni"),
        ({"swap_every": 10, "chemical_potentials": {"Cu": 0.0}}, "'chemical_potentials' must be of two"),
        ({"swap_pairs": ["Cu-Ni"]}, "swap_pairs needs 'swap_every'"),
        ({"ensemble": "nve", "temperature_end": 500.0}, "'temperature_end' needs a thermostat"),
        ({"strain_rate": [0.1, 0.0, 0.0]}, "needs edges that move apart"),
        ({"coupling": "any"}, "'exploration.coupling': it should be 'iso', 'aniso' or 'tri'"),
        ({"strain_rate": [0.1, 0.0]}, r"'exploration.strain_rate"),
        ({"backend": "gpu"}, "'exploration.backend': it should be"),
        ({"temperature_ratio": 1.0}, "'exploration.temperature_ratio': it should be greater than 1"),
    ],
)
def test_walks_that_make_no_sense_are_refused_before_anything_runs(exploration, message):
    with pytest.raises(ConfigError, match=message):
        walks("Cu", exploration)


def test_what_the_user_says_wins_and_reaches_the_maker():
    data = {
        "composition": "Cu",
        "seed": 7,
        "oracle": EMT | {"max_force": 40.0, "max_failed_fraction": 0.25},
        "generation": {"n_atoms": 4, "dimer_distances": [0.8, 1.0]},
        "training": {"cutoff": 4.75, "n_functions": 50},
        "exploration": {"temperatures": [100.0, 200.0], "timestep": 0.7, "gamma_halt": 9.0, "gamma_every": 3},
        "active_learning": {"n_initial": 5, "quiet_rounds": 3, "max_labels": 33},
        "validation": {"n_held_out": 2, "max_strain": 0.03, "n_steps": 44, "max_force_rmse": 0.2},
    }
    maker = plan(parse_config(data), HERE).maker
    assert maker.seed == maker.seed_maker.seed == 7
    assert maker.seed_maker.n_atoms == 4
    assert maker.seed_maker.dimer_distances == (0.8, 1.0)
    assert maker.fit_maker.cutoff == maker.selection_maker.cutoff == 4.75
    assert maker.fit_maker.n_functions == maker.selection_maker.n_functions == 50
    assert maker.temperatures == (100.0, 200.0)
    assert maker.exploration_maker.timestep == maker.validation_maker.stability_maker.timestep == 0.7
    assert maker.exploration_maker.stop_rule.gamma == 9.0
    assert maker.exploration_maker.gamma_every == 3
    assert maker.n_initial == 5
    assert (maker.limits.quiet_rounds, maker.limits.max_labels) == (3, 33)
    assert maker.validation_maker.n_held_out == 2
    assert maker.validation_maker.eos_maker.max_strain == 0.03
    assert maker.validation_maker.stability_maker.n_steps == 44
    assert maker.validation_maker.stability_maker.temperature == 200.0
    assert maker.validation_maker.held_out_maker.max_force_rmse == 0.2
    assert maker.label_maker.max_failed_fraction == 0.25
    assert maker.label_maker.oracle_maker == AseStaticMaker(calculator="emt", max_force=40.0)
    assert maker.validation_maker.label_maker == maker.label_maker
    # validation's n_steps and max_strain are not the walks' and not the seeds'
    assert maker.n_steps == type(maker)().n_steps
    assert maker.seed_maker.max_strain == type(maker.seed_maker)().max_strain


def test_silicon_alone_is_labelled_by_pw_x():
    made = plan(parse_config({"composition": "Si"}), HERE)
    assert isinstance(made.maker.label_maker.oracle_maker, QeStaticMaker)
    assert made.elements == ["Si"]
    engine = next(value for value in made.values if value.path == "oracle.engine")
    assert (engine.value, engine.source) == ("qe", "inferred")


def test_spin_limits_and_cures_reach_the_maker_of_pw_x():
    given = {
        "nspin": 2,
        "starting_moments": {"Fe": 2.2},
        "smearing": "fixed",
        "max_seconds": 600.0,
        "max_corrections": 3,
        "physics_cures": True,
    }
    oracle = plan(parse_config({"composition": "Fe", "oracle": given}), HERE).maker.label_maker.oracle_maker
    assert {key: getattr(oracle, key) for key in given} == given


def test_structures_of_the_user_are_taken_as_they_are(tmp_path):
    write(tmp_path / "mine.cif", bulk("Al", cubic=True))
    made = plan(parse_config({"structures": "*.cif", "oracle": EMT}), tmp_path)
    assert [s.n_atoms for s in made.structures] == [4]
    assert made.elements == ["Al"]


@pytest.mark.parametrize(("composition", "match"), [("SiO2", "no prototype"), ("H", "no reference crystal")])
def test_a_composition_without_a_crystal_asks_for_structures(composition, match):
    with pytest.raises(ConfigError, match=match) as caught:
        plan(parse_config({"composition": composition}), HERE)
    assert "structures:" in str(caught.value)


def test_the_same_configuration_gives_the_same_jobs():
    def ids(seed):
        made = plan(parse_config({"composition": "Cu", "oracle": EMT, "seed": seed}), HERE)
        return list(identify(made.flow()).job_uuids)

    assert ids(0) == ids(0)
    assert ids(0) != ids(1)


@pytest.mark.parametrize("composition", ["Cu", "Ti", "Cu3Au"])
def test_the_first_batch_knows_how_many_are_required(composition, tmp_path):
    """A hexagonal crystal has more distinct strains than a cubic one, an alloy more dimers."""
    found = plan(MLIPConfig(composition=composition, generation={"n_atoms": 8}), tmp_path)
    seeds = found.maker.seed_maker
    pool = seeds.make.original(seeds, found.structures).candidates
    required = sum(c.required for c in pool)
    value = next(v for v in found.values if v.path == "active_learning.n_initial")
    assert value.reason.startswith(f"{required} required")
    assert found.maker.n_initial > required


@pytest.mark.parametrize(("data", "gamma"), [({}, 10.0), ({"composition": "Cu3Au"}, 5.0)])
def test_walks_of_compounds_halt_sooner(data, gamma):
    walk = plan(parse_config({"composition": "Cu", "oracle": EMT} | data), HERE).maker.exploration_maker
    assert walk.stop_rule.gamma == gamma
    said = data | {"exploration": {"gamma_halt": 7.0}}
    walk = plan(parse_config({"composition": "Cu", "oracle": EMT} | said), HERE).maker.exploration_maker
    assert walk.stop_rule.gamma == 7.0
