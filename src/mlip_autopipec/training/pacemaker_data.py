"""The data set in the form that `pacemaker` reads."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from mlip_autopipec.schemas import LabelWeights
from mlip_autopipec.training.dataset import TrainingSet

Array = NDArray[np.float64]


def write_dataset(
    path: Path, training: TrainingSet, chosen: Sequence[int], cutoff: float, factors: Array | None = None
) -> None:
    """Pickle structures, energies and forces for pacemaker.

    Parameters
    ----------
    path
        The file, ``*.pckl.gzip``.
    training
        The training set.
    chosen
        Indices of the structures to write.
    cutoff
        Cut-off radius in Å.
    factors
        How much looser each structure of the training set may be fitted, dimensionless, shape
        ``(n_structures,)``; without them pacemaker weighs, unless labels bring weights of their own.
    """
    import pandas as pd

    columns: dict[str, list[object]] = {
        "ase_atoms": [portable(training.structures[i], cutoff) for i in chosen],
        "energy_corrected": [
            training.labels[i].label.energy
            - sum(training.e0[s] for s in training.structures[i].get_chemical_symbols())
            for i in chosen
        ],
        "forces": [np.array(training.labels[i].label.forces, dtype=float) for i in chosen],
        "name": [row_name(training.labels[i].label_id) for i in chosen],
    }
    weights = [training.labels[i].weights for i in chosen]
    if factors is None and any(w is not None for w in weights):
        factors = np.ones(len(training.structures))
    if factors is not None:
        sizes = [len(training.structures[i]) for i in chosen]
        energy, forces = loss_weights(factors[list(chosen)], sizes, weights)
        columns |= {"w_energy": list(energy), "w_forces": list(forces)}
    # pandas 3 would store text as a type of its own, which pandas 2 cannot unpickle.
    kinds = {"energy_corrected": float, "w_energy": float}
    frame = pd.DataFrame({k: pd.Series(v, dtype=kinds.get(k, object)) for k, v in columns.items()})
    frame.columns = pd.Index(list(columns), dtype=object)
    frame.to_pickle(path, compression="gzip", protocol=4)


def row_name(label_id: str) -> str:
    """Name a row of the data set.

    Parameters
    ----------
    label_id
        Id of the label.

    Returns
    -------
    str
        Its name; without the prefix pacemaker would all but ignore ids that begin with ``augmented``.
    """
    return f"label {label_id}"


def loss_weights(
    factors: Array, sizes: Sequence[int], weights: Sequence[LabelWeights | None] | None = None
) -> tuple[Array, list[Array]]:
    r"""Weights of energies and forces in pacemaker's loss.

    .. math:: w^E_i \propto c_i s_i^{-2}, \quad \sum_i w^E_i = 1, \qquad
              w^F_{ia} \propto c_{ia} s_i^{-2}, \quad \sum_{ia} w^F_{ia} = 1

    Parameters
    ----------
    factors
        Looseness :math:`s_i` of each structure, dimensionless, shape ``(n_structures,)``.
    sizes
        Number of atoms of each structure.
    weights
        Weights c of its energy and of its atoms' forces, where they are not all 1.

    Returns
    -------
    energy
        Dimensionless, shape ``(n_structures,)``; zeros if no energy counts.
    forces
        Dimensionless, one array of shape ``(n_atoms,)`` for each structure.
    """
    every = weights or [None] * len(sizes)
    loose = np.asarray(factors, dtype=float) ** -2
    energy = loose * np.array([1.0 if w is None else w.energy * w.energy_factor for w in every])
    forces = [
        s * (np.ones(n) if w is None else np.array(w.forces))
        for s, n, w in zip(loose, sizes, every, strict=True)
    ]
    total = sum(float(f.sum()) for f in forces)
    return energy / (energy.sum() or 1.0), [f / total for f in forces]


def portable(atoms: Atoms, cutoff: float) -> Atoms:
    """Describe a structure by a cell that pacemaker accepts: right-handed, periodic throughout or nowhere.

    Two lattice vectors change places in a left-handed cell; along directions that are not periodic, a slab
    or wire gets vacuum wider than the cut-off. No atom gains or loses a neighbour.

    Parameters
    ----------
    atoms
        The structure.
    cutoff
        Cut-off radius in Å.

    Returns
    -------
    ase.Atoms
        The same atoms in the same order, at the same positions.
    """
    same = Atoms(atoms.get_chemical_symbols(), positions=atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    if not atoms.pbc.any():
        same.cell[:] = 0.0
        return same
    if not atoms.pbc.all():
        same.cell[~atoms.pbc] = 0.0
        same.cell = same.cell.complete()  # unit vectors, perpendicular to the periodic ones
        for axis in np.flatnonzero(~atoms.pbc):
            along = atoms.positions @ same.cell[axis]
            same.cell[axis] *= np.ptp(along) + cutoff + 1.0
        same.pbc = True
    if same.cell.handedness < 0:
        same.cell = same.cell[[1, 0, 2]]
    return same
