"""Labels from VASP: atomate2 writes the input and runs it under custodian's own handlers.

VASP is the user's, with its licence. The program itself was not run in the development of this module: inputs
were looked at, and recorded outputs of VASP are read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.errors import CalculationError, ConfigError, MissingProgramError
from mlip_autopipec.oracle.base import OracleMaker, OracleResult
from mlip_autopipec.oracle.qe_input import boxed, k_grid
from mlip_autopipec.oracle.qe_spin import MAGNETIC
from mlip_autopipec.oracle.vasp_output import VaspResult, changed_physics, corrections, read_vasp
from mlip_autopipec.oracle.vasp_programs import import_atomate2, vasp_command
from mlip_autopipec.process import Executable, bound_command, tail
from mlip_autopipec.schemas import AtomicStructure, Fingerprint

# GGA tag and directory of POTCARs as pymatgen names it.
FUNCTIONALS = {"PBE": ("PE", "PBE_54"), "PBEsol": ("PS", "PBE_54")}

# Handlers that only ever change what is computed: smearing and k-points are for the user to choose.
_PHYSICS_HANDLERS = ("KspacingMetalHandler", "IncorrectSmearingHandler", "LargeSigmaHandler")


@dataclass
class VaspStaticMaker(OracleMaker):
    """Label with one SCF of VASP. The POTCARs are found by pymatgen (``PMG_VASP_PSP_DIR``).

    Parameters
    ----------
    name
        Name of the job.
    min_distance_ratio
        As in :class:`OracleMaker`.
    max_force
        As in :class:`OracleMaker`, in eV/Å.
    functional
        "PBE" or "PBEsol", both with PBE POTCARs.
    encut
        Cut-off of the plane waves in eV, the same for all structures. `mlip-auto probe` says whether it is
        enough.
    k_spacing
        Largest distance between k-points in 1/Å, with the 2 pi: VASP's KSPACING. One k-point along directions
        that are not periodic.
    sigma
        Width of the Gaussian smearing in eV.
    ediff
        Convergence threshold of the SCF energy in eV.
    nelm
        Largest number of SCF iterations.
    nspin
        1: without spin polarisation; 2: with it, started from pymatgen's moments.
    allow_nonmagnetic
        Whether elements that are usually magnetic are labelled without spin.
    vacuum
        Smallest distance in Å between a molecule or atom and its periodic images.
    potcars
        Name of the POTCAR by element, e.g. ``{"Na": "Na_pv"}``, where not that of atomate2.
    potcar_spec
        Whether only the names of the POTCARs are written (``POTCAR.spec``), for a command that puts the files
        together itself.
    incar
        More INCAR tags; they go into the fingerprint.
    timeout
        Wall time in s after which the run is stopped.
    """

    name: str = "vasp static"
    functional: str = "PBE"
    encut: float = 520.0
    k_spacing: float = 0.2
    sigma: float = 0.05
    ediff: float = 1e-6
    nelm: int = 100
    nspin: int = 1
    allow_nonmagnetic: bool = False
    vacuum: float = 10.0
    potcars: dict[str, str] = field(default_factory=dict)
    potcar_spec: bool = False
    incar: dict[str, Any] = field(default_factory=dict)
    timeout: float = 7200.0

    def compute(self, structure: AtomicStructure, directory: Path) -> OracleResult:
        """Run VASP on a structure.

        Parameters
        ----------
        structure
            The structure.
        directory
            Folder for the input and output files.

        Returns
        -------
        OracleResult
            What it computed.

        Raises
        ------
        UnconvergedError
            The SCF did not converge.
        CalculationError
            VASP failed, a cure changed what is computed, or the output is that of another structure.
        """
        atoms = boxed(structure.to_ase(), self.vacuum)
        # VASP wants equal elements together; the label keeps the order it was given.
        order = grouped(atoms.get_chemical_symbols())
        self.write_input(atoms[order], directory)
        written = (directory / "INCAR").read_text()
        self.run(directory)
        changed = changed_physics(written, directory)
        if changed:
            raise CalculationError(
                f"custodian's cure changed what is computed: {'; '.join(changed)}.",
                hint="choose settings that work for all structures, and leave this one out.",
                directory=directory,
            )
        result = read_vasp(directory, atoms[order])
        forces = np.empty_like(result.forces)
        forces[order] = result.forces
        periodic = all(structure.pbc)
        notes = [*corrections(directory), *([] if periodic else ["no stress: the structure is not periodic"])]
        return OracleResult(
            energy=result.energy,
            forces=forces,
            stress=result.stress if periodic else None,
            fingerprint=self.fingerprint(result),
            scf_iterations=result.scf_iterations,
            notes=tuple(notes),
        )

    def incar_settings(self) -> dict[str, Any]:
        """Return what is changed of atomate2's static set; None removes a tag.

        Returns
        -------
        dict
            INCAR tags.
        """
        tag, _ = FUNCTIONALS[self.functional]
        return {
            "GGA": tag,
            "ENCUT": self.encut,
            "PREC": "Accurate",
            "ADDGRID": None,
            "LREAL": False,
            "LASPH": True,
            "ALGO": "Normal",
            "EDIFF": self.ediff,
            "NELM": self.nelm,
            "NELMIN": 5,
            "ISMEAR": 0,
            "SIGMA": self.sigma,
            "KSPACING": self.k_spacing,
            "KGAMMA": True,
            # Displaced cells have no symmetry; ideal ones get the same k-points as they.
            "ISYM": 0,
            # One SCF with forces and stress.
            "NSW": 0,
            "IBRION": -1,
            "ISIF": 2,
            "ISPIN": self.nspin,
            **({"MAGMOM": None} if self.nspin == 1 else {}),
            "LDAU": False,
            # Nothing of the size of the grid stays on the disk.
            **dict.fromkeys(("LWAVE", "LCHARG", "LAECHG", "LVTOT", "LVHAR", "LELF"), False),
            "LORBIT": None,
            "LMIXTAU": None,
            **self.incar,
        }

    def write_input(self, atoms: Atoms, directory: Path) -> None:
        """Write INCAR, POSCAR, POTCAR (or its specification) and, if not periodic, KPOINTS.

        Parameters
        ----------
        atoms
            The structure in a complete cell, equal elements together.
        directory
            Folder for the files.

        Raises
        ------
        MissingProgramError
            atomate2 or a POTCAR is missing.
        """
        files, sets = import_atomate2("vasp.files"), import_atomate2("vasp.sets.core")
        from pymatgen.io.ase import AseAtomsAdaptor
        from pymatgen.io.vasp import Kpoints

        settings: dict[str, Any] = self.incar_settings()
        options: dict[str, Any] = {}
        if not all(atoms.pbc):
            settings |= {"KSPACING": None, "KGAMMA": None}
            options["user_kpoints_settings"] = Kpoints.gamma_automatic(k_grid(atoms, self.k_spacing))
        generator = sets.StaticSetGenerator(
            user_incar_settings=settings,
            user_potcar_settings=self.potcars,
            user_potcar_functional=FUNCTIONALS[self.functional][1],
            sort_structure=False,
            auto_ismear=False,
            **options,
        )
        bare = Atoms(atoms.symbols, positions=atoms.positions, cell=atoms.cell, pbc=True)
        structure = AseAtomsAdaptor.get_structure(bare)
        try:
            files.write_vasp_input_set(
                structure,
                generator,
                directory=directory,
                apply_incar_updates=False,
                potcar_spec=self.potcar_spec,
            )
        except (OSError, ValueError, RuntimeError) as error:
            raise MissingProgramError(
                f"the input of VASP cannot be written: {type(error).__name__}: {error}",
                hint="tell pymatgen where the POTCARs are: `pmg config --add PMG_VASP_PSP_DIR <folder>`.",
            ) from error

    def run(self, directory: Path) -> None:
        """Run VASP in a folder under custodian.

        Parameters
        ----------
        directory
            The folder with the input.

        Raises
        ------
        CalculationError
            custodian gave up.
        """
        run = import_atomate2("vasp.run")
        handlers = [h for h in run.DEFAULT_HANDLERS if type(h).__name__ not in _PHYSICS_HANDLERS]
        try:
            run.run_vasp(
                vasp_cmd=bound_command(vasp_command()),
                handlers=handlers,
                wall_time=round(self.timeout),
                vasp_job_kwargs={"auto_gamma": False},
                # Looks every second whether VASP has ended, every five minutes into its output.
                custodian_kwargs={
                    "directory": str(directory),
                    "polling_time_step": 1,
                    "monitor_freq": 300,
                },
            )
        except Exception as error:  # custodian has no common base of what it raises
            log = directory / "vasp.out"
            raise CalculationError(
                f"VASP failed under custodian: {type(error).__name__}: {error}",
                hint="look into vasp.out, OUTCAR and custodian.json in the folder.",
                directory=directory,
                log_tail=tail(log.read_text(errors="replace")) if log.is_file() else "",
            ) from error

    def fingerprint(self, result: VaspResult) -> Fingerprint:
        """Return the conditions of a label, read from the output where it tells them.

        Parameters
        ----------
        result
            The run.

        Returns
        -------
        Fingerprint
            What changes the numbers.
        """
        return Fingerprint(
            code="vasp",
            version=result.version,
            settings={
                **result.settings,
                "functional": self.functional,
                "k_spacing [1/Å, with 2 pi]": self.k_spacing,
                "vacuum [Å]": self.vacuum,
                **{f"INCAR {key}": _plain(value) for key, value in sorted(self.incar.items())},
            },
            pseudopotentials=result.potcars,
        )

    def check(self, elements: Iterable[str]) -> None:
        """Raise before anything runs if these elements cannot be labelled on this machine.

        Parameters
        ----------
        elements
            Chemical symbols.
        """
        there = sorted(set(elements))
        self._check_settings(there)
        import_atomate2("vasp.run")
        command = vasp_command()
        try:
            Executable(command).resolve()
        except MissingProgramError as error:
            raise MissingProgramError(
                f"VASP was not found: {error}",
                hint="set MLIP_AUTO_VASP_COMMAND, e.g. 'mpirun -np 4 vasp_std'.",
            ) from error
        if not self.potcar_spec:
            self._check_potcars(there)

    def _check_potcars(self, elements: list[str]) -> None:
        from pymatgen.io.vasp import PotcarSingle

        base = import_atomate2("vasp.sets.base")._BASE_VASP_SET["POTCAR"]
        names = {element: (base | self.potcars).get(element, element) for element in elements}
        for element, name in names.items():
            try:
                PotcarSingle.from_symbol_and_functional(name, FUNCTIONALS[self.functional][1])
            except (OSError, ValueError) as error:
                raise MissingProgramError(
                    f"there is no POTCAR {name!r} for {element}: {error}",
                    hint="tell pymatgen where the POTCARs are: `pmg config --add PMG_VASP_PSP_DIR <folder>`.",
                ) from error

    def _check_settings(self, elements: list[str]) -> None:
        if self.functional not in FUNCTIONALS:
            raise ConfigError(
                f"'functional' must be one of {', '.join(FUNCTIONALS)} with VASP, got {self.functional!r}."
            )
        for key in ("encut", "k_spacing", "sigma", "ediff", "nelm", "vacuum", "timeout"):
            value = getattr(self, key)
            if not (np.isfinite(value) and value > 0):
                raise ConfigError(f"{key!r} must be a positive number, got {value!r}.")
        if self.nspin not in (1, 2):
            raise ConfigError(f"'nspin' must be 1 or 2, got {self.nspin!r}.")
        magnetic = [e for e in elements if e in MAGNETIC]
        if magnetic and self.nspin == 1 and not self.allow_nonmagnetic:
            raise ConfigError(
                f"{', '.join(magnetic)} is usually magnetic, but labels are made without spin polarisation.",
                hint="set `nspin: 2`, or `allow_nonmagnetic: true` if the phases you want are not magnetic.",
            )


def grouped(symbols: Sequence[str]) -> NDArray[np.int_]:
    """Return the order that puts equal elements together, each where it comes first.

    Parameters
    ----------
    symbols
        Chemical symbols.

    Returns
    -------
    numpy.ndarray
        Indices into the symbols, shape ``(n_atoms,)``.
    """
    return np.argsort([list(symbols).index(symbol) for symbol in symbols], kind="stable")


def _plain(value: Any) -> str | float | bool:
    return value if isinstance(value, str | bool | float | int) else str(value)
