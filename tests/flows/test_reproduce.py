"""A written-out configuration makes the jobs of the campaign again."""

import shutil
from pathlib import Path

import pytest
from ase.build import bulk
from ase.io import write

from mlip_autopipec.config import load_config, parse_config
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.identity import document_of, identify, iter_jobs
from mlip_autopipec.flows.reproduce import write_reproduction

EMT = {"engine": "ase", "calculator": "emt"}


def ids(made):
    return [job["uuid"] for job in iter_jobs(document_of(identify(made.flow())))]


@pytest.mark.parametrize(
    "data",
    [
        {"composition": "Cu", "oracle": EMT},
        {"composition": {"Cu": 0.5, "Ni": 0.5}, "oracle": EMT, "generation": {"n_atoms": 8, "n_surfaces": 1}},
        {
            "composition": "Al",
            "seed": 3,
            "oracle": EMT,
            "training": {"tune": True},
            "exploration": {"policy": "adaptive", "temperature_end": 500.0},
            "validation": {"checks": ["surface"], "force_release": True},
        },
        {"structures": "mine.cif", "oracle": EMT},
        pytest.param(
            {"composition": "Si", "oracle": {"ecutwfc": 24, "k_spacing": 0.65}},
            marks=[
                pytest.mark.pw,
                pytest.mark.skipif(shutil.which("pw.x") is None, reason="pw.x is not on PATH"),
            ],
        ),
    ],
    ids=["copper", "alloy", "adaptive", "files", "silicon"],
)
def test_a_campaign_written_out_makes_the_same_jobs(data, tmp_path):
    write(tmp_path / "mine.cif", bulk("Cu", a=3.6171234567).repeat((1, 1, 2)))
    made = plan(parse_config(data), tmp_path).prepared()
    folder = tmp_path / "potential"
    folder.mkdir()
    written = write_reproduction(made, folder)
    again = plan(load_config(written[0]), folder).prepared()
    assert ids(again) == ids(made)
    assert [path.name for path in written][1:] == (["structures.json"] if "structures" in data else [])
    sources = {v.source for v in again.values if v.value is not None and not v.path.startswith("crystal")}
    assert sources == {"yours"}
    assert again.force_release == made.force_release
    assert str(Path.home()) not in written[0].read_text()
