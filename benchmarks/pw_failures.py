"""Provoke or replay failures of pw.x and print what the recovery makes of each.

Usage: ``python benchmarks/pw_failures.py [CASE ...]``. It needs pw.x and the pseudopotentials of Debian's
``quantum-espresso-data``; a few minutes on one core. "Provoked" fails in the real pw.x. "Replayed" prints
a recorded failure that is hard to have (a full disk, no memory) and then runs the real pw.x on the corrected
input. Energies are compared with a run of pw.x that never failed.
"""

import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ase import Atoms

from mlip_autopipec.errors import CalculationError
from mlip_autopipec.oracle.base import check_distances
from mlip_autopipec.oracle.qe_custodian import run_with_recovery, summary
from mlip_autopipec.oracle.qe_folder import read_run
from mlip_autopipec.oracle.qe_launch import Launch
from mlip_autopipec.oracle.qe_namelist import variables, with_variable
from mlip_autopipec.oracle.qe_output import read_result

DATA = Path(__file__).parents[1] / "tests" / "data" / "qe"
PW = shutil.which("pw.x") or "pw.x"
PSEUDO = Path(PW).resolve().parents[1] / "share" / "espresso" / "pseudo"
MPI = "mpirun --allow-run-as-root --bind-to none -np"

Changes = Mapping[str, str | float | bool | None]


@dataclass(frozen=True)
class Case:
    """One failure.

    Parameters
    ----------
    name
        What goes wrong.
    source
        Recorded input it starts from.
    changes
        Changes to that input that provoke the failure.
    reference
        Changes to that input that avoid it; None if it is to be refused.
    edit
        Text to replace in the input.
    command
        How pw.x is started.
    first
        Script of the first attempt, in place of pw.x.
    physics
        Whether cures may change the physics.
    """

    name: str
    source: str
    changes: Changes = field(default_factory=dict)
    reference: Changes | None = None
    edit: tuple[str, str] = ("", "")
    command: str = "{pw}"
    first: str = ""
    physics: bool = False

    @property
    def kind(self) -> str:
        return "replayed" if "cat " in self.first else "provoked"


def recorded(name: str, code: int) -> str:
    errors = DATA / f"{name}.err"
    also = f"cat '{errors}' >&2; " if errors.exists() else ""
    return f"cat '{DATA / name}.out'; {also}exit {code}"


DAVID = {
    "ELECTRONS.diagonalization": None,
    "ELECTRONS.diago_thr_init": None,
    "ELECTRONS.diago_cg_maxiter": None,
}
SMEARED = {"SYSTEM.occupations": "smearing", "SYSTEM.smearing": "mv", "SYSTEM.degauss": 0.02}
KILL = f'{PW} "$@" & p=$!; sleep 1.5; kill -9 $p; wait $p; kill -9 $$'
SI8 = "killed9_scf"

CASES = [
    Case("SCF cut after 3 iterations", "scf_maxstep3", reference={"ELECTRONS.electron_maxstep": 100}),
    Case(
        "charge sloshing, Al15 slab, beta 0.9",
        "slosh_al15_b09",
        reference={"ELECTRONS.mixing_beta": 0.3, "ELECTRONS.electron_maxstep": 100},
    ),
    Case("3 bands for 8 electrons", "nbnd_too_few", reference={"SYSTEM.nbnd": None}),
    Case("6 bands for a smeared metal", "nbnd_few_smearing", reference={"SYSTEM.nbnd": None}),
    Case("c_bands: cg with one step", "c_bands_notconv", reference=DAVID),
    Case(
        "c_bands: cg with one step, 60 bands",
        "c_bands_notconv2",
        reference={**DAVID, "SYSTEM.nbnd": None},
    ),
    Case("fixed occupations, odd electrons", "metal_fixed_odd"),
    Case("the same, physics_cures on", "metal_fixed_odd", reference=SMEARED, physics=True),
    Case("fixed occupations, even electrons", "metal_fixed_even"),
    Case("the same, physics_cures on ", "metal_fixed_even", reference=SMEARED, physics=True),
    Case(
        "max_seconds before the SCF",
        "max_seconds",
        {"CONTROL.max_seconds": 0.1},
        {"CONTROL.max_seconds": None},
    ),
    Case(
        "max_seconds in mid-SCF",
        "max_seconds_scf",
        {"CONTROL.max_seconds": 1.5},
        {"CONTROL.max_seconds": None},
    ),
    Case("kill -9 in mid-SCF", SI8, reference={}, first=KILL),
    Case("more processes than slots", SI8, reference={}, command=f"{MPI} 8 {{pw}}"),
    Case("mpirun as root", SI8, command="mpirun -np 2 {pw}"),
    Case("disk full", "disk_full", reference={}, first=recorded("disk_full", 1)),
    Case(
        "out of memory, 2 processes in 2 pools",
        SI8,
        reference={},
        command=f"{MPI} 2 {{pw}}",
        first=recorded("mem_limit2", 1),
    ),
    Case("output cut off, exit status 0", SI8, reference={}, first=recorded("killed9_scf", 0)),
    Case("S matrix: Ni2 at 0.4 Å, ultrasoft", "close_us_ni2"),
    Case("fewer plane waves than bands", "pw_lt_bands"),
    Case("60x60x60 k-points", "kpts_toomany"),
    Case("0x4x4 k-points", "kpts_zero"),
    Case("misspelt variable", "namelist_typo"),
    Case("missing pseudopotential", "pseudo_missing"),
    Case("LDA and PBE pseudopotentials", "pseudo_mixed_xc"),
    Case("scratch folder cannot be made", "outdir_bad"),
    Case("stopped by the user (pw.EXIT)", SI8, first=recorded("exit_file_scf", 2)),
]


def prepared(case: Case, changes: Changes, folder: Path) -> None:
    """Write the input of a case."""
    text = (DATA / "inputs" / f"{case.source}.in").read_text()
    for key, value in {"CONTROL.pseudo_dir": str(PSEUDO), "CONTROL.outdir": "./scratch", **changes}.items():
        if key != "CONTROL.outdir" or case.source != "outdir_bad":
            text = with_variable(text, key, value)
    folder.mkdir()
    (folder / "pw.in").write_text(text.replace(*case.edit) if case.edit[0] else text)


def program(case: Case, folder: Path) -> str:
    """Return the pw.x of a case: the real one, or one whose first attempt is something else."""
    if not case.first:
        return PW
    script = folder / "pw.x"
    # Of several processes only the first plays the recorded failure.
    script.write_text(
        f'#!/bin/sh\nif test ! -e "$PWD/failed"; then\n'
        f'test "${{OMPI_COMM_WORLD_RANK:-0}}" = 0 || {{ sleep 0.5; exit 1; }}\n'
        f'touch "$PWD/failed"\n{case.first}\nfi\nexec {PW} "$@"\n'
    )
    script.chmod(0o755)
    return str(script)


def energy(folder: Path) -> float:
    """Energy of the converged run in a folder in meV/atom."""
    run = read_run(folder)
    n_atoms = int(variables(run.text)["SYSTEM.nat"])
    return 1000.0 * read_result(run.stdout, n_atoms).energy / n_atoms


def row(case: Case, folder: Path) -> list[str]:
    """Run a case and return its row of the table."""
    difference, start = "", time.perf_counter()
    bad = folder / "bad"
    prepared(case, case.changes, bad)
    launch = Launch(case.command.format(pw=program(case, folder)))
    if "pools" in case.name:
        launch = Launch(launch.command, pools=2)
    try:
        done = run_with_recovery(bad, launch, 900.0, 8, case.physics)
    except CalculationError as error:
        status, message = str(read_run(bad).outcome.status), str(error).splitlines()[0]
        tried = message.partition("corrections: ")[2].strip(".")
        cured, end = tried or "nothing", "refused"
    else:
        status, cured = done.corrections[0].symptom, summary(done.corrections)
        end = "converged"
    seconds = time.perf_counter() - start
    if end == "converged":
        good = folder / "good"
        prepared(case, {**case.changes, **(case.reference or {})}, good)
        run_with_recovery(good, Launch(PW), 900.0, 0)
        difference = f"{energy(bad) - energy(good):+.5f}"
    return [case.name.strip(), case.kind, status, cured, end, difference, f"{seconds:.1f}"]


def too_close() -> list[str]:
    """Atoms that are refused before pw.x is started."""
    try:
        check_distances(Atoms("Si2", positions=[(0, 0, 0), (0, 0, 0.5)]), 0.45)
    except CalculationError:
        name = "Si2 at 0.5 Å (pw.x would 'converge')"
        return [name, "provoked", "atoms too close", "nothing", "refused, not started", "", "0.0"]
    raise AssertionError("atoms at 0.5 Å were accepted")


def main() -> None:
    """Print the table."""
    head = ["failure", "how", "detected as", "cured by (or tried)", "end", "ΔE [meV/atom]", "time [s]"]
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head), flush=True)
    for case in CASES:
        if sys.argv[1:] and case.source not in sys.argv[1:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            print("| " + " | ".join(row(case, Path(folder))) + " |", flush=True)
    print("| " + " | ".join(too_close()) + " |")


if __name__ == "__main__":
    main()
