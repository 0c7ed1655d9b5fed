"""`mlip-auto status` and `mlip-auto report`."""

from pathlib import Path

import typer
from jobflow import JobStore

from mlip_autopipec.errors import StoreError
from mlip_autopipec.execution.journal import Journal
from mlip_autopipec.report import read_campaign, summary_text, write_report
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import open_store


def print_status(directory: Path) -> None:
    """Print where a campaign stands, and what failed.

    Parameters
    ----------
    directory
        The run folder.
    """
    store = _open(directory)
    typer.echo(summary_text(read_campaign(store)))
    journal = Journal(directory)
    failed = [entry for entry in journal.entries() if entry.state == "failed"]
    journal.close()
    for entry in failed:
        reason = entry.error.message if entry.error else "no reason recorded"
        typer.echo(f"failed  {entry.name}: {reason}\n        folder: {directory / entry.folder}")


def make_report(directory: Path) -> None:
    """Write the report.

    Parameters
    ----------
    directory
        The run folder.
    """
    typer.echo(f"wrote {write_report(_open(directory), directory / 'report.html')}")


def _open(directory: Path) -> JobStore:
    settings = get_settings()
    if settings.store_uri is None and not (directory / "store.sqlite").is_file():
        raise StoreError(
            f"{str(directory)!r} is not a run folder: it has no store.sqlite.",
            hint="give the folder of a run with --directory.",
        )
    return open_store(directory, settings)
