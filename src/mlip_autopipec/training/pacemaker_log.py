"""`pacemaker` runs: its log is followed meanwhile, and its results judged afterwards."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import numpy as np

from mlip_autopipec.errors import CalculationError, FitError
from mlip_autopipec.process import Executable, tail

LOG = "log.txt"
METRICS = "metrics.txt"
PROGRESS = "progress.txt"

_LEFT_BEHIND = (
    "potential.yaml",
    "potential.yace",
    "potential.asi",
    "*_potential*.yaml",
    "*_data_info.pckl.gzip",
    "*metrics.txt",
    "start.yaml",
    "training.pckl.gzip",
    "test.pckl.gzip",
    LOG,
    PROGRESS,
)
_DISAGREEMENT = (1.0e-3, 0.1)  # eV/atom, relative; between back end and written file

_logger = logging.getLogger(__name__)

_ITERATION = re.compile(r"Iteration\s+#(\d+)\s.*?Loss: +(\S+)")
_RESULT = re.compile(r"Optimization result\(success=(True|False), status=[^,]*, message=(.*), nfev=")
_PARAMETERS = re.compile(r"Total number of functions: (\d+) / number of parameters: (\d+)")
_KAPPA = re.compile(r"kappa automatically selected: kappa = ([\d.eE+-]+)")
_WARNING = re.compile(r"^\d{4}-\d\d-\d\d [\d:,]+ [WE] - (.*)", re.MULTILINE)
_NAN = "NaN result encountered"
# What it warns of in every run: an unused key of the input, and TensorFlow of itself.
_HARMLESS = re.compile(
    r"'cutoff' is deprecated|GradientTape|tensorflow|new type promotion|weights adjustment|low-tier|retracing"
)


@dataclass(frozen=True)
class RunOutcome:
    """How a fit ended, by its own logs.

    Parameters
    ----------
    n_parameters
        Fitted parameters.
    n_iterations
        Iterations of the optimizer, of all ladder steps.
    converged
        Whether the last optimization said that it converged.
    message
        What the optimizer said.
    loss
        Last value of the loss, in its own unit.
    energy_rmse
        Root mean square error of the energy per atom by pacemaker's own back end, in eV/atom.
    kappa
        Share of the forces that ``kappa: auto`` led to; none if it was given.
    warnings
        Warnings of the log, each once.
    """

    n_parameters: int
    n_iterations: int
    converged: bool
    message: str
    loss: float
    energy_rmse: float
    kappa: float | None
    warnings: list[str]


def run(
    executable: Executable,
    directory: Path,
    arguments: Sequence[str],
    timeout: float | None,
    n_threads: int | None,
) -> RunOutcome:
    """Run pacemaker, report its progress and judge it by its results.

    Parameters
    ----------
    executable
        The program.
    directory
        Folder of the run, with ``input.yaml`` and the data.
    arguments
        Arguments of the program.
    timeout
        Wall-time limit in s.
    n_threads
        Threads of TensorFlow; as many as it likes if none.

    Returns
    -------
    RunOutcome
        How the fit ended.

    Raises
    ------
    CalculationError
        The program failed; its traceback is quoted, for it is in no log.
    """
    environment = {"MPLBACKEND": "Agg", "PACEMAKERDATAPATH": "."}
    if n_threads is not None:
        names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
        environment |= dict.fromkeys(names, str(n_threads))
    with following(directory):
        ended = executable.run(*arguments, directory=directory, timeout=timeout, environment=environment)
    (directory / "stderr.txt").write_text(ended.stderr)
    if ended.returncode != 0:
        raise CalculationError(
            f"pacemaker failed with exit status {ended.returncode}.",
            hint="the traceback is at the end of stderr.txt.",
            directory=directory,
            log_tail=tail(ended.stderr or ended.stdout),
        )
    try:
        return read_outcome(directory)
    except FitError as error:
        raise CalculationError(
            str(error), directory=directory, log_tail=tail(ended.stderr or ended.stdout)
        ) from error


def clear(directory: Path) -> None:
    """Remove what an earlier run left, so that nothing old is taken for a result.

    Parameters
    ----------
    directory
        Folder of the run.
    """
    for pattern in _LEFT_BEHIND:
        for path in directory.glob(pattern):
            path.unlink()


def remarks(outcome: RunOutcome, energy_rmse: float) -> list[str]:
    """Say what is odd about a fit that ended.

    Parameters
    ----------
    outcome
        How it ended by its own logs.
    energy_rmse
        Training error of the written file in eV/atom.

    Returns
    -------
    list[str]
        One line each: not converged; another error than the back end claims.
    """
    found = []
    if not outcome.converged:
        found.append(f"not converged after {outcome.n_iterations} iterations: {outcome.message}")
    absolute, relative = _DISAGREEMENT
    if abs(energy_rmse - outcome.energy_rmse) > absolute + relative * outcome.energy_rmse:
        found.append(
            f"the training energy error of the written file is {1e3 * energy_rmse:.2f} meV/atom, "
            f"pacemaker says {1e3 * outcome.energy_rmse:.2f}"
        )
    return found


def read_outcome(directory: Path) -> RunOutcome:
    """Read how a run ended.

    Parameters
    ----------
    directory
        Folder of the run.

    Returns
    -------
    RunOutcome
        Its numbers.

    Raises
    ------
    FitError
        A log is missing or incomplete, or a number in it is not finite.
    """
    text = _read(directory / LOG)
    if _NAN in text:
        raise FitError(
            "pacemaker met numbers that are not finite during the fit; its potential is not used.",
            hint="look for labels with extreme energies or forces, or for atoms that almost coincide.",
        )
    results, sizes = _RESULT.findall(text), _PARAMETERS.findall(text)
    if not results or not sizes:
        raise FitError(f"{LOG} of pacemaker tells no result of the optimization; the fit did not end.")
    rows = read_metrics(directory / METRICS)
    last = {(row.get("ladder_step"), row.get("cycle_step")): int(row["iter_num"]) for row in rows}
    kappa = _KAPPA.search(text)
    return RunOutcome(
        n_parameters=int(sizes[-1][1]),
        n_iterations=sum(last.values()),
        converged=results[-1][0] == "True",
        message=results[-1][1],
        loss=rows[-1]["loss"],
        energy_rmse=rows[-1]["rmse_epa"],
        kappa=float(kappa.group(1)) if kappa else None,
        warnings=log_warnings(text),
    )


def read_metrics(path: Path) -> list[dict[str, float]]:
    """Read the table of losses.

    Parameters
    ----------
    path
        ``metrics.txt``: names of the columns, then a row for each iteration.

    Returns
    -------
    list[dict]
        The rows, at least one; the loss of the last one is finite.

    Raises
    ------
    FitError
        The table is missing, empty or broken.
    """
    lines = [line.split() for line in _read(path).splitlines() if line.strip()]
    try:
        names, rows = lines[0], [[float(word) for word in line] for line in lines[1:] if line != lines[0]]
        found = [dict(zip(names, row, strict=True)) for row in rows]
        finite = np.isfinite([found[-1]["loss"], found[-1]["rmse_epa"], found[-1]["iter_num"]]).all()
    except (IndexError, KeyError, ValueError) as error:
        raise FitError(f"{path.name} of pacemaker is not a table of losses: {error!r}.") from error
    if not finite:
        raise FitError(f"the last loss in {path.name} of pacemaker is {found[-1]['loss']}, not a number.")
    return found


def log_warnings(text: str) -> list[str]:
    """List what a log warned of.

    Parameters
    ----------
    text
        The log.

    Returns
    -------
    list[str]
        Each warning once, without those that every run gives.
    """
    return list(dict.fromkeys(line for line in _WARNING.findall(text) if not _HARMLESS.search(line)))


@contextmanager
def following(directory: Path, interval: float = 2.0) -> Iterator[None]:
    """Report the progress of a run: a log message and the one line of ``progress.txt``.

    Parameters
    ----------
    directory
        Folder of the run, where the log grows.
    interval
        Time between two looks at it in s.

    Yields
    ------
    None
        While the program runs.
    """
    ended = Event()

    def follow() -> None:
        said = ""
        last = False
        while not last:
            last = ended.wait(interval)
            now = progress_line(directory / LOG)
            if now and now != said:
                said = now
                _logger.info("%s", now)
                (directory / PROGRESS).write_text(now + "\n")

    thread = Thread(target=follow, name="pacemaker log", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def progress_line(path: Path) -> str:
    """Say in one line where a run stands.

    Parameters
    ----------
    path
        Its ``log.txt``; need not exist.

    Returns
    -------
    str
        The last iteration and its loss, or what is done before the first; empty if nothing is known.
    """
    if not path.is_file():
        return ""
    text = path.read_text(errors="replace")
    iterations, sizes = _ITERATION.findall(text), _PARAMETERS.findall(text)
    ladder = f"{sizes[-1][0]} functions, {sizes[-1][1]} parameters, " if sizes else ""
    if iterations:
        number, loss = iterations[-1]
        return f"pacemaker: {ladder}iteration {number}, loss {loss}"
    return f"pacemaker: {ladder}preparing the first iteration" if sizes else "pacemaker: reading the data"


def _read(path: Path) -> str:
    if not path.is_file():
        raise FitError(f"pacemaker left no {path.name}.", hint="look at the messages of the program.")
    return path.read_text(errors="replace")
