"""Atomic structures in documents."""

import hashlib
from typing import Literal

import numpy as np
from ase import Atoms
from ase.data import atomic_numbers
from pydantic import Field, model_validator

from mlip_autopipec.numerics.cells import isotropic_repeat
from mlip_autopipec.schemas.base import Document

Vector = tuple[float, float, float]

Origin = Literal[
    "user",
    "strain",
    "rattle",
    "vacancy",
    "interstitial",
    "antisite",
    "surface",
    "stacking_fault",
    "alloy",
    "random_crystal",
    "liquid",
    "dimer",
    "isolated_atom",
    "md",
    "kmc",
    "held_out",
    "eos",
    "elastic",
    "phonon",
]
"""Where a structure comes from; errors and costs are reported by it."""


class AtomicStructure(Document):
    """Atoms in a cell, as small in JSON as they can be without losing a digit."""

    symbols: list[str] = Field(min_length=1, description="Chemical symbols, one per atom.")
    positions: list[Vector] = Field(description="Cartesian positions [Å], shape (n_atoms, 3).")
    cell: tuple[Vector, Vector, Vector] = Field(description="Lattice vectors in rows [Å], shape (3, 3).")
    pbc: tuple[bool, bool, bool] = Field(description="Periodicity along each lattice vector.")

    @model_validator(mode="after")
    def _check(self) -> "AtomicStructure":
        if len(self.positions) != len(self.symbols):
            raise ValueError(f"{len(self.symbols)} symbols but {len(self.positions)} positions")
        unknown = sorted({s for s in self.symbols if s not in atomic_numbers or s == "X"})
        if unknown:
            raise ValueError(f"{', '.join(unknown)} is not a chemical element")
        if not (np.isfinite(self.positions).all() and np.isfinite(self.cell).all()):
            raise ValueError("positions and cell must be finite numbers")
        return self

    @classmethod
    def from_ase(cls, atoms: Atoms) -> "AtomicStructure":
        """Convert from ASE; velocities, constraints and results are left behind."""
        return cls(
            symbols=atoms.get_chemical_symbols(),
            positions=atoms.get_positions().tolist(),
            cell=atoms.cell.array.tolist(),
            pbc=tuple(bool(p) for p in atoms.pbc),
        )

    def to_ase(self) -> Atoms:
        """Convert to ASE."""
        return Atoms(self.symbols, positions=self.positions, cell=self.cell, pbc=self.pbc)

    def repeated(self, n_wanted: int) -> "AtomicStructure":
        """Repeat along the periodic directions, as round as can be, to at least so many atoms."""
        atoms = self.to_ase()
        if not any(self.pbc):
            return self
        lengths = np.where(self.pbc, atoms.cell.lengths(), np.inf)
        repeats = isotropic_repeat(lengths, len(atoms), n_wanted)
        return self if repeats == (1, 1, 1) else AtomicStructure.from_ase(atoms.repeat(repeats))

    @property
    def n_atoms(self) -> int:
        """Number of atoms."""
        return len(self.symbols)

    @property
    def formula(self) -> str:
        """Chemical formula in Hill order."""
        return str(self.to_ase().get_chemical_formula())

    @property
    def digest(self) -> str:
        """Content hash: equal for equal structures, 16 hexadecimal digits."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()[:16]


class LabelWeights(Document):
    """How much a label counts in a fit, where not all of it counts in full."""

    forces: list[float] = Field(
        description="Weight of each atom's squared force residuals, 0 to 1 [1], shape (n_atoms,)."
    )
    energy: bool = Field(description="Whether its energy and stress count; forces do in any case.")
    energy_factor: float = Field(
        1.0, gt=0.0, description="Weight of its squared energy residual, where the energy counts [1]."
    )


class CandidateStructure(Document):
    """A structure that may be worth a label, with where it comes from."""

    structure: AtomicStructure = Field(description="The structure.")
    origin: Origin = Field(description="How it was made.")
    detail: str = Field("", description="What was done to make it, for a reader.")
    gamma: float | None = Field(
        None, description="Largest extrapolation grade of its atoms when it was found, MaxVol scale [1]."
    )
    group: str = Field(
        "", description="What it is correlated with, e.g. its trajectory; empty if it stands alone."
    )
    arm: str = Field("", description="Explorer that found it, as the policy names it; empty if none did.")
    control: bool = Field(False, description="Drawn at random, to be compared with what was chosen.")
    audit: bool = Field(False, description="Judged certain, and to be labelled to see whether it is.")
    required: bool = Field(False, description="To be labelled whatever the selection thinks of it.")
    weights: LabelWeights | None = Field(
        None, description="How much its label will count in a fit; none if all of it counts in full."
    )


class CandidateSetDoc(Document):
    """Structures among which a selection chooses."""

    schema_version: Literal[1] = 1
    candidates: list[CandidateStructure] = Field(description="The structures.")
    reference: list[AtomicStructure] = Field(
        default_factory=list, description="The unperturbed crystals they were made from."
    )


class SelectionDoc(Document):
    """What a selection chose, and what it thought each was worth."""

    schema_version: Literal[1] = 1
    candidates: list[CandidateStructure] = Field(description="The chosen structures, best first.")
    spare: list[CandidateStructure] = Field(
        default_factory=list, description="The next best ones, should too many of these fail, best first."
    )
    n_considered: int = Field(description="Number of structures it chose from [1].")
    n_duplicates: int = Field(description="Number set aside because they equal another one [1].")
    gain: list[float] = Field(
        description="What each chosen one brings: by the D-optimal criterion information, 0.5 log det "
        "ratio of the posterior [nat]; by the V-optimal one the share of the expected squared error that "
        "goes [1]."
    )
    n_functions: int = Field(description="Number of basis functions of the criterion [1].")

    @classmethod
    def of(cls, candidates: list[CandidateStructure]) -> "SelectionDoc":
        """Take all of some structures, without a choice."""
        n = len(candidates)
        return cls(candidates=candidates, n_considered=n, n_duplicates=0, gain=[0.0] * n, n_functions=0)


class FileData(Document):
    """A small file that travels with a document: base64 text and the hash of its bytes."""

    name: str = Field(description="File name without folder.")
    sha256: str = Field(description="Hash of the bytes, hexadecimal.")
    base64: str = Field(repr=False, description="The bytes in base64.")
