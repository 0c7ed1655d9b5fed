"""Reference labels: what an oracle says of a structure, and under which conditions."""

from typing import Any, ClassVar, Literal, Self

from pydantic import Field

from mlip_autopipec.schemas.base import Document, Migration
from mlip_autopipec.schemas.structure import (
    AtomicStructure,
    CandidateStructure,
    LabelWeights,
    Origin,
    Vector,
)

Matrix = tuple[Vector, Vector, Vector]


class Fingerprint(Document):
    """The conditions of a label; labels of different conditions do not belong into one data set."""

    code: str = Field(description="Program, e.g. 'pw.x' or 'ase:emt'.")
    version: str = Field(description="Version of the program.")
    settings: dict[str, str | float | bool] = Field(
        default_factory=dict,
        description="Whatever changes the numbers: functional, cut-offs [Ry], k-spacing [1/Å] …",
    )
    pseudopotentials: dict[str, str] = Field(
        default_factory=dict, description="SHA-256 of each element's pseudopotential file."
    )

    def differences(self, other: "Fingerprint") -> list[str]:
        """List what differs, one line each; an element present on one side only is no difference."""
        found = [
            f"{name}: {mine} / {theirs}"
            for name, mine, theirs in (
                ("code", self.code, other.code),
                ("version", self.version, other.version),
            )
            if mine != theirs
        ]
        for key in sorted(self.settings.keys() | other.settings.keys()):
            mine, theirs = self.settings.get(key, "(not set)"), other.settings.get(key, "(not set)")
            if mine != theirs:
                found.append(f"{key}: {mine} / {theirs}")
        for element in sorted(self.pseudopotentials.keys() & other.pseudopotentials.keys()):
            mine, theirs = self.pseudopotentials[element], other.pseudopotentials[element]
            if mine != theirs:
                found.append(f"pseudopotential of {element}: {mine[:12]}… / {theirs[:12]}…")
        return found


class Correction(Document):
    """One failed attempt of a calculation, and what was changed for the next one."""

    symptom: str = Field(description="How the attempt ended, e.g. 'unconverged' or 'killed'.")
    message: str = Field(description="What the program said.")
    cure: str = Field(description="What was done, in words.")
    changes: dict[str, str | bool | int | float | None] = Field(
        default_factory=dict,
        description="What was set for the next attempt, null: removed [units of the program's input].",
    )
    source: str = Field(description="Why this should help: documentation or a measurement.")
    physics: bool = Field(
        False, description="Whether the numbers depend on it; then the fingerprint has it too."
    )
    wall_time: float = Field(description="Wall time of the failed attempt [s].")


def _keys_without_dots(label: dict[str, Any]) -> dict[str, Any]:
    """Make version 2 of version 1: variables of pw.x lose their namelist ("electrons.mixing_beta")."""
    corrections = [
        {**c, "changes": {key.rpartition(".")[2]: value for key, value in c.get("changes", {}).items()}}
        for c in label.get("corrections", [])
    ]
    return {**label, "corrections": corrections}


class LabelDoc(Document):
    """Energy, forces and stress of one structure by the oracle. Only converged, finite results become one."""

    schema_version: Literal[2] = 2
    migrations: ClassVar[dict[int, Migration]] = {1: _keys_without_dots}
    structure: AtomicStructure = Field(description="The structure that was computed.")
    energy: float = Field(description="Energy of the cell, consistent with the forces [eV].")
    forces: list[Vector] = Field(description="Forces [eV/Å], shape (n_atoms, 3).")
    stress: Matrix | None = Field(
        description="Stress, tension positive [eV/Å^3], shape (3, 3); none if not periodic."
    )
    fingerprint: Fingerprint = Field(description="Conditions of the calculation.")
    wall_time: float = Field(description="Wall time of the calculation [s].")
    scf_iterations: int | None = Field(
        None, description="Number of SCF iterations, where the oracle has any [1]."
    )
    magnetization: float | None = Field(
        None, description="Total magnetisation, if spin-polarised [Bohr magneton/cell]."
    )
    absolute_magnetization: float | None = Field(
        None, description="Integral of the absolute magnetisation, if spin-polarised [Bohr magneton/cell]."
    )
    corrections: list[Correction] = Field(
        default_factory=list, description="Attempts that failed before the one that converged, in order."
    )
    notes: list[str] = Field(default_factory=list, description="What a reader of the numbers should know.")


class LabelledStructure(Document):
    """A label with the origin of its structure."""

    label: LabelDoc = Field(description="The label.")
    label_id: str = Field(description="Id of the job that made it.")
    origin: Origin = Field(description="How the structure was made.")
    detail: str = Field("", description="What was done to make it.")
    gamma: float | None = Field(None, description="Extrapolation grade when it was found, MaxVol scale [1].")
    group: str = Field(
        "", description="What it is correlated with, e.g. its trajectory; empty if it stands alone."
    )
    arm: str = Field("", description="Explorer that found it, as the policy names it; empty if none did.")
    control: bool = Field(False, description="Drawn at random, to be compared with what was chosen.")
    audit: bool = Field(False, description="Judged certain before, and labelled to see whether it is.")
    weights: LabelWeights | None = Field(
        None, description="How much it counts in a fit; none if all of it counts in full."
    )

    @classmethod
    def of(cls, label: LabelDoc, label_id: str, candidate: CandidateStructure) -> Self:
        """Join a label and the candidate it was made of.

        Parameters
        ----------
        label
            The label.
        label_id
            Id of the job that made it.
        candidate
            Where its structure comes from.

        Returns
        -------
        LabelledStructure
            Both.
        """
        origin = candidate.model_dump(exclude={"structure", "required"})
        return cls(label=label, label_id=label_id, **origin)


class EnergyShift(Document):
    """How labels of other conditions were brought to the energy scale of a data set."""

    differences: list[str] = Field(description="What differs: the data set's own / theirs.")
    shift: dict[str, float] = Field(description="Subtracted for each atom of an element [eV].")
    n_labels: int = Field(description="Number of labels that were shifted [1].")
    n_common: int = Field(description="Structures labelled under both conditions, which gave the shift [1].")
    residual: float | None = Field(
        description="Root mean square of what the shift leaves on these; none if they just determine it "
        "[eV/atom]."
    )


class FailedLabel(Document):
    """A structure that could not be labelled."""

    label_id: str = Field(
        description="Id of the job that failed; its folder and error are in `mlip-auto status`."
    )
    structure: AtomicStructure = Field(description="The structure.")
    origin: Origin = Field(description="How the structure was made.")
    reason: str = Field("", description="Why, in one line.")


class LabelBatchDoc(Document):
    """The labels of one selection."""

    schema_version: Literal[1] = 1
    labels: list[LabelledStructure] = Field(description="What was labelled.")
    failed: list[FailedLabel] = Field(description="What could not be labelled.")
    n_labels: int = Field(description="Number of labels [1].")
    wall_time: float = Field(description="Summed wall time of the oracle [s].")
