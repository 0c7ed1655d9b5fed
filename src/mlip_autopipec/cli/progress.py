"""One line a finished stage, the same with or without a terminal; a live line besides on a terminal."""

from collections import Counter
from dataclasses import dataclass, field
from time import monotonic

from jobflow import JobStore
from rich.console import Console
from rich.status import Status

from mlip_autopipec.errors import StoreError
from mlip_autopipec.execution.local import JobEvent
from mlip_autopipec.schemas import (
    ExplorationDoc,
    KmcDoc,
    LabelBatchDoc,
    LinearFitReport,
    PotentialDoc,
    SelectionDoc,
    ValidationDoc,
)
from mlip_autopipec.store import load_output

# Jobs whose end is the end of a stage: the first words of their names.
_LAST = ("select", "gather labels", "fit", "summarise", "explore by eon kmc")


@dataclass
class Progress:
    """Turns the events of a run into lines.

    Parameters
    ----------
    store
        Where finished documents are.
    console
        Where lines go.
    """

    store: JobStore
    console: Console
    _begun: dict[tuple[str, object], float] = field(default_factory=dict)
    _reused: Counter[tuple[str, object]] = field(default_factory=Counter)
    _walks: list[str] = field(default_factory=list)
    _live: Status | None = None

    def __enter__(self) -> "Progress":
        self._start = monotonic()
        if self.console.is_terminal:
            self._live = self.console.status("starting")
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def __call__(self, event: JobEvent) -> None:
        """Take note of an event, and print a line if it ends a stage."""
        stage = str(event.metadata.get("stage", ""))
        key = (stage, event.metadata.get("generation"))
        self._begun.setdefault(key, monotonic())
        self._reused[key] += event.kind == "reused" and "label" in event.metadata
        if event.kind == "failed":
            self._print(key, event.name, f"failed: {event.error}")
            self.console.print(f"    folder: {event.folder}", highlight=False, markup=False, soft_wrap=True)
        elif event.kind in ("done", "reused"):
            self._finished(event, key)
        if self._live is not None:
            self._live.update(f"{event.name}   {event.running} running   {self._clock(self._start)}")

    def _finished(self, event: JobEvent, key: tuple[str, object]) -> None:
        if key[0] == "explore":
            self._walks.append(event.uuid)
        elif key[0] == "decide" and self._walks:
            walks, self._walks = self._walks, []
            docs = [load_output(self.store, uuid) for uuid in walks]
            self._print(
                ("explore", key[1]), "explore", _walked([d for d in docs if isinstance(d, ExplorationDoc)])
            )
        elif event.name.startswith(_LAST):
            title, text = _described(load_output(self.store, event.uuid), self._reused[key])
            self._print(key, title, text)

    def _print(self, key: tuple[str, object], title: str, text: str) -> None:
        generation = "" if key[1] is None else f"gen {key[1]}"
        since = self._clock(self._begun.get(key, monotonic()))
        self.console.print(
            f"{generation:<7} {title:<9} {text}   {since}", highlight=False, markup=False, soft_wrap=True
        )

    def _clock(self, since: float) -> str:
        minutes, seconds = divmod(int(monotonic() - since), 60)
        return f"{minutes:02d}:{seconds:02d}"


def _described(doc: object, n_reused: int) -> tuple[str, str]:
    """Name the stage that a document ends, and sum it up."""
    match doc:
        case SelectionDoc():
            return "select", f"{len(doc.candidates)} of {doc.n_considered} structures"
        case LabelBatchDoc():
            failed = f"   {len(doc.failed)} failed" if doc.failed else ""
            reused = f"   {n_reused} reused" if n_reused else ""
            share = f"{doc.n_labels}/{doc.n_labels + len(doc.failed)}"
            return "label", f"{share} labels{failed}{reused}   oracle {doc.wall_time:.1f} s"
        case PotentialDoc():
            errors = doc.training_errors
            rmse = f"{1000 * errors.energy_rmse:.2f} meV/atom, {errors.force_rmse:.4f} eV/Å"
            title = "fit" if isinstance(doc.fit, LinearFitReport) else "refine"
            return title, f"{doc.n_labels} labels   RMSE {rmse}"
        case KmcDoc():
            found = f"{doc.n_steps} steps   {doc.time:.3g} s simulated   {len(doc.of_generation())} events"
            searches = f"{sum(doc.outcomes.values())} searches, {doc.n_halted} ended by the watchdog"
            return "kmc", f"{searches}   {found}   end: {doc.end_reason}"
        case ValidationDoc():
            return "validate", f"verdict: {doc.verdict}"
    raise StoreError(f"no stage ends with a document of type {type(doc).__name__}.")


def _walked(runs: list[ExplorationDoc]) -> str:
    reasons = Counter(run.end_reason for run in runs if run.halted)
    why = f" ({', '.join(f'{n} {reason}' for reason, n in reasons.items())})" if reasons else ""
    steps = sum(run.end_step - run.start_step for run in runs)
    gamma = max((run.gamma_max for run in runs), default=float("nan"))
    return f"{len(runs)} walks, {reasons.total()} halted{why}   {steps} steps   gamma max {gamma:.1f}"
