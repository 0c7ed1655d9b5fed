"""`mlip-auto report`: the page, and what a campaign that ended elsewhere delivers."""

import time
from pathlib import Path

import typer
from jobflow import JobStore

from mlip_autopipec.flows.reproduce import copy_reproduction
from mlip_autopipec.report import read_campaign, write_report
from mlip_autopipec.report.release import release
from mlip_autopipec.store import open_existing


def make_report(directory: Path, *, watch: float | None = None) -> None:
    """Write the report, and the potential of a campaign that ended on a cluster and passed.

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
        _deliver(store, directory / "potential")
        return
    typer.echo(f"watching {directory}; Ctrl-C ends it, and leaves a page that does not reload")
    try:
        _watch(store, path, watch)
    finally:
        write_report(store, path)


def _deliver(store: JobStore, folder: Path) -> None:
    """Write what a run on this machine would have written at its end."""
    end = read_campaign(store).end
    if end is None or folder.exists():
        return
    if end.verdict == "fail":
        typer.echo("the potential failed its validation and is not released; `run --force-release` does it.")
        return
    written = release(store, end, folder)
    for path in [*written, *copy_reproduction(folder.parent, folder)]:
        typer.echo(f"wrote {path}")


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
