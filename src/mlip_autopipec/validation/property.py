"""Properties of a crystal that follow from energies, forces and stresses of a few structures.

Oracle and potential are asked about the same structures and the same formula follows, so that what strain,
supercell or displacement do to a number is in both.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from ase import Atoms
from jobflow import Maker
from numpy.typing import NDArray

from mlip_autopipec.ace import AcePotential, load_potential
from mlip_autopipec.schemas import (
    AtomicStructure,
    CandidateStructure,
    CheckKind,
    LabelBatchDoc,
    Origin,
    PotentialDoc,
)

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Observed:
    """What somebody says of a structure.

    Parameters
    ----------
    energy
        Of the cell, relative to free atoms, in eV.
    forces
        In eV/Å, shape ``(n_atoms, 3)``.
    stress
        Tension positive, in eV/Å^3, shape ``(3, 3)``; none if the structure is not periodic.
    """

    energy: float
    forces: Array
    stress: Array | None


def predicted(potential: AcePotential, cells: Sequence[Atoms]) -> list[Observed]:
    """Ask the potential.

    Parameters
    ----------
    potential
        The potential.
    cells
        The structures.

    Returns
    -------
    list[Observed]
        What it says of each.
    """
    answers = []
    for atoms in cells:
        found = potential.evaluate(atoms, gamma=False)
        stress = -found.virial / atoms.get_volume() if atoms.pbc.all() else None
        answers.append(Observed(float(found.energies.sum()), found.forces, stress))
    return answers


def labelled(
    batch: LabelBatchDoc, cells: Sequence[CandidateStructure], e0: dict[str, float]
) -> list[Observed] | None:
    """Look up what the oracle said.

    Parameters
    ----------
    batch
        Its labels.
    cells
        The structures; origin and detail tell them apart.
    e0
        Energy of each element's free atom in eV.

    Returns
    -------
    list[Observed] or None
        What it said of each; none if a label is missing.
    """
    known = {(item.origin, item.detail): item.label for item in batch.labels}
    labels = [known.get((cell.origin, cell.detail)) for cell in cells]
    if any(label is None for label in labels):
        return None
    return [
        Observed(
            label.energy - sum(e0[s] for s in label.structure.symbols),
            np.array(label.forces),
            None if label.stress is None else np.array(label.stress),
        )
        for label in labels
        if label is not None
    ]


@dataclass
class PropertyMaker(Maker, ABC):
    """Judge one property of a crystal.

    ``make`` takes the potential, the crystal and, where the oracle was asked, the labels.

    Parameters
    ----------
    name
        Name of the job.
    """

    name: str = "validate"
    kind: ClassVar[CheckKind]
    packages: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def cells(self, crystal: Atoms) -> list[CandidateStructure]:
        """List the structures that the property follows from.

        Parameters
        ----------
        crystal
            The crystal.

        Returns
        -------
        list[CandidateStructure]
            Always the same for the same crystal; none where it has no such property.
        """

    @abstractmethod
    def make(self, potential: PotentialDoc, crystal: AtomicStructure, batch: LabelBatchDoc | None) -> Any:
        """Judge the property.

        Parameters
        ----------
        potential
            The potential.
        crystal
            The crystal.
        batch
            What the oracle says of :meth:`cells`; none, or not of all of them, where it was not asked.

        Returns
        -------
        Document
            What was found, with verdicts.
        """

    @classmethod
    def missing(cls) -> str | None:
        """Say which packages are missing and how to get them; none if the check can run."""
        absent = [package for package in cls.packages if find_spec(package) is None]
        if not absent:
            return None
        return f"{', '.join(absent)} not installed: pip install 'mlip_autopipec[validation]'"

    def observed(
        self, potential: PotentialDoc, crystal: AtomicStructure, batch: LabelBatchDoc | None
    ) -> tuple[list[Observed], list[Observed] | None]:
        """Ask both about the cells.

        Parameters
        ----------
        potential, crystal, batch
            As in :meth:`make`.

        Returns
        -------
        predicted
            What the potential says.
        reference
            What the oracle says; none if it was not asked.
        """
        cells = self.cells(crystal.to_ase())
        ace = load_potential(potential, Path.cwd())
        reference = None if batch is None else labelled(batch, cells, potential.e0)
        return predicted(ace, [c.structure.to_ase() for c in cells]), reference


def candidate(atoms: Atoms, origin: Origin, detail: str) -> CandidateStructure:
    """Mark a structure of a check; its label is needed.

    Parameters
    ----------
    atoms
        The structure.
    origin
        The check.
    detail
        What was done, different for each structure of the check.

    Returns
    -------
    CandidateStructure
        To be labelled.
    """
    return CandidateStructure(
        structure=AtomicStructure.from_ase(atoms), origin=origin, detail=detail, required=True
    )
