"""Validation of a potential against its oracle."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.potential import ErrorStatistics, ParityPoint

Verdict = Literal["pass", "warn", "fail"]


class Check(Document):
    """One number held against a limit."""

    name: str = Field(description="What was checked.")
    value: float = Field(description="What was found, in `unit`.")
    reference: float | None = Field(
        None, description="What the oracle says, in `unit`; none if it has no say."
    )
    limit: float = Field(
        description="Largest value, or difference from the reference, that passes, in `unit`."
    )
    unit: str = Field(description="Unit of value, reference and limit.")
    verdict: Verdict = Field(description="Judgement.")
    reason: str = Field(description="The judgement in words.")


class EosFit(Document):
    """Parameters of a Birch-Murnaghan equation of state."""

    v0: float = Field(description="Equilibrium volume [Å^3/atom].")
    e0: float = Field(description="Energy at v0, relative to free atoms [eV/atom].")
    b0: float = Field(description="Bulk modulus at v0 [GPa].")
    b0_prime: float = Field(description="Pressure derivative of the bulk modulus [1].")


class EosDoc(Document):
    """Energy against volume by oracle and potential, from the same structures and the same fit."""

    schema_version: Literal[1] = 1
    formula: str = Field(description="What was strained.")
    volumes: list[float] = Field(description="Volumes [Å^3/atom].")
    energies_reference: list[float] = Field(description="Energies by the oracle relative to E0 [eV/atom].")
    energies_predicted: list[float] = Field(description="Energies by the potential relative to E0 [eV/atom].")
    reference: EosFit = Field(description="Fit to the oracle.")
    predicted: EosFit = Field(description="Fit to the potential.")
    checks: list[Check] = Field(description="Judgements.")


class LearningPoint(Document):
    """Errors of one generation's potential on the held-out structures."""

    n_labels: int = Field(description="Labels it was fitted to [1].")
    energy_rmse: float = Field(description="Root mean square error of the energy per atom [eV/atom].")
    force_rmse: float = Field(description="Root mean square error of the force components [eV/Å].")
    method: Literal["linear-ace", "pacemaker", "given"] = Field(
        "linear-ace", description="How it was fitted."
    )


class HeldOutDoc(Document):
    """Errors on structures that were never trained on."""

    schema_version: Literal[1] = 1
    errors: ErrorStatistics = Field(description="Errors over all of them.")
    parity: list[ParityPoint] = Field(repr=False, description="Point by point.")
    learning_curve: list[LearningPoint] = Field(
        default_factory=list, description="Errors of all potentials of the campaign on the same structures."
    )
    checks: list[Check] = Field(description="Judgements.")


class StabilityDoc(Document):
    """Short constant-energy MD and dimer scans with the potential alone."""

    schema_version: Literal[1] = 1
    n_atoms: int = Field(description="Atoms of the MD cell [1].")
    n_steps: int = Field(description="Steps of the MD run [1].")
    timestep: float = Field(description="Time step [fs].")
    temperature: float = Field(
        description="Temperature of the initial velocities, halved by equipartition [K]."
    )
    energy_drift: float = Field(
        description="Drift: |slope of the total energy| times the duration [eV/atom]."
    )
    gamma_max: float | None = Field(
        description="Largest extrapolation grade, MaxVol scale; none without an active set [1]."
    )
    lost_atoms: int = Field(description="Atoms lost [1].")
    time: list[float] = Field(description="Times [fs].")
    total_energy: list[float] = Field(description="Total energy relative to the start [eV/atom].")
    dimer_distances: list[float] = Field(description="Distances of the dimer scan [Å].")
    dimer_energies: dict[str, list[float]] = Field(
        description="Energy of each pair 'A-B' relative to E0 [eV]."
    )
    checks: list[Check] = Field(description="Judgements.")


class ValidationDoc(Document):
    """All checks of a potential and the verdict."""

    schema_version: Literal[1] = 1
    verdict: Verdict = Field(description="The worst of all checks.")
    checks: list[Check] = Field(description="All checks.")
    held_out: HeldOutDoc = Field(description="Held-out errors.")
    eos: EosDoc = Field(description="Equation of state.")
    stability: StabilityDoc = Field(description="MD and dimers.")
    n_labels: int = Field(description="Labels spent on validation [1].")
    wall_time: float = Field(description="Summed wall time of the oracle for it [s].")
