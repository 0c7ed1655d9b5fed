"""What eOn reads: its configuration, structures, and the script that starts a client."""

import configparser
import shlex
from collections.abc import Mapping
from io import StringIO
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.io import write as write_atoms

from mlip_autopipec.schemas import AtomicStructure

CLIENT = "client"
"""Name of the script that eOn's server starts for each search."""

Options = Mapping[str, Mapping[str, object]]


def write_config(folder: Path, options: Options) -> None:
    """Write ``config.ini``.

    Parameters
    ----------
    folder
        The run.
    options
        Values by section and key, as in eOn's manual.
    """
    parser = configparser.ConfigParser()
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_dict({section: {k: str(v) for k, v in keys.items()} for section, keys in options.items()})
    text = StringIO()
    parser.write(text)
    (folder / "config.ini").write_text(text.getvalue())


def write_client(folder: Path, python: str, script: Path, address: str) -> Path:
    """Write the script that starts a client; eOn's server takes a path without arguments.

    Parameters
    ----------
    folder
        The run.
    python
        Command of eOn's Python.
    script
        The client.
    address
        Socket of the forces.

    Returns
    -------
    pathlib.Path
        The script.
    """
    path = folder / CLIENT
    words = [*shlex.split(python), "-I", str(script), address]
    path.write_text(f"#!/bin/sh\nexec {shlex.join(words)}\n")
    path.chmod(0o755)
    return path


def write_con(path: Path, structure: AtomicStructure) -> None:
    """Write a structure as eOn reads it, its elements in blocks.

    Parameters
    ----------
    path
        The file.
    structure
        The structure.
    """
    write_atoms(path, in_blocks(structure.to_ase()), format="eon")


def in_blocks(atoms: Atoms) -> Atoms:
    """Sort atoms by element, which eOn's files do as well; atoms of one element keep their order.

    Parameters
    ----------
    atoms
        A structure.

    Returns
    -------
    ase.Atoms
        The same, periodic in all directions: eOn knows nothing else.
    """
    order = np.argsort(np.array(atoms.get_chemical_symbols()), kind="stable")
    return Atoms(
        [atoms.symbols[i] for i in order], positions=atoms.positions[order], cell=atoms.cell.array, pbc=True
    )


def write_mode(path: Path, mode: np.ndarray) -> None:
    """Write the direction in which a search starts.

    Parameters
    ----------
    path
        The file.
    mode
        Direction, dimensionless, shape ``(n_atoms, 3)``.
    """
    np.savetxt(path, mode, fmt="%.8f")
