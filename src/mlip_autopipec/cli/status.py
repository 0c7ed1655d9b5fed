"""`mlip-auto status`: where a campaign stands, on this machine or on a cluster."""

import json
from pathlib import Path
from typing import Any

import typer
from jobflow import JobStore

from mlip_autopipec.execution.journal import Journal
from mlip_autopipec.execution.launchpad import (
    ClusterJob,
    Note,
    campaign_jobs,
    count_jobs,
    noted_submission,
    open_launchpad,
)
from mlip_autopipec.report import read_campaign, summary_data, summary_text
from mlip_autopipec.store import open_existing


def print_status(directory: Path, *, as_json: bool = False) -> None:
    """Print where a campaign stands, and what failed.

    Parameters
    ----------
    directory
        The run folder.
    as_json
        Whether to print JSON.
    """
    store = open_existing(directory)
    campaign = read_campaign(store)
    if not as_json:
        typer.echo(summary_text(campaign))
    failed = _failed(directory)
    submission, jobs = noted_submission(directory), []
    if submission is not None:
        jobs = _cluster_jobs(submission, store)
        failed += [
            {
                "name": f"{job.name} (job {job.number})",
                "reason": job.error or "no reason recorded",
                "folder": str(job.folder),
            }
            for job in jobs
            if job.state == "FIZZLED"
        ]
    if as_json:
        data = {**summary_data(campaign), "failed_jobs": failed}
        if submission is not None:
            data["cluster"] = count_jobs(jobs)
        typer.echo(json.dumps(data, indent=2, ensure_ascii=False))
        return
    if submission is not None:
        where = "LaunchPad" if submission.remote is None else "jobflow-remote"
        typer.echo(f"{where:<16} {count_jobs(jobs) or 'the campaign is not there any more'}")
    for job in failed:
        reason = job["reason"].replace("\n", "\n        ")
        typer.echo(f"failed  {job['name']}: {reason}\n        folder: {job['folder']}")


def _failed(directory: Path) -> list[dict[str, Any]]:
    """Read what failed in a run on this machine; there is no journal of one on a cluster."""
    if not (directory / "journal.sqlite").is_file():
        return []
    journal = Journal(directory)
    try:
        failed = [entry for entry in journal.entries() if entry.state == "failed"]
    finally:
        journal.close()
    return [
        {
            "name": entry.name,
            "reason": entry.error.message if entry.error else "no reason recorded",
            "folder": str(directory / entry.folder),
        }
        for entry in failed
    ]


def _cluster_jobs(note: Note, store: JobStore) -> list[ClusterJob]:
    """Ask the LaunchPad, or jobflow-remote."""
    if note.remote is not None:
        from mlip_autopipec.execution.remote import remote_jobs

        return remote_jobs(note.campaign, note.remote)
    with open_launchpad(note.launchpad) as launchpad:
        return campaign_jobs(launchpad, note.campaign, store.name)
