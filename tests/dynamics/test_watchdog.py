import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlip_autopipec.dynamics import Signs, StopRule
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
        ({"pressure": -21.0}, ("pressure", 21.0)),
        ({"pressure": 20.0, "energy_change": -0.5}, None),
        ({"energy_change": -0.6, "gamma": 99.0}, ("energy", 0.6)),
    ],
)
def test_the_first_limit_met_ends_the_walk_and_a_broken_geometry_is_named_first(signs, expected):
    calm = {"gamma": 1.0, "distance_ratio": 1.0, "temperature_ratio": 1.0}
    rule = StopRule(gamma=5.0, largest_pressure=20.0, energy_change=0.5)
    assert rule.verdict(Signs(**(calm | signs))) == expected


@given(st.floats(1.01, 50), st.floats(0, 100))
def test_gamma_alone_decides_when_all_else_is_calm(limit, gamma):
    verdict = StopRule(gamma=limit).verdict(Signs(gamma))
    assert (verdict is not None) == (gamma > limit)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"gamma": 1.0}, "'gamma' must be larger than 1"),
        ({"smallest_distance": -0.1}, "'smallest_distance' must be between 0 and 1, got -0.1"),
        ({"smallest_distance": 1.1}, "'smallest_distance' must be between 0 and 1"),
        ({"temperature_ratio": 1.0}, "'temperature_ratio' must be larger than 1"),
        ({"largest_pressure": 0.0}, "'largest_pressure' must be positive, got 0.0 GPa"),
        ({"energy_change": -1.0}, "'energy_change' must be positive, got -1.0 eV/atom"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        StopRule(**settings)


@pytest.mark.parametrize(
    "sign", ["gamma", "distance_ratio", "temperature_ratio", "pressure", "energy_change"]
)
def test_a_sign_that_is_no_number_ends_the_walk(sign):
    reason, value = StopRule().verdict(Signs(**({"gamma": 1.0} | {sign: float("nan")})))
    assert reason == "not_finite"
    assert np.isnan(value)


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
