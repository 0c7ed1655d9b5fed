"""V-optimal selection: labels go where they lower the expected error, and a halted walk gets on."""

import pytest
from ase.build import bulk

from mlip_autopipec.selection import DOptimalSelectionMaker, VOptimalSelectionMaker
from mlip_autopipec.testing import maker_unchanged

SETTINGS = {"cutoff": 4.5, "n_functions": 40}


def rattled(candidate, arm, n, amplitude, first_seed=0, **kwargs):
    cells = []
    for seed in range(first_seed, first_seed + n):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(amplitude, seed=seed)
        cells.append(candidate(atoms, arm=arm, **kwargs))
    return cells


@pytest.fixture
def pool(candidate):
    return [*rattled(candidate, "rattle", 4, 0.05), *rattled(candidate, "liquid", 4, 0.4, 10)]


def arms_of(selection):
    return [found.arm for found in selection.candidates]


def test_weights_say_whose_errors_count(pool):
    maker = VOptimalSelectionMaker(**SETTINGS, arms={"rattle": 1.0, "liquid": 0.0})
    with maker_unchanged(maker):
        calm = maker.select(pool, 2, [], None)
    wild = VOptimalSelectionMaker(**SETTINGS, arms={"rattle": 0.0, "liquid": 1.0}).select(pool, 2, [], None)
    assert set(arms_of(wild)) == {"liquid"}
    assert calm.candidates != wild.candidates
    assert all(0.0 < gain < 1.0 for gain in calm.gain + wild.gain)


def test_structures_that_nobody_found_are_chosen_by_information(candidate):
    seeds = rattled(candidate, "", 5, 0.1)
    by_error = VOptimalSelectionMaker(**SETTINGS).select(seeds, 3, [], None)
    by_information = DOptimalSelectionMaker(**SETTINGS).select(seeds, 3, [], None)
    assert by_error == by_information


def test_the_most_uncertain_frame_of_the_walks_is_always_chosen(candidate, pool):
    walks = [
        *rattled(candidate, "md 300 K", 2, 0.02, 20, origin="md", gamma=5.0),
        *rattled(candidate, "md 600 K", 1, 0.02, 30, origin="md", gamma=7.0),
    ]
    maker = VOptimalSelectionMaker(**SETTINGS, arms={"md": 0.0, "rattle": 1.0})
    assert arms_of(maker.select([*pool, *walks], 2, [], None))[0] == "md 600 K"
    audit = walks[0].model_copy(update={"required": True})
    chosen = arms_of(maker.select([*pool, audit, *walks[1:]], 2, [], None))
    assert chosen[0] == "md 300 K"
    assert "md 600 K" not in chosen


def test_the_weight_of_md_is_that_of_each_temperature():
    maker = VOptimalSelectionMaker(arms={"md": 2.0, "md 300 K": 0.5})
    assert [maker._weight(arm) for arm in ("md 300 K", "md 900 K", "vacancy")] == [0.5, 2.0, 1.0]
