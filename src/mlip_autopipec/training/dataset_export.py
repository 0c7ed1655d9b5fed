"""Labels in the files of other programs: extended XYZ, ASE's database, Pacemaker's data frame."""

import gzip
import io
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import ase.db
import ase.io
import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db.core import check as check_pairs
from ase.io.extxyz import key_val_dict_to_str, key_val_str_to_dict
from ase.stress import full_3x3_to_voigt_6_stress

from mlip_autopipec.errors import FitError, MissingProgramError
from mlip_autopipec.schemas import DatasetDoc, LabelledStructure
from mlip_autopipec.schemas.files import write_atomic

_MTIME = 0  # of gzip members, so that equal labels give equal files


def to_extxyz(labels: Sequence[LabelledStructure], path: Path, dataset: DatasetDoc | None = None) -> Path:
    """Write labels as extended XYZ.

    Energy, forces and stress stand where ASE's reader makes results of them; ``label_id``, ``origin``,
    ``group``, ``detail``, ``gamma`` and ``split`` are info keys. ASE writes lengths and forces to 1e-8.

    Parameters
    ----------
    labels
        The labels.
    path
        The file; gzipped if it ends with ``.gz``.
    dataset
        Gives ``split``: ``"train"``, ``"test"`` or ``"excluded"``; without it there is none.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FitError
        There are no labels.
    """
    frames = []
    for item, about in zip(labels, _descriptions(labels, dataset), strict=True):
        atoms = _labelled_atoms(item)
        atoms.info = {key: _readable(value) for key, value in about.items()}
        frames.append(atoms)
    text = io.StringIO()
    ase.io.write(text, frames, format="extxyz")
    content = text.getvalue().encode()
    write_atomic(path, gzip.compress(content, mtime=_MTIME) if path.suffix == ".gz" else content)
    return path


def to_ase_db(labels: Sequence[LabelledStructure], path: Path, dataset: DatasetDoc | None = None) -> Path:
    """Write labels as an ASE database (SQLite).

    Descriptions are key-value pairs, to be searched (``group=md-0-300K-1``), and once more under ``data``,
    because ASE has no text that looks like a number, a truth value or nothing among its pairs.

    Parameters
    ----------
    labels
        The labels.
    path
        The file, ending with ``.db``; an old one is replaced.
    dataset
        Gives ``split``, as in :func:`to_extxyz`.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FitError
        There are no labels, or the name of the file does not end with ``.db``.
    """
    if path.suffix != ".db":
        raise FitError(f"an ASE database needs a name that ends with .db, got {path.name!r}.")
    descriptions = _descriptions(labels, dataset)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        temporary = Path(folder) / "labels.db"
        with ase.db.connect(temporary) as database:
            for item, about in zip(labels, descriptions, strict=True):
                pairs = {key: value for key, value in about.items() if _searchable(key, value)}
                database.write(_labelled_atoms(item), key_value_pairs=pairs, data=about)
        write_atomic(path, temporary.read_bytes())
    return path


def to_pacemaker_frame(labels: Sequence[LabelledStructure], path: Path, e0: Mapping[str, float]) -> Path:
    """Write labels as the data frame that Pacemaker reads: a gzipped pickle of pandas, protocol 4.

    Its columns are ``ase_atoms``, ``energy_corrected`` (energy of the cell without E0 in eV), ``forces``
    (eV/Å, ``(n_atoms, 3)`` each) and ``name`` (the label's id). Pacemaker has no stress.

    Parameters
    ----------
    labels
        The labels.
    path
        The file, usually ending with ``.pckl.gzip``.
    e0
        Energy of each element's free atom in eV.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    FitError
        There are no labels, or an element has no E0.
    MissingProgramError
        pandas is not installed.
    """
    _require_some(labels)
    missing = sorted({symbol for item in labels for symbol in item.label.structure.symbols} - e0.keys())
    if missing:
        raise FitError(f"element {', '.join(missing)} has no E0; known: {', '.join(sorted(e0)) or 'none'}.")
    frame = import_pandas("what Pacemaker reads are").DataFrame(
        {
            "ase_atoms": [item.label.structure.to_ase() for item in labels],
            "energy_corrected": [
                item.label.energy - sum(e0[s] for s in item.label.structure.symbols) for item in labels
            ],
            "forces": [np.array(item.label.forces, dtype=float) for item in labels],
            "name": [item.label_id for item in labels],
        }
    )
    content = io.BytesIO()
    frame.to_pickle(content, compression={"method": "gzip", "mtime": _MTIME}, protocol=4)
    write_atomic(path, content.getvalue())
    return path


def import_pandas(what: str) -> Any:
    """Import pandas, which comes with python-ace.

    Parameters
    ----------
    what
        What its data frames are, for the message: ``"the tables of a project are"``.

    Returns
    -------
    module
        pandas.

    Raises
    ------
    MissingProgramError
        It is not installed.
    """
    try:
        import pandas as pd
    except ImportError as error:
        raise MissingProgramError(
            f"pandas is not installed; {what} its data frames.",
            hint="install it together with python-ace: pip install 'mlip_autopipec[pacemaker]'.",
        ) from error
    return pd


def _require_some(labels: Sequence[LabelledStructure]) -> None:
    if not labels:
        raise FitError("there are no labels to write.")


def _descriptions(
    labels: Sequence[LabelledStructure], dataset: DatasetDoc | None
) -> list[dict[str, str | float]]:
    _require_some(labels)
    split: dict[str, str] = {}
    if dataset is not None:
        split = dict.fromkeys(dataset.train, "train") | dict.fromkeys(dataset.test, "test")
    found = []
    for item in labels:
        about: dict[str, str | float] = {"label_id": item.label_id, "origin": item.origin}
        about |= {"group": item.group} if item.group else {}
        about |= {"detail": item.detail} if item.detail else {}
        about |= {"gamma": item.gamma} if item.gamma is not None else {}
        about |= {"split": split.get(item.label_id, "excluded")} if dataset is not None else {}
        found.append(about)
    return found


def _labelled_atoms(item: LabelledStructure) -> Atoms:
    label = item.label
    atoms = label.structure.to_ase()
    results: dict[str, Any] = {"energy": label.energy, "forces": np.array(label.forces, dtype=float)}
    if label.stress is not None:
        results["stress"] = full_3x3_to_voigt_6_stress(label.stress)
    atoms.calc = SinglePointCalculator(atoms, **results)
    return atoms


def _readable(value: str | float) -> str | float:
    """Write a text that extended XYZ would read as something else ("1e5", "T") in JSON."""
    if isinstance(value, float):
        return value
    try:
        found = key_val_str_to_dict(key_val_dict_to_str({"key": value})).get("key")
    except (ValueError, KeyError):
        found = None
    if isinstance(found, str) and found == value and value.isascii() and value.isprintable():
        return value
    # ASE's reader takes one level of backslashes away before it looks at the JSON.
    return "_JSON " + json.dumps(value).replace("\\", "\\\\")


def _searchable(key: str, value: str | float) -> bool:
    try:
        check_pairs({key: value})
    except ValueError:
        return False
    return True
