"""Run pw.x under custodian: a job that starts it, handlers that correct it, the label's account of both."""

import logging
import shutil
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from custodian.custodian import Custodian, CustodianError, ErrorHandler, Job

from mlip_autopipec.errors import CalculationError, UnconvergedError
from mlip_autopipec.oracle.qe_folder import (
    SCRATCH,
    clean,
    keep_attempt,
    read_launch,
    read_run,
    write_state,
)
from mlip_autopipec.oracle.qe_launch import Launch
from mlip_autopipec.oracle.qe_namelist import variables
from mlip_autopipec.oracle.qe_output import PwOutcome, PwStatus
from mlip_autopipec.oracle.qe_programs import PW_ENVIRONMENT
from mlip_autopipec.oracle.qe_recovery import CURES, Cure, PwRun, next_cure
from mlip_autopipec.process import Executable, tail
from mlip_autopipec.schemas import Correction

# Without a handler of the application custodian's log would be printed to the terminal; the label tells all.
_QUIET = logging.NullHandler()


class PwJob(Job):
    """Run pw.x once on the ``pw.in`` of a folder.

    Parameters
    ----------
    timeout
        Wall time in s of all attempts together, after which pw.x is killed.
    """

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self._deadline: float | None = None

    def setup(self, directory: str = "./") -> None:
        """Do nothing: the caller has written the input.

        Parameters
        ----------
        directory
            The folder.
        """

    def run(self, directory: str = "./") -> None:
        """Run pw.x to its end.

        Parameters
        ----------
        directory
            The folder.

        Raises
        ------
        CalculationError
            The time is over.
        """
        folder = Path(directory)
        if variables((folder / "pw.in").read_text()).get("CONTROL.restart_mode") != "restart":
            shutil.rmtree(folder / SCRATCH, ignore_errors=True)
        launch = read_launch(folder)
        start = time.monotonic()
        self._deadline = self._deadline or start + self.timeout
        try:
            result = Executable(launch.command).run(
                *launch.arguments,
                directory=folder,
                timeout=max(self._deadline - start, 0.0),
                environment=PW_ENVIRONMENT,
            )
        except CalculationError as error:
            raise CalculationError(
                f"pw.x was killed after its wall-time limit of {self.timeout:g} s, corrections included.",
                hint=error.hint,
                directory=folder,
                log_tail=error.log_tail,
            ) from error
        (folder / "pw.out").write_text(result.stdout)
        (folder / "pw.err").write_text(result.stderr)
        wall_time = time.monotonic() - start
        write_state(folder, launch, returncode=result.returncode, wall_time=wall_time)

    def postprocess(self, directory: str = "./") -> None:
        """Do nothing: the folder is read by the caller.

        Parameters
        ----------
        directory
            The folder.
        """


class PwErrorHandler(ErrorHandler):
    """Detect one symptom of pw.x and apply its next cure.

    Parameters
    ----------
    status
        The symptom, a value of :class:`PwStatus`.
    allow_physics
        Whether cures may be used that change the numbers of a converged run.
    max_corrections
        Largest number of corrections by all handlers that share a history; what is done about ``max_seconds``
        has limits of its own and does not count.
    """

    def __init__(self, status: str, allow_physics: bool = False, max_corrections: int = 8) -> None:
        self.status = status
        self.allow_physics = allow_physics
        self.max_corrections = max_corrections
        self.history: list[tuple[str, str]] = []

    def check(self, directory: str = "./") -> bool:
        """Say whether the last attempt shows the symptom.

        Parameters
        ----------
        directory
            The folder.

        Returns
        -------
        bool
            Whether it does.
        """
        folder = Path(directory)
        # Once another handler has set the attempt aside there is nothing more to correct.
        return (folder / "pw.out").exists() and read_run(folder).outcome.status == self.status

    def correct(self, directory: str = "./") -> dict[str, Any]:
        """Change input and launch for the next attempt.

        Parameters
        ----------
        directory
            The folder.

        Returns
        -------
        dict
            ``errors`` and ``actions`` in custodian's form; no actions if there is no cure. An action has the
            fields of :class:`Correction`.
        """
        folder = Path(directory)
        run = read_run(folder)
        errors = [f"{run.outcome.status}: {run.outcome.message}"]
        used = [name for status, name in self.history if status == self.status]
        cure = next_cure(run, used, self.allow_physics)
        counted = self.status != PwStatus.TIME_LIMIT
        n_done = sum(status != PwStatus.TIME_LIMIT for status, _ in self.history)
        if cure is None or (counted and n_done >= self.max_corrections):
            return {"errors": errors, "actions": None}
        self.history.append((self.status, cure.name))
        done = correction(run, cure)
        text, launch = cure.apply(run)
        keep_attempt(folder)
        (folder / "pw.in").write_text(text)
        write_state(folder, launch)
        return {"errors": errors, "actions": [done.model_dump()]}


@dataclass(frozen=True)
class Recovered:
    """A converged run and what it took.

    Parameters
    ----------
    run
        The last attempt.
    corrections
        What was done before it.
    """

    run: PwRun
    corrections: tuple[Correction, ...]


def run_with_recovery(
    folder: Path, launch: Launch, timeout: float, max_corrections: int, allow_physics: bool = False
) -> Recovered:
    """Run pw.x on the ``pw.in`` of a folder until it converges or nothing is left to try.

    Parameters
    ----------
    folder
        The folder.
    launch
        How to start pw.x.
    timeout
        Wall time in s of all attempts together.
    max_corrections
        Largest number of corrections; resumptions after ``max_seconds`` do not count.
    allow_physics
        Whether cures may be used that change the numbers of a converged run.

    Returns
    -------
    Recovered
        The converged run.

    Raises
    ------
    UnconvergedError
        The SCF does not converge.
    CalculationError
        pw.x failed in another way.
    """
    logging.getLogger("custodian").addHandler(_QUIET)
    clean(folder)
    write_state(folder, launch)
    # The handlers keep count: custodian would prepare a last correction and stop before it tried it.
    manager = Custodian(
        handlers(allow_physics, max_corrections),
        [PwJob(timeout)],
        max_errors=max_corrections + sum(c.limit for c in CURES[PwStatus.TIME_LIMIT]) + 1,
        directory=str(folder),
    )
    try:
        manager.run()  # type: ignore[no-untyped-call]
    except CustodianError as error:
        raise failure(read_run(folder), corrections_of(manager), folder) from error
    finally:
        shutil.rmtree(folder / SCRATCH, ignore_errors=True)
    return Recovered(read_run(folder), corrections_of(manager))


def handlers(allow_physics: bool, max_corrections: int) -> list[PwErrorHandler]:
    """Return one handler a symptom; together they cover every way to end but convergence.

    Parameters
    ----------
    allow_physics
        Whether cures may be used that change the numbers of a converged run.
    max_corrections
        Largest number of corrections; resumptions after ``max_seconds`` do not count.

    Returns
    -------
    list[PwErrorHandler]
        The handlers, with one history.
    """
    history: list[tuple[str, str]] = []
    made = [PwErrorHandler(str(s), allow_physics, max_corrections) for s in PwStatus if s != "converged"]
    for handler in made:
        handler.history = history
    return made


def corrections_of(manager: Custodian) -> tuple[Correction, ...]:
    """Return what custodian's handlers did.

    Parameters
    ----------
    manager
        The custodian that has run.

    Returns
    -------
    tuple[Correction, ...]
        The corrections in order.
    """
    log = [entry for job in manager.run_log for entry in job["corrections"]]
    return tuple(Correction(**action) for entry in log for action in entry["actions"] or ())


def correction(run: PwRun, cure: Cure) -> Correction:
    """Describe a cure of an attempt.

    Parameters
    ----------
    run
        The failed attempt.
    cure
        What is done about it.

    Returns
    -------
    Correction
        The description.
    """
    # No dots in the keys of documents: MongoDB reads them as paths.
    changes: dict[str, Any] = {key.partition(".")[2]: value for key, value in cure.values(run).items()}
    _, launch = cure.apply(run)
    if launch != run.launch:
        changes |= {"processes": launch.processes, "pools": launch.pools}
    return Correction(
        symptom=str(run.outcome.status),
        message=run.outcome.message,
        cure=cure.name,
        changes=changes,
        source=cure.source,
        physics=cure.physics,
        wall_time=run.wall_time,
    )


def summary(corrections: Iterable[Correction]) -> str:
    """Name cures in one line.

    Parameters
    ----------
    corrections
        What was done.

    Returns
    -------
    str
        Each cure once, with how often it was used.
    """
    counts = Counter(c.cure for c in corrections)
    return "; ".join(f"{n} x {name}" if n > 1 else name for name, n in counts.items())


def failure(run: PwRun, corrections: tuple[Correction, ...], folder: Path) -> CalculationError:
    """Return the error for a run that did not converge.

    Parameters
    ----------
    run
        The last attempt.
    corrections
        What was tried.
    folder
        Its folder.

    Returns
    -------
    CalculationError
        With folder and the last lines of the log; ``UnconvergedError`` if the SCF did not converge.
    """
    outcome: PwOutcome = run.outcome
    kind = UnconvergedError if outcome.status is PwStatus.UNCONVERGED else CalculationError
    tried = summary(corrections)
    refused = [c.name for c in CURES.get(outcome.status, ()) if c.physics and c.applies(run)]
    return kind(
        f"pw.x: {outcome.message} ({outcome.status}, exit status {run.returncode})"
        + (f", after {len(corrections)} corrections: {tried}" if tried else "")
        + (f". Not tried, for it changes the physics: {refused[0]}." if refused else "."),
        hint=outcome.hint,
        directory=folder,
        log_tail=tail(run.stdout) or tail(run.stderr),
    )
