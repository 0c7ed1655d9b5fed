"""Labels from Quantum ESPRESSO's pw.x."""

import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from mlip_autopipec.errors import CalculationError, ConfigError, MissingProgramError, UnconvergedError
from mlip_autopipec.oracle.base import OracleMaker, OracleResult
from mlip_autopipec.oracle.qe_input import PwInput, boxed, k_grid
from mlip_autopipec.oracle.qe_output import PwOutcome, PwResult, PwStatus, classify, read_result
from mlip_autopipec.oracle.qe_programs import PW_ENVIRONMENT, pw_executable, which_pseudo_dir
from mlip_autopipec.oracle.qe_pseudo import (
    DENSITY_FACTOR,
    SETUP_HINT,
    Pseudopotential,
    find_pseudopotentials,
)
from mlip_autopipec.process import ProcessResult, tail
from mlip_autopipec.schemas import AtomicStructure, Fingerprint

SMEARINGS = ("gaussian", "mv")

# Elements whose common phases have a moment; without spin their energies are of another phase.
MAGNETIC = frozenset({"Cr", "Mn", "Fe", "Co", "Ni", "Nd", "Sm", "Eu", "Gd", "Tb", "Dy", "Ho", "Er", "Tm"})


@dataclass
class QeStaticMaker(OracleMaker):
    """Label with one SCF of pw.x. Where pw.x and the pseudopotentials are comes from the machine settings.

    Parameters
    ----------
    name
        Name of the job.
    min_distance_ratio
        As in :class:`OracleMaker`.
    max_force
        As in :class:`OracleMaker`, in eV/Å.
    functional
        "PBE", "PBEsol" or "LDA"; pseudopotentials of another functional are refused.
    ecutwfc
        Cut-off of the wavefunctions in Ry; None takes the largest recommended one of the elements present.
        Give it, or use ``prepared``, where structures differ in their elements.
    ecutrho
        Cut-off of the density in Ry; None is 4 times ``ecutwfc``, 10 times with ultrasoft or PAW.
    k_spacing
        Largest distance between k-points in 1/Å, with the 2 pi (as VASP's KSPACING, not as ASE's
        ``kspacing``). One k-point along directions that are not periodic.
    k_shifted
        Whether the grid is shifted by half a step: for semiconductors better at the same cost.
    smearing
        "gaussian" or "mv" (Marzari-Vanderbilt).
    degauss
        Width of the smearing in Ry.
    conv_thr
        Convergence threshold of the SCF energy in Ry per atom. The default leaves 0.3 meV/Å in the forces and
        0.001 GPa in the stress of rattled silicon.
    mixing_beta
        Weight of the new density (dimensionless).
    electron_maxstep
        Largest number of SCF iterations.
    nspin
        1: without spin polarisation, the only choice so far.
    allow_nonmagnetic
        Whether elements that are usually magnetic are labelled without spin.
    vacuum
        Smallest distance in Å between a molecule or atom and its periodic images.
    pseudopotentials
        File name by element, where the folder has several.
    timeout
        Wall time in s after which pw.x is killed.
    """

    name: str = "pw.x static"
    functional: str = "PBE"
    ecutwfc: float | None = None
    ecutrho: float | None = None
    k_spacing: float = 0.3
    k_shifted: bool = False
    smearing: str = "gaussian"
    degauss: float = 0.01
    conv_thr: float = 1e-8
    mixing_beta: float = 0.7
    electron_maxstep: int = 100
    nspin: int = 1
    allow_nonmagnetic: bool = False
    vacuum: float = 10.0
    pseudopotentials: dict[str, str] = field(default_factory=dict)
    timeout: float = 7200.0

    def compute(self, structure: AtomicStructure, directory: Path) -> OracleResult:
        """Run pw.x on a structure.

        Parameters
        ----------
        structure
            The structure.
        directory
            Folder for pw.in, pw.out and pw.err.

        Returns
        -------
        OracleResult
            What it computed.

        Raises
        ------
        UnconvergedError
            The SCF did not converge.
        CalculationError
            pw.x failed in another way.
        """
        files = self.find_pseudopotentials(structure.symbols)
        job = self.pw_input(structure, files)
        outcome, run = self.run_pw(job, directory)
        if outcome.status is not PwStatus.CONVERGED:
            raise failure(outcome, run, directory)
        result = read_result(run.stdout, structure.n_atoms)
        periodic = all(structure.pbc)
        return OracleResult(
            energy=result.energy,
            forces=result.forces,
            stress=result.stress if periodic else None,
            fingerprint=self.fingerprint(result, files),
            scf_iterations=result.scf_iterations,
            notes=notes_of(structure, result),
        )

    def run_pw(self, job: PwInput, directory: Path) -> tuple[PwOutcome, ProcessResult]:
        """Run pw.x once and say how it ended.

        Parameters
        ----------
        job
            The input.
        directory
            Folder for pw.in, pw.out and pw.err.

        Returns
        -------
        tuple[PwOutcome, ProcessResult]
            How it ended, and its output.
        """
        (directory / "pw.in").write_text(job.text())
        run = pw_executable().run(
            "-i", "pw.in", directory=directory, timeout=self.timeout, environment=PW_ENVIRONMENT
        )
        (directory / "pw.out").write_text(run.stdout)
        (directory / "pw.err").write_text(run.stderr)
        shutil.rmtree(directory / "scratch", ignore_errors=True)
        return classify(run.stdout, run.stderr, run.returncode), run

    def pw_input(self, structure: AtomicStructure, files: dict[str, Pseudopotential]) -> PwInput:
        """Return the input for a structure.

        Parameters
        ----------
        structure
            The structure.
        files
            Pseudopotentials of its elements.

        Returns
        -------
        PwInput
            The input.
        """
        atoms = boxed(structure.to_ase(), self.vacuum)
        ecutwfc, ecutrho = self.cutoffs(files.values())
        folder = next(iter(files.values())).path.parent
        return PwInput(
            atoms=atoms,
            control={
                "calculation": "scf",
                "outdir": "./scratch",
                "pseudo_dir": str(folder.resolve()),
                "disk_io": "none",
                "tprnfor": True,
                "tstress": True,
            },
            system={
                "ecutwfc": ecutwfc,
                "ecutrho": ecutrho,
                "occupations": "smearing",
                "smearing": self.smearing,
                "degauss": self.degauss,
                # Rattled cells have no symmetry; ideal ones get the same k-points as they.
                "nosym": True,
            },
            electrons={
                "conv_thr": self.conv_thr * structure.n_atoms,
                "mixing_beta": self.mixing_beta,
                "electron_maxstep": self.electron_maxstep,
            },
            pseudopotentials={element: file.path.name for element, file in files.items()},
            k_grid=k_grid(atoms, self.k_spacing),
            k_shifted=self.k_shifted,
        )

    def cutoffs(self, files: Iterable[Pseudopotential]) -> tuple[float, float]:
        """Return the cut-offs for some pseudopotentials.

        Parameters
        ----------
        files
            The pseudopotentials.

        Returns
        -------
        tuple[float, float]
            Of wavefunctions and density, in Ry.
        """
        there = list(files)
        ecutwfc = max(f.ecutwfc() for f in there) if self.ecutwfc is None else self.ecutwfc
        factor = max(DENSITY_FACTOR[f.kind] for f in there)
        return ecutwfc, factor * ecutwfc if self.ecutrho is None else self.ecutrho

    def fingerprint(self, result: PwResult, files: dict[str, Pseudopotential]) -> Fingerprint:
        """Return the conditions of a label.

        Parameters
        ----------
        result
            The run, which knows the version.
        files
            Pseudopotentials of the structure.

        Returns
        -------
        Fingerprint
            What changes the numbers.
        """
        ecutwfc, ecutrho = self.cutoffs(files.values())
        return Fingerprint(
            code="pw.x",
            version=result.version,
            settings={
                "functional": self.functional,
                "ecutwfc [Ry]": ecutwfc,
                "ecutrho [Ry]": ecutrho,
                "k_spacing [1/Å, with 2 pi]": self.k_spacing,
                "k_shifted": self.k_shifted,
                "smearing": self.smearing,
                "degauss [Ry]": self.degauss,
                "nspin": self.nspin,
                "vacuum [Å]": self.vacuum,
            },
            pseudopotentials={element: file.sha256 for element, file in files.items()},
        )

    def find_pseudopotentials(self, elements: Iterable[str]) -> dict[str, Pseudopotential]:
        """Find the pseudopotentials of some elements.

        Parameters
        ----------
        elements
            Chemical symbols.

        Returns
        -------
        dict[str, Pseudopotential]
            The files by element.

        Raises
        ------
        MissingProgramError
            There is no folder of pseudopotentials, or none of an element.
        """
        found = which_pseudo_dir()
        if found.value is None:
            raise MissingProgramError(f"no pseudopotentials: {found.reason}.", hint=SETUP_HINT)
        return find_pseudopotentials(elements, Path(found.value), self.functional, self.pseudopotentials)

    def check(self, elements: Iterable[str]) -> None:
        """Raise before anything runs if these elements cannot be labelled on this machine.

        Parameters
        ----------
        elements
            Chemical symbols.
        """
        there = sorted(set(elements))
        self._check_settings()
        self._check_spin(there)
        pw_executable()
        self.cutoffs(self.find_pseudopotentials(there).values())

    def prepared(self, elements: Iterable[str]) -> Self:
        """Return a checked copy with explicit cut-offs, the same for all structures of these elements.

        Parameters
        ----------
        elements
            Chemical symbols of the whole data set.

        Returns
        -------
        QeStaticMaker
            The copy.
        """
        there = sorted(set(elements))
        self.check(there)
        ecutwfc, ecutrho = self.cutoffs(self.find_pseudopotentials(there).values())
        return replace(self, ecutwfc=ecutwfc, ecutrho=ecutrho)

    def _check_settings(self) -> None:
        if self.smearing not in SMEARINGS:
            raise ConfigError(f"'smearing' must be one of {', '.join(SMEARINGS)}, got {self.smearing!r}.")
        for key in (
            "k_spacing",
            "degauss",
            "conv_thr",
            "mixing_beta",
            "electron_maxstep",
            "vacuum",
            "timeout",
        ):
            value = getattr(self, key)
            if not (np.isfinite(value) and value > 0):
                raise ConfigError(f"{key!r} must be a positive number, got {value!r}.")

    def _check_spin(self, elements: list[str]) -> None:
        if self.nspin != 1:
            raise ConfigError(
                f"'nspin' must be 1, got {self.nspin!r}: spin polarisation is not supported yet."
            )
        magnetic = [e for e in elements if e in MAGNETIC]
        if magnetic and not self.allow_nonmagnetic:
            raise ConfigError(
                f"{', '.join(magnetic)} is usually magnetic, but labels are made without spin polarisation; "
                "the potential would be one of a phase that does not exist.",
                hint="set `allow_nonmagnetic: true` if the phases you want are not magnetic.",
            )


def failure(outcome: PwOutcome, run: ProcessResult, directory: Path) -> CalculationError:
    """Return the error for a run that did not converge.

    Parameters
    ----------
    outcome
        How it ended.
    run
        Its output.
    directory
        Its folder.

    Returns
    -------
    CalculationError
        With folder and the last lines of the log; ``UnconvergedError`` if the SCF did not converge.
    """
    kind = UnconvergedError if outcome.status is PwStatus.UNCONVERGED else CalculationError
    return kind(
        f"pw.x: {outcome.message} ({outcome.status}, exit status {run.returncode}).",
        hint=outcome.hint,
        directory=directory,
        log_tail=tail(run.stdout) or tail(run.stderr),
    )


def notes_of(structure: AtomicStructure, result: PwResult) -> tuple[str, ...]:
    """Say what a reader of the label should know.

    Parameters
    ----------
    structure
        The structure.
    result
        The run.

    Returns
    -------
    tuple[str, ...]
        One line each.
    """
    notes = list(result.notes)
    if not all(structure.pbc):
        notes.append("no stress: the structure is not periodic in all directions")
    if structure.n_atoms == 1 and not any(structure.pbc):
        notes.append("isolated atom without spin polarisation: above the energy of the free atom")
    return tuple(notes)
