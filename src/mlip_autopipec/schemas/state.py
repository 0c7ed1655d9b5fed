"""The one small document between the generations of the loop."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.exploration import Walker
from mlip_autopipec.schemas.policy import ArmStatistics, PolicyDecision
from mlip_autopipec.schemas.validation import Verdict

StopReason = Literal["no_halt", "label_budget", "generation_limit"]


class GenerationRecord(Document):
    """What one generation did."""

    generation: int = Field(description="Number of the generation [1]; 0 is the fit to the seed structures.")
    n_labels: int = Field(description="Labels in the data set after it [1].")
    n_failed: int = Field(description="Labels that failed in it [1].")
    n_explorations: int = Field(description="Exploration runs in it [1].")
    n_halts: int = Field(description="Runs that the watchdog ended [1].")
    n_steps: int = Field(description="MD steps walked in it [1].")
    gamma_max: float = Field(description="Largest gamma seen, MaxVol scale [1].")
    energy_rmse: float = Field(description="Training error of the potential it explored with [eV/atom].")
    force_rmse: float = Field(description="Training error of the potential it explored with [eV/Å].")


class WorkflowState(Document):
    """Where the campaign stands. Everything large is referred to by job id."""

    schema_version: Literal[1] = 1
    generation: int = Field(0, description="Number of the current generation [1].")
    round: int = Field(0, description="Number of the current round of walks [1].")
    quiet_rounds: int = Field(0, description="Rounds in a row without any halt [1].")
    calibration: str | None = Field(None, description="Id of the job that last calibrated gamma.")
    n_audited: int = Field(0, description="Frames judged certain but sent to the oracle [1].")
    quiet_walks: int = Field(0, description="Runs since the last halt, all with the current potential [1].")
    quiet_time: float = Field(0.0, description="Simulated time of those runs [ps].")
    round_halts: int = Field(0, description="Halts in the current round so far [1].")
    potentials: list[str] = Field(min_length=1, description="Ids of the jobs that fitted, the latest last.")
    milestones: list[str] = Field(
        default_factory=list, description="Ids of the jobs that fitted slowly on the way."
    )
    final: str | None = Field(None, description="Id of the slow fit at the end; none if there was none.")
    seeds: str = Field(
        description="Id of the job that made the seed structures and holds the reference crystals."
    )
    n_starts: int = Field(0, description="Number of reference crystals [1].")
    batches: list[str] = Field(default_factory=list, description="Ids of the jobs that gathered labels.")
    walkers: list[Walker] = Field(default_factory=list, description="The walkers of the current round.")
    completed: list[str] = Field(
        default_factory=list, description="Ids of explorations that walked to their end, in time order."
    )
    n_failed: int = Field(0, description="Labels that failed so far [1].")
    failed_batches: int = Field(0, description="Batches in a row of which too many labels failed [1].")
    n_labels: int = Field(0, description="Labels so far [1].")
    history: list[GenerationRecord] = Field(default_factory=list, description="What each generation did.")
    search: str | None = Field(
        None, description="Id of the job that looked for uncertain structures beside the walks, if any did."
    )
    kmc_cell: str | None = Field(
        None, description="Id of the job that made the cell of the kinetic Monte Carlo, if there is any."
    )
    kmc: list[str] = Field(default_factory=list, description="Ids of its runs, in time order.")
    kmc_quiet: str | None = Field(
        None,
        description="Id of the potential with which its last run met nothing uncertain, or was given up.",
    )
    kmc_uncertain: bool = Field(False, description="Whether the run of this generation was too uncertain.")
    kmc_failures: int = Field(0, description="Runs in a row that could not go on [1].")
    kmc_atoms: int = Field(0, description="Atoms of its cell [1].")
    arms: list[ArmStatistics] = Field(default_factory=list, description="What each explorer brought so far.")
    decisions: list[PolicyDecision] = Field(
        default_factory=list, description="What the exploration policy decided; empty without a policy."
    )
    n_repairs: int = Field(0, description="Times that the loop went on after a failed validation [1].")
    repairs: list[str] = Field(
        default_factory=list, description="What failed each time and which structures were learned for it."
    )
    stop_reason: StopReason | None = Field(None, description="Why the loop ended; none while it goes on.")

    @property
    def potential(self) -> str:
        """Id of the job that fitted the current potential."""
        return self.potentials[-1]

    @property
    def delivered(self) -> str:
        """Id of the job that fitted the potential to be delivered."""
        return self.final or self.potential


class CampaignDoc(Document):
    """How a campaign ended; its last document."""

    schema_version: Literal[1] = 1
    state: WorkflowState = Field(description="The last state, with the history of all generations.")
    verdict: Verdict = Field(description="Verdict of the validation.")
    validation: str = Field(description="Id of the job that summed up the validation.")
    halt_rate_limit: float | None = Field(
        None,
        description="Halts of the loop's last potential are rarer than this with 95 % confidence, at the "
        "states that were walked [1/ns]; none if it did not walk without a halt.",
    )
    n_training_labels: int = Field(description="Labels spent on training [1].")
    n_validation_labels: int = Field(description="Labels spent on validation [1].")
