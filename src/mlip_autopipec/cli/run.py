"""`mlip-auto run`: a whole campaign, or the rest of one."""

import shutil
from pathlib import Path

import typer
from jobflow import JobStore
from rich.console import Console

from mlip_autopipec.cli.check import ready_plan
from mlip_autopipec.cli.progress import Progress
from mlip_autopipec.errors import CampaignError, StoreError
from mlip_autopipec.execution.local import RunSummary, run_local
from mlip_autopipec.flows.build import Plan
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.flows.reproduce import write_reproduction
from mlip_autopipec.report import read_campaign, summary_text, write_report
from mlip_autopipec.report.release import check_release, release_documents, release_potential
from mlip_autopipec.schemas import CampaignDoc
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import load_output, open_store


def run_campaign(config: Path, directory: Path, workers: int | None, *, force_release: bool = False) -> None:
    """Run a campaign to its end and write report and potential.

    Parameters
    ----------
    config
        The configuration file.
    directory
        The run folder; made if it is not there.
    workers
        Worker slots; none for the machine's setting.
    force_release
        Whether a potential that failed its validation is released all the same.

    Raises
    ------
    CampaignError
        Jobs failed that the campaign cannot do without.
    PotentialRejectedError
        The potential did not pass validation.
    """
    plan = ready_plan(config)
    settings = get_settings()
    directory = _make(directory, config)
    console = Console()
    console.print(f"run folder {directory}", highlight=False, markup=False, soft_wrap=True)
    store = open_store(directory, settings)
    flow = identify(plan.flow())
    with Progress(store, console) as progress:
        summary = run_local(
            flow,
            store=store,
            directory=directory,
            workers=workers or settings.workers,
            on_event=progress,
        )
    write_report(store, directory / "report.html")
    end = _outcome(store, flow.output.uuid, summary)
    _deliver(store, plan, directory, end, forced=force_release or plan.force_release)


def _make(directory: Path, config: Path) -> Path:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(config, directory / "config.yaml")
    except shutil.SameFileError:
        return directory.resolve()
    except OSError as error:
        raise StoreError(
            f"run folder {str(directory)!r} cannot be written: {error.strerror}.",
            hint="give a folder on a disk with space and write permission: --directory.",
        ) from error
    return directory.resolve()


def _outcome(store: JobStore, uuid: str, summary: RunSummary) -> CampaignDoc:
    """Load the last document of this campaign, or say why there is none."""
    try:
        end = load_output(store, uuid)
    except StoreError as error:
        first = summary.failures[0] if summary.failures else None
        what = f"; first: {first.name}: {first.error} (folder {first.folder})" if first else ""
        raise CampaignError(
            f"the campaign ended before its validation: {summary.failed} jobs failed, "
            f"{summary.skipped} could not start{what}.",
            hint="mend the cause and run the same command again; finished labels are kept.",
        ) from error
    if not isinstance(end, CampaignDoc):
        raise StoreError(f"the last document must be a CampaignDoc, got {type(end).__name__}.")
    return end


def _deliver(store: JobStore, plan: Plan, directory: Path, end: CampaignDoc, *, forced: bool) -> None:
    typer.echo(f"\n{summary_text(read_campaign(store))}\n")
    typer.echo(f"wrote {directory / 'report.html'}")
    check_release(end, forced=forced)
    folder = directory / "potential"
    written = release_potential(store, end, folder)
    written += release_documents(store, end, folder, forced=forced)
    for path in [*written, *write_reproduction(plan, folder)]:
        typer.echo(f"wrote {path}")
    if end.verdict == "fail":
        typer.echo("the potential FAILED its validation and was released by force; its card says so.")
