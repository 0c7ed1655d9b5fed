"""How noisy labels are: what a convergence probe found."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.label import Fingerprint

ProbeRole = Literal["configured", "k_spacing", "cutoff", "reference"]
"""What a setting is there for: it is the user's, one with another k-spacing or cut-off, or the finest."""


class ProbeRow(Document):
    """Labels of the same structures under one setting, compared with the finest."""

    role: ProbeRole = Field(description="What the setting is there for.")
    settings: dict[str, float] = Field(
        description="k-spacing [1/Å, with 2 pi] and cut-off [Ry for pw.x, eV for VASP] by key of the oracle."
    )
    energy_shift: float = Field(description="Mean difference of the energies; it cancels [eV/atom].")
    energy_noise: float = Field(
        description="Standard deviation of the differences of the energies; does not cancel [eV/atom]."
    )
    force_noise: float = Field(description="Root mean square difference of force components [eV/Å].")
    force_max: float = Field(description="Largest difference of a force component [eV/Å].")
    stress_noise: float | None = Field(
        description="Root mean square difference of stress components; none without stress [eV/Å^3]."
    )
    wall_time: float = Field(description="Mean wall time of a label [s].")


class ProbeDoc(Document):
    """How noisy the labels of an oracle are for one composition."""

    schema_version: Literal[1] = 1
    formula: str = Field(description="Composition of the cells.")
    n_cells: int = Field(description="Number of displaced cells that were compared [1].")
    fingerprint: Fingerprint = Field(description="Conditions of the labels as configured.")
    rows: list[ProbeRow] = Field(description="All settings; the last is the reference.")
    warnings: list[str] = Field(description="What a reader should know, one sentence each.")

    @property
    def configured(self) -> ProbeRow:
        """The row of the user's own settings."""
        return next(row for row in self.rows if row.role == "configured")
