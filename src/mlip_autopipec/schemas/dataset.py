"""A data set: which labels it is made of, how they are divided, and what is odd about them."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.label import EnergyShift, Fingerprint

E0Mode = Literal["auto", "isolated", "least_squares"]
"""Where the energies of the free atoms come from; ``auto`` prefers labelled isolated atoms."""

OutlierKind = Literal["short distance", "large force", "unusual energy"]
"""What may be wrong with a label."""


class DuplicatePair(Document):
    """Two labels of one structure."""

    first: str = Field(description="Id of the label that came first.")
    second: str = Field(description="Id of the other label.")
    kind: Literal["identical", "equivalent"] = Field(
        description="Equal number by number, or up to a motion and the order of the atoms."
    )
    energy_difference: float = Field(description="Energy of the second minus that of the first [eV/atom].")


class Outlier(Document):
    """A label that is worth a look."""

    label_id: str = Field(description="Id of the label.")
    formula: str = Field(description="Chemical formula of the structure.")
    kind: OutlierKind = Field(description="What is unusual.")
    value: float = Field(
        description="Distance over the sum of covalent radii [1], force [eV/Å], or robust z-score [1]."
    )
    limit: float = Field(description="Where the unusual begins, in the unit of the value [1 or eV/Å].")
    detail: str = Field(description="The same in words.")


class ExcludedLabel(Document):
    """A label that is neither trained on nor tested on."""

    label_id: str = Field(description="Id of the label.")
    formula: str = Field(description="Chemical formula of the structure.")
    reason: str = Field(description="Why.")


class DatasetDoc(Document):
    """What a potential can be trained and tested on. It names labels; the labels stay where they are."""

    schema_version: Literal[1] = 1
    train: list[str] = Field(description="Ids of the training labels, in the order they were bought.")
    test: list[str] = Field(description="Ids of the test labels; none has a sibling among the training ones.")
    groups: dict[str, list[str]] = Field(
        description="Ids of labels that belong together (a trajectory, duplicates), by name of the group."
    )
    test_fraction: float = Field(description="Fraction of the labels that was meant for the test [1].")
    seed: int = Field(description="Seed of the division [1].")
    elements: list[str] = Field(description="Elements, alphabetically.")
    e0: dict[str, float] = Field(description="Energy of each element's free atom [eV].")
    e0_source: str = Field(description="How E0 was obtained.")
    fingerprint: Fingerprint = Field(
        description="Conditions under which the labels were made, but for the realigned ones."
    )
    realigned: list[EnergyShift] = Field(
        default_factory=list, description="Labels of other conditions and how their E0 was shifted."
    )
    n_labels: int = Field(description="Number of labels looked at, excluded ones as well [1].")
    n_failed: int = Field(description="Number of structures that could not be labelled [1].")
    n_stress: int = Field(description="Number of training and test labels with a stress [1].")
    n_by_formula: dict[str, int] = Field(
        description="Training and test structures by reduced formula, a count each [1]."
    )
    n_atoms: dict[str, int] = Field(description="Atoms in training and test structures by element [1].")
    n_by_origin: dict[str, int] = Field(
        description="Training and test structures by origin, a count each [1]."
    )
    duplicates: list[DuplicatePair] = Field(
        description="Labels of the same structure; they are kept, on the same side of the division."
    )
    outliers: list[Outlier] = Field(description="Labels worth a look.")
    excluded: list[ExcludedLabel] = Field(description="Labels that are set aside.")
    shortest_distances: dict[str, float] = Field(description="Shortest distance of each pair 'A-B' [Å].")
    energy_above_hull: dict[str, float] = Field(
        description="Largest energy above the convex hull by reduced formula; the smallest over all is 0 "
        "[eV/atom]."
    )
    largest_force: float = Field(description="Largest norm of a force [eV/Å].")
    warnings: list[str] = Field(description="What a user should know before fitting, one sentence each.")
