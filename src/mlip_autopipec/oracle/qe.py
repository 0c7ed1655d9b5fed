"""Labels from Quantum ESPRESSO's pw.x."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from mlip_autopipec.errors import ConfigError, MissingProgramError
from mlip_autopipec.oracle.base import OracleMaker, OracleResult
from mlip_autopipec.oracle.qe_custodian import run_with_recovery
from mlip_autopipec.oracle.qe_folder import SCRATCH
from mlip_autopipec.oracle.qe_input import PwInput, Value, boxed, k_grid, shift_keeps_symmetry
from mlip_autopipec.oracle.qe_launch import Launch, n_k_points
from mlip_autopipec.oracle.qe_namelist import variables
from mlip_autopipec.oracle.qe_output import PwResult, read_result
from mlip_autopipec.oracle.qe_programs import pw_executable, which_pseudo_dir
from mlip_autopipec.oracle.qe_pseudo import (
    DENSITY_FACTOR,
    SETUP_HINT,
    Pseudopotential,
    find_pseudopotentials,
)
from mlip_autopipec.oracle.qe_spin import resolve_nspin, starting_magnetization
from mlip_autopipec.schemas import AtomicStructure, Fingerprint

SMEARINGS = ("gaussian", "mv", "fixed")

_POSITIVE = (
    "k_spacing",
    "degauss",
    "conv_thr",
    "mixing_beta",
    "electron_maxstep",
    "vacuum",
    "timeout",
    "max_seconds",
)


@dataclass
class QeStaticMaker(OracleMaker):
    """Label with one SCF of pw.x, which is corrected and run again if it fails.

    Where pw.x and the pseudopotentials are, and on how many processes it runs, comes from the machine
    settings; the processes are divided into pools of k-points. What is done about failures is in
    :data:`mlip_autopipec.oracle.qe_recovery.CURES`, what was done in ``LabelDoc.corrections``.

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
        Whether the grid is shifted by half a step: for semiconductors better at the same cost. Not done in
        oblique cells (60°), where the shifted grid lacks the crystal's symmetry.
    smearing
        "gaussian", "mv" (Marzari-Vanderbilt), or "fixed" for none: insulators only.
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
        1: without spin polarisation, 2: with, "auto": with if a usually magnetic element is there.
    starting_moments
        Moment of each atom that the SCF starts from in Bohr magnetons, by element; that of the free atom for
        magnetic elements not given, 0 for others. All atoms of an element start alike: ferromagnetic.
    allow_nonmagnetic
        Whether elements that are usually magnetic are labelled without spin.
    vacuum
        Smallest distance in Å between a molecule or atom and its periodic images.
    pseudopotentials
        File name by element, where the folder has several.
    max_seconds
        Wall time in s after which pw.x saves its state and is resumed; None: it is not interrupted. With it
        wavefunctions are written to disk.
    timeout
        Wall time in s after which pw.x is killed, corrections included.
    max_corrections
        Largest number of corrections of one label; 0: a failed run is not repeated. Resumptions after
        ``max_seconds`` do not count.
    physics_cures
        Whether corrections may change the physics (smearing of fixed occupations). The fingerprint of the
        label differs then.
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
    nspin: int | str = "auto"
    starting_moments: dict[str, float] = field(default_factory=dict)
    allow_nonmagnetic: bool = False
    vacuum: float = 10.0
    pseudopotentials: dict[str, str] = field(default_factory=dict)
    max_seconds: float | None = None
    timeout: float = 7200.0
    max_corrections: int = 8
    physics_cures: bool = False

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
        (directory / "pw.in").write_text(job.text())
        launch = Launch.for_points(pw_executable().command, n_k_points(job.k_grid, job.k_shifted))
        done = run_with_recovery(directory, launch, self.timeout, self.max_corrections, self.physics_cures)
        result = read_result(done.run.stdout, structure.n_atoms)
        return OracleResult(
            energy=result.energy,
            forces=result.forces,
            stress=result.stress if all(structure.pbc) else None,
            fingerprint=self.fingerprint(result, files, variables(done.run.text)),
            scf_iterations=result.scf_iterations,
            notes=notes_of(structure, result),
            corrections=done.corrections,
            magnetization=result.magnetization,
            absolute_magnetization=result.absolute_magnetization,
        )

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
                "outdir": f"./{SCRATCH}",
                "pseudo_dir": str(folder.resolve()),
                "tprnfor": True,
                "tstress": True,
                **self._time_limit(),
            },
            system={
                "ecutwfc": ecutwfc,
                "ecutrho": ecutrho,
                **self._occupations(),
                **self._spin(files),
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
            k_shifted=self.k_shifted and shift_keeps_symmetry(atoms),
        )

    def _time_limit(self) -> dict[str, Value]:
        # What is not saved cannot be resumed.
        return (
            {"disk_io": "none"}
            if self.max_seconds is None
            else {"disk_io": "low", "max_seconds": float(self.max_seconds)}
        )

    def _occupations(self) -> dict[str, Value]:
        if self.smearing == "fixed":
            return {"occupations": "fixed"}
        return {"occupations": "smearing", "smearing": self.smearing, "degauss": self.degauss}

    def _spin(self, files: Mapping[str, Pseudopotential]) -> dict[str, Value]:
        nspin = resolve_nspin(self.nspin, files, self.allow_nonmagnetic)
        if nspin == 1:
            return {"nspin": 1}
        return {"nspin": 2, **starting_magnetization(files, self.starting_moments)}

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

    def fingerprint(
        self, result: PwResult, files: dict[str, Pseudopotential], used: Mapping[str, Value]
    ) -> Fingerprint:
        """Return the conditions of a label.

        Parameters
        ----------
        result
            The run, which knows the version.
        files
            Pseudopotentials of the structure.
        used
            Variables of the input of the run that converged, by ``"NAMELIST.variable"``; corrections may have
            changed them.

        Returns
        -------
        Fingerprint
            What changes the numbers.
        """
        smeared = used["SYSTEM.occupations"] == "smearing"
        settings: dict[str, Value] = {
            "functional": self.functional,
            "ecutwfc [Ry]": used["SYSTEM.ecutwfc"],
            "ecutrho [Ry]": used["SYSTEM.ecutrho"],
            "k_spacing [1/Å, with 2 pi]": self.k_spacing,
            "k_shifted": self.k_shifted,
            "smearing": used["SYSTEM.smearing"] if smeared else "fixed",
            "degauss [Ry]": used["SYSTEM.degauss"] if smeared else 0.0,
            "nspin": used["SYSTEM.nspin"],
            "vacuum [Å]": self.vacuum,
        }
        if used["SYSTEM.nspin"] == 2:
            # Which of several solutions an SCF finds depends on its start.
            given = ", ".join(f"{e} {m:g}" for e, m in sorted(self.starting_moments.items()))
            settings["starting moments [Bohr magneton]"] = given or "free atoms"
        return Fingerprint(
            code="pw.x",
            version=result.version,
            settings=settings,
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
        nspin = resolve_nspin(self.nspin, there, self.allow_nonmagnetic)
        if nspin == 2 and self.smearing == "fixed":
            raise ConfigError(
                "'smearing' must not be 'fixed' with spin polarisation: pw.x would need the total moment.",
                hint="set `smearing: gaussian`.",
            )
        pw_executable()
        files = self.find_pseudopotentials(there)
        self.cutoffs(files.values())
        self._spin(files)

    def prepared(self, elements: Iterable[str]) -> Self:
        """Return a checked copy with explicit cut-offs and spin, the same for all structures.

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
        nspin = resolve_nspin(self.nspin, there, self.allow_nonmagnetic)
        return replace(self, ecutwfc=ecutwfc, ecutrho=ecutrho, nspin=nspin)

    def _check_settings(self) -> None:
        if self.smearing not in SMEARINGS:
            raise ConfigError(f"'smearing' must be one of {', '.join(SMEARINGS)}, got {self.smearing!r}.")
        for key in _POSITIVE:
            value = getattr(self, key)
            optional = key == "max_seconds" and value is None
            if not optional and not (np.isfinite(value) and value > 0):
                raise ConfigError(f"{key!r} must be a positive number, got {value!r}.")
        if self.max_corrections < 0:
            raise ConfigError(f"'max_corrections' must not be negative, got {self.max_corrections!r}.")


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
    if structure.n_atoms == 1 and not any(structure.pbc) and result.magnetization is None:
        notes.append("isolated atom without spin polarisation: above the energy of the free atom")
    return tuple(notes)
