import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.dynamics.lammps_log import read_thermo
from mlip_autopipec.errors import CalculationError, ConfigError
from mlip_autopipec.schemas import Walker

HEADER = ("Step", "Temp", "PotEng")


@pytest.mark.parametrize(
    ("signs", "expected"),
    [
        ({}, None),
        ({"gamma": 5.1}, ("gamma", 5.1)),
        ({"gamma": 5.0, "temperature_ratio": 6.0, "distance_ratio": 0.85}, None),
        ({"temperature_ratio": 6.1}, ("temperature", 6.1)),
        ({"distance_ratio": 0.8}, ("smallest_distance", 0.8)),
        ({"gamma": 99.0, "distance_ratio": 0.1}, ("smallest_distance", 0.1)),
        ({"gamma": 99.0, "temperature_ratio": 10.0}, ("temperature", 10.0)),
    ],
)
def test_the_first_limit_met_ends_the_walk_and_a_broken_geometry_is_named_first(signs, expected):
    calm = {"gamma": 1.0, "distance_ratio": 1.0, "temperature_ratio": 1.0}
    assert StopRule(gamma=5.0).verdict(**(calm | signs)) == expected


@given(st.floats(1.01, 50), st.floats(0, 100))
def test_gamma_alone_decides_when_all_else_is_calm(limit, gamma):
    verdict = StopRule(gamma=limit).verdict(gamma=gamma, distance_ratio=1.0, temperature_ratio=1.0)
    assert (verdict is not None) == (gamma > limit)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 1.0}, "'gamma' must be larger than 1"),
        ({"smallest_distance": -0.1}, "'smallest_distance' must be between 0 and 1, got -0.1"),
        ({"smallest_distance": 1.1}, "'smallest_distance' must be between 0 and 1"),
        ({"temperature_ratio": 1.0}, "'temperature_ratio' must be larger than 1"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        StopRule(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timestep": 0.0}, "'timestep' must be positive, got 0.0 fs"),
        ({"gamma_every": 0}, "'gamma_every' must be at least 1, got 0"),
        ({"ensemble": "nph"}, "'ensemble' must be nve, nvt or npt, got 'nph'"),
    ],
)
def test_md_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        LammpsMDMaker(**settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"temperature": 0.0}, "temperature"), ({"n_steps": 0}, "n_steps"), ({"seed": -1}, "seed")],
)
def test_a_walker_that_cannot_walk_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Walker(
            **(
                {"index": 0, "round": 0, "start": 0, "temperature": 300.0, "n_steps": 10, "seed": 1}
                | settings
            )
        )


# Commands, by value


def commands(**settings):
    return LammpsMDMaker(**settings).run_commands(600.0)


def test_times_and_pressures_are_in_the_units_of_lammps():
    lines = commands(timestep=2.0, pressure=1.5, damping=50.0)
    assert lines[0] == "timestep 0.002000000"
    fix = lines[1].split()
    assert fix[:4] == ["fix", "integrate", "all", "npt"]
    assert fix[4:8] == ["temp", "600.000000", "600.000000", "0.100000"]
    assert fix[8:] == ["iso", "15000.000000", "15000.000000", "1.000000"]


@pytest.mark.parametrize(
    ("ensemble", "word"), [("nve", "nve"), ("nvt", "nvt temp 600.000000 600.000000 0.100000")]
)
def test_other_ensembles_have_no_barostat(ensemble, word):
    assert commands(ensemble=ensemble)[1] == f"fix integrate all {word}"


def test_everything_that_looks_looks_at_the_same_steps():
    lines = commands(gamma_every=7, stop_rule=StopRule(gamma=3.5))
    halts = [line.split() for line in lines if " halt " in line]
    assert len(halts) == 3
    assert {words[4] for words in halts} == {"7"}
    assert {"error", "soft"} == {w for words in halts for w in words[-2:]}
    assert "thermo 7" in lines
    assert any("v_gamma > 3.500000" in line for line in lines)


def test_velocities_start_at_twice_the_temperature(tmp_path, crystal, walker):
    lines = LammpsMDMaker().start_commands(["Cu"], walker(450.0), crystal, tmp_path)
    assert lines[0] == "boundary p p p"
    assert lines[2].split()[3] == "900.000000"


# Log

LOG = """LAMMPS (4 Feb 2025)
Step Temp PotEng
0 1 2
Loop time of 1
Per MPI rank memory allocation (min/avg/max) = 3.1 | 3.1 | 3.1 Mbytes
   Step          Temp          PotEng
       370   1079.7989     -1777.6478
WARNING: something between the rows
Fix halt condition for fix-id halt met on step 380 with value 11.7500552386708 (src/fix_halt.cpp:240)
       380   1146.5448     -1775.213
Loop time of 29.0474 on 1 procs for 380 steps with 500 atoms
1 2 3
"""


def test_the_last_table_is_read_without_the_messages_in_it():
    assert read_thermo(LOG, HEADER) == {
        "Step": [370.0, 380.0],
        "Temp": [1079.7989, 1146.5448],
        "PotEng": [-1777.6478, -1775.213],
    }


def test_numbers_that_are_none_are_read_as_such():
    table = read_thermo("Step Temp PotEng\n5 nan -inf\n", HEADER)
    assert np.isnan(table["Temp"][0])
    assert table["PotEng"] == [-np.inf]


@pytest.mark.parametrize("cut", range(LOG.index("370"), LOG.index("Loop time of 29")))
def test_a_log_cut_off_anywhere_gives_whole_rows_or_an_error(cut):
    text = LOG[:cut]
    if "-1777.6478\n" in text:
        table = read_thermo(text, HEADER)
        assert table["Step"][0] == 370.0
        assert len({len(column) for column in table.values()}) == 1


def test_a_half_written_last_row_is_left_out():
    assert read_thermo("Step Temp PotEng\n0 300 -1.5\n5 310", HEADER)["Step"] == [0.0]


def test_a_half_written_number_is_left_out():
    # `-17` could be the begin of `-1777.6478`: without its line end a row is not known to be whole
    assert read_thermo("Step Temp PotEng\n0 300 -1.5\n5 310 -17", HEADER)["Step"] == [0.0]


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("", "no table with the columns Step Temp PotEng"),
        ("Step Temp Press\n0 1 2\n", "no table with the columns"),
        ("Step Temp PotEng\nERROR: Lost atoms\n", "an empty thermo table"),
    ],
)
def test_a_log_without_a_table_is_an_error(log, message):
    with pytest.raises(CalculationError, match=message):
        read_thermo(log, HEADER)
