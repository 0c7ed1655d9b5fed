"""Read a campaign from its store."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from jobflow import JobStore
from monty.json import MontyDecoder
from pydantic import TypeAdapter

from mlip_autopipec.errors import StoreError
from mlip_autopipec.report.campaign import Campaign, Fit, KmcRun, Label, LostLabel, Walk
from mlip_autopipec.schemas import (
    ArmErrorsDoc,
    CampaignDoc,
    Document,
    EmbeddedCell,
    EmbeddingDoc,
    ExplorationDoc,
    GammaCalibrationDoc,
    GenerationRecord,
    KmcDoc,
    KmcEvent,
    LabelBatchDoc,
    LabelDoc,
    LabelledStructure,
    PotentialDoc,
    ValidationDoc,
)
from mlip_autopipec.store import StoredOutput, find_outputs, load_output

_DATA = "data"
_HINT = "run the campaign again; finished jobs are not repeated."


def read_campaign(store: JobStore, *, job_ids: Collection[str] | None = None) -> Campaign:
    """Read what a campaign left in its store; it may be unfinished or not even begun.

    Parameters
    ----------
    store
        A connected store.
    job_ids
        Jobs of the campaign, for a store that holds several, such as a run folder whose configuration was
        changed. Default: all; of several campaigns the last one that ended counts, and of several fits or
        walks that have the same place in the loop the last.

    Returns
    -------
    Campaign
        What is there. Structures of walks, restart files and old parity data are not loaded.

    Raises
    ------
    StoreError
        A part of a document is missing.
    """
    reader = _Reader(store, job_ids)
    end = reader.end()
    fits, walks, kmc = reader.fits(end), reader.walks(end), reader.kmc(end)
    labels, failed = reader.labels(end)
    potential = end.state.delivered if end else fits[-1].job_id if fits else None
    return Campaign(
        generations=tuple(end.state.history) if end else _generations(labels, failed, fits, walks),
        labels=labels,
        failed=failed,
        fits=fits,
        slow_fits=reader.fits(end, "refine"),
        calibration=reader.calibration(end),
        walks=walks,
        kmc=kmc,
        kmc_events=reader.kmc_events(kmc),
        cells=reader.cells(end),
        measured=reader.measured(end),
        potential=None if potential is None else load_output(store, potential),
        validation=reader.validation(end),
        end=end,
    )


@dataclass(frozen=True)
class _Reader:
    store: JobStore
    job_ids: Collection[str] | None

    def stage(self, stage: str, schema: type[Document] | None = None) -> Iterator[StoredOutput]:
        """Give the finished jobs of a stage, in the order they ended, with the outputs as stored."""
        for found in find_outputs(self.store, load=False, stage=stage):
            wanted = self.job_ids is None or found.uuid in self.job_ids
            if wanted and (schema is None or _class(found) == schema.__name__):
                yield found

    def fields(self, found: StoredOutput, schema: type[Document], names: list[str]) -> dict[str, Any]:
        """Load some fields of a document; the others stay where they are."""
        load: dict[str, Any] = {_DATA: names}
        criteria = {"uuid": found.uuid, "index": found.index}
        try:
            (document,) = self.store.query(criteria, properties=[f"output.{n}" for n in names], load=load)
        except KeyError as error:
            # jobflow's way to say that a document points to data that were never written.
            raise StoreError(f"data {error} of job {found.uuid} are missing.", hint=_HINT) from error
        output = document["output"]
        absent = {name: schema.model_fields[name] for name in names if name not in output}
        if missing := [name for name, field in absent.items() if field.is_required()]:
            raise StoreError(f"job {found.uuid} has no {', '.join(missing)} in its output.", hint=_HINT)
        # An older document lacks what was added since, which has a default for that.
        defaults = {name: field.get_default(call_default_factory=True) for name, field in absent.items()}
        return defaults | {
            name: _validated(schema, name, MontyDecoder().process_decoded(output[name]))
            for name in names
            if name in output
        }

    def end(self) -> CampaignDoc | None:
        found = list(self.stage("conclude", CampaignDoc))
        return load_output(self.store, found[-1].uuid) if found else None

    def calibration(self, end: CampaignDoc | None) -> GammaCalibrationDoc | None:
        if end is not None:
            return load_output(self.store, end.state.calibration) if end.state.calibration else None
        found = list(self.stage("calibrate", GammaCalibrationDoc))
        return load_output(self.store, found[-1].uuid) if found else None

    def validation(self, end: CampaignDoc | None) -> ValidationDoc | None:
        if end is not None:
            return load_output(self.store, end.validation)
        found = list(self.stage("validate", ValidationDoc))
        return load_output(self.store, found[-1].uuid) if found else None

    def fits(self, end: CampaignDoc | None, stage: str = "fit") -> tuple[Fit, ...]:
        last = {}
        for found in self.stage(stage, PotentialDoc):
            generation = found.metadata["generation"]
            if end is None or generation <= end.state.generation:
                loaded = self.fields(found, PotentialDoc, ["n_labels", "training_errors", "wall_time"])
                last[generation] = Fit(
                    generation=generation,
                    job_id=found.uuid,
                    n_labels=loaded["n_labels"],
                    errors=loaded["training_errors"],
                    wall_time=loaded["wall_time"],
                )
        return tuple(last[generation] for generation in sorted(last))

    def walks(self, end: CampaignDoc | None) -> tuple[Walk, ...]:
        names = [name for name in Walk.__dataclass_fields__ if name not in ("generation", "job_id")]
        last = {}
        for found in self.stage("explore", ExplorationDoc):
            generation = found.metadata["generation"]
            if end is None or generation <= end.state.generation:
                loaded = self.fields(found, ExplorationDoc, names)
                walk = Walk(generation=generation, job_id=found.uuid, **loaded)
                last[generation, walk.walker.index] = walk
        return tuple(last[key] for key in sorted(last))

    def kmc(self, end: CampaignDoc | None) -> tuple[KmcRun, ...]:
        names = [name for name in KmcRun.__dataclass_fields__ if name not in ("generation", "job_id")]
        last = {}
        for found in self.stage("kmc", KmcDoc):
            generation = found.metadata["generation"]
            if end is None or found.uuid in end.state.kmc:
                loaded = self.fields(found, KmcDoc, names)
                last[generation] = KmcRun(generation=generation, job_id=found.uuid, **loaded)
        return tuple(last[generation] for generation in sorted(last))

    def kmc_events(self, runs: tuple[KmcRun, ...]) -> tuple[KmcEvent, ...]:
        """Load the events of the last run, which has those of all before."""
        for found in self.stage("kmc", KmcDoc):
            if runs and found.uuid == runs[-1].job_id:
                return tuple(self.fields(found, KmcDoc, ["events"])["events"])
        return ()

    def cells(self, end: CampaignDoc | None) -> tuple[tuple[int, EmbeddedCell], ...]:
        """Gather the small cells that were tried."""
        found = list(self.stage("embed", EmbeddingDoc))
        generations = [f.metadata["generation"] for f in found]
        tried = [self.fields(f, EmbeddingDoc, ["cells"])["cells"] for f in found]
        pairs = [(g, cell) for g, cells in zip(generations, tried, strict=True) for cell in cells]
        last = float("inf") if end is None else end.state.generation
        return tuple(sorted((p for p in pairs if p[0] <= last), key=lambda pair: pair[0]))

    def measured(self, end: CampaignDoc | None) -> tuple[tuple[int, ArmErrorsDoc], ...]:
        """Gather the true errors of the explorers, the last measurement of each generation."""
        last = float("inf") if end is None else end.state.generation
        found = {f.metadata["generation"]: f.uuid for f in self.stage("measure", ArmErrorsDoc)}
        return tuple((g, load_output(self.store, found[g])) for g in sorted(found) if g <= last)

    def labels(self, end: CampaignDoc | None) -> tuple[tuple[Label, ...], tuple[LostLabel, ...]]:
        """Gather training and then validation labels, and what failed of them."""
        labels: list[Label] = []
        failed: list[LostLabel] = []
        seen: set[str] = set()
        for generation, batch in [*self._training_batches(end), *self._validation_batches(end)]:
            for entry in batch.labels:
                labels.append(Label(generation, entry, shared=entry.label_id in seen))
                seen.add(entry.label_id)
            failed += [LostLabel(generation, entry) for entry in batch.failed]
        if end is None:
            labels += [label for label in self._loose_labels() if label.entry.label_id not in seen]
        in_order = sorted(labels, key=lambda label: _order(label.generation))
        return tuple(in_order), tuple(failed)

    def _training_batches(self, end: CampaignDoc | None) -> list[tuple[int, LabelBatchDoc]]:
        if end is None:
            found = list(self.stage("label", LabelBatchDoc))
        else:
            found = [f for f in self.stage("label") if f.uuid in end.state.batches]
            if len(found) < len(end.state.batches):
                raise StoreError("batches of labels of the finished campaign are missing.", hint=_HINT)
        batches = [(f.metadata["generation"], load_output(self.store, f.uuid)) for f in found]
        return sorted(batches, key=lambda pair: pair[0])

    def _validation_batches(self, end: CampaignDoc | None) -> list[tuple[None, LabelBatchDoc]]:
        """Give the batches of the last validation: those it names, or the latest so far."""
        validation = self.validation(end)
        found = [f.uuid for f in self.stage("validate", LabelBatchDoc)]
        ids = validation.batches if validation is not None and validation.batches else found[-1:]
        return [(None, load_output(self.store, uuid)) for uuid in ids]

    def _loose_labels(self) -> Iterator[Label]:
        """Give finished labels whose batch is not complete yet."""
        for stage in ("label", "validate"):
            for found in self.stage(stage, LabelDoc):
                entry = LabelledStructure(
                    label=load_output(self.store, found.uuid),
                    label_id=found.uuid,
                    origin=found.metadata["origin"],
                )
                yield Label(found.metadata.get("generation"), entry, shared=False)


def _validated(schema: type[Document], name: str, value: Any) -> Any:
    adapter: TypeAdapter[Any] = TypeAdapter(schema.model_fields[name].rebuild_annotation())
    return adapter.validate_python(value)


def _class(found: StoredOutput) -> str | None:
    return found.output.get("@class") if isinstance(found.output, dict) else None


def _order(generation: int | None) -> float:
    return float("inf") if generation is None else generation


def _generations(
    labels: tuple[Label, ...], failed: tuple[LostLabel, ...], fits: tuple[Fit, ...], walks: tuple[Walk, ...]
) -> tuple[GenerationRecord, ...]:
    """Derive what the loop will write into its last state."""
    return tuple(
        _record(number, labels, failed, fits, [walk for walk in walks if walk.generation == number])
        for number in sorted({walk.generation for walk in walks})
    )


def _record(
    number: int,
    labels: tuple[Label, ...],
    failed: tuple[LostLabel, ...],
    fits: tuple[Fit, ...],
    walks: list[Walk],
) -> GenerationRecord:
    fitted = [fit for fit in fits if fit.generation <= number]
    if not fitted:
        raise StoreError(f"generation {number} has walks in the store but no fit.", hint=_HINT)
    return GenerationRecord(
        generation=number,
        n_labels=sum(_order(label.generation) <= number for label in labels),
        n_failed=sum(lost.generation == number for lost in failed),
        n_explorations=len(walks),
        n_halts=sum(walk.halted for walk in walks),
        n_steps=sum(walk.n_steps for walk in walks),
        gamma_max=max(walk.gamma_max for walk in walks),
        energy_rmse=fitted[-1].errors.energy_rmse,
        force_rmse=fitted[-1].errors.force_rmse,
    )
