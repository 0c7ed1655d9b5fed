"""Read what VASP wrote, and what custodian did meanwhile."""

import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.geometry import find_mic
from numpy.typing import NDArray

from mlip_autopipec.errors import CalculationError, UnconvergedError
from mlip_autopipec.units import EV_PER_A3_TO_GPA, KBAR_TO_GPA

# Tags that change the numbers. custodian may change the others (mixing, algorithm, bands, symmetry).
PHYSICS = (
    *("ENCUT", "KSPACING", "KGAMMA", "ISMEAR", "SIGMA", "GGA", "METAGGA", "ISPIN", "PREC"),
    *("LREAL", "ADDGRID", "LASPH", "LDAU", "NELECT", "ISIF", "NSW", "IVDW"),
)
_SAME = 1e-4  # Å: POSCAR has 6 to 16 digits


@dataclass(frozen=True)
class VaspResult:
    """A converged run. Energies in eV, forces in eV/Å, stress in eV/Å^3 (tension positive)."""

    energy: float
    forces: NDArray[np.float64]
    stress: NDArray[np.float64] | None
    scf_iterations: int
    version: str
    settings: dict[str, str | float | bool]
    potcars: dict[str, str]


def read_vasp(directory: Path, atoms: Atoms) -> VaspResult:
    """Read a run from vasprun.xml.

    The energy is ``e_fr_energy``, E - TS, whose derivative the forces are. VASP's stress is in kbar and
    positive under compression (``in kB`` of OUTCAR); the sign is turned.

    Parameters
    ----------
    directory
        Folder of the run.
    atoms
        What was to be computed, in the order of POSCAR.

    Returns
    -------
    VaspResult
        The numbers.

    Raises
    ------
    UnconvergedError
        The SCF used up its iterations.
    CalculationError
        The file is missing, cut short, or that of another structure.
    """
    from pymatgen.io.vasp import Vasprun
    from pymatgen.io.vasp.outputs import UnconvergedVASPWarning

    try:
        with warnings.catch_warnings():
            # Not a warning here but an error, below.
            warnings.simplefilter("ignore", UnconvergedVASPWarning)
            run = Vasprun(
                directory / "vasprun.xml",
                parse_dos=False,
                parse_eigen=False,
                parse_potcar_file=False,
                exception_on_bad_xml=True,
            )
        step = run.ionic_steps[-1]
        energy, forces = float(step["e_fr_energy"]), np.array(step["forces"], dtype=float)
    except Exception as error:  # a parser may raise anything
        raise CalculationError(
            f"vasprun.xml cannot be read: {type(error).__name__}: {error}", directory=directory
        ) from error
    if not run.converged_electronic:
        raise UnconvergedError(
            f"VASP: the SCF did not converge in {len(step['electronic_steps'])} iterations.",
            hint="raise `nelm`, or leave the structure out.",
            directory=directory,
        )
    check_same_structure(run.final_structure, atoms, directory)
    stress = step.get("stress")
    return VaspResult(
        energy=energy,
        forces=forces,
        stress=None if stress is None else -np.array(stress, float) * KBAR_TO_GPA / EV_PER_A3_TO_GPA,
        scf_iterations=len(step["electronic_steps"]),
        version=str(run.vasp_version),
        settings=conditions(run.parameters),
        potcars=potcars(run, directory),
    )


def check_same_structure(found: Any, atoms: Atoms, directory: Path) -> None:
    """Refuse results of another structure.

    Parameters
    ----------
    found
        Structure of the output (pymatgen).
    atoms
        What was to be computed.
    directory
        Folder of the run, for the message.

    Raises
    ------
    CalculationError
        Elements, cell or positions differ.
    """
    symbols = [site.specie.symbol for site in found]
    same = symbols == atoms.get_chemical_symbols() and np.allclose(
        found.lattice.matrix, atoms.cell.array, atol=_SAME
    )
    if same:
        vectors = found.cart_coords - atoms.positions
        same = bool((find_mic(vectors, atoms.cell, pbc=True)[1] < _SAME).all())
    if not same:
        raise CalculationError(
            f"vasprun.xml is of another structure ({found.composition.reduced_formula}) than was asked for.",
            hint="clear the folder and run again.",
            directory=directory,
        )


def conditions(parameters: Mapping[str, Any]) -> dict[str, str | float | bool]:
    """Pick what changes the numbers from the parameters of a run.

    Parameters
    ----------
    parameters
        As VASP wrote them, defaults included.

    Returns
    -------
    dict
        For the fingerprint.
    """
    return {
        "encut [eV]": float(parameters["ENMAX"]),
        "gga": str(parameters["GGA"]).strip().upper(),
        "prec": str(parameters["PREC"]).strip().lower(),
        "ismear": float(parameters["ISMEAR"]),
        "sigma [eV]": float(parameters["SIGMA"]),
        "nspin": float(parameters["ISPIN"]),
        "lasph": bool(parameters.get("LASPH", False)),
    }


def potcars(run: Any, directory: Path) -> dict[str, str]:
    """Name the POTCAR of each element.

    Parameters
    ----------
    run
        The run (pymatgen's ``Vasprun``).
    directory
        Its folder.

    Returns
    -------
    dict[str, str]
        Title, and SHA-256 of the data where the POTCAR itself is there.
    """
    titles = [spec["titel"] for spec in run.potcar_spec]
    found = {title.split()[1].split("_")[0]: title for title in titles}
    file = directory / "POTCAR"
    if file.is_file():
        from pymatgen.io.vasp import Potcar

        for single in Potcar.from_file(str(file)):
            found[single.element] = f"{single.TITEL} sha256:{single.sha256_computed_file_hash}"
    return found


def changed_physics(written: str, directory: Path) -> list[str]:
    """List the tags that matter and are not as they were written.

    Parameters
    ----------
    written
        INCAR as it was written.
    directory
        Folder of the run, whose INCAR custodian may have changed.

    Returns
    -------
    list[str]
        One line each.
    """
    from pymatgen.io.vasp import Incar

    before, after = Incar.from_str(written), Incar.from_file(directory / "INCAR")
    return [
        f"{tag} {before.get(tag, '(not set)')} to {after.get(tag, '(not set)')}"
        for tag in PHYSICS
        if before.get(tag) != after.get(tag)
    ]


def corrections(directory: Path) -> list[str]:
    """Say what custodian saw and did.

    Parameters
    ----------
    directory
        Folder of the run.

    Returns
    -------
    list[str]
        One line a correction.
    """
    file = directory / "custodian.json"
    if not file.is_file():
        return []
    found = []
    for job in json.loads(file.read_text()):
        for item in job["corrections"]:
            handler = item["handler"]["@class"] if isinstance(item["handler"], dict) else item["handler"]
            errors = ", ".join(map(str, item["errors"]))
            found.append(
                f"custodian: {handler.rsplit('.', 1)[-1]} saw {errors}; did {json.dumps(item['actions'])}"
            )
    return found
