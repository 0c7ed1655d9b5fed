"""Small periodic cells that stand for large ones, and how true to them they are."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.structure import CandidateStructure


class EmbeddedCell(Document):
    """A small cell cut out of a large one around its most uncertain atom: measured, then taken or refused."""

    kind: Literal["crystal", "box"] = Field(
        description="'crystal': lattice vectors of the host; 'box': the densest box of its density."
    )
    detail: str = Field(description="Where the large cell comes from.")
    atom: int = Field(ge=0, description="Index of the uncertain atom in the large cell [1].")
    n_atoms: int = Field(description="Number of atoms of the small cell [1].")
    n_core: int = Field(description="Number of its atoms within the cut-off of the uncertain one [1].")
    n_host: int = Field(description="Number of atoms of the large cell [1].")
    separation: float = Field(description="Distance of the uncertain atom from its nearest image [Å].")
    descriptor_difference: float = Field(
        description="Relative change of the uncertain atom's basis functions [1]."
    )
    gamma: float = Field(description="Gamma of the uncertain atom in the small cell, MaxVol scale [1].")
    gamma_host: float = Field(description="Gamma of the same atom in the large cell, MaxVol scale [1].")
    gamma_core: float = Field(description="Largest gamma of the core in the small cell, MaxVol scale [1].")
    gamma_core_host: float = Field(description="The same atoms' in the large cell, MaxVol scale [1].")
    gamma_buffer: float = Field(
        description="Largest gamma of the buffer in the small cell, MaxVol scale [1]."
    )
    gamma_buffer_host: float = Field(description="The same atoms' in the large cell, MaxVol scale [1].")
    smallest_distance: float = Field(
        description="Shortest distance over that at which the potential's core begins [1]."
    )
    smallest_distance_host: float = Field(description="The same of the large cell [1].")
    energy_counts: bool = Field(
        description="Whether the cell is sane as a whole, so that its energy and stress are fitted too."
    )
    refusal: str = Field("", description="Why it was refused; empty if it was taken.")

    @property
    def accepted(self) -> bool:
        """Whether it took the place of the large cell."""
        return not self.refusal


class EmbeddingDoc(Document):
    """The frames of some walks, the large ones made small."""

    schema_version: Literal[1] = 1
    candidates: list[CandidateStructure] = Field(description="Small cells, and frames that stayed whole.")
    cells: list[EmbeddedCell] = Field(description="All small cells that were tried, with what they measured.")
    n_small: int = Field(description="Number of frames that were small enough as they were [1].")
    n_embedded: int = Field(description="Number of frames that a small cell took the place of [1].")
    whole: list[str] = Field(description="Frames that stay whole because they must be labelled, with why.")
    forced: list[str] = Field(
        default_factory=list,
        description="Frames too large to be labelled whole, put into a refused cell, forces only, with why.",
    )
    dropped: list[str] = Field(
        description="Frames that are given up because no small cell will do, with why."
    )
    wall_time: float = Field(description="Wall time [s].")
