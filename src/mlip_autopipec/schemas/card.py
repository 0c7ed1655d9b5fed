"""The model card of a delivered potential: what it is, what it was made of and what it was seen to do."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.label import Fingerprint
from mlip_autopipec.schemas.potential import ErrorStatistics
from mlip_autopipec.schemas.validation import Check, SkippedCheck, Verdict


class DataCard(Document):
    """The labels."""

    n_training: int = Field(description="Labels it was trained on, outliers included [1].")
    n_validation: int = Field(description="Labels for the validation, shared ones included [1].")
    n_failed: int = Field(description="Labels that failed [1].")
    training_time: float = Field(description="Wall time of the oracle for the training [s].")
    validation_time: float = Field(description="Wall time of the oracle for the validation [s].")
    origins: dict[str, int] = Field(description="Training labels by origin [1].")
    fingerprint: Fingerprint = Field(description="Conditions of all labels.")
    sha256: str = Field(description="Hash of all training labels: ids, energies, forces, stresses.")


class GammaCard(Document):
    """What the extrapolation grade meant, atom by atom, before the labels were learned."""

    scale: str = Field(description="Scale of gamma.")
    tolerated_error: float = Field(description="Force error that is still good enough [eV/Å].")
    level: float = Field(description="Share of atoms whose error lies below the quantile [1].")
    threshold: float | None = Field(
        description="Gamma from which more atoms exceed it [1]; none: nowhere seen."
    )
    edges: list[float] = Field(description="Smallest gamma of each bin [1].")
    quantiles: list[float] = Field(description="Error that `level` of each bin stays below [eV/Å].")
    n_atoms: int = Field(description="Atoms it was learned from [1].")
    n_audited: int = Field(description="Frames labelled although judged certain [1].")
    n_missed: int = Field(description="Those of them with an atom off by more than tolerated [1].")


class ValidityCard(Document):
    """Where it was seen to hold; nothing is said of anything else."""

    phases: list[str] = Field(description="Crystals that walks began from, with their space groups.")
    temperatures: list[float] = Field(description="Temperatures of the walks [K].")
    walked_time: float = Field(description="All walks together [ps].")
    pressure: float = Field(description="Pressure of the stability run [GPa].")
    bears_pressure: float | None = Field(
        description="Even compression that the crystal bears before it gives way [GPa]."
    )
    stability_temperature: float = Field(description="Mean temperature of the stability run [K].")
    halt_rate_limit: float | None = Field(
        description="Halts are rarer than this with 95 % confidence [1/ns]."
    )
    stop_reason: str | None = Field(description="Why the loop ended.")
    repairs: list[str] = Field(description="What failed a validation on the way and was learned.")


class SpeedCard(Document):
    """How fast python-ace evaluates it on one core of the machine that released it."""

    n_atoms: int = Field(description="Atoms of the cell [1].")
    without_gamma: float = Field(description="Energy and forces, median of five [µs/atom/step].")
    with_gamma: float = Field(description="With the extrapolation grade [µs/atom/step].")


class ModelCard(Document):
    """All that a user of a potential should know."""

    schema_version: Literal[1] = 1
    elements: list[str] = Field(description="Elements, alphabetically.")
    verdict: Verdict = Field(description="Verdict of the validation.")
    forced: bool = Field(description="Whether it was released although it failed.")
    files: dict[str, str] = Field(description="SHA-256 of the potential's files by name.")
    e0: dict[str, float] = Field(description="To be added per atom for total energies [eV].")
    cutoff: float = Field(description="Largest cut-off radius [Å].")
    n_functions: dict[str, int] = Field(description="Basis functions of each element [1].")
    baseline: str | None = Field(description="Pair potential to be added to the files'; none if whole.")
    data: DataCard = Field(description="The labels.")
    errors: dict[str, ErrorStatistics] = Field(description="Errors by set and origin.")
    gamma: GammaCard | None = Field(description="Calibration of gamma; none if nothing was learned from.")
    validity: ValidityCard = Field(description="Where it was seen to hold.")
    checks: list[Check] = Field(description="The validation.")
    skipped: list[SkippedCheck] = Field(description="Checks that did not run, with the reason.")
    oracle_not_asked: list[SkippedCheck] = Field(
        description="Checks by the potential alone, with the reason."
    )
    speed: SpeedCard = Field(description="How fast it is.")
    examples: dict[str, str] = Field(description="What was run of each example, by file.")
    versions: dict[str, str] = Field(description="Programs that made it.")
    licences: list[str] = Field(description="What its use and its making fall under.")
