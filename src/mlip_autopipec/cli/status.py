"""`mlip-auto status` and `mlip-auto report`."""

import json
import time
from pathlib import Path
from typing import Any

import typer
from jobflow import JobStore

from mlip_autopipec.errors import StoreError
from mlip_autopipec.execution.journal import Journal
from mlip_autopipec.report import read_campaign, summary_data, summary_text, write_report
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import open_store


def print_status(directory: Path, *, as_json: bool = False) -> None:
    """Print where a campaign stands, and what failed.

    Parameters
    ----------
    directory
        The run folder.
    as_json
        Whether to print JSON.
    """
    campaign = read_campaign(open_existing(directory))
    failed = _failed(directory)
    if as_json:
        typer.echo(
            json.dumps({**summary_data(campaign), "failed_jobs": failed}, indent=2, ensure_ascii=False)
        )
        return
    typer.echo(summary_text(campaign))
    for job in failed:
        typer.echo(f"failed  {job['name']}: {job['reason']}\n        folder: {job['folder']}")


def _failed(directory: Path) -> list[dict[str, Any]]:
    journal = Journal(directory)
    failed = [entry for entry in journal.entries() if entry.state == "failed"]
    journal.close()
    return [
        {
            "name": entry.name,
            "reason": entry.error.message if entry.error else "no reason recorded",
            "folder": str(directory / entry.folder),
        }
        for entry in failed
    ]


def make_report(directory: Path, *, watch: float | None = None) -> None:
    """Write the report.

    Parameters
    ----------
    directory
        The run folder.
    watch
        Seconds between two looks at the store: the page is written again whenever it changed, and browsers
        load it anew as often, until Ctrl-C. None writes it once.
    """
    store, path = open_existing(directory), directory / "report.html"
    typer.echo(f"wrote {write_report(store, path, refresh=watch)}")
    if watch is None:
        return
    typer.echo(f"watching {directory}; Ctrl-C ends it, and leaves a page that does not reload")
    try:
        _watch(store, path, watch)
    finally:
        write_report(store, path)


def _watch(store: JobStore, path: Path, seconds: float) -> None:
    seen = _state(store)
    while True:
        time.sleep(seconds)
        if (now := _state(store)) != seen:
            seen = now
            write_report(store, path, refresh=seconds)
            typer.echo(f"{time.strftime('%H:%M:%S')}  {now[0]} documents: wrote {path}")


def _state(store: JobStore) -> tuple[int, str]:
    """Return what changes whenever a job ends: the number of documents and the time of the last."""
    last = store.query_one({}, properties=["completed_at"], sort={"completed_at": -1})
    return store.count(), str(last and last.get("completed_at"))


def open_existing(directory: Path) -> JobStore:
    """Open the store of a run folder that is there.

    Parameters
    ----------
    directory
        The run folder.

    Returns
    -------
    jobflow.JobStore
        Its store, connected.

    Raises
    ------
    StoreError
        The folder holds no run.
    """
    settings = get_settings()
    if settings.store_uri is None and not (directory / "store.sqlite").is_file():
        raise StoreError(
            f"{str(directory)!r} is not a run folder: it has no store.sqlite.",
            hint="give the folder of a run with --directory.",
        )
    return open_store(directory, settings)
