"""`mlip-auto status`, `report`, `why` and `export`: what reads a run folder."""

from pathlib import Path

import typer
from jobflow import JobStore

from mlip_autopipec.execution.journal import Journal, JournalEntry
from mlip_autopipec.execution.launchpad import (
    Note,
    campaign_jobs,
    count_jobs,
    noted_submission,
    open_launchpad,
)
from mlip_autopipec.report import open_project, read_campaign, summary_text, write_report
from mlip_autopipec.report.release import release_potential
from mlip_autopipec.store import open_existing


def print_status(directory: Path) -> None:
    """Print where a campaign stands, and what failed.

    Parameters
    ----------
    directory
        The run folder.
    """
    store = open_existing(directory)
    typer.echo(summary_text(read_campaign(store)))
    for entry in _failed(directory):
        reason = entry.error.message if entry.error else "no reason recorded"
        typer.echo(f"failed  {entry.name}: {reason}\n        folder: {directory / entry.folder}")
    submission = noted_submission(directory)
    if submission is not None:
        _print_cluster(submission, store)


def make_report(directory: Path) -> None:
    """Write the report, and the potential of a campaign that has ended.

    Parameters
    ----------
    directory
        The run folder.
    """
    store = open_existing(directory)
    typer.echo(f"wrote {write_report(store, directory / 'report.html')}")
    end = read_campaign(store).end
    released = end is not None and end.verdict != "fail"
    for path in release_potential(store, end, directory / "potential") if end and released else []:
        typer.echo(f"wrote {path}")


def _failed(directory: Path) -> list[JournalEntry]:
    """Read what failed in a run on this machine; there is no journal of one on a cluster."""
    if not (directory / "journal.sqlite").is_file():
        return []
    journal = Journal(directory)
    try:
        return [entry for entry in journal.entries() if entry.state == "failed"]
    finally:
        journal.close()


def _print_cluster(note: Note, store: JobStore) -> None:
    """Print what the LaunchPad, or jobflow-remote, says."""
    if note.remote is not None:
        from mlip_autopipec.execution.remote import remote_jobs

        jobs, where = remote_jobs(note.campaign, note.remote), "jobflow-remote"
    else:
        with open_launchpad(note.launchpad) as launchpad:
            jobs, where = campaign_jobs(launchpad, note.campaign, store.name), "LaunchPad"
    typer.echo(f"{where:<16} {count_jobs(jobs) or 'the campaign is not there any more'}")
    for job in jobs:
        if job.state == "FIZZLED":
            reason = (job.error or "no reason recorded").replace("\n", "\n        ")
            typer.echo(f"failed  {job.name} (job {job.number}): {reason}\n        folder: {job.folder}")


def print_lineage(directory: Path, label: str) -> None:
    """Print where a label comes from and what it did.

    Parameters
    ----------
    directory
        The run folder.
    label
        Its id, or how it begins.
    """
    with open_project(directory) as project:
        typer.echo(project.lineage(label).text())


def export_labels(directory: Path, file: Path, *, validation: bool) -> None:
    """Write labels for other programs.

    Parameters
    ----------
    directory
        The run folder.
    file
        The file; its ending says which kind.
    validation
        Whether to write the labels of the validation.
    """
    with open_project(directory) as project:
        typer.echo(f"wrote {project.export_labels(file, validation=validation)}")
