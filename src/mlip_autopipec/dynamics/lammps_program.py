"""The back end for large cells and clusters of computers: `lmp` with ML-PACE as a program of its own."""

import re
from pathlib import Path

import numpy as np
from ase.io.lammpsdata import write_lammps_data

from mlip_autopipec.ace import PairBaseline
from mlip_autopipec.dynamics import lammps_input as lines
from mlip_autopipec.dynamics.lammps_dump import DumpFrame, read_dump
from mlip_autopipec.dynamics.lammps_failures import failure_error, said
from mlip_autopipec.dynamics.lammps_log import Halt, Table, read_halt, read_thermo, wild_end
from mlip_autopipec.dynamics.lammps_result import (
    SANE,
    Ending,
    MDRun,
    MDTask,
    ending,
    gamma_column,
    last_signs,
)
from mlip_autopipec.dynamics.observer import Frame, distance_ratio
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.process import Executable, ProcessResult, tail
from mlip_autopipec.schemas.files import unpack_file

INPUT = "in.lammps"
RESTART = "restart.lammps"
DUMP = "extrapolative.dump"
FINAL = "final.dump"

_START = "start.restart"
_STALE = 1.0e-3  # relative; a dump has six digits at least
_ZERO = (
    "use another LAMMPS: releases have had a gamma that is silently 0 (lammps#3966); "
    "`mlip-auto check` tells whether this one has."
)


def run_program(task: MDTask, program: Executable) -> MDRun:
    """Walk by `lmp`.

    Parameters
    ----------
    task
        What to do.
    program
        A LAMMPS with ML-PACE, perhaps behind an MPI launcher.

    Returns
    -------
    MDRun
        What came of it.

    Raises
    ------
    MissingProgramError
        The program lacks what is needed.
    CalculationError
        The walk could not begin, or its output cannot be believed.
    """
    directory = task.directory
    task.potential.write(directory)
    (directory / INPUT).write_text("\n".join(input_lines(task, _begin(task))) + "\n")
    for name in (DUMP, FINAL, RESTART):  # of an attempt before: what is there afterwards must be of this run
        (directory / name).unlink(missing_ok=True)
    result = program.run("-in", INPUT, "-log", "log.lammps", "-nocite", directory=directory)
    (directory / "screen.txt").write_text(result.stdout)
    (directory / "stderr.txt").write_text(result.stderr)
    return _read(task, result)


def input_lines(task: MDTask, begin: list[str]) -> list[str]:
    """Write the whole input.

    Parameters
    ----------
    task
        What to do.
    begin
        How it begins: from data, or from a restart.

    Returns
    -------
    list[str]
        LAMMPS commands.
    """
    conditions, walker, rule, elements = task.conditions, task.walker, task.rule, task.elements
    every = conditions.gamma_every
    start_step = task.previous.end_step if task.previous is not None and task.previous.restart else 0
    dynamics = lines.dynamics_lines(conditions, walker, elements, start_step)
    baseline = None if task.potential.baseline is None else PairBaseline.from_record(task.potential.baseline)
    # The pair style is not in a restart file.
    pace = lines.pace_lines(baseline, elements, every)
    start = [line for line in begin if not line.startswith("velocity")]
    near = {pair: rule.smallest_distance * r for pair, r in task.potential.core.r_in.items()}
    watched = rule.smallest_distance > 0.0
    return [
        *lines.HEAD,
        *start,
        "neighbor 1.0 bin",
        *pace,
        *(line for line in begin if line.startswith("velocity")),
        *dynamics,
        *(lines.near_lines(near, elements) if watched else ["variable near equal 0"]),
        *lines.sign_lines(rule, conditions, walker),
        *lines.dump_lines(every, task.gamma_select, DUMP),
        *lines.halt_lines(rule, every, near="v_near > 0"),
        *lines.log_lines(every, [*lines.swap_columns(dynamics), f"c_{lines.GAMMA}"]),
        lines.run_line(walker),
        f"write_restart {RESTART}",
        f"write_dump all custom {FINAL} id type x y z modify sort id format float %.17g",
    ]


def _begin(task: MDTask) -> list[str]:
    if task.previous is not None and task.previous.restart is not None:
        unpack_file(task.previous.restart, task.directory).replace(task.directory / _START)
        return [f"read_restart {_START}"]
    data = "data.lammps"
    write_lammps_data(task.directory / data, task.structure.to_ase(), specorder=task.elements, masses=True)
    return lines.start_lines(data, task.structure, task.walker, task.conditions)


def _read(task: MDTask, result: ProcessResult) -> MDRun:
    """Read what a run left."""
    directory, screen = task.directory, result.stdout
    complaint = said(result)
    halt = read_halt(screen)
    try:
        table = read_thermo(screen, ("Step", "Temp", "PotEng", "Press", "Volume", f"c_{lines.GAMMA}"))
    except CalculationError as error:
        raise failure_error(complaint or str(error), directory, screen) from error
    if complaint and halt is None and wild_end(complaint) is None:
        raise failure_error(complaint, directory, screen)
    frames = read_dump(directory / DUMP, task.elements) if (directory / DUMP).exists() else []
    final = _final(directory / FINAL, task) if not complaint else None
    _check_gamma(table, frames, directory)
    end = _ending(task, table, halt, complaint, final)
    graded = [Frame(f.step, f.atoms, float(f.gamma.max())) for f in frames if f.gamma is not None]
    sane = end[0] in SANE and not complaint
    if sane and not (directory / RESTART).exists():
        raise CalculationError(
            "LAMMPS ended well and wrote no restart file.", directory=directory, log_tail=tail(screen)
        )
    last = final.atoms if final else graded[-1].atoms if graded else task.structure.to_ase()
    return MDRun(
        engine=f"LAMMPS ({version(screen)}) with ML-PACE",
        table=table,
        start_step=int(table["Step"][0]),
        end_step=halt.step if halt else int(table["Step"][-1]),
        ending=end,
        frames=graded,
        halting=_halting(end, halt, graded, final),
        last=last,
        restart=directory / RESTART if sane else None,
    )


def version(screen: str) -> str:
    """Read the version.

    Parameters
    ----------
    screen
        What `lmp` printed.

    Returns
    -------
    str
        As in ``LAMMPS (4 Feb 2025)``.
    """
    found = re.search(r"^LAMMPS \((.+?)\)", screen, re.MULTILINE)
    return found[1] if found else "unknown version"


def _final(path: Path, task: MDTask) -> DumpFrame | None:
    frames = read_dump(path, task.elements) if path.exists() else []
    return frames[-1] if frames else None


def _ending(task: MDTask, table: Table, halt: Halt | None, complaint: str, final: DumpFrame | None) -> Ending:
    """Say why it ended; LAMMPS counts pairs that are too near, so their distance is measured here."""
    if halt is not None and halt.reason == "smallest_distance":
        return halt.reason, None if final is None else distance_ratio(final.atoms, task.potential.core.r_in)
    return ending(task.rule, last_signs(table, task), halt, complaint)


def _halting(end: Ending, halt: Halt | None, frames: list[Frame], final: DumpFrame | None) -> Frame | None:
    """Find the frame that gamma halted at: a soft halt dumps it, a hard one does not."""
    if end[0] != "gamma" or end[1] is None or halt is None:
        return None
    for frame in frames:
        if frame.step == halt.step:
            return frame
    return Frame(halt.step, final.atoms, end[1]) if final is not None and final.step == halt.step else None


def _check_gamma(table: Table, frames: list[DumpFrame], directory: Path) -> None:
    """Refuse grades that are silently 0 or stale: LAMMPS takes neither for an error."""
    gamma = gamma_column(table)
    if not any(gamma):
        raise CalculationError(
            "LAMMPS gives a gamma of 0 throughout, which no structure has.", hint=_ZERO, directory=directory
        )
    said_at = dict(zip(table["Step"], gamma, strict=True))
    for frame in frames:
        logged = said_at.get(frame.step)
        if frame.gamma is None or logged is None:
            continue
        if not np.isclose(frame.gamma.max(), logged, rtol=_STALE):
            raise CalculationError(
                f"gamma is stale: at step {frame.step} the log says {logged:g}, "
                f"the dump {frame.gamma.max():g}.",
                directory=directory,
            )
