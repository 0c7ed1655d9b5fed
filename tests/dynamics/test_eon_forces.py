"""The force server: a real socket, a real potential, clients that speak as eOn's does."""

import json
import time
from multiprocessing.connection import Client
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk

from mlip_autopipec.ace import AcePotential
from mlip_autopipec.dynamics import StopRule
from mlip_autopipec.dynamics.eon_client import SocketCalculator
from mlip_autopipec.dynamics.eon_forces import ForceServer, ForceWatch
from mlip_autopipec.dynamics.observer import distance_ratio
from mlip_autopipec.dynamics.watchdog import Signs
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.testing import SignsAt, WatchdogContract

LOOSE = StopRule(gamma=1e9, smallest_distance=0.0)


@pytest.fixture
def watch(copper_ace, copper):
    return lambda rule=LOOSE, most=100: ForceWatch(copper_ace, copper.core.r_in, rule, most)


def ask(connection, atoms, task=None):
    if task is not None:
        header = {"task": task, "symbols": atoms.get_chemical_symbols()}
        connection.send_bytes(json.dumps(header).encode())
    connection.send_bytes(np.vstack([atoms.cell.array, atoms.positions]).tobytes())
    return connection.recv_bytes()


def test_the_clients_calculator_gets_what_the_potential_gives(watch, copper_ace, rattled_copper):
    truth = copper_ace.evaluate(rattled_copper)
    with ForceServer(watch()) as server, Client(server.address, family="AF_UNIX") as connection:
        rattled_copper.calc = SocketCalculator(connection, "0_1")
        assert rattled_copper.get_potential_energy() == truth.energies.sum()
        assert (rattled_copper.get_forces() == truth.forces).all()
        rattled_copper.positions[0, 0] += 0.1
        assert rattled_copper.get_potential_energy() != truth.energies.sum()
    assert rattled_copper.calc.n_calls == 2


def test_two_clients_are_two_searches(watch, rattled_copper):
    seen = watch()
    with (
        ForceServer(seen) as server,
        Client(server.address, family="AF_UNIX") as one,
        Client(server.address, family="AF_UNIX") as other,
    ):
        ask(one, rattled_copper, "0_1")
        ask(other, rattled_copper, "0_2")
        ask(one, rattled_copper)
    assert {task: search.n_calls for task, search in seen.searches.items()} == {"0_1": 2, "0_2": 1}
    assert seen.n_calls == 3
    assert not Path(server.address).exists()


def test_an_uncertain_configuration_ends_its_search_alone(watch, rattled_copper):
    calm = bulk("Cu", cubic=True)
    seen = watch(StopRule(gamma=3.0))
    rattled_copper.rattle(0.4, seed=1)
    with ForceServer(seen) as server, Client(server.address, family="AF_UNIX") as connection:
        assert ask(connection, calm, "0_1")[:1] == b"F"
        answer = ask(connection, rattled_copper, "0_2")
        assert answer[:1] == b"H"
        assert ask(connection, calm, "0_3")[:1] == b"F"
    ended = seen.searches["0_2"]
    assert ended.end is not None
    assert ended.end[0] in ("gamma", "smallest_distance")
    assert answer.decode().startswith(f"H{ended.end[0]} ")
    assert (ended.last.atoms.positions == rattled_copper.positions).all()
    assert seen.searches["0_3"].end is None


def test_a_search_without_end_is_stuck(watch):
    seen = watch(most=2)
    with ForceServer(seen) as server, Client(server.address, family="AF_UNIX") as connection:
        answers = [ask(connection, bulk("Cu", cubic=True), "0_1" if n == 0 else None)[:1] for n in range(3)]
    assert answers == [b"F", b"F", b"S"]
    assert seen.searches["0_1"].stuck


def test_numbers_that_are_none_end_a_search(watch):
    crowded = bulk("Cu", cubic=True)
    crowded.positions[1] = crowded.positions[0]
    seen = watch()
    assert seen.answer("0_1", crowded)[:1] == b"H"
    assert seen.searches["0_1"].end[0] == "not_finite"


def test_without_an_active_set_nothing_can_be_watched(copper, copper_files):
    blind = ForceWatch(AcePotential(copper_files), copper.core.r_in, LOOSE, 10)
    with pytest.raises(CalculationError, match="needs a potential with its active set"):
        blind.answer("0_1", bulk("Cu", cubic=True))


def test_an_error_of_the_server_is_kept_for_who_waits(copper, copper_files):
    blind = ForceWatch(AcePotential(copper_files), copper.core.r_in, LOOSE, 10)
    with ForceServer(blind) as server, Client(server.address, family="AF_UNIX") as connection:
        with pytest.raises(EOFError):
            ask(connection, bulk("Cu", cubic=True), "0_1")
        time.sleep(0.05)
        assert isinstance(server.error, CalculationError)


def test_it_stops_where_the_rule_does(watch, copper, copper_ace):
    """The contract of all engines, on a crystal that is squeezed more and more."""
    crystals = [bulk("Cu", cubic=True, a=3.6 * scale) for scale in np.linspace(1.0, 0.4, 25)]
    first = float(copper_ace.evaluate(crystals[0]).energies.sum()) / 4

    def signs(atoms):
        found = copper_ace.evaluate(atoms)
        return Signs(
            gamma=float(found.gamma.max()),
            distance_ratio=distance_ratio(atoms, copper.core.r_in),
            energy_change=float(found.energies.sum()) / 4 - first,
        )

    def stop(rule, looks):
        seen = watch(rule)
        for look in looks:
            if seen.answer("0_1", crystals[look.step])[:1] == b"H":
                return look.step, seen.searches["0_1"].end[0]
        return looks[-1].step, None

    looks = [SignsAt(step, signs(atoms)) for step, atoms in enumerate(crystals)]
    contract = WatchdogContract(stop)
    rules = (
        StopRule(gamma=5.0, smallest_distance=0.0),
        StopRule(gamma=1e9, smallest_distance=0.85),
        StopRule(gamma=1e9, smallest_distance=0.0, energy_change=1.0),
    )
    assert [contract.check(rule, looks)[1] for rule in rules] == ["gamma", "smallest_distance", "energy"]
    assert contract.check(LOOSE, looks[:5]) == (4, None)
