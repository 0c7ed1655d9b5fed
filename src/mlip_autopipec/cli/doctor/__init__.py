"""`mlip-auto doctor`: every program run on a tiny case. A new check is a new line in ``PROBES``."""

from collections.abc import Callable, Sequence

from mlip_autopipec.cli.doctor.finding import Finding, Machine
from mlip_autopipec.cli.doctor.packages import probe_lammps_library, probe_python_ace
from mlip_autopipec.cli.doctor.programs import (
    probe_eon,
    probe_lammps_program,
    probe_pacemaker,
    probe_pseudopotentials,
    probe_pw,
    probe_vasp,
)
from mlip_autopipec.cli.doctor.storage import probe_disk, probe_store
from mlip_autopipec.errors import MLIPError

Probe = Callable[[Machine], Finding]

PROBES: dict[str, Probe] = {
    "python-ace": probe_python_ace,
    "LAMMPS in-process": probe_lammps_library,
    "LAMMPS program": probe_lammps_program,
    "pw.x": probe_pw,
    "pseudopotentials": probe_pseudopotentials,
    "VASP": probe_vasp,
    "pacemaker": probe_pacemaker,
    "eOn": probe_eon,
    "store": probe_store,
    "disk": probe_disk,
}
"""What is examined, in this order. A probe that raises an `MLIPError` has found something broken."""

__all__ = ["PROBES", "Finding", "Machine", "Probe", "examine"]


def examine(
    machine: Machine, subjects: Sequence[str] = tuple(PROBES), on_start: Callable[[str], None] | None = None
) -> list[Finding]:
    """Run probes one after the other.

    Parameters
    ----------
    machine
        Where to look.
    subjects
        Keys of ``PROBES``.
    on_start
        Called with the subject before it is probed.

    Returns
    -------
    list[Finding]
        One a subject.
    """
    found = []
    for subject in subjects:
        if on_start is not None:
            on_start(subject)
        try:
            found.append(PROBES[subject](machine))
        except MLIPError as error:
            found.append(Finding(subject, "broken", str(error.args[0]), error.hint or ""))
    return found
