"""Labels from files of others, for benchmarks and for data that exist already."""

from pathlib import Path
from typing import Any, get_args

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.stress import voigt_6_to_full_3x3_stress
from numpy.typing import NDArray

from mlip_autopipec.errors import FitError, StructureError
from mlip_autopipec.schemas import (
    AtomicStructure,
    Fingerprint,
    LabelBatchDoc,
    LabelDoc,
    LabelledStructure,
    Origin,
)

Array = NDArray[np.float64]

_FREE_ATOM_NAMES = ("isolatedatom", "isolated_atom")


def read_labelled(
    path: Path,
    fingerprint: Fingerprint,
    *,
    energy_key: str = "energy",
    forces_key: str = "forces",
    stress_key: str = "stress",
) -> LabelBatchDoc:
    """Read structures with energies and forces from an extended XYZ file or an ASE database.

    What :func:`~.dataset_export.to_extxyz` or ``to_ase_db`` wrote about a label (id, origin, group …) is read
    again; other structures get the name of the file and their number as id and the origin ``user``. Free
    atoms, that is single atoms without periodicity or with ``config_type`` isolated_atom (or IsolatedAtom),
    get the origin ``isolated_atom``.

    Parameters
    ----------
    path
        The file; an ASE database if it ends with ``.db``, else extended XYZ, perhaps gzipped (``.gz``).
    fingerprint
        Conditions under which the labels were made; the file does not say.
    energy_key
        Name of the energy of the cell in eV.
    forces_key
        Name of the column of forces in eV/Å.
    stress_key
        Name of the stress in eV/Å^3, tension positive, 6 (Voigt) or 9 numbers; may be absent. It is left out
        where the structure is not periodic.

    Returns
    -------
    LabelBatchDoc
        The labels, in the order of the file.

    Raises
    ------
    StructureError
        The file cannot be read, is empty, or has a frame without energy or forces.
    FitError
        A number is not finite or has the wrong shape.
    """
    labels = []
    for index, atoms in enumerate(_frames(path)):
        where = f"frame {index} ({atoms.get_chemical_formula()}) of {path.name!r}"
        energy = _numbers(atoms, energy_key, "energy", where, (1,))
        forces = _numbers(atoms, forces_key, "forces", where, (len(atoms), 3))
        label = LabelDoc(
            structure=_structure(atoms, where),
            energy=float(energy[0]),
            forces=forces.tolist(),
            stress=_stress(atoms, stress_key, where),
            fingerprint=fingerprint,
            wall_time=0.0,
            notes=[f"read from {path.name}, frame {index}"],
        )
        gamma = atoms.info.get("gamma")
        labels.append(
            LabelledStructure(
                label=label,
                label_id=str(atoms.info.get("label_id", f"{path.name.split('.')[0]}-{index}")),
                origin=_origin(atoms),
                detail=str(atoms.info.get("detail", "")),
                gamma=None if gamma is None else float(gamma),
                group=str(atoms.info.get("group", "")),
            )
        )
    return LabelBatchDoc(labels=labels, failed=[], n_labels=len(labels), wall_time=0.0)


def _frames(path: Path) -> list[Atoms]:
    if not path.is_file():
        raise StructureError(f"the file {str(path)!r} does not exist.", hint="check its name and folder.")
    kind = "ASE database" if path.suffix == ".db" else "extended XYZ"
    try:
        found = _rows(path) if path.suffix == ".db" else ase.io.read(path, index=":", format="extxyz")
    except Exception as error:  # a parser may raise anything
        raise StructureError(
            f"{path.name!r} cannot be read as {kind}: {type(error).__name__}: {error}",
            hint="open it with `ase gui` to see what is wrong.",
        ) from error
    if not found:
        raise StructureError(f"{path.name!r} holds no structure.")
    return list(found)


def _rows(path: Path) -> list[Atoms]:
    """Read a database; ``data``, which keeps every text, goes before the key-value pairs."""
    found = []
    with ase.db.connect(path) as database:
        for row in database.select():
            atoms = row.toatoms()
            atoms.info = {**row.key_value_pairs, **row.data}
            found.append(atoms)
    return found


def _structure(atoms: Atoms, where: str) -> AtomicStructure:
    try:
        return AtomicStructure.from_ase(atoms)
    except ValueError as error:
        reason = "; ".join(e["msg"] for e in error.errors()) if hasattr(error, "errors") else str(error)
        raise StructureError(f"{where} cannot be used: {reason}.") from error


def _origin(atoms: Atoms) -> Origin:
    for origin in get_args(Origin):
        if atoms.info.get("origin") == origin:
            return origin
    free = len(atoms) == 1 and not atoms.pbc.any()
    named = str(atoms.info.get("config_type", "")).lower() in _FREE_ATOM_NAMES
    return "isolated_atom" if free or (named and len(atoms) == 1) else "user"


def _lookup(atoms: Atoms, key: str) -> Any:
    results = atoms.calc.results if atoms.calc is not None else {}
    for place in (results, atoms.info, atoms.arrays):
        if key in place:
            return place[key]
    return None


def _numbers(atoms: Atoms, key: str, name: str, where: str, shape: tuple[int, ...]) -> Array:
    found = _lookup(atoms, key)
    if found is None:
        results = atoms.calc.results if atoms.calc is not None else {}
        known = sorted({*results, *atoms.info, *atoms.arrays} - {"numbers", "positions"})
        raise StructureError(
            f"{where} has no {name} under {key!r}; it has: {', '.join(known) or 'nothing'}.",
            hint=f"name the right one by `{name}_key`.",
        )
    return _checked(found, name, where, shape)


def _checked(value: Any, name: str, where: str, shape: tuple[int, ...]) -> Array:
    try:
        numbers = np.atleast_1d(np.asarray(value, dtype=float))
    except (TypeError, ValueError) as error:
        raise FitError(f"{where}: its {name} must be numbers, got {value!r}.") from error
    if numbers.size == np.prod(shape) and shape[0] == 1 and len(shape) == 2:
        numbers = numbers.reshape(shape)
    if numbers.shape != shape:
        raise FitError(f"{where}: its {name} must have the shape {shape}, got {numbers.shape}.")
    if not np.isfinite(numbers).all():
        raise FitError(
            f"{where}: its {name} must be finite, got NaN or infinity.", hint="leave the frame out."
        )
    return numbers


def _stress(atoms: Atoms, key: str, where: str) -> Any:
    found = _lookup(atoms, key)
    if found is None or not atoms.pbc.all():
        return None
    flat = np.ravel(found)
    if flat.size == 6:
        return voigt_6_to_full_3x3_stress(_checked(flat, "stress", where, (6,))).tolist()
    return _checked(flat, "stress", where, (9,)).reshape(3, 3).tolist()
