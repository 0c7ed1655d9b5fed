"""What to do about a failed run of pw.x: for each symptom its cures in order, with limit and source.

The table ``CURES`` is data; :mod:`mlip_autopipec.oracle.qe_custodian` applies it. A status without an entry
is fatal: the same input would fail again. "Measured" means runs of pw.x 6.7 made for this table.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mlip_autopipec.oracle.qe_input import Value
from mlip_autopipec.oracle.qe_launch import Launch
from mlip_autopipec.oracle.qe_namelist import cell_lengths, variables, with_variable
from mlip_autopipec.oracle.qe_output import PwOutcome, PwStatus, classify

_MAXSTEP = "ELECTRONS.electron_maxstep"
_BETA = "ELECTRONS.mixing_beta"
_MODE = "ELECTRONS.mixing_mode"
_DIAGONALIZATION = "ELECTRONS.diagonalization"
_CG_MAXITER = "ELECTRONS.diago_cg_maxiter"
_RESTART = "CONTROL.restart_mode"
_MAX_SECONDS = "CONTROL.max_seconds"

# A shorter SCF has not shown that it cannot converge.
FEW_ITERATIONS = 30

# Charge sloshes along long cells: the gain of a density change of wavelength L grows as L^2.
LONG_CELL = 20.0


@dataclass(frozen=True)
class PwRun:
    """One attempt: what went into it and what came out.

    Parameters
    ----------
    text
        Its input.
    launch
        How it was started.
    stdout
        Its output.
    stderr
        Its error output.
    returncode
        Its exit status; negative if a signal killed it.
    wall_time
        Its wall time in s.
    """

    text: str
    launch: Launch
    stdout: str
    stderr: str
    returncode: int
    wall_time: float

    @property
    def outcome(self) -> PwOutcome:
        """How it ended."""
        return classify(self.stdout, self.stderr, self.returncode)

    def variable(self, key: str, default: Value | None = None) -> Value | None:
        """Return a variable of the input.

        Parameters
        ----------
        key
            ``"NAMELIST.variable"``.
        default
            Default of pw.x.

        Returns
        -------
        str | float | bool | None
            Its value.
        """
        return variables(self.text).get(key, default)

    def number(self, key: str, default: float) -> float:
        """Return a number of the input.

        Parameters
        ----------
        key
            ``"NAMELIST.variable"``.
        default
            Default of pw.x.

        Returns
        -------
        float
            Its value.
        """
        return float(self.variable(key, default) or default)


Change = Value | Callable[[PwRun], Value | None] | None


def _always(_: PwRun) -> bool:
    return True


@dataclass(frozen=True)
class Cure:
    """One thing to try.

    Parameters
    ----------
    name
        What is done, in words.
    source
        Why it should help: documentation or a measurement.
    changes
        New values of input variables, or functions that derive them; None removes a variable.
    launch
        New way to start pw.x.
    applies
        Whether it makes sense after this run.
    limit
        How often it may be used for one label.
    physics
        Whether it changes the numbers of a converged run.
    resume
        Whether the next attempt goes on from what pw.x saved.
    """

    name: str
    source: str
    changes: Mapping[str, Change] = field(default_factory=dict)
    launch: Callable[[Launch], Launch] | None = None
    applies: Callable[[PwRun], bool] = _always
    limit: int = 1
    physics: bool = False
    resume: bool = False

    def values(self, run: PwRun) -> dict[str, Value | None]:
        """Return the variables of the next attempt that differ from this one.

        Parameters
        ----------
        run
            The failed attempt.

        Returns
        -------
        dict[str, str | float | bool | None]
            Values by ``"NAMELIST.variable"``; None where the variable is removed.
        """
        changes = {_RESTART: "restart" if self.resume else None, **self.changes}
        new = {key: value(run) if callable(value) else value for key, value in changes.items()}
        return {key: value for key, value in new.items() if value != run.variable(key)}

    def apply(self, run: PwRun) -> tuple[str, Launch]:
        """Return input and launch of the next attempt.

        Parameters
        ----------
        run
            The failed attempt.

        Returns
        -------
        tuple[str, Launch]
            The input and the launch.
        """
        text = run.text
        for key, value in self.values(run).items():
            text = with_variable(text, key, value)
        return text, self.launch(run.launch) if self.launch else run.launch


def _at_least(key: str, value: float, default: float) -> Callable[[PwRun], Value]:
    return lambda run: max(run.number(key, default), value)


def _beta_above(limit: float) -> Callable[[PwRun], bool]:
    return lambda run: run.number(_BETA, 0.7) > limit


def _is_long(run: PwRun) -> bool:
    return bool(cell_lengths(run.text).max() > LONG_CELL)


def _saves(run: PwRun) -> bool:
    return run.variable("CONTROL.disk_io", "low") != "none"


def _stopped_in_scf(run: PwRun) -> bool:
    return re.search("Calculation stopped in (?:scf|k-point) loop", run.stdout) is not None


def _one_pool(launch: Launch) -> Launch:
    return Launch(launch.command)


def _half_the_processes(launch: Launch) -> Launch:
    return launch.with_processes(max(1, launch.processes // 2))


def _has_bands(run: PwRun) -> bool:
    return run.variable("SYSTEM.nbnd") is not None


_MORE_TIME: Mapping[str, Change] = {_MAX_SECONDS: lambda run: 2 * run.number(_MAX_SECONDS, 1e7)}
_DROP_BANDS = Cure(
    "leave the number of bands to pw.x",
    "INPUT_PW, nbnd: the default holds all electrons. Measured: Si2 with nbnd 3 fails at once; Al4 with "
    "nbnd 6 does not converge in 100 iterations, without nbnd in 6.",
    {"SYSTEM.nbnd": None},
    applies=_has_bands,
)
_SMEAR = Cure(
    "smear the occupations (mv, 0.02 Ry)",
    "pw.x, routine electrons: 'charge is wrong: smearing is needed'. Measured: Al1 and Al4 converge in 4 "
    "and 6 iterations.",
    {"SYSTEM.occupations": "smearing", "SYSTEM.smearing": "mv", "SYSTEM.degauss": 0.02},
    applies=lambda run: run.variable("SYSTEM.occupations", "fixed") != "smearing",
    physics=True,
)
_RERUN = Cure(
    "run again from the start",
    "Measured: the rerun of a killed Si8 has the same energy to 1e-8 Ry; 'restart' starts over as well.",
)
_ONE_POOL = Cure(
    "one pool of k-points",
    "Quantum ESPRESSO User's Guide, parallelism: every pool has its own copy of the plane-wave arrays.",
    launch=_one_pool,
    applies=lambda run: run.launch.pools > 1,
)
_LESS_MEMORY = Cure(
    "conjugate gradients and 4 mixed densities, which need less memory",
    "INPUT_PW, diagonalization: 'cg' uses less memory than 'david'; mixing_ndim: 4 if memory is tight.",
    {_DIAGONALIZATION: "cg", _CG_MAXITER: 40, "ELECTRONS.mixing_ndim": 4},
    applies=lambda run: run.variable(_DIAGONALIZATION, "david") != "cg",
)

CURES: Mapping[PwStatus, tuple[Cure, ...]] = {
    PwStatus.UNCONVERGED: (
        _DROP_BANDS,
        Cure(
            "allow 100 iterations",
            "INPUT_PW, electron_maxstep: default 100. Measured: Si2 stopped after 3 converges in 7.",
            {_MAXSTEP: 100},
            applies=lambda run: run.number(_MAXSTEP, 100) < FEW_ITERATIONS,
        ),
        Cure(
            "screened mixing for a long cell (local-TF, mixing_beta 0.7)",
            "INPUT_PW, mixing_mode: 'local-TF' for highly inhomogeneous systems. Measured: slab Al15, not in "
            "40 iterations with beta 0.9 or 0.7, in 22 with this; 28 and 29 with beta 0.1 and 0.3.",
            {_MODE: "local-TF", _BETA: 0.7},
            applies=_is_long,
        ),
        Cure(
            "mixing_beta 0.3",
            "INPUT_PW, mixing_beta. Measured: slab Al15 in 28 iterations with local-TF, in 29 without.",
            {_BETA: 0.3, _MAXSTEP: _at_least(_MAXSTEP, 100, 100)},
            applies=_beta_above(0.3),
        ),
        Cure(
            "screened mixing (local-TF)",
            "INPUT_PW, mixing_mode. Measured: slab Al15 in 28 iterations with beta 0.3.",
            {_MODE: "local-TF"},
            applies=lambda run: run.variable(_MODE, "plain") == "plain",
        ),
        Cure(
            "mixing_beta 0.1 and 200 iterations",
            "Measured: slab Al15 in 28 iterations with beta 0.1 and plain mixing.",
            {_MODE: "plain", _BETA: 0.1, _MAXSTEP: _at_least(_MAXSTEP, 200, 100)},
            applies=_beta_above(0.1),
        ),
        _SMEAR,
    ),
    PwStatus.SMEARING: (_SMEAR,),
    PwStatus.BANDS: (_DROP_BANDS,),
    PwStatus.DIAGONALISATION: (
        Cure(
            "Davidson diagonalisation",
            "INPUT_PW, diagonalization: the default. Measured: Si8 that failed with cg and one "
            "step a band converges.",
            {_DIAGONALIZATION: "david", "ELECTRONS.diago_thr_init": None},
            applies=lambda run: run.variable(_DIAGONALIZATION, "david") != "david",
        ),
        Cure(
            "conjugate gradients with up to 40 steps",
            "INPUT_PW, diagonalization: 'cg' is slower than 'david' but seldom fails. Measured: Si8, 14 "
            "iterations where cg with maxiter 1 failed.",
            {_DIAGONALIZATION: "cg", _CG_MAXITER: 40, "ELECTRONS.diago_thr_init": None},
        ),
        Cure(
            "projected preconditioned conjugate gradients (ppcg)",
            "INPUT_PW, diagonalization. Measured: same energy as 'david' for Si8.",
            {_DIAGONALIZATION: "ppcg"},
        ),
        Cure(
            "Davidson from random wavefunctions",
            "INPUT_PW, startingwfc: 'random' is slower at the start, but safe.",
            {_DIAGONALIZATION: "david", "ELECTRONS.startingwfc": "random"},
        ),
    ),
    PwStatus.TIME_LIMIT: (
        Cure(
            "resume from the saved state",
            "INPUT_PW, max_seconds and restart_mode. Measured: Si8 stopped in iteration 3 goes on at its "
            "k-point 11 with the same energy to 1e-8 Ry.",
            applies=lambda run: _saves(run) and _stopped_in_scf(run),
            limit=20,
            resume=True,
        ),
        Cure(
            "resume with twice max_seconds: the SCF had not gone on",
            "Measured: Si8 with 1.6 s on a busy machine, 18 resumptions of which one needed this.",
            _MORE_TIME,
            applies=lambda run: run.variable(_RESTART) == "restart" and not _stopped_in_scf(run),
            limit=4,
            resume=True,
        ),
        Cure(
            "start with twice max_seconds: the SCF had not begun",
            "Measured: Si8 with max_seconds 3 stops before the first iteration (exit status 255).",
            _MORE_TIME,
            applies=lambda run: not _stopped_in_scf(run),
            limit=4,
        ),
    ),
    PwStatus.KILLED: (_RERUN, _ONE_POOL, _LESS_MEMORY),
    PwStatus.INCOMPLETE: (_RERUN,),
    PwStatus.MEMORY: (
        _ONE_POOL,
        Cure(
            "half the processes",
            "Quantum ESPRESSO User's Guide, parallelism: what is not distributed exists once a process.",
            launch=_half_the_processes,
            applies=lambda run: run.launch.processes > 1,
        ),
        _LESS_MEMORY,
    ),
    PwStatus.SLOTS: (
        Cure(
            "half the processes",
            "Open MPI: 'request fewer slots for your application'.",
            launch=_half_the_processes,
            applies=lambda run: run.launch.processes > 1,
            limit=6,
        ),
    ),
    PwStatus.DISK: (
        Cure(
            "write nothing to disk",
            "INPUT_PW, disk_io: 'none' writes nothing.",
            {"CONTROL.disk_io": "none"},
            applies=lambda run: run.variable("CONTROL.disk_io", "low") != "none",
        ),
    ),
}


def next_cure(run: PwRun, used: list[str], allow_physics: bool) -> Cure | None:
    """Choose the cure of a failed attempt: in the order of the table and never backwards.

    What is done about ``max_seconds`` depends on how far the attempt came, not on what was done before.

    Parameters
    ----------
    run
        The failed attempt.
    used
        Names of the cures of this symptom that were used for this label.
    allow_physics
        Whether cures may be used that change the numbers.

    Returns
    -------
    Cure | None
        The cure; None if there is none (left).
    """
    cures = CURES.get(run.outcome.status, ())
    ordered = run.outcome.status is not PwStatus.TIME_LIMIT
    first = max((i for i, cure in enumerate(cures) if ordered and cure.name in used), default=0)
    for cure in cures[first:]:
        allowed = used.count(cure.name) < cure.limit and (allow_physics or not cure.physics)
        if allowed and cure.applies(run):
            return cure
    return None
