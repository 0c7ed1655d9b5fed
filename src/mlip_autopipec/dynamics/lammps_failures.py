"""What `lmp` and ML-PACE say when they cannot run, as data; some of it is on stderr alone.

Those of LAMMPS and ML-PACE were recorded with 4Feb2025, where an exception of ML-PACE ends the log at
``Loading …``; those of MPI launchers and of broken YAML are expected, not recorded.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from mlip_autopipec.errors import CalculationError, MissingProgramError, MLIPError
from mlip_autopipec.process import ProcessResult, tail


@dataclass(frozen=True)
class Failure:
    """A failure that is known.

    Parameters
    ----------
    pattern
        Regular expression of what is said, on either stream.
    meaning
        What it means.
    hint
        What to do about it.
    missing
        Whether the program lacks something; it has calculated nothing then.
    """

    pattern: str
    meaning: str
    hint: str
    missing: bool = False


_REBUILD = (
    "use a LAMMPS with the package ML-PACE (conda-forge's has it, or build with -D PKG_ML-PACE=yes), or "
    "leave lammps_command unset to run in-process."
)
_FILES = "the files are written anew for each run: look for a full or slow disk."

KNOWN = (
    Failure(
        r"Unrecognized pair style 'pace|part of the ML-PACE package which is not enabled",
        "this LAMMPS has no ML-PACE",
        _REBUILD,
        missing=True,
    ),
    Failure(
        r"npz_load: Error! Unable to open file|Unrecognized file type of ''",
        "a potential file or its active set is missing",
        _FILES,
    ),
    Failure(r"load_the_npy_file: failed fread|npz_load|parse_zip", "the active set is cut off", _FILES),
    Failure(
        r"Number of species types in ASI", "the active set does not belong to the potential", "fit again."
    ),
    Failure(r"Unrecognized file type of", "the potential is of a kind that ML-PACE does not read", _FILES),
    Failure(r"YAML|yaml-cpp|bad conversion", "the potential file is cut off", _FILES),
    Failure(
        r"Element (\S+) is not supported by ACE-potential",
        "the potential does not know an element of the structure",
        "start from structures of the elements that were labelled.",
    ),
    Failure(r"ACE potentials require 'metal' units", "the input is not in metal units", "set units metal."),
    Failure(r"requires newton pair on", "ML-PACE needs newton pair on", "take `-pk … newton off` away."),
    Failure(
        r"Fix pair cannot extract property gamma",
        "ML-PACE gives no gamma",
        "use LAMMPS 4Feb2025 or later.",
        missing=True,
    ),
    Failure(
        r"inum: \S+ nlocal: \S+ are different",
        "pace/extrapolation must see all atoms: an atom type is mapped to NULL",
        "map every type to an element of the potential.",
    ),
    Failure(
        r"There are not enough slots|mpirun.*(?:not found|root)|execvp|prterun|mpiexec.*not found",
        "the MPI launcher did not start LAMMPS",
        "run the command of lammps_command by hand with `-h`.",
        missing=True,
    ),
)


def said(result: ProcessResult) -> str:
    """Return what a run complained about.

    Parameters
    ----------
    result
        The run.

    Returns
    -------
    str
        Its error lines and its stderr, one beneath the other; empty if it ended well.
    """
    errors = [line for line in result.stdout.splitlines() if line.startswith(("ERROR", "Exception:"))]
    if result.returncode == 0 and not errors:
        return ""
    status = f"lmp ended with exit status {result.returncode}"
    return "\n".join([*errors, *filter(None, [tail(result.stderr, 6)])]) or status


def known_failure(text: str) -> Failure | None:
    """Recognise a failure.

    Parameters
    ----------
    text
        What was said.

    Returns
    -------
    Failure or None
        The first that fits; none if it is not known.
    """
    return next((failure for failure in KNOWN if re.search(failure.pattern, text)), None)


def failure_error(text: str, directory: Path, log: str) -> MLIPError:
    """Make the error of a run that gave nothing.

    Parameters
    ----------
    text
        What it complained about.
    directory
        Where it ran.
    log
        Its log.

    Returns
    -------
    MLIPError
        The error, to be raised.
    """
    known = known_failure(text)
    first = next(iter(text.splitlines()), "it said nothing")
    if known is None:
        return CalculationError(f"LAMMPS failed: {first}", directory=directory, log_tail=tail(log))
    message = f"{known.meaning}; LAMMPS says: {first}"
    if known.missing:
        return MissingProgramError(message, hint=known.hint)
    return CalculationError(message, hint=known.hint, directory=directory, log_tail=tail(log))
