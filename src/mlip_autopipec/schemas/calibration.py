"""The extrapolation grade in units of error, learned from labels that were paid for anyway."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document


class ErrorLimit(Document):
    """What a walk needs to know to judge by itself whether a halt is worth a label."""

    scale: float = Field(
        ge=0,
        allow_inf_nan=False,
        description="Factor on the standard deviation of a force that covers `level` of the errors [1].",
    )
    tolerated_error: float = Field(gt=0, description="Force error that is still good enough [eV/Å].")


class GammaCalibrationDoc(Document):
    """How large the true force errors of atoms were at the grade they had when they were met.

    Each atom counts once, graded and predicted by the potential that had not seen its label.
    """

    schema_version: Literal[1] = 1
    gamma_scale: Literal["pace-maxvol-linear"] = Field(
        "pace-maxvol-linear", description="Scale of gamma: 1 is the active set's edge."
    )
    level: float = Field(description="Share of atoms whose error lies below the quantile [1].")
    tolerated_error: float = Field(description="Force error that is still good enough [eV/Å].")
    gamma: list[float] = Field(description="Grade of each atom [1], shape (n_atoms,).")
    force_error: list[float] = Field(
        description="Length of the difference from the oracle's force [eV/Å], shape (n_atoms,)."
    )
    n_structures: int = Field(description="Structures they are from [1].")
    edges: list[float] = Field(description="Smallest gamma of each bin [1]; none with too few atoms.")
    quantiles: list[float] = Field(description="Error that `level` of the bin stays below [eV/Å].")
    counts: list[int] = Field(description="Atoms in each bin [1].")
    threshold: float | None = Field(
        description="Gamma from which more than 1 - level of the atoms exceed the tolerated error [1]; none "
        "if no bin does, or there is none."
    )
    ratios: list[list[float]] = Field(
        default_factory=list,
        description="True force error over its standard deviation, by atom, of the latest structures [1].",
    )
    limit: ErrorLimit | None = Field(
        None, description="What may lift a halt; none as long as too few structures were met."
    )
    chosen_errors: list[float] = Field(
        default_factory=list, description="Force RMSE of each structure chosen by information [eV/Å]."
    )
    control_errors: list[float] = Field(
        default_factory=list, description="Force RMSE of each structure drawn at random [eV/Å]."
    )
    n_audited: int = Field(description="Structures labelled although their grade was judged certain [1].")
    missed: list[str] = Field(
        description="Ids of those labels of which an atom exceeds the tolerated error: false negatives."
    )
    missed_share: tuple[float, float] = Field(
        description="Bounds of the share of false negatives, 95 % (Clopper and Pearson) [1]."
    )
