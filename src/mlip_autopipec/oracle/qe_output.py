"""What a run of pw.x came to, from its text and exit status. Pure: nothing here touches a file.

``JOB DONE`` is no sign of success: pw.x 6.7 prints it after an SCF that failed or was stopped. A run is
good if the exit status is 0, the SCF says that it converged, and energy, forces and stress are there.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from mlip_autopipec.errors import CalculationError
from mlip_autopipec.units import BOHR_TO_A, RY_TO_EV


class PwStatus(StrEnum):
    """How a run ended."""

    CONVERGED = "converged"
    UNCONVERGED = "unconverged"
    TIME_LIMIT = "time limit"
    STOPPED = "stopped by the user"
    OVERLAP = "atoms overlap"
    DIAGONALISATION = "diagonalisation failed"
    SMEARING = "smearing needed"
    BANDS = "too few bands"
    CUTOFF = "cut-off too low"
    PSEUDOPOTENTIAL = "pseudopotential"
    INPUT = "input"
    SCRATCH = "scratch folder"
    DISK = "disk"
    MEMORY = "memory"
    SLOTS = "too few slots"
    LAUNCH = "launch"
    KILLED = "killed"
    INCOMPLETE = "incomplete output"
    FAILED = "failed"


@dataclass(frozen=True)
class PwOutcome:
    """Status of a run with the reason, and what to do about it."""

    status: PwStatus
    message: str
    hint: str | None = None


@dataclass(frozen=True)
class Symptom:
    """One known way to fail: a pattern in the text and what it means."""

    pattern: re.Pattern[str]
    status: PwStatus
    hint: str


def _symptom(pattern: str, status: PwStatus, hint: str) -> Symptom:
    return Symptom(re.compile(pattern), status, hint)


GEOMETRY_HINT = "look at the geometry first: atoms that are too close do this and no setting cures it."

# First match wins. Each line was seen in a real run, see tests/data/qe. A stop in mid-SCF ends with the exit
# status of an unconverged SCF, therefore time limit and stop come before it.
SYMPTOMS: tuple[Symptom, ...] = (
    _symptom("Maximum CPU time exceeded", PwStatus.TIME_LIMIT, "give pw.x more time."),
    _symptom("Program stopped by user request", PwStatus.STOPPED, "run it again."),
    _symptom("not enough slots available", PwStatus.SLOTS, "ask mpirun for fewer processes."),
    _symptom(
        "attempt to run as root", PwStatus.LAUNCH, "add --allow-run-as-root to mpirun, or be another user."
    ),
    _symptom(
        "Cannot allocate memory|Out of memory",
        PwStatus.MEMORY,
        "run fewer labels at a time, or lower the cut-off or the size of the cell.",
    ),
    _symptom("atoms .* overlap!", PwStatus.OVERLAP, "leave the structure out."),
    _symptom(
        "S matrix not positive definite|zhegvd failed|problems computing cholesky|failed to converge",
        PwStatus.DIAGONALISATION,
        GEOMETRY_HINT,
    ),
    _symptom(
        "too many bands are not converged", PwStatus.DIAGONALISATION, "use the Davidson diagonalisation."
    ),
    _symptom("smearing is needed", PwStatus.SMEARING, "set `smearing` and `degauss`."),
    _symptom("too few bands", PwStatus.BANDS, "do not set the number of bands."),
    _symptom("more bands than PWs", PwStatus.CUTOFF, "raise `ecutwfc`."),
    _symptom(
        r"file \S+ not found|conflicting values for (?:icorr|iexch|igcx|igcc|inlc)|read_upf|readpp",
        PwStatus.PSEUDOPOTENTIAL,
        "give every element a UPF file of the same functional.",
    ),
    _symptom(
        "bad line in namelist|invalid values for nk|too many k-points|reading namelist",
        PwStatus.INPUT,
        "correct the input; a `k_spacing` that is too small makes too many k-points.",
    ),
    _symptom(
        "cannot be created or accessed", PwStatus.SCRATCH, "run where a folder can be made and written to."
    ),
    _symptom("error writing file|No space left", PwStatus.DISK, "free disk space."),
    _symptom(
        "convergence NOT achieved",
        PwStatus.UNCONVERGED,
        "raise `electron_maxstep`, lower `mixing_beta`, or smear a metal.",
    ),
)

# From pw.x itself, and as a shell or launcher passes it on.
_SEGMENTATION_FAULT = (-11, 139)
_DIAGONALISING = re.compile(r"iteration #(?!.*iteration #).*diagonalization(?!.*total energy)", re.DOTALL)
_ERROR_BOX = re.compile(r"Error in routine\s+(\S+)\s*\((-?\d+)\):\s*\n\s*(.+?)\s*\n")
_CONVERGED = re.compile(r"convergence has been achieved in\s+(\d+)\s+iterations")
_FINAL_ENERGY = re.compile(r"^!+\s+total energy\s*=\s*(\S+)\s+Ry", re.MULTILINE)
_FORCES = "Forces acting on atoms"
_FORCE = re.compile(r"atom\s+\d+\s+type\s+\d+\s+force\s*=\s*(\S+)\s+(\S+)\s+(\S+)")
_STRESS = re.compile(r"total\s+stress\s+\(Ry/bohr\*\*3\)[^\n]*\n((?:[^\n]+\n){3})")
_VERSION = re.compile(r"Program PWSCF v\.?\s*(\S+)")
_TOTAL_MOMENT = re.compile(r"total magnetization\s*=\s*(\S+)\s+Bohr mag/cell")
_ABSOLUTE_MOMENT = re.compile(r"absolute magnetization\s*=\s*(\S+)\s+Bohr mag/cell")
_LARGE_SCF_CORRECTION = "SCF correction compared to forces is large"


def classify(stdout: str, stderr: str, returncode: int) -> PwOutcome:
    """Say how a run ended.

    Parameters
    ----------
    stdout
        Its output.
    stderr
        Its error output.
    returncode
        Its exit status; negative if a signal killed it.

    Returns
    -------
    PwOutcome
        Status, reason and hint. ``CONVERGED`` is a run that can be read with :func:`read_result`.
    """
    both = stdout + "\n" + stderr
    if returncode == 0 and _CONVERGED.search(stdout):
        missing = missing_parts(stdout)
        if not missing:
            return PwOutcome(PwStatus.CONVERGED, "converged")
        return PwOutcome(PwStatus.INCOMPLETE, f"the output has no {', '.join(missing)}", "run it again.")
    for symptom in SYMPTOMS:
        found = symptom.pattern.search(both)
        if found and symptom.status is PwStatus.UNCONVERGED and looks_metallic(stdout):
            return METALLIC
        if found:
            return PwOutcome(symptom.status, reason(stdout, found.group(0)), symptom.hint)
    return without_symptom(stdout, returncode)


METALLIC = PwOutcome(
    PwStatus.SMEARING,
    "convergence NOT achieved: occupations are fixed and bands of the last iteration did not converge, "
    "as in a metal",
    "set `smearing` and `degauss`.",
)


def looks_metallic(stdout: str) -> bool:
    """Say whether an SCF failed as those of metals with fixed occupations do.

    Parameters
    ----------
    stdout
        Output of pw.x that did not converge.

    Returns
    -------
    bool
        Whether no smearing was used and the last iteration left bands unconverged.
    """
    last = stdout.rpartition("iteration #")[2]
    return "eigenvalues not converged" in last and not re.search(r"number of k points=.*smearing", stdout)


def without_symptom(stdout: str, returncode: int) -> PwOutcome:
    """Say how a run ended that shows no known symptom.

    Parameters
    ----------
    stdout
        Its output.
    returncode
        Its exit status.

    Returns
    -------
    PwOutcome
        Status, reason and hint.
    """
    if _ERROR_BOX.search(stdout):
        return PwOutcome(PwStatus.FAILED, reason(stdout, ""), "look at the log in the folder.")
    if returncode in _SEGMENTATION_FAULT and _DIAGONALISING.search(stdout):
        return PwOutcome(PwStatus.DIAGONALISATION, "crashed in the diagonalisation", GEOMETRY_HINT)
    if returncode < 0 or returncode > 123:
        return PwOutcome(
            PwStatus.KILLED,
            "killed from outside",
            "run it again; if it happens again the machine may be short of memory.",
        )
    if returncode == 0:
        return PwOutcome(PwStatus.INCOMPLETE, "the output says nothing of convergence", "run it again.")
    return PwOutcome(
        PwStatus.FAILED, f"exit status {returncode} without a known message", "look at the log in the folder."
    )


def reason(stdout: str, otherwise: str) -> str:
    """Return the message in pw.x's error box.

    Parameters
    ----------
    stdout
        Output of pw.x.
    otherwise
        What to return if there is no box.

    Returns
    -------
    str
        Routine and message.
    """
    box = _ERROR_BOX.search(stdout)
    return f"{box.group(3)} (routine {box.group(1)})" if box else otherwise


def missing_parts(stdout: str) -> list[str]:
    """List which results an output lacks.

    Parameters
    ----------
    stdout
        Output of pw.x.

    Returns
    -------
    list[str]
        Among energy, forces and stress.
    """
    tests: dict[str, Callable[[], object]] = {
        "energy": lambda: _FINAL_ENERGY.search(stdout),
        "forces": lambda: _FORCE.search(stdout),
        "stress": lambda: _STRESS.search(stdout),
    }
    return [name for name, test in tests.items() if not test()]


@dataclass(frozen=True)
class PwResult:
    """Numbers of a converged run.

    Parameters
    ----------
    energy
        Energy of the line with ``!`` in eV: E - TS, whose derivative the forces are.
    forces
        Forces in eV/Å, shape ``(n_atoms, 3)``.
    stress
        Stress in eV/Å^3, tension positive (pw.x prints the opposite sign), shape ``(3, 3)``.
    scf_iterations
        Number of SCF iterations.
    version
        Version of pw.x.
    notes
        Warnings of pw.x that bear on the numbers.
    magnetization
        Total magnetisation in Bohr magnetons a cell; None without spin polarisation.
    absolute_magnetization
        Integral of its absolute value in Bohr magnetons a cell; None without spin polarisation.
    """

    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64]
    scf_iterations: int
    version: str
    notes: tuple[str, ...]
    magnetization: float | None = None
    absolute_magnetization: float | None = None


def read_result(stdout: str, n_atoms: int) -> PwResult:
    """Read the numbers of a converged run.

    Parameters
    ----------
    stdout
        Output of pw.x that :func:`classify` calls converged.
    n_atoms
        Number of atoms.

    Returns
    -------
    PwResult
        Energy, forces and stress in eV and Å.

    Raises
    ------
    CalculationError
        A number is missing or not a number.
    """
    iterations = _CONVERGED.search(stdout)
    energies = _FINAL_ENERGY.findall(stdout)
    forces = _FORCE.findall(stdout.partition(_FORCES)[2])[:n_atoms]
    stress = _STRESS.search(stdout)
    if iterations is None or not energies or len(forces) != n_atoms or stress is None:
        _cannot_read(f"{len(energies)} energies, {len(forces)} of {n_atoms} forces")
    rows = [line.split()[:3] for line in stress.group(1).splitlines()]
    try:
        energy = float(energies[-1]) * RY_TO_EV
        force_array = np.array(forces, dtype=float) * RY_TO_EV / BOHR_TO_A
        stress_array = -np.array(rows, dtype=float) * RY_TO_EV / BOHR_TO_A**3
        moments = [_last_number(p, stdout) for p in (_TOTAL_MOMENT, _ABSOLUTE_MOMENT)]
    except ValueError as error:
        _cannot_read(str(error), error)
    version = _VERSION.search(stdout)
    notes = ("pw.x: SCF correction to the forces is large",) if _LARGE_SCF_CORRECTION in stdout else ()
    return PwResult(
        energy=energy,
        forces=force_array,
        stress=stress_array,
        scf_iterations=int(iterations.group(1)),
        version=version.group(1) if version else "unknown",
        notes=notes,
        magnetization=moments[0],
        absolute_magnetization=moments[1],
    )


def _last_number(pattern: re.Pattern[str], text: str) -> float | None:
    found = pattern.findall(text)
    return float(found[-1]) if found else None


def _cannot_read(what: str, cause: Exception | None = None) -> NoReturn:
    raise CalculationError(
        f"the output of pw.x cannot be read: {what}.", hint="look at the log in the folder."
    ) from cause
