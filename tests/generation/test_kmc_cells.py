"""Cells with one defect: counts and distances."""

import numpy as np
import pytest
from ase.build import bulk

from mlip_autopipec.ace import nearest_distance
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.generation import DefectCellMaker
from mlip_autopipec.schemas import AtomicStructure

CRYSTALS = (bulk("Cu", cubic=True), bulk("Si", cubic=True), bulk("NaCl", "rocksalt", a=5.6, cubic=True))


@pytest.mark.parametrize("crystal", CRYSTALS, ids=str)
@pytest.mark.parametrize(("defect", "change"), [("vacancy", -1), ("interstitial", 1), ("adatom", 1)])
def test_one_atom_more_or_less(crystal, defect, change):
    cell = DefectCellMaker(defect=defect, n_atoms=32).cell(crystal)
    assert (len(cell) - change) % len(crystal) == 0
    assert len(cell) - change >= 32
    assert cell.pbc.all()
    assert nearest_distance(cell) > 0.5 * nearest_distance(crystal)


def test_an_adatom_sits_in_a_hollow_of_the_surface():
    cell = DefectCellMaker(defect="adatom").cell(bulk("Cu", cubic=True))
    heights = np.sort(cell.positions[:, 2])
    top = int(np.argmax(cell.positions[:, 2]))
    assert 0.5 < heights[-1] - heights[-2] < 2.5
    distances = np.sort(cell.get_distances(top, range(len(cell)), mic=True))[1:6]
    assert np.allclose(distances[:4], distances[0], atol=0.01), "four neighbours alike"
    assert distances[4] > 1.1 * distances[0]
    assert cell.cell.lengths()[2] - (heights[-1] - heights[0]) > 7.0, "vacuum"


def test_the_job_takes_the_first_crystal():
    maker = DefectCellMaker()
    found = maker.make.original(maker, [AtomicStructure.from_ase(c) for c in CRYSTALS])
    assert found.formula == "Cu31"


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"defect": "kink"}, "'defect' must be"), ({"n_atoms": 4}, "must be at least 8, got 4")],
)
def test_what_it_refuses(fields, words):
    with pytest.raises(ConfigError, match=words):
        DefectCellMaker(**fields)
