"""Both back ends give one document: the program's from what the real one printed, the library's now."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "lammps_backends.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("lammps_backends", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def documents(benchmark, tmp_path_factory):
    return benchmark.documents(tmp_path_factory.mktemp("backends"))


@pytest.mark.parametrize("name", ["temperature", "potential_energy", "pressure", "volume", "gamma"])
def test_every_recorded_digit_is_the_same(name, documents):
    """MD, NPT, ZBL, exchange of atoms and grades: eight digits were printed."""
    program, library, _ = documents
    one, other = (getattr(doc.thermo, name) for doc in (program, library))
    assert program.thermo.step == library.thermo.step == list(range(0, 61, 10))
    assert other == pytest.approx(one, rel=5e-8)


def test_the_same_moves_were_accepted(documents):
    program, library, _ = documents
    assert (program.n_swaps_tried, program.n_swaps) == (60, 26)
    assert (library.n_swaps_tried, library.n_swaps) == (60, 26)


def test_both_end_alike_and_say_what_they_are(documents):
    program, library, _ = documents
    for name in ("start_step", "end_step", "end_reason", "end_value", "gamma_limit", "timestep", "walker"):
        assert getattr(program, name) == getattr(library, name), name
    assert "ML-PACE" in program.engine
    assert "in-process" in library.engine
    assert None not in (program.restart, library.restart)


def test_the_library_halts_where_the_recorded_gamma_meets_the_limit(benchmark, documents):
    program, _, halted = documents
    step, gamma = benchmark.halt_in(program, 1.57)
    assert (halted.end_reason, halted.end_step) == ("gamma", step)
    assert halted.end_value == pytest.approx(gamma, rel=5e-8)
