"""What the exploration policy knows of its explorers, and what it decided: for a person to read."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.structure import CandidateStructure


class ArmSearch(Document):
    """How hard one explorer looked for structures in a generation."""

    arm: str = Field(description="Name of the explorer.")
    n_made: int = Field(description="Structures made and graded [1].")
    n_uncertain: int = Field(description="Those of them that are handed to the oracle [1].")
    gamma_max: float | None = Field(description="Largest grade met, MaxVol scale [1]; none if none was made.")
    wall_time: float = Field(description="Time spent on it [s].")


class PerturbationDoc(Document):
    """Fresh structures that the current potential is uncertain of."""

    schema_version: Literal[1] = 1
    candidates: list[CandidateStructure] = Field(description="The structures, with their grades.")
    searches: list[ArmSearch] = Field(description="How they were found, one entry an explorer.")


class ArmError(Document):
    """How wrong a potential was about what an explorer found, before it learned of it."""

    arm: str = Field(description="Name of the explorer.")
    n_labels: int = Field(description="Labels it was measured on [1].")
    force_error: float = Field(
        description="Mean length of the force error; errors of large forces count relative to them [eV/Å]."
    )
    force_error_before: float | None = Field(
        None,
        description="The same of the potential one generation older, on the same labels [eV/Å]; none if "
        "there was none. What the labels in between were worth on structures that neither had seen.",
    )
    wall_time: float = Field(description="Mean wall time of a label [s].")


class ArmErrorsDoc(Document):
    """True errors of all explorers that had a label in a generation."""

    schema_version: Literal[1] = 1
    errors: list[ArmError] = Field(description="One entry an explorer, alphabetically.")


class ArmStatistics(Document):
    """What one explorer brought so far."""

    arm: str = Field(description="Name of the explorer.")
    n_slots: int = Field(
        0, description="Structures it was asked for so far [1]: labels with fixed shares, offers otherwise."
    )
    n_labels: int = Field(0, description="Labels it had so far [1].")
    n_latest: int = Field(0, description="Labels it had when it last had any [1].")
    force_error: float | None = Field(
        None, description="Mean force error on those, before they were learned [eV/Å]; none without labels."
    )
    force_error_before: float | None = Field(
        None, description="The same of the potential one generation older [eV/Å]; none if there was none."
    )
    last_generation: int = Field(-1, description="Generation in which it last had labels [1]; -1: never.")


class PolicyDecision(Document):
    """What is asked of which explorers in a generation, and why."""

    generation: int = Field(description="Number of the generation [1].")
    kind: Literal["fixed", "adaptive"] = Field(
        description="Whether labels go by given shares or by the fall of the expected error."
    )
    slots: dict[str, int] = Field(
        description="Fixed: labels of each explorer [1]. Adaptive: structures that each one offers [1]."
    )
    arms: list[ArmStatistics] = Field(description="What was known when it was decided.")
    reason: str = Field(description="Why, for a reader.")
