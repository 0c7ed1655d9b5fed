"""From what a back end brings home to the document, the same way for both."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from ase import Atoms

from mlip_autopipec.ace import AcePotential, load_potential
from mlip_autopipec.dynamics.lammps_conditions import MDConditions
from mlip_autopipec.dynamics.lammps_input import GAMMA
from mlip_autopipec.dynamics.lammps_log import Halt, Table, wild_end
from mlip_autopipec.dynamics.observer import Frame
from mlip_autopipec.dynamics.watchdog import Signs, StopRule
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.schemas import (
    AtomicStructure,
    EndReason,
    ExplorationDoc,
    PotentialDoc,
    ThermoTable,
    Walker,
)
from mlip_autopipec.units import BAR_TO_GPA

SANE = ("completed", "gamma")
"""Ends from which a walk can go on."""

Ending = tuple[EndReason, float | None]


@dataclass(frozen=True)
class MDTask:
    """What a back end is asked to do.

    Parameters
    ----------
    potential
        The potential.
    walker
        The walker.
    structure
        Where it starts.
    previous
        Where to continue from; none to start afresh.
    directory
        Where LAMMPS works.
    conditions
        The dynamics.
    rule
        The watchdog's limits.
    gamma_select
        Grade above which a frame is kept, MaxVol scale.
    """

    potential: PotentialDoc
    walker: Walker
    structure: AtomicStructure
    previous: ExplorationDoc | None
    directory: Path
    conditions: MDConditions
    rule: StopRule
    gamma_select: float

    @property
    def elements(self) -> list[str]:
        """Chemical symbols in the order of the types."""
        return self.potential.elements

    @cached_property
    def ace(self) -> AcePotential:
        """The potential, loaded when it is first needed, for walk and replay alike."""
        return load_potential(self.potential, self.directory)


@dataclass(frozen=True)
class MDRun:
    """What it brings home.

    Parameters
    ----------
    engine
        Program and version.
    table
        Thermo table in LAMMPS' units.
    start_step
        Step at which it began.
    end_step
        Step at which it ended.
    ending
        Why it ended, and the value that met a limit.
    frames
        Extrapolative frames.
    halting
        The frame that gamma halted at; none if it was another limit, or is not known.
    last
        The last structure.
    restart
        Restart file; none if the end is not sane.
    """

    engine: str
    table: Table
    start_step: int
    end_step: int
    ending: Ending
    frames: list[Frame]
    halting: Frame | None
    last: Atoms
    restart: Path | None


def gamma_column(table: Table) -> list[float]:
    """Return the trace of gamma.

    Parameters
    ----------
    table
        Thermo table of either back end.

    Returns
    -------
    list[float]
        Largest grade of each row, MaxVol scale.
    """
    return table[next(name for name in table if name.endswith(f"_{GAMMA}"))]


def finite_rows(table: Table) -> Table:
    """Leave out the rows that hold no numbers: documents and stores have no place for them.

    Parameters
    ----------
    table
        Thermo table.

    Returns
    -------
    dict
        The other rows.

    Raises
    ------
    CalculationError
        There are none.
    """
    good = np.isfinite(np.array(list(table.values()))).all(axis=0)
    if not good.any():
        raise CalculationError("no row of the LAMMPS table is of finite numbers.")
    return {
        name: [value for value, keep in zip(column, good, strict=True) if keep]
        for name, column in table.items()
    }


def last_signs(table: Table, task: MDTask) -> Signs:
    """Read from the last row what the watchdog looks at.

    Parameters
    ----------
    table
        Thermo table.
    task
        The conditions.

    Returns
    -------
    Signs
        The distance is at rest where the table has none.
    """
    conditions, walker = task.conditions, task.walker
    bath = conditions.temperature_at(walker.temperature, int(table["Step"][-1]), walker.n_steps)
    energy = table["TotEng"] if conditions.ensemble == "nve" and "TotEng" in table else table["PotEng"]
    return Signs(
        gamma=gamma_column(table)[-1],
        distance_ratio=table["v_distance"][-1] if "v_distance" in table else float("inf"),
        temperature_ratio=table["Temp"][-1] / bath,
        pressure=table["Press"][-1] * BAR_TO_GPA,
        energy_change=(energy[-1] - energy[0]) / task.structure.n_atoms,
    )


def ending(rule: StopRule, signs: Signs, halt: Halt | None, failure: str) -> Ending:
    """Say why a run ended: by the table first, by LAMMPS' own word second, by a failure third.

    Parameters
    ----------
    rule
        The limits.
    signs
        The last row.
    halt
        LAMMPS' message, if a limit ended it.
    failure
        What went wrong; empty if nothing did.

    Returns
    -------
    tuple
        Reason and value.

    Raises
    ------
    CalculationError
        Something went wrong that is not of the atoms.
    """
    verdict = rule.verdict(signs)
    if verdict is not None:
        return verdict if np.isfinite(verdict[1]) else (verdict[0], None)
    if halt is not None:
        value = halt.value * BAR_TO_GPA if halt.reason == "pressure" else halt.value
        return halt.reason, value
    if not failure:
        return "completed", None
    wild = wild_end(failure)
    if wild is None:
        raise CalculationError(failure)
    return wild, None


def thermo(table: Table, n_atoms: int) -> ThermoTable:
    """Put the log into the document's units.

    Parameters
    ----------
    table
        Thermo table in LAMMPS' units.
    n_atoms
        Number of atoms.

    Returns
    -------
    ThermoTable
        Per atom, pressures in GPa.
    """
    return ThermoTable(
        step=[int(step) for step in table["Step"]],
        temperature=table["Temp"],
        potential_energy=[energy / n_atoms for energy in table["PotEng"]],
        pressure=[pressure * BAR_TO_GPA for pressure in table["Press"]],
        volume=[volume / n_atoms for volume in table["Volume"]],
        gamma=gamma_column(table),
    )


def swap_counts(table: Table) -> tuple[int, int]:
    """Count the exchanges of the walk so far.

    Parameters
    ----------
    table
        Thermo table.

    Returns
    -------
    tuple
        Tried and accepted.
    """
    tried, accepted = (
        sum(
            int(column[-1])
            for name, column in table.items()
            if name.startswith("f_") and name.endswith(f"[{i}]")
        )
        for i in (1, 2)
    )
    return tried, accepted
