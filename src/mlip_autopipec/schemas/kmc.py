"""Adaptive kinetic Monte Carlo: states, events, the trajectory between them, and what was uncertain."""

from typing import Literal

from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.schemas.exploration import ReplayedFrame
from mlip_autopipec.schemas.structure import AtomicStructure, CandidateStructure, FileData, Vector

KmcEnd = Literal[
    "steps",
    "states",
    "simulated_time",
    "wall_time",
    "uncertain",
    "unconfirmed",
    "failed",
]
"""Why a run ended: it did its steps, met a limit, met what must be labelled first (because it was uncertain,
or because the rates hang on it), or could not go on."""


class KmcState(Document):
    """A minimum that the run visited."""

    id: str = Field(description="Potential generation and eOn's number, such as '2.0'.")
    generation: int = Field(description="Potential generation whose minimum it is [1].")
    energy: float = Field(description="Energy without E0 [eV].")
    n_searches: int = Field(description="Searches that ended in this state [1].")
    structure: AtomicStructure = Field(description="The minimum.")


class KmcEvent(Document):
    """A way out of a state over a saddle."""

    id: str = Field(description="State and eOn's number of the process, such as '2.0.17'.")
    state: str = Field(description="State it leaves.")
    product_state: str | None = Field(None, description="State it leads to; none until it is taken.")
    generation: int = Field(description="Potential generation whose energies these are [1].")
    found_in: int = Field(description="Potential generation in which it was found first [1].")
    barrier: float = Field(description="Energy of the saddle above the state [eV].")
    reverse_barrier: float = Field(description="Energy of the saddle above the product [eV].")
    prefactor: float = Field(description="Prefactor of the rate [1/s].")
    rate: float = Field(description="Rate at the temperature of the run [1/s].")
    n_found: int = Field(description="How often searches found it [1].")
    n_negative_modes: int = Field(description="Negative modes of the saddle; 1 for a saddle [1].")
    gamma: float = Field(description="Largest extrapolation grade at the saddle, MaxVol scale [1].")
    saddle: AtomicStructure = Field(description="The saddle.")
    product: AtomicStructure = Field(description="The minimum behind it.")
    mode: list[Vector] = Field(description="Direction over the saddle, normalised [1], shape (n_atoms, 3).")


class KmcStep(Document):
    """One step of the trajectory."""

    state: str = Field(description="State that was left.")
    product_state: str = Field(description="State that was entered.")
    event: str | None = Field(
        description="Event that was taken; none for a step out of a superbasin, or by dynamics."
    )
    step_time: float = Field(description="Time spent in the state [s].")
    time: float = Field(description="Simulated time after the step, of all generations together [s].")
    barrier: float = Field(description="Barrier that was crossed; 0 where there is no event [eV].")
    energy: float = Field(description="Energy of the state that was left, without E0 [eV].")


class RejectedEvent(Document):
    """What a search took for an event and is none."""

    state: str = Field(description="State of the search.")
    reason: str = Field(description="Why it was refused.")
    barrier: float = Field(description="Its barrier [eV].")
    n_negative_modes: int | None = Field(None, description="Negative modes of its saddle [1].")


class RecheckedEvent(Document):
    """An event of an earlier potential, searched again from its saddle with the potential that goes on."""

    event: str = Field(description="Event as the earlier document names it.")
    found_in: int = Field(description="Potential generation in which it was found first [1].")
    barrier_before: float = Field(description="Barrier by the earlier potential [eV].")
    barrier_after: float | None = Field(description="Barrier by this potential; none if it is gone [eV].")
    outcome: str = Field(description="How the search ended.")


class ConfirmedBarrier(Document):
    """What the oracle says of a low barrier, at the potential's own minimum and saddle."""

    event: str = Field(description="The event.")
    generation: int = Field(description="Potential generation whose points were labelled [1].")
    barrier: float = Field(description="Barrier by that potential [eV].")
    oracle_barrier: float | None = Field(
        description="Barrier by the oracle, between the same two points; none if they have no label [eV]."
    )
    largest_force: float | None = Field(
        description="Largest component of the oracle's forces at these points; none without labels [eV/Å]."
    )
    barrier_after: float | None = Field(
        description="Barrier by the potential fitted to these labels; none if the saddle is gone [eV]."
    )


class PathPoint(Document):
    """A point of a minimum-energy path."""

    distance: float = Field(description="Length of the path from the state to here [Å].")
    energy: float = Field(description="Energy above the state [eV].")


class MinimumEnergyPath(Document):
    """The path of an event, by a climbing-image nudged elastic band with the potential of the run."""

    event: str = Field(description="The event.")
    points: list[PathPoint] = Field(description="From state to product.")
    largest_force: float = Field(description="Largest force across the band that is left [eV/Å].")


class KmcDoc(Document):
    """An adaptive kinetic Monte Carlo run with one potential, and what the runs before it found."""

    schema_version: Literal[1] = 1
    engine: str = Field(description="Programs and versions.")
    potential: str = Field(description="Hash of the potential's file.")
    generation: int = Field(description="Number of the potential among those of this trajectory [1].")
    method: Literal["akmc", "parallel_replica"] = Field("akmc", description="How states are left.")
    temperature: float = Field(description="Temperature of the rates [K].")
    confidence: float = Field(description="Confidence at which a state is left [1].")
    end_reason: KmcEnd = Field(description="Why the run ended.")
    end_detail: str = Field("", description="The same in words, with the value.")
    time: float = Field(description="Simulated time of all generations together [s].")
    n_steps: int = Field(description="Steps in this run's generation [1].")
    states: list[KmcState] = Field(description="States, those of earlier generations first.")
    events: list[KmcEvent] = Field(description="Events, those of earlier generations first.")
    steps: list[KmcStep] = Field(description="The trajectory, all generations.")
    rejected: list[RejectedEvent] = Field(description="What was no event, in this generation.")
    rechecked: list[RecheckedEvent] = Field(
        default_factory=list, description="Events of earlier generations, searched again."
    )
    to_confirm: list[str] = Field(
        default_factory=list,
        description="Events whose saddles and states are among the frames, to be labelled.",
    )
    confirmed: list[ConfirmedBarrier] = Field(
        default_factory=list, description="Barriers that the oracle was asked for, all generations."
    )
    replayed: list[ReplayedFrame] = Field(
        default_factory=list,
        description="Uncertain frames of the run before, graded with the new potential.",
    )
    paths: list[MinimumEnergyPath] = Field(
        default_factory=list, description="Paths of the likeliest events of the last state."
    )
    outcomes: dict[str, int] = Field(description="How searches ended, by eOn's words: their number [1].")
    n_halted: int = Field(description="Searches that the watchdog ended [1].")
    n_stuck: int = Field(description="Searches that spent all their force calls [1].")
    n_crashed: int = Field(description="Searches whose client left no result [1].")
    n_force_calls: int = Field(description="Force calls of this run, all graded [1].")
    gamma_limit: float = Field(description="Gamma at which the watchdog ends a search, MaxVol scale [1].")
    gamma_max: float = Field(description="Largest gamma seen, MaxVol scale [1].")
    frames: list[CandidateStructure] = Field(description="Uncertain structures worth a label.")
    final: AtomicStructure = Field(description="The last state.")
    restart: FileData | None = Field(
        None, repr=False, description="eOn's own folder, packed: states, random numbers, simulated time."
    )
    evaluation_time: float = Field(description="Mean wall time of a force call in this process [ms].")
    wall_time: float = Field(description="Wall time [s].")

    @property
    def halted(self) -> bool:
        """Whether the run ended for something that must be labelled first."""
        return self.end_reason in ("uncertain", "unconfirmed")

    def of_generation(self) -> list[KmcEvent]:
        """Events with the energies of this run's potential."""
        return [event for event in self.events if event.generation == self.generation]
