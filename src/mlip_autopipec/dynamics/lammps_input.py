"""LAMMPS input, line by line: pure functions that both back ends share. Metal units throughout."""

from collections.abc import Mapping, Sequence
from itertools import combinations_with_replacement

from mlip_autopipec.ace import PairBaseline, lammps_lines
from mlip_autopipec.dynamics.lammps_conditions import MDConditions
from mlip_autopipec.dynamics.lammps_log import halt_id
from mlip_autopipec.dynamics.watchdog import StopRule
from mlip_autopipec.schemas import AtomicStructure, EndReason, Walker
from mlip_autopipec.units import FS_TO_PS, GPA_TO_BAR

# Unsorted, atoms keep their order, so that a restart picks the same ones for Monte Carlo moves.
HEAD = ("units metal", "atom_style atomic", "atom_modify map array sort 0 0")
GAMMA = "max_pace_gamma"

_MAX_SEED = 900_000_000  # of LAMMPS' random generators
_SIGNS: dict[EndReason, str] = {
    "smallest_distance": "v_distance",
    "temperature": "v_heat",
    "pressure": "v_load",
    "energy": "v_drift",
    "gamma": f"v_{GAMMA}",
}


def start_lines(data: str, structure: AtomicStructure, walker: Walker, conditions: MDConditions) -> list[str]:
    """Read a structure and set it moving.

    Parameters
    ----------
    data
        Name of its data file.
    structure
        The structure, for its periodicity.
    walker
        Gives temperature and seed of the velocities.
    conditions
        The dynamics.

    Returns
    -------
    list[str]
        LAMMPS commands.
    """
    # Twice the temperature: a crystal at rest gives half of it to the potential energy.
    hot = 2.0 * walker.temperature
    return [
        "boundary " + " ".join("p" if p else "f" for p in structure.pbc),
        f'read_data "{data}"',
        *(["change_box all triclinic"] if conditions.coupling == "tri" else []),
        f"velocity all create {hot:.6f} {seed(walker)} dist gaussian",
    ]


def seed(walker: Walker, offset: int = 0) -> int:
    """Turn a walker's seed into one of LAMMPS.

    Parameters
    ----------
    walker
        The walker.
    offset
        Another number for another purpose.

    Returns
    -------
    int
        From 1 on.
    """
    return (walker.seed + offset) % _MAX_SEED + 1


def dynamics_lines(
    conditions: MDConditions, walker: Walker, elements: Sequence[str], start_step: int = 0
) -> list[str]:
    """Set time step, integrator, deformation and exchange of atoms.

    Parameters
    ----------
    conditions
        The dynamics.
    walker
        Gives temperature, length and seed.
    elements
        Chemical symbols in the order of the types.
    start_step
        Step at which the run begins.

    Returns
    -------
    list[str]
        LAMMPS commands.
    """
    step = conditions.timestep * FS_TO_PS
    return [
        "neigh_modify every 1 delay 0 check yes",
        f"timestep {step:.9f}",
        f"fix integrate all {_integrator(conditions, walker, start_step)}",
        *_deform_lines(conditions),
        *swap_lines(conditions, walker, elements),
    ]


def _integrator(conditions: MDConditions, walker: Walker, start_step: int) -> str:
    if conditions.ensemble == "nve":
        return "nve"
    first, steps = walker.temperature, walker.n_steps
    last = conditions.temperature_at(first, steps, steps)
    damping = conditions.damping * conditions.timestep * FS_TO_PS
    bath = f"temp {first:.6f} {last:.6f} {damping:.9f}"
    if conditions.ensemble == "nvt":
        return f"nvt {bath}"
    begin = conditions.pressure
    end = begin if conditions.pressure_end is None else conditions.pressure_end
    slow = 10.0 * damping * conditions.barostat_stretch(first, start_step, steps)
    press = f"{begin * GPA_TO_BAR:.6f} {end * GPA_TO_BAR:.6f} {slow:.15g}"
    if conditions.strain_rate is None:
        return f"npt {bath} {conditions.coupling} {press}"
    free = [axis for axis, rate in zip("xyz", conditions.strain_rate, strict=True) if not rate]
    return f"npt {bath} " + " ".join(f"{axis} {press}" for axis in free)


def _deform_lines(conditions: MDConditions) -> list[str]:
    if conditions.strain_rate is None:
        return []
    pairs = zip("xyz", conditions.strain_rate, strict=True)
    return ["fix deform all deform 1 " + " ".join(f"{axis} trate {rate!r}" for axis, rate in pairs if rate)]


def swap_lines(conditions: MDConditions, walker: Walker, elements: Sequence[str]) -> list[str]:
    """Exchange atoms of two elements now and then (``fix atom/swap``).

    Parameters
    ----------
    conditions
        How often, which, and how hot.
    walker
        Gives seed and temperature.
    elements
        Chemical symbols in the order of the types.

    Returns
    -------
    list[str]
        LAMMPS commands; none without exchange.

    Raises
    ------
    ConfigError
        A pair, or a chemical potential, is not of these elements.
    """
    if conditions.swap_every == 0:
        return []
    conditions.check_elements(elements)
    hot = conditions.swap_temperature or walker.temperature
    often = f"{conditions.swap_every} {conditions.swap_attempts}"
    energy = f"ke {'yes' if conditions.swap_rescale else 'no'}"
    types = {element: index for index, element in enumerate(elements, start=1)}
    if conditions.chemical_potentials is not None:
        levels = " ".join(repr(float(conditions.chemical_potentials[element])) for element in elements)
        return [
            f"fix swap_all all atom/swap {often} {seed(walker)} {hot:.6f} {energy} "
            f"semi-grand yes types {' '.join(map(str, types.values()))} mu {levels}"
        ]
    pairs = [(types[a], types[b]) for a, b in conditions.swapped(elements)]
    return [
        f"fix swap_{a}_{b} all atom/swap {often} {seed(walker, index)} {hot:.6f} {energy} types {a} {b}"
        for index, (a, b) in enumerate(pairs)
    ]


def swap_columns(lines: Sequence[str]) -> list[str]:
    """Name the columns of the log that count exchanges.

    Parameters
    ----------
    lines
        Input lines, among them the :func:`swap_lines`.

    Returns
    -------
    list[str]
        For each, tried and accepted.
    """
    names = [line.split()[1] for line in lines if " atom/swap " in line]
    return [f"f_{name}[{number}]" for name in names for number in (1, 2)]


def sign_lines(rule: StopRule, conditions: MDConditions, walker: Walker) -> list[str]:
    """Define what the watchdog looks at, beside gamma and distance, which are the back ends' own.

    Parameters
    ----------
    rule
        The limits.
    conditions
        The dynamics.
    walker
        Gives temperature and length of a ramp.

    Returns
    -------
    list[str]
        LAMMPS commands.
    """
    first = walker.temperature
    last = conditions.temperature_at(first, walker.n_steps, walker.n_steps)
    bath = f"{first!r}" if last == first else f"({first!r}+({last - first!r})*step/{walker.n_steps})"
    lines = [f"variable heat equal temp/{bath}"]
    if rule.largest_pressure is not None:
        lines.append("variable load equal abs(press)")
    if rule.energy_change is not None:
        kind = "etotal" if conditions.ensemble == "nve" else "pe"
        lines += [
            f"variable energy equal {kind}",
            # `fix vector` remembers the first step; a variable cannot.
            f"fix energy all vector {conditions.gamma_every} v_energy",
            "variable drift equal abs(v_energy-f_energy[1])/atoms",
        ]
    return lines


def halt_lines(rule: StopRule, every: int, near: str | None = None) -> list[str]:
    """Render the limits as ``fix halt``, in the order of :meth:`StopRule.limits`.

    Parameters
    ----------
    rule
        The limits.
    every
        Steps between two looks.
    near
        Condition for too short a distance, where it is not ``v_distance`` that tells.

    Returns
    -------
    list[str]
        LAMMPS commands.
    """
    lines = []
    for limit in rule.limits():
        factor = GPA_TO_BAR if limit.reason == "pressure" else 1.0
        condition = f"{_SIGNS[limit.reason]} {limit.operator} {limit.value * factor!r}"
        if limit.reason == "smallest_distance" and near is not None:
            condition = near
        lines.append(f"fix {halt_id(limit.reason)} all halt {every} {condition} error soft")
    return lines


def log_lines(every: int, columns: Sequence[str]) -> list[str]:
    """Set the thermo table; 17 digits, for a verdict on it must be LAMMPS' own.

    Parameters
    ----------
    every
        Steps between two rows.
    columns
        Columns behind step, temperature, energies, pressure and volume.

    Returns
    -------
    list[str]
        LAMMPS commands.
    """
    return [
        f"thermo {every}",
        f"thermo_style custom step temp pe etotal press vol {' '.join(columns)}",
        "thermo_modify flush yes lost error norm no format float %.17g",
    ]


def run_line(walker: Walker) -> str:
    """Run to the end of the walk, ramps reckoned from its beginning.

    Parameters
    ----------
    walker
        Gives the length.

    Returns
    -------
    str
        LAMMPS command.
    """
    return f"run {walker.n_steps} upto start 0 stop {walker.n_steps}"


def pace_lines(
    baseline: PairBaseline | None,
    elements: Sequence[str],
    every: int,
    yaml: str = "potential.yaml",
    asi: str = "potential.asi",
) -> list[str]:
    """Use a potential with its grades (ML-PACE's ``pace/extrapolation``).

    Parameters
    ----------
    baseline
        Its baseline; none if the files are whole.
    elements
        Chemical symbols in the order of the types.
    every
        Steps between two grades; all that reads them must keep to it, for a stale grade is no error.
    yaml
        Name of the B-basis file.
    asi
        Name of the active set.

    Returns
    -------
    list[str]
        LAMMPS commands.
    """
    return [
        *lammps_lines(baseline, list(elements), f"{yaml} {asi}", "pace/extrapolation"),
        f"fix pace_gamma all pair {every} pace/extrapolation gamma 1",
        f"compute {GAMMA} all reduce max f_pace_gamma",
        f"variable {GAMMA} equal c_{GAMMA}",
    ]


def near_lines(limits: Mapping[str, float], elements: Sequence[str]) -> list[str]:
    """Count the neighbours that are too near, pair by pair; ``v_near`` is their number.

    Parameters
    ----------
    limits
        Shortest distance allowed in Å, by pair ``'A-B'``; below the cut-off of the pair style.
    elements
        Chemical symbols in the order of the types.

    Returns
    -------
    list[str]
        LAMMPS commands.
    """
    lines, names = [], []
    for (a, first), (b, second) in combinations_with_replacement(enumerate(elements, start=1), 2):
        name = f"near_{a}_{b}"
        names.append(f"v_{name}")
        reach = limits["-".join(sorted((first, second)))]
        lines += [
            f"compute {name} all coord/atom cutoff {reach!r} {b}",
            f"variable {name} atom c_{name}*(type=={a})",
        ]
    parts = [f"c_near[{i}]" for i in range(1, len(names) + 1)] if len(names) > 1 else ["c_near"]
    return [
        *lines,
        f"compute near all reduce sum {' '.join(names)}",
        f"variable near equal {'+'.join(parts)}",
    ]


def dump_lines(every: int, least: float, file: str) -> list[str]:
    """Dump the extrapolative frames; a soft halt dumps its own frame too.

    Parameters
    ----------
    every
        Steps between two looks.
    least
        Grade below which a frame is left out.
    file
        Name of the dump.

    Returns
    -------
    list[str]
        LAMMPS commands.
    """
    return [
        f'variable dump_skip equal "c_{GAMMA} < {least!r}"',
        f"dump extrapolative all custom {every} {file} id type x y z f_pace_gamma",
        "dump_modify extrapolative skip v_dump_skip sort id format float %.17g",
    ]
