"""Bad configurations: what is wrong, the value, what is accepted, a hint; nothing has run."""

import pytest

from mlip_autopipec.config import load_config, parse_config
from mlip_autopipec.errors import ConfigError


def test_smallest_configuration_is_a_composition(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("composition: Si\n")
    config = load_config(path)
    assert config.composition == "Si"
    assert config.given() == {"composition": "Si"}


@pytest.mark.parametrize("composition", ["Si", "NaCl", "Cu3Au", {"Cu": 0.5, "Ni": 0.5}])
def test_compositions_of_the_documentation_are_accepted(composition):
    assert parse_config({"composition": composition}).composition == composition


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (
            {"compositoin": "Si"},
            r"unknown key 'compositoin' \(value 'Si'\); accepted: composition, structures",
        ),
        ({"composition": "Xx"}, r"'composition': Xx is not a chemical element, got 'Xx'"),
        ({"composition": "Cu-Au"}, r"not a chemical formula like 'Si', 'NaCl' or 'Cu3Au', got 'Cu-Au'"),
        ({"composition": ""}, r"not a chemical formula"),
        ({"composition": {"Cu": -1}}, r"'composition.Cu': it should be greater than 0, got -1"),
        ({"composition": {"Qq": 1}}, r"'composition': Qq is not a chemical element"),
        ({}, r"give either 'composition' or 'structures', got neither"),
        ({"composition": "Si", "structures": "a.cif"}, r"either 'composition' or 'structures', got both"),
        ({"composition": "Si", "seed": "a"}, r"'seed': it should be a valid integer.*got 'a'"),
        ({"composition": "Si", "seed": -1}, r"'seed': it should be greater than or equal to 0, got -1"),
        (
            {"composition": "Si", "exploration": {"temperatures": [300, -3]}},
            r"'exploration.temperatures.1': it should be greater than 0, got -3",
        ),
        (
            {"composition": "Si", "exploration": {"temperatures": [float("nan")]}},
            r"'exploration.temperatures.0': it should be",
        ),
        (
            {"composition": "Si", "exploration": {"gamma_halt": 0.5}},
            r"'exploration.gamma_halt': it should be greater than 1, got 0.5",
        ),
        (
            {"composition": "Si", "oracle": {"engine": "siesta"}},
            r"'oracle.engine': it should be 'qe', 'vasp' or 'ase'",
        ),
        ({"composition": "Si", "oracle": {"calculator": "emt"}}, r"calculator does not apply to engine 'qe'"),
        ({"composition": "Si", "oracle": {"engine": "ase"}}, r"engine 'ase' needs a 'calculator'"),
        (
            {"composition": "Si", "oracle": {"engine": "ase", "calculator": "emt", "ecutwfc": 30}},
            r"ecutwfc does not apply to engine 'ase'",
        ),
        ({"composition": "Si", "oracle": 3}, r"'oracle': it should be a valid dictionary.*got 3"),
    ],
)
def test_what_is_not_accepted_is_named(data, match):
    with pytest.raises(ConfigError, match=match):
        parse_config(data)


def test_all_errors_are_reported_at_once():
    with pytest.raises(ConfigError) as caught:
        parse_config({"composition": "Xx", "seed": -1, "training": {"cuttoff": 5}})
    text = str(caught.value)
    assert "Xx" in text
    assert "'seed'" in text
    assert "did you mean 'cutoff' instead of 'cuttoff'?" in text


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"nowhere.yaml' cannot be read: No such file"):
        load_config(tmp_path / "nowhere.yaml")


@pytest.mark.parametrize(
    ("text", "match"),
    [("a: [", "is not YAML"), ("- 1\n", "must hold keys and values, got list"), ("", "got NoneType")],
)
def test_what_is_not_a_mapping_is_refused(tmp_path, text, match):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=match):
        load_config(path)


def test_yaml_cannot_make_objects(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("composition: !!python/object/apply:os.getcwd []\n")
    with pytest.raises(ConfigError, match="is not YAML"):
        load_config(path)
