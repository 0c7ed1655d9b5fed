"""What a campaign left behind, finished or not: small records for the report and for `mlip-auto status`."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from mlip_autopipec.schemas import (
    ArmErrorsDoc,
    CampaignDoc,
    ConfirmedBarrier,
    EmbeddedCell,
    EndReason,
    ErrorStatistics,
    FailedLabel,
    Fingerprint,
    GammaCalibrationDoc,
    GenerationRecord,
    KmcEnd,
    KmcEvent,
    KmcStep,
    LabelledStructure,
    LiftedHalt,
    MinimumEnergyPath,
    PotentialDoc,
    RecheckedEvent,
    RejectedEvent,
    ReplayedFrame,
    StopReason,
    ThermoTable,
    ValidationDoc,
    Verdict,
    Walker,
)
from mlip_autopipec.units import FS_TO_PS


@dataclass(frozen=True)
class Label:
    """A label with the generation that asked for it; none for the validation.

    ``shared`` labels had been computed for an earlier batch and cost nothing again.
    """

    generation: int | None
    entry: LabelledStructure
    shared: bool


@dataclass(frozen=True)
class LostLabel:
    """A label that failed, with the generation that asked for it; none for the validation."""

    generation: int | None
    entry: FailedLabel


@dataclass(frozen=True)
class Fit:
    """A fit: its number of labels, training errors and wall time in s."""

    generation: int
    job_id: str
    n_labels: int
    errors: ErrorStatistics
    wall_time: float


@dataclass(frozen=True)
class Walk:
    """A run of a walker: an :class:`ExplorationDoc` without structures and restart file; same units."""

    generation: int
    job_id: str
    walker: Walker
    engine: str
    timestep: float
    start_step: int
    end_step: int
    end_reason: EndReason
    end_value: float | None
    gamma_limit: float
    gamma_start: float
    gamma_max: float
    thermo: ThermoTable
    replayed: list[ReplayedFrame]
    lifted: list[LiftedHalt]
    wall_time: float

    @property
    def halted(self) -> bool:
        """Whether the watchdog ended the run."""
        return self.end_reason != "completed"

    @property
    def n_steps(self) -> int:
        """Number of steps walked."""
        return self.end_step - self.start_step

    @property
    def duration(self) -> float:
        """Time walked in ps."""
        return self.n_steps * self.timestep * FS_TO_PS


@dataclass(frozen=True)
class KmcRun:
    """A run of kinetic Monte Carlo: a :class:`KmcDoc` without structures and eOn's folder; same units."""

    generation: int
    job_id: str
    temperature: float
    end_reason: KmcEnd
    end_detail: str
    time: float
    n_steps: int
    steps: list[KmcStep]
    rejected: list[RejectedEvent]
    rechecked: list[RecheckedEvent]
    confirmed: list[ConfirmedBarrier]
    paths: list[MinimumEnergyPath]
    outcomes: dict[str, int]
    n_halted: int
    n_stuck: int
    n_crashed: int
    n_force_calls: int
    gamma_max: float
    evaluation_time: float
    wall_time: float


@dataclass(frozen=True)
class WallTime:
    """Wall times in s, summed over jobs; failed jobs are not in the store and not counted."""

    training: float
    validation: float
    fit: float
    dynamics: float

    @property
    def total(self) -> float:
        """Sum of all parts in s."""
        return self.training + self.validation + self.fit + self.dynamics


@dataclass(frozen=True)
class Campaign:
    """A campaign as far as it went.

    Parameters
    ----------
    generations
        What each generation with at least one finished walk did.
    labels
        All labels, training first, in the order of their batches.
    failed
        Labels that failed.
    fits
        One a generation that fitted.
    slow_fits
        Those of milestones and of the end.
    calibration
        What gamma meant in the last generation that was labelled.
    walks
        All walks, in the order of their generations.
    kmc
        Runs of kinetic Monte Carlo, likewise.
    kmc_events
        Events of the last of them and of all before.
    cells
        Small cells that were tried in the place of large ones, each with its generation.
    measured
        True errors of the explorers' labels under a policy, each with its generation.
    potential
        The last potential.
    validation
        Its judgement.
    end
        The last document; none while the campaign is unfinished.
    """

    generations: tuple[GenerationRecord, ...] = ()
    labels: tuple[Label, ...] = ()
    failed: tuple[LostLabel, ...] = ()
    fits: tuple[Fit, ...] = ()
    slow_fits: tuple[Fit, ...] = ()
    calibration: GammaCalibrationDoc | None = None
    walks: tuple[Walk, ...] = ()
    kmc: tuple[KmcRun, ...] = ()
    kmc_events: tuple[KmcEvent, ...] = ()
    cells: tuple[tuple[int, EmbeddedCell], ...] = ()
    measured: tuple[tuple[int, ArmErrorsDoc], ...] = ()
    potential: PotentialDoc | None = None
    validation: ValidationDoc | None = None
    end: CampaignDoc | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict of the validation, where there is one."""
        return self.validation.verdict if self.validation else None

    @property
    def stop_reason(self) -> StopReason | None:
        """Why the loop ended, once it did."""
        return self.end.state.stop_reason if self.end else None

    @property
    def training_labels(self) -> tuple[Label, ...]:
        """Labels of the generations."""
        return tuple(label for label in self.labels if label.generation is not None)

    @property
    def validation_labels(self) -> tuple[Label, ...]:
        """Labels of the validation."""
        return tuple(label for label in self.labels if label.generation is None)

    def distinct_labels(self, *, validation: bool) -> list[LabelledStructure]:
        """Labels of the validation or of the training, each once, for other programs."""
        chosen = self.validation_labels if validation else self.training_labels
        return list({label.entry.label_id: label.entry for label in chosen}.values())

    @cached_property
    def elements(self) -> tuple[str, ...]:
        """Elements of the potential, or of the labels so far, alphabetically."""
        if self.potential is not None:
            return tuple(self.potential.elements)
        symbols = {s for label in self.labels for s in label.entry.label.structure.symbols}
        return tuple(sorted(symbols))

    @property
    def formulas(self) -> tuple[str, ...]:
        """Formulas of the structures given by the user."""
        given = [i.entry.label.structure.formula for i in self.labels if i.entry.origin == "user"]
        return tuple(dict.fromkeys(given))

    @property
    def fingerprint(self) -> Fingerprint | None:
        """Conditions of the labels, which one campaign has one of."""
        return self.labels[0].entry.label.fingerprint if self.labels else None

    @property
    def n_halts(self) -> int:
        """Walks that the watchdog ended."""
        return sum(record.n_halts for record in self.generations)

    @property
    def trained_held_out(self) -> tuple[str, ...]:
        """Ids of held-out labels that the potential was trained on; there should be none."""
        if self.validation is None or self.potential is None:
            return ()
        trained = {point.label_id for point in self.potential.parity}
        return tuple(p.label_id for p in self.validation.held_out.parity if p.label_id in trained)

    @property
    def wall_time(self) -> WallTime:
        """Where the time went."""
        return WallTime(
            training=_oracle_time(self.training_labels),
            validation=_oracle_time(self.validation_labels),
            fit=sum(fit.wall_time for fit in (*self.fits, *self.slow_fits)),
            dynamics=sum(w.wall_time for w in self.walks) + sum(run.wall_time for run in self.kmc),
        )

    @property
    def progress(self) -> str:
        """How far the campaign is, in words."""
        if self.end is not None:
            return "finished"
        if self.validation is not None or self.validation_labels:
            return "unfinished, in the validation"
        labelled = [label.generation for label in self.labels if label.generation is not None]
        numbers = labelled + [fit.generation for fit in self.fits] + [w.generation for w in self.walks]
        return f"unfinished, in generation {max(numbers)}" if numbers else "no label has finished yet"


def _oracle_time(labels: Iterable[Label]) -> float:
    return sum(label.entry.label.wall_time for label in labels if not label.shared)
