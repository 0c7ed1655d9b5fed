"""eOn's files: a real run of a vacancy in copper by eOn 3.6.0, cut down to two states and one event."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from mlip_autopipec.dynamics.eon_output import (
    current_state,
    read_con,
    read_fates,
    read_results,
    read_state,
    read_states,
    read_steps,
    replace_reason,
)
from mlip_autopipec.dynamics.saddles import most_displaced
from mlip_autopipec.errors import CalculationError

EON = Path(__file__).parents[1] / "data" / "eon"
TAKEN = 3720903859869004324


def test_states_and_their_events():
    first, second = read_states(EON)
    assert (first.number, first.energy, len(first.processes)) == (0, -107.740081023, 8)
    (taken,) = [p for p in first.processes if p.product is not None]
    assert (taken.number, taken.product, taken.barrier, taken.repeats) == (TAKEN, 1, 0.77043, 1)
    assert taken.rate == pytest.approx(1e12 * np.exp(-taken.barrier / (300 / 11604.5)), rel=1e-3)
    (back,) = second.processes
    assert (back.product, back.saddle_energy) == (0, taken.saddle_energy)


def test_an_event_has_its_structures():
    state = read_states(EON)[0]
    reactant, saddle, product = (state.structure(k, TAKEN) for k in ("reactant", "saddle", "product"))
    assert len(reactant) == len(saddle) == len(product) == 31
    assert saddle.pbc.all()
    mode = state.mode(TAKEN)
    assert np.linalg.norm(mode) == pytest.approx(1.0, abs=1e-6)
    assert most_displaced(reactant, product) == np.argmax(np.linalg.norm(mode, axis=1)), (
        "the atom that hops is the atom of the mode"
    )


def test_the_trajectory_and_where_it_stands():
    (step,) = read_steps(EON)
    assert (step.reactant, step.process, step.product) == (0, TAKEN, 1)
    assert (step.time, step.barrier) == (0.225293, 0.77043)
    assert current_state(EON) == 1


def test_a_run_that_has_not_begun(tmp_path):
    assert read_steps(tmp_path) == []
    assert read_states(tmp_path) == []
    assert current_state(tmp_path) == 0


def test_how_searches_ended():
    fates = read_fates(EON)
    assert fates["good"] + fates["repeat"] == 15, "as eOn counts good saddles"
    assert fates["MinMode Zero Mode Abort"] > 0
    assert all(words and not words[-1].isdigit() for words in fates if not words.startswith("reverse"))


def test_a_result_that_is_not_good_after_all(tmp_path):
    path = shutil.copy(EON / "states" / "0" / "procdata" / f"results_{TAKEN}.dat", tmp_path / "results.dat")
    assert read_results(Path(path))["termination_reason"] == 0.0
    replace_reason(Path(path), 16, "2 negative modes")
    found = read_results(Path(path))
    assert (found["termination_reason"], found["termination_reason_text"]) == (16.0, "2_negative_modes")
    assert found["barrier_reactant_to_product"] == 0.770432370905


def test_broken_files_are_no_results(tmp_path):
    with pytest.raises(CalculationError, match=r"file nothing\.con cannot be read"):
        read_con(tmp_path / "nothing.con")
    text = (EON / "states" / "0" / "reactant.con").read_text()
    (tmp_path / "half.con").write_text(text[: len(text) // 2])
    with pytest.raises(CalculationError, match=r"file half\.con cannot be read"):
        read_con(tmp_path / "half.con")
    state = Path(shutil.copytree(EON / "states" / "0", tmp_path / "0"))
    table = state / "processtable"
    table.write_text(table.read_text().replace("0.77043", "*******"))
    with pytest.raises(CalculationError, match="process table of state 0 is broken"):
        read_state(state)
