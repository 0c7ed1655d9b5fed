"""Exploration runs: a walker, its run, and why it ended."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.structure import AtomicStructure, CandidateStructure, FileData

EndReason = Literal[
    "completed",
    "gamma",
    "smallest_distance",
    "temperature",
    "pressure",
    "energy",
    "lost_atoms",
    "not_finite",
]
"""Why a run ended: it did all its steps, or which of the watchdog's limits it met."""


class Walker(Document):
    """A trajectory to be walked: where it starts, how hot, how long, and how far it is."""

    index: int = Field(description="Number of the walker in its round [1].")
    round: int = Field(description="Number of the round of walks [1].")
    start: int = Field(description="Index of the structure it starts from, among the reference crystals [1].")
    temperature: float = Field(gt=0, description="Temperature of the thermostat [K].")
    n_steps: int = Field(gt=0, description="Steps to walk in all [1].")
    seed: int = Field(ge=0, description="Seed of the initial velocities [1].")
    steps_done: int = Field(0, description="Steps walked so far [1].")
    n_halts: int = Field(0, description="How often it was halted so far [1].")
    n_stuck: int = Field(0, description="How often in a row it was halted without progress [1].")
    cooled_from: float | None = Field(
        None, description="Temperature before it was lowered for halting again and again [K], if it was."
    )
    resume_from: str | None = Field(
        None, description="Id of the exploration job whose end it continues from."
    )
    finished: bool = Field(False, description="It walked all its steps, or was given up.")
    given_up: str | None = Field(None, description="Why it was given up, if it was.")

    @property
    def arm(self) -> str:
        """What the policy calls it: all walkers at one temperature are one explorer."""
        return f"md {self.temperature:g} K"


class ThermoTable(Document):
    """What was logged along a run, one entry a row."""

    step: list[int] = Field(description="Step within the walk [1].")
    temperature: list[float] = Field(description="Temperature [K].")
    potential_energy: list[float] = Field(description="Potential energy per atom, without E0 [eV/atom].")
    pressure: list[float] = Field(description="Pressure [GPa].")
    volume: list[float] = Field(default_factory=list, description="Volume per atom [Å^3].")
    gamma: list[float] = Field(description="Largest extrapolation grade over the atoms, MaxVol scale [1].")


class ReplayedFrame(Document):
    """A frame of the run before, graded again with the potential that was fitted since."""

    detail: str = Field(description="Which frame it is.")
    gamma_before: float = Field(description="Grade by the potential that met it [1].")
    gamma_after: float = Field(description="Grade by the potential that goes on [1].")


class LiftedHalt(Document):
    """A frame at which gamma would have halted a walk, had its forces not been estimated as good enough."""

    step: int = Field(description="Step of the walk [1].")
    gamma: float = Field(description="Its grade, MaxVol scale [1].")
    force_error: float = Field(description="Estimate of its largest force error [eV/Å].")


class ExplorationDoc(Document):
    """One run of a walker with one potential."""

    schema_version: Literal[1] = 1
    walker: Walker = Field(description="The walker as it was when the run began.")
    engine: str = Field(description="Program and version.")
    engine_reason: str = Field("", description="Why this program, where there was a choice.")
    timestep: float = Field(description="Time step [fs].")
    start_step: int = Field(description="Step of the walk at which the run began [1].")
    end_step: int = Field(description="Step of the walk at which the run ended [1].")
    end_reason: EndReason = Field(description="Why the run ended.")
    end_value: float | None = Field(
        None,
        description="Value that met the limit: gamma, distance over that where the core begins, temperature "
        "over the thermostat's [1]; pressure [GPa]; change of energy [eV/atom].",
    )
    gamma_limit: float = Field(description="Gamma at which the watchdog halts, MaxVol scale [1].")
    force_error: float | None = Field(
        None,
        description="Estimate of the largest force error of the frame that gamma halted at [eV/Å]; none if "
        "there was no halt or no estimate.",
    )
    lifted: list[LiftedHalt] = Field(
        default_factory=list, description="Halts by gamma that the estimate lifted, in time order."
    )
    gamma_start: float = Field(
        description="Gamma at the first step, e.g. of the halted frame after refitting [1]."
    )
    gamma_max: float = Field(description="Largest gamma of the run, MaxVol scale [1].")
    thermo: ThermoTable = Field(description="Log of the run.")
    frames: list[CandidateStructure] = Field(description="Extrapolative frames worth a label, in time order.")
    certain: CandidateStructure | None = Field(
        None, description="End of a completed run, judged certain: what an audit labels."
    )
    replayed: list[ReplayedFrame] = Field(
        default_factory=list,
        description="Extrapolative frames of the run it continues, graded with the new potential.",
    )
    final: AtomicStructure = Field(description="Last graded structure; broken if the end is not sane.")
    restart: FileData | None = Field(
        None, repr=False, description="Restart file of the engine at the end; none if the end is not sane."
    )
    n_swaps_tried: int = Field(0, description="Monte Carlo moves tried in the walk so far [1].")
    n_swaps: int = Field(0, description="Monte Carlo moves accepted in the walk so far [1].")
    wall_time: float = Field(description="Wall time [s].")

    @property
    def halted(self) -> bool:
        """Whether the watchdog ended the run."""
        return self.end_reason != "completed"
