"""The input of `lmp`, line by line beside inputs that the real program ran."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from ase.build import bulk
from ase.io.lammpsdata import write_lammps_data

from mlip_autopipec.ace import PairBaseline
from mlip_autopipec.dynamics import LammpsMDMaker, StopRule
from mlip_autopipec.dynamics import lammps_input as lines
from mlip_autopipec.dynamics.lammps_conditions import MDConditions
from mlip_autopipec.dynamics.lammps_inprocess import run_lines
from mlip_autopipec.dynamics.lammps_library import import_lammps
from mlip_autopipec.dynamics.lammps_program import input_lines
from mlip_autopipec.dynamics.lammps_result import MDTask
from mlip_autopipec.errors import ConfigError
from mlip_autopipec.schemas import BaselineDoc, CoreRepulsion

DATA = Path(__file__).parents[1] / "data" / "lammps"


def plain(line):
    """Words of a command; numbers as numbers, our own ids as the recorded ones."""
    line = line.replace("Cu-I.yaml", "potential.yaml").replace("Cu-I-md.asi", "potential.asi")
    line = re.sub(r"p4_alcuni_ternary\.", "potential.", line).replace("Cu-I.asi", "potential.asi")
    line = line.replace("extrap_soft.dump", "extrapolative.dump").replace("fix integrate all", "fix 1 all")
    words = shlex.split(
        line.replace("dump ex ", "dump extrapolative ").replace("_modify ex ", "_modify extrapolative ")
    )
    found = []
    for word in " ".join(words).split():
        try:
            found.append(f"{float(word):.12g}")
        except ValueError:
            found.append(word)
    return " ".join(found)


def recorded(name):
    """The commands of a recorded input, its includes and index variables put in."""
    values, found = {}, []
    for raw in (DATA / name).read_text().splitlines():
        line = re.sub(r"\s+", " ", raw.split("#")[0]).strip()
        words = line.split()
        if words[:1] == ["include"]:
            found += recorded(words[1])
        elif words[:1] == ["variable"] and words[2] == "index":
            values[words[1]] = words[3]
        elif words:
            for key, value in values.items():
                line = line.replace(f"${{{key}}}", value).replace(f'v_{key}"', f'{value}"')
            found.append(plain(line.replace("v_lo", values.get("lo", ""))))
    return found


@pytest.fixture
def task(copper, crystal, walker, tmp_path):
    def make(maker=None, potential=copper, elements=None, steps=600, temperature=300.0, seed=4928458):
        maker = maker or LammpsMDMaker()
        if elements:
            core = CoreRepulsion(
                r_in={f"{a}-{b}": 2.0 for a in elements for b in elements if a <= b},
                delta_in={},
                scan_from=0.4,
            )
            potential = potential.model_copy(update={"elements": elements, "core": core})
        walk = walker(temperature, steps).model_copy(update={"seed": seed})
        return MDTask(potential, walk, crystal, None, tmp_path, maker, maker.stop_rule, maker.gamma_select)

    return make


def ours(task):
    begin = lines.start_lines("data.lammps", task.structure, task.walker, task.conditions)
    return [plain(line) for line in input_lines(task, begin)]


BY_DATA_FILE = re.compile(r"lattice|region|create_|mass|set |change_box")


def compare(task, name, apart=()):
    """Return what is in the recorded input alone, and in ours alone, but for how the atoms come about."""
    theirs, mine = recorded(name), ours(task)
    missing = [x for x in theirs if x not in mine and not BY_DATA_FILE.match(x) and not x.startswith(apart)]
    added = [x for x in mine if x not in theirs]
    return missing, added


def test_a_heating_ramp_is_the_recorded_one(task):
    maker = LammpsMDMaker(
        timestep=2.0,
        temperature_end=3000.0,
        damping=50.0,
        gamma_every=10,
        gamma_select=2.0,
        stop_rule=StopRule(gamma=10.0),
    )
    missing, added = compare(task(maker), "in.20_heat", apart=("print", "run", "write_restart"))
    assert missing == [
        "velocity all create 600 4928459 loop geom",
        "dump_modify extrapolative skip v_dump_skip sort id",
        "thermo_style custom step temp pe press vol c_max_pace_gamma",
        "thermo_modify flush yes",
    ]
    near = StopRule().smallest_distance * task().potential.core.r_in["Cu-Cu"]
    assert added == [
        "read_data data.lammps",
        "velocity all create 600 4928459 dist gaussian",
        f"compute near_1_1 all coord/atom cutoff {near:.12g} 1",
        "variable near_1_1 atom c_near_1_1*(type==1)",
        "compute near all reduce sum v_near_1_1",
        "variable near equal c_near",
        "variable heat equal temp/(300.0+(2700.0)*step/600)",
        "dump_modify extrapolative skip v_dump_skip sort id format float %.17g",
        "fix halt_smallest_distance all halt 10 v_near > 0 error soft",
        "fix halt_temperature all halt 10 v_heat > 6 error soft",
        "thermo_style custom step temp pe etotal press vol c_max_pace_gamma",
        "thermo_modify flush yes lost error norm no format float %.17g",
        "run 600 upto start 0 stop 600",
        "write_restart restart.lammps",
        "write_dump all custom final.dump id type x y z modify sort id format float %.17g",
    ]


def test_an_alloy_with_a_baseline_and_swaps_is_the_recorded_one(task, copper):
    pairs = ["Al-Al", "Al-Cu", "Al-Ni", "Cu-Cu", "Cu-Ni", "Ni-Ni"]
    zbl = PairBaseline("zbl", dict.fromkeys(pairs, 1.0), dict.fromkeys(pairs, 2.0))
    doc = BaselineDoc(kind="zbl", inner=zbl.inner, outer=zbl.outer, lammps=[])
    maker = LammpsMDMaker(
        gamma_every=10,
        swap_every=10,
        swap_attempts=5,
        swap_pairs=("Al-Cu", "Cu-Ni"),
        swap_temperature=600.0,
        swap_rescale=False,
        stop_rule=StopRule(smallest_distance=0.0),
    )
    made = task(
        maker,
        copper.model_copy(update={"baseline": doc}),
        elements=["Al", "Cu", "Ni"],
        seed=29493,
    )
    missing, added = compare(made, "in.06b_swap_alcuni", apart=("velocity", "run"))
    assert missing == [
        # One zbl for all pairs; ours has one for each, for each has its own range.
        "pair_style hybrid/overlay pace/extrapolation zbl 1 2",
        "pair_coeff 1 1 zbl 13 13",
        "pair_coeff 2 2 zbl 29 29",
        "pair_coeff 3 3 zbl 28 28",
        "pair_coeff 1 2 zbl 13 29",
        "pair_coeff 1 3 zbl 13 28",
        "pair_coeff 2 3 zbl 29 28",
        "fix mc12 all atom/swap 10 5 29494 600 ke no types 1 2",
        "fix mc23 all atom/swap 10 5 29495 600 ke no types 2 3",
        "thermo_style custom step temp pe etotal press vol f_mc12[1] f_mc12[2] f_mc23[1] f_mc23[2] "
        "c_max_pace_gamma",
    ]
    assert "pair_style hybrid/overlay pace/extrapolation" + " zbl 1 2" * 6 in added
    assert "pair_coeff 2 3 zbl 5 29 28" in added
    assert "pair_coeff * * pace/extrapolation potential.yaml potential.asi Al Cu Ni" in ours(made)
    assert "fix swap_1_2 all atom/swap 10 5 29494 600 ke no types 1 2" in added
    assert "fix swap_2_3 all atom/swap 10 5 29495 600 ke no types 2 3" in added
    assert (
        "thermo_style custom step temp pe etotal press vol f_swap_1_2[1] f_swap_1_2[2] f_swap_2_3[1] "
        "f_swap_2_3[2] c_max_pace_gamma"
    ) in added


def test_the_grade_lines_are_those_of_every_recorded_input():
    pace = [plain(line) for line in lines.pace_lines(None, ["Cu"], 10)]
    for name in ("in.02_gamma", "in.20_heat"):
        assert [line for line in pace if line not in recorded(name)] in (
            [],
            ["variable max_pace_gamma equal c_max_pace_gamma"],
        )


def test_a_lennard_jones_baseline_is_named_to_fix_pair_as_recorded():
    lj = PairBaseline("lj", {"Cu-Cu": 2.3}, {"Cu-Cu": 2.3 * 2 ** (1 / 6)}, {"Cu-Cu": 0.001})
    mine = [plain(line) for line in lines.pace_lines(lj, ["Cu"], 10)]
    theirs = recorded("in.04_hybrid_gamma_lj")
    assert mine[0].startswith("pair_style hybrid/overlay pace/extrapolation lj/cut 2.58")
    assert "pair_coeff * * pace/extrapolation potential.yaml potential.asi Cu" in mine
    assert "fix pace_gamma all pair 10 pace/extrapolation gamma 1" in mine
    assert {line for line in mine if "pace" in line and not line.startswith(("pair_style", "variable"))} <= {
        *theirs
    }


def test_a_tilting_box_is_the_recorded_one(task):
    mine = ours(task(LammpsMDMaker(timestep=2.0, coupling="tri", damping=100.0), temperature=600.0))
    assert "change_box all triclinic" in recorded("in.07_npt")
    assert mine.index("change_box all triclinic") == mine.index("read_data data.lammps") + 1
    assert "fix 1 all npt temp 600 600 0.2 tri 0 0 2" in recorded("in.07_npt")
    assert "fix 1 all npt temp 600 600 0.2 tri 0 0 2" in mine


def test_a_resumed_run_says_again_what_a_restart_does_not_hold(task):
    theirs = recorded("in.05_restart")
    theirs = theirs[theirs.index("read_restart r.40.restart") :]
    made = task(LammpsMDMaker(timestep=2.0, damping=100.0, gamma_every=10), temperature=600.0)
    mine = [plain(line) for line in input_lines(made, ["read_restart start.restart"])]
    for word in ("pair_style pace", "fix 1 all npt temp 600 600 0.2 iso 0 0 2", "timestep", "neigh_modify"):
        assert any(line.startswith(word) for line in theirs), word
        assert any(line.startswith(word) for line in mine), word
    for line in ("timestep 0.002", "neighbor 1 bin", "neigh_modify every 1 delay 0 check yes"):
        assert line in theirs, line
        assert line in mine, line
    assert mine.index("read_restart start.restart") == len(lines.HEAD)
    assert not [line for line in mine if line.startswith(("velocity", "read_data", "boundary"))]


def test_all_that_reads_gamma_keeps_to_the_same_steps(task):
    found = ours(task(LammpsMDMaker(gamma_every=7)))
    assert "fix pace_gamma all pair 7 pace/extrapolation gamma 1" in found
    assert "thermo 7" in found
    assert any(line.startswith("dump extrapolative all custom 7 ") for line in found)
    assert {line.split()[4] for line in found if " halt " in line} == {"7"}


def test_both_back_ends_have_the_same_dynamics_and_limits(task):
    rule = StopRule(gamma=3.5, largest_pressure=20.0, energy_change=0.3)
    made = task(LammpsMDMaker(stop_rule=rule, swap_every=0))
    program, library = ours(made), [plain(line) for line in run_lines(made, 0)]
    shared = [line for line in library if line in program]
    assert [line.split()[1] for line in shared if line.startswith("fix")] == [
        *("1", "energy", "halt_temperature", "halt_pressure", "halt_energy", "halt")
    ]
    apart = [line for line in library if line not in program]
    assert apart == [
        "variable max_pace_gamma equal f_ext[1]",
        "variable distance equal f_ext[2]",
        "fix halt_smallest_distance all halt 5 v_distance < 0.85 error soft",
        "thermo_style custom step temp pe etotal press vol v_distance v_max_pace_gamma",
    ]


# By value


def dynamics(temperature=600.0, start_step=0, elements=("Cu",), **settings):
    from mlip_autopipec.schemas import Walker

    walk = Walker(index=0, round=0, start=0, temperature=temperature, n_steps=100, seed=4)
    return lines.dynamics_lines(MDConditions(**settings), walk, elements, start_step)


def test_times_and_pressures_are_in_the_units_of_lammps():
    found = dynamics(timestep=2.0, pressure=1.5, damping=50.0, pressure_end=3.0)
    assert found[1] == "timestep 0.002000000"
    fix = found[2].split()
    assert fix[:4] == ["fix", "integrate", "all", "npt"]
    assert fix[4:8] == ["temp", "600.000000", "600.000000", "0.100000000"]
    assert fix[8:] == ["iso", "15000.000000", "30000.000000", "1"]


@pytest.mark.parametrize(
    ("settings", "fix"),
    [
        ({"ensemble": "nve"}, "nve"),
        ({"ensemble": "nvt"}, "nvt temp 600 600 0.1"),
        ({"ensemble": "nvt", "temperature_end": 900.0}, "nvt temp 600 900 0.1"),
        ({"coupling": "aniso"}, "npt temp 600 600 0.1 aniso 0 0 1"),
        (
            {"coupling": "aniso", "strain_rate": (0.1, 0.0, 0.0)},
            "npt temp 600 600 0.1 y 0 0 1 z 0 0 1",
        ),
    ],
)
def test_ensembles(settings, fix):
    assert plain(dynamics(**settings)[2]) == f"fix 1 all {fix}"


def test_deformation_is_along_the_axes_that_have_a_rate():
    found = dynamics(ensemble="nvt", strain_rate=(0.1, 0.0, -0.05))
    assert found[3] == "fix deform all deform 1 x trate 0.1 z trate -0.05"


def test_the_barostat_keeps_its_mass_in_a_resumed_ramp():
    found = dynamics(start_step=50, temperature=300.0, temperature_end=900.0)[2].split()
    assert float(found[-1]) == pytest.approx(np.sqrt(300.0 / 600.0))


def test_semi_grand_moves_have_one_fix_for_all_elements():
    found = dynamics(elements=("Al", "Ni"), swap_every=20, chemical_potentials={"Ni": 0.3, "Al": 0.0})
    assert found[3] == (
        "fix swap_all all atom/swap 20 10 5 600.000000 ke yes semi-grand yes types 1 2 mu 0.0 0.3"
    )
    assert lines.swap_columns(found) == ["f_swap_all[1]", "f_swap_all[2]"]


def test_all_pairs_are_exchanged_unless_told_otherwise():
    found = dynamics(elements=("Al", "Cu", "Ni"), swap_every=20)
    assert [line.split("types ")[1] for line in found[3:]] == ["1 2", "1 3", "2 3"]


@pytest.mark.parametrize(
    ("elements", "settings", "message"),
    [
        (("Cu",), {}, "'swap_pairs' must be pairs 'A-B' of two elements among Cu, got none"),
        (("Al", "Cu"), {"swap_pairs": ("Al-Ni",)}, "got Al-Ni"),
        (("Al", "Cu"), {"swap_pairs": ("Al-Al",)}, "got Al-Al"),
        (("Al", "Cu"), {"chemical_potentials": {"Al": 1.0}}, "'chemical_potentials' must be of two"),
    ],
)
def test_exchange_that_is_not_of_the_material_is_refused(elements, settings, message):
    with pytest.raises(ConfigError, match=message):
        dynamics(elements=elements, swap_every=5, **settings)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"timestep": 0.0}, "'timestep' must be positive, got 0.0 fs"),
        ({"gamma_every": 0}, "'gamma_every' must be at least 1, got 0"),
        ({"damping": 0.0}, "'damping' must be positive"),
        ({"ensemble": "nph"}, "'ensemble' must be nve, nvt, npt, got 'nph'"),
        ({"coupling": "both"}, "'coupling' must be iso, aniso, tri, got 'both'"),
        ({"backend": "gpu"}, "'backend' must be auto, program or library, got 'gpu'"),
        ({"temperature_end": -5.0}, "'temperature_end' must be positive"),
        ({"temperature_end": 500.0, "ensemble": "nve"}, "'temperature_end' needs a thermostat"),
        ({"pressure_end": 5.0, "ensemble": "nvt"}, "'pressure_end' needs a barostat"),
        ({"strain_rate": (0.0, 0.0, 0.0)}, "'strain_rate' must be three rates .* not all 0"),
        ({"strain_rate": (0.1, 0.0)}, "'strain_rate' must be three rates"),
        ({"strain_rate": (0.1, 0.0, 0.0)}, "needs edges that move apart, got coupling iso"),
        ({"strain_rate": (0.1, 0.1, 0.1), "coupling": "aniso"}, "leaves none to the barostat"),
        ({"swap_every": -1}, "'swap_every' must not be negative"),
        ({"swap_attempts": 0}, "'swap_attempts' must be at least 1"),
        ({"swap_temperature": 5.0}, "swap_temperature needs 'swap_every'"),
        ({"swap_every": 1, "swap_temperature": -5.0}, "'swap_temperature' must be positive"),
        ({"swap_every": 1, "temperature_end": 900.0}, "in a temperature ramp needs a temperature of its own"),
        (
            {"swap_every": 1, "swap_pairs": ("A-B",), "chemical_potentials": {"A": 0.0}},
            "give either 'swap_pairs' or 'chemical_potentials'",
        ),
    ],
)
def test_md_that_makes_no_sense_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        LammpsMDMaker(**settings)


# What cannot be tried with ML-PACE is tried with another pair style of the real LAMMPS


def test_near_neighbours_are_counted_by_pair_as_python_counts_them(tmp_path):
    atoms = bulk("Cu", cubic=True).repeat(3)
    atoms.set_chemical_symbols(["Al", "Cu", "Ni"] * 36)
    atoms.rattle(0.3, seed=4)
    elements = ["Al", "Cu", "Ni"]
    limits = {"Al-Al": 2.3, "Al-Cu": 2.0, "Al-Ni": 1.5, "Cu-Cu": 2.4, "Cu-Ni": 2.2, "Ni-Ni": 2.1}
    write_lammps_data(tmp_path / "data", atoms, specorder=elements, masses=True)
    lammps = import_lammps().lammps(cmdargs=["-log", "none", "-screen", "none", "-nocite"])
    for line in (
        *lines.HEAD,
        f"read_data {tmp_path / 'data'}",
        "pair_style zero 5.0",
        "pair_coeff * *",
        *lines.near_lines(limits, elements),
        "thermo_style custom step v_near",
        "fix halt_smallest_distance all halt 1 v_near > 0 error soft",
        "fix i all nve",
        "run 5",
    ):
        lammps.command(line)
    found, step = lammps.extract_variable("near"), lammps.extract_global("ntimestep")
    lammps.close()
    distances = atoms.get_all_distances(mic=True)
    symbols = np.array(atoms.get_chemical_symbols())
    expected = 0
    for pair, limit in limits.items():
        a, b = pair.split("-")
        close = distances[np.ix_(symbols == a, symbols == b)]
        expected += ((close < limit) & (close > 0)).sum()
    assert found == expected > 5
    assert step == 1
