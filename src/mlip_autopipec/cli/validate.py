"""`mlip-auto validate`: judge the potential in a file."""

import json
from dataclasses import replace
from pathlib import Path

import typer

from mlip_autopipec.cli.check import ready_plan
from mlip_autopipec.errors import CampaignError, PotentialRejectedError, StoreError
from mlip_autopipec.execution.local import JobEvent, run_local
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.flows.validate_given import GivenValidationMaker, potential_files
from mlip_autopipec.schemas import ValidationDoc
from mlip_autopipec.schemas.files import write_atomic
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import load_output, open_store
from mlip_autopipec.training.given import GivenPotentialMaker, given_e0


def validate_potential(
    potential: Path, config: Path, directory: Path, e0: list[str], workers: int | None
) -> None:
    """Validate a potential against the oracle of a configuration and print the verdict.

    Parameters
    ----------
    potential
        ``.yaml`` (with its ``.asi`` beside it, if there is one) or ``.yace``.
    config
        Gives material, oracle and limits.
    directory
        Where labels are kept; ``validation.json`` is written into it.
    e0
        Energies of free atoms like ``Cu=-3.21`` in eV; matched on the crystals if there are none.
    workers
        Worker slots; none for the machine's setting.

    Raises
    ------
    CampaignError
        A job failed.
    PotentialRejectedError
        The potential did not pass.
    """
    files = potential_files(potential)
    plan = ready_plan(config)
    maker = GivenValidationMaker(
        given_maker=replace(GivenPotentialMaker(), e0=given_e0(e0)),
        validation_maker=plan.maker.validation_maker,
    )
    flow = identify(maker.make(files, plan.structures, potential.name))
    settings = get_settings()
    directory.mkdir(parents=True, exist_ok=True)
    store = open_store(directory.resolve(), settings)
    summary = run_local(
        flow, store=store, directory=directory, workers=workers or settings.workers, on_event=_tell
    )
    try:
        doc = load_output(store, flow.output.uuid)
    except StoreError as error:
        first = next(iter(summary.failures), None)
        why = f"{first.name}: {first.error} (folder {first.folder})" if first else str(error)
        raise CampaignError(
            f"the validation did not end: {why}", hint="mend the cause and run the same command again."
        ) from error
    _print(doc, directory / "validation.json")


def _tell(event: JobEvent) -> None:
    if event.kind in ("done", "failed"):
        time = "" if event.wall_time is None else f"   {event.wall_time:.1f} s"
        typer.echo(f"{event.kind:<7} {event.name}{time}" + (f"   {event.error}" if event.error else ""))


def _print(doc: ValidationDoc, path: Path) -> None:
    typer.echo("")
    for check in doc.checks:
        typer.echo(f"{check.verdict:<5} {check.name:<32} {check.reason}")
    write_atomic(path, json.dumps(doc.model_dump(mode="json"), indent=2) + "\n")
    typer.echo(f"verdict {doc.verdict}; {doc.n_labels} labels, oracle {doc.wall_time:.1f} s\nwrote {path}")
    if doc.verdict == "fail":
        raise PotentialRejectedError("the potential did not pass validation; see the lines above.")
