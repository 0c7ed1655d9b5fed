"""The ejected script makes the flow of the configuration, job by job."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from mlip_autopipec.config import parse_config
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.eject import expression, flow_script
from mlip_autopipec.flows.identity import document_of, identify, iter_jobs

EMT = {"engine": "ase", "calculator": "emt"}
MINE = {
    "composition": {"Cu": 0.5, "Ni": 0.5},
    "seed": 7,
    "oracle": {**EMT, "calculator_kwargs": {"asap_cutoff": True}},
    "training": {"tune": True, "final_fit": "pacemaker", "baseline": "zbl"},
    "exploration": {"policy": "adaptive", "arms": {"md": 2.0, "vacancy": 1.0}, "swap_every": 50},
    "active_learning": {"quotas": {"md": 0.5}, "max_halt_rate": 50.0},
}
QE = {"composition": "NaCl", "oracle": {"engine": "qe", "ecutwfc": 40.0, "functional": "PBEsol"}}


def ids(flow):
    return [(job["uuid"], job["name"]) for job in iter_jobs(document_of(flow))]


def imported(path):
    spec = importlib.util.spec_from_file_location("ejected", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("config", [{"composition": "Cu", "oracle": EMT}, MINE, QE], ids=["Cu", "CuNi", "qe"])
def test_the_script_makes_the_jobs_of_the_configuration(config, tmp_path):
    found = plan(parse_config(config), Path())
    script = tmp_path / "campaign.py"
    script.write_text(flow_script(found, "config.yaml"))
    assert ids(imported(script).build()) == ids(identify(found.flow()))


def test_the_script_is_clean_and_says_where_values_come_from(tmp_path):
    text = flow_script(plan(parse_config(MINE), Path()), "config.yaml")
    script = tmp_path / "campaign.py"
    script.write_text(text)
    words = ["check", "--isolated", "--select", "E,F,I,W", "--line-length", "110", str(script)]
    done = subprocess.run(
        [Path(sys.executable).with_name("ruff"), *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "oracle_maker=AseStaticMaker(" in text
    assert "training.tune = True: yours" in text
    assert "inferred, up to 0.7 of the melting point" in text.replace("\n    ", " ")


def test_an_edited_maker_changes_only_its_own_jobs(tmp_path):
    found = plan(parse_config({"composition": "Cu", "oracle": EMT}), Path())
    script = tmp_path / "campaign.py"
    text = flow_script(found, "config.yaml")
    script.write_text(text.replace("DOptimalSelectionMaker(", "DOptimalSelectionMaker(seed=5, "))
    before, after = dict(ids(identify(found.flow()))), dict(ids(imported(script).build()))
    assert before.keys() != after.keys()
    assert set(before) & set(after)  # the seeds are as they were


def test_a_value_that_is_no_python_is_refused():
    with pytest.raises(ConfigError, match="a complex cannot be written as Python"):
        expression([1j], set())
