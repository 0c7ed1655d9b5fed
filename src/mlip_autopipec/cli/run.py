"""`mlip-auto run`: a whole campaign, or the rest of one."""

import re
import shutil
from pathlib import Path

import typer
from jobflow import JobStore
from rich.console import Console

from mlip_autopipec.cli.check import ready_plan
from mlip_autopipec.cli.progress import Progress
from mlip_autopipec.errors import CampaignError, ConfigError, StoreError
from mlip_autopipec.execution.launchpad import noted_submission
from mlip_autopipec.execution.local import RunSummary, run_local
from mlip_autopipec.flows.build import Plan
from mlip_autopipec.flows.identity import identify
from mlip_autopipec.flows.reproduce import write_reproduction
from mlip_autopipec.report import read_campaign, summary_text, write_report
from mlip_autopipec.report.release import release
from mlip_autopipec.report.words import seconds
from mlip_autopipec.schemas import CampaignDoc
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import load_output, open_store


def run_campaign(
    config: Path,
    directory: Path,
    workers: int | None,
    walltime: str | None = None,
    *,
    force_release: bool = False,
) -> None:
    """Run a campaign to its end and write report and potential.

    Parameters
    ----------
    config
        The configuration file.
    directory
        The run folder; made if it is not there.
    workers
        Worker slots; none for the machine's setting.
    walltime
        Wall time that the run may take, such as ``2h``; none for no limit.
    force_release
        Whether a potential that failed its validation is released all the same.

    Raises
    ------
    CampaignError
        Jobs failed that the campaign cannot do without.
    PotentialRejectedError
        The potential did not pass validation.
    """
    limit = None if walltime is None else parse_walltime(walltime)
    plan = ready_plan(config)
    settings = get_settings()
    directory = make_folder(directory, config)
    _refuse_submitted(directory)
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
            resources=settings.resources,
            memory=settings.memory,
            walltime=limit,
        )
    write_report(store, directory / "report.html")
    end = _outcome(store, flow.output.uuid, summary)
    typer.echo(f"\nthis run took {seconds(summary.wall_time)}")
    _deliver(store, plan, directory, end, forced=force_release or plan.force_release)


def make_folder(directory: Path, config: Path) -> Path:
    """Make a run folder with a copy of the configuration.

    Parameters
    ----------
    directory
        The folder; it may be there.
    config
        The configuration file.

    Returns
    -------
    pathlib.Path
        Its absolute path.

    Raises
    ------
    StoreError
        It cannot be written.
    """
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


def parse_walltime(text: str) -> float:
    """Read a wall time.

    Parameters
    ----------
    text
        Such as ``90s``, ``30m``, ``2h``, ``1.5d``, or ``HH:MM:SS`` as queues have it.

    Returns
    -------
    float
        It in s.

    Raises
    ------
    ConfigError
        It is none of these, or not positive.
    """
    units = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
    limit = 0.0
    if found := re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd])", text):
        limit = float(found[1]) * units[found[2]]
    elif found := re.fullmatch(r"([0-9]+):([0-9]{2}):([0-9]{2})", text):
        limit = 3600.0 * int(found[1]) + 60.0 * int(found[2]) + int(found[3])
    if not limit > 0.0:
        raise ConfigError(f"'--walltime' must be a time such as 90s, 30m, 2h, 1d or 02:00:00, got {text!r}.")
    return limit


def _refuse_submitted(directory: Path) -> None:
    """Keep labels from being bought twice, here and on a cluster."""
    if noted_submission(directory) is not None:
        raise ConfigError(
            f"the campaign of {str(directory)!r} was submitted to a cluster.",
            hint="follow it with `mlip-auto status`; to run it here, take it out there (lpad archive) and "
            "remove submission.json.",
        )


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
    folder = directory / "potential"
    written = release(store, end, folder, forced=forced)
    for path in [*written, *write_reproduction(plan, folder)]:
        typer.echo(f"wrote {path}")
    if end.verdict == "fail":
        typer.echo("the potential FAILED its validation and was released by force; its card says so.")
