"""`mlip-auto plan`: what would run, what is there already and why, and what the labels would cost."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import typer
from jobflow import JobStore
from maggma.stores import MemoryStore

from mlip_autopipec.cli.check import ready_plan
from mlip_autopipec.config import load_config
from mlip_autopipec.errors import MLIPError
from mlip_autopipec.execution.cost import LabelCost, label_cost, measured_labels
from mlip_autopipec.execution.forecast import JobForecast, forecast
from mlip_autopipec.execution.journal import Journal, JournalEntry
from mlip_autopipec.flows.build import Plan, plan
from mlip_autopipec.flows.identity import Node, document_of, identify_document
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import STORE_FILE, open_store

_S_PER_H = 3600.0
_FATES = {
    "runs": "would run",
    "planned": "would run, at no cost",
    "reused": "reused",
    "failed": "left as failed",
}


def show_plan(config: Path, directory: Path, *, as_json: bool) -> None:
    """Print what a run would do; the run folder need not exist, and is not changed.

    Parameters
    ----------
    config
        The configuration file.
    directory
        The run folder.
    as_json
        Whether to print JSON for other programs.
    """
    new = ready_plan(config)
    changed, before = _before(directory / "config.yaml", new)
    flow = identify_document(document_of(new.flow()))
    with _store(directory) as store:
        jobs = forecast(flow, store, _journal(directory), before)
        cost = label_cost(jobs, measured_labels(store), _largest(jobs, new))
    if as_json:
        typer.echo(json.dumps({"changed": changed, "jobs": [asdict(j) for j in jobs], "cost": asdict(cost)}))
        return
    typer.echo(f"plan for {config} in {directory}")
    for line in changed:
        typer.echo(f"changed  {line}")
    for fate, title in _FATES.items():
        _print_jobs(title, [job for job in jobs if job.fate == fate])
    ended = any(job.name == "conclude" and job.fate == "reused" for job in jobs)
    typer.echo(
        "\nThe campaign has ended: a run would do nothing but write its files again."
        if ended
        else "\nWhat comes after these depends on their results."
    )
    typer.echo(f"\n{_told(cost)}")


def _store(directory: Path) -> JobStore:
    settings = get_settings()
    if settings.store_uri is None and not (directory / STORE_FILE).is_file():
        empty = JobStore(MemoryStore(), additional_stores={"data": MemoryStore()})
        empty.connect()
        return empty
    return open_store(directory, settings)


def _journal(directory: Path) -> list[JournalEntry]:
    if not (directory / "journal.sqlite").is_file():
        return []
    journal = Journal(directory)
    entries = journal.entries()
    journal.close()
    return entries


def _before(path: Path, new: Plan) -> tuple[list[str], list[Node]]:
    """Read the configuration of the last run; return what changed since, and its flow."""
    if not path.is_file():
        return [], []
    try:
        old = plan(load_config(path), path.parent)
        values = {value.path: value.value for value in old.values}
        flow = identify_document(document_of(old.prepared().flow()))
    except MLIPError as error:
        return [f"unknown: the last configuration, {path}, is not accepted any more: {error.args[0]}"], []
    return [
        f"{value.path}: {values.get(value.path)} -> {value.value}"
        for value in new.values
        if value.value != values.get(value.path)
    ], [flow]


def _largest(jobs: Sequence[JobForecast], new: Plan) -> int:
    """Return how many labels the loop and the validation may still ask for, beyond those that are known."""
    maker = new.maker
    known = Counter(
        job.metadata.get("stage") for job in jobs if job.n_atoms is not None and job.fate != "failed"
    )
    ended = any(job.name == "conclude" for job in jobs)
    loop = 0 if ended else max(0, maker.limits.max_labels - known["label"])
    validation = maker.validation_maker
    judged = 0 if known["validate"] else validation.most_labels(new.structures)
    # A repaired potential is judged by the same labels, but for the ends of its new walks.
    again = 0 if ended else maker.limits.max_repairs * validation.n_walked
    return loop + judged + again


def _print_jobs(title: str, jobs: Sequence[JobForecast]) -> None:
    if not jobs:
        return
    groups: Counter[tuple[str, str]] = Counter()
    for job in jobs:
        stage, name = str(job.metadata.get("stage", "")), job.name.rstrip("0123456789/ ")
        kind = name if name.startswith(stage) else f"{stage} {name}"
        groups[kind, job.reason] += 1
    typer.echo(f"\n{title}: {len(jobs)} jobs")
    for (kind, reason), count in groups.items():
        typer.echo(f"{count:6}  {kind:32}  {reason}")


def _told(cost: LabelCost) -> str:
    text = f"labels to be made: {cost.n_labels} known now, {cost.n_at_most} at the most, validation included"
    if cost.wall_time is None or cost.at_most is None:
        return f"{text}\ncost: unknown, {cost.basis}"
    hours = [seconds / _S_PER_H for seconds in (cost.wall_time, cost.at_most)]
    return (
        f"{text}\ncost: {hours[0]:.3g} h of the oracle, {hours[1]:.3g} h at the most; {cost.basis}; "
        f"90 % of them are within a factor of {cost.spread:.2g}"
    )
