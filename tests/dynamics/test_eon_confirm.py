"""The lowest barriers: which are put to the oracle, and what becomes of its answer."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.emt import EMT

from mlip_autopipec.dynamics.eon_confirm import Asked, frames_to_confirm, lowest, unconfirmed
from mlip_autopipec.schemas import (
    AtomicStructure,
    ConfirmedBarrier,
    KmcDoc,
    KmcEvent,
    KmcState,
    RecheckedEvent,
)
from mlip_autopipec.testing import label_batch


def hop(share, axis=0):
    """A vacancy in copper whose neighbour has gone a share of the way into it."""
    atoms = bulk("Cu", cubic=True).repeat(2)
    hole = atoms.positions[0].copy()
    del atoms[0]
    way = np.roll([0.0, 1.805, 1.805], axis)
    neighbour = int(np.argmin(np.linalg.norm(atoms.positions - way, axis=1)))
    atoms.positions[neighbour] += share * (hole - atoms.positions[neighbour])
    return AtomicStructure.from_ase(atoms)


def event(number, barrier, *, saddle=None, generation=0):
    return KmcEvent(
        id=f"{generation}.0.{number}",
        state=f"{generation}.0",
        generation=generation,
        found_in=0,
        barrier=barrier,
        reverse_barrier=barrier,
        prefactor=1e12,
        rate=1e12 * np.exp(-barrier / 0.02585),
        n_found=1,
        n_negative_modes=1,
        gamma=4.0,
        saddle=saddle or hop(0.5),
        product=hop(1.0),
        mode=[(0.0, 0.0, 1.0)] * 31,
    )


def asked(oracle, event="0.0.1"):
    return ConfirmedBarrier(
        event=event,
        generation=0,
        barrier=0.78,
        oracle_barrier=oracle,
        largest_force=0.01,
        barrier_after=None,
    )


def run(events, **update):
    values = {
        "engine": "eOn",
        "potential": "x",
        "generation": 0,
        "temperature": 300.0,
        "confidence": 0.9,
        "end_reason": "unconfirmed",
        "time": 0.0,
        "n_steps": 0,
        "states": [KmcState(id="0.0", generation=0, energy=-1.0, n_searches=9, structure=hop(0.0))],
        "events": events,
        "steps": [],
        "rejected": [],
        "outcomes": {},
        "n_halted": 0,
        "n_stuck": 0,
        "n_crashed": 0,
        "n_force_calls": 0,
        "gamma_limit": 10.0,
        "gamma_max": 4.0,
        "frames": [],
        "final": hop(0.0),
        "evaluation_time": 0.0,
        "wall_time": 0.0,
    }
    return KmcDoc(**(values | update))


def test_events_over_one_barrier_are_one_kind():
    events = [event(1, 0.9), event(2, 0.7601), event(3, 0.7600), event(4, 0.79)]
    assert [e.id for e in lowest(events, 2)] == ["0.0.3", "0.0.4"]
    assert lowest(events, 0) == lowest([], 3) == []


def test_an_event_is_open_until_the_potential_gives_the_oracles_barrier():
    def found(event, answers, tolerance=0.01, labels=()):
        asked = Asked(answers, {"0.0.1": hop(0.5)}, dict.fromkeys(labels))
        return unconfirmed([event], asked, tolerance, 3)

    turned = event(7, 0.7650, saddle=hop(0.5, axis=1), generation=1)
    assert found(turned, []) == [turned]
    assert found(turned, [asked(0.7612)]) == [], "the same but for symmetry"
    assert found(turned, [asked(0.7612)], tolerance=0.002) == [turned]
    other = event(8, 0.7650, saddle=hop(0.2), generation=1)
    assert found(other, [asked(0.7612)]) == [other], "as high, but another"
    assert found(turned, [asked(0.7612), asked(None)]) == [turned]
    assert found(turned, [asked(0.7)] * 3) == [], "asked often enough"
    assert found(turned, [asked(0.7)], labels=[turned.saddle.digest]) == [], "it would get the same answer"


def test_saddle_and_state_are_labelled_and_compared():
    before = run([event(1, 0.78)], to_confirm=["0.0.1"])
    frames = frames_to_confirm(before.events, before.states, 0.01, "g")
    assert [frame.structure for frame in frames] == [hop(0.0), hop(0.5)]
    assert all(frame.required and frame.origin == frame.arm == "kmc" for frame in frames)
    assert [frame.weights.energy_factor for frame in frames] == [pytest.approx((31 * 0.001 / 0.01) ** 2)] * 2
    assert frames_to_confirm(before.events, before.states, 10.0, "g")[0].weights.energy_factor == 1.0
    two = [event(1, 0.78), event(2, 0.8, saddle=hop(0.4))]
    assert len(frames_to_confirm(two, before.states, 0.01, "g")) == 3, "their state is labelled once"

    labels = label_batch(frames, EMT())
    again = RecheckedEvent(
        event="0.0.1", found_in=0, barrier_before=0.78, barrier_after=0.762, outcome="Success"
    )
    (found,) = Asked.of(before, [labels], [again]).barriers
    energies = []
    for share in (0.0, 0.5):
        atoms = hop(share).to_ase()
        atoms.calc = EMT()
        energies.append(atoms.get_potential_energy())
    assert found.oracle_barrier == pytest.approx(energies[1] - energies[0])
    assert found.largest_force > 0.0
    assert (found.barrier, found.barrier_after) == (0.78, 0.762)
    (lost,) = Asked.of(before, [label_batch(frames[:1], EMT())], []).barriers
    assert (lost.oracle_barrier, lost.largest_force, lost.barrier_after) == (None, None, None)
    later = Asked.of(before.model_copy(update={"confirmed": [found], "to_confirm": []}), [], [])
    assert (later.barriers, later.saddles) == ([found], {"0.0.1": hop(0.5)})
    assert Asked.of(None, [], []) == Asked([], {}, {})
