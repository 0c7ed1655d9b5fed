"""`mlip-auto status`, `report`, `why` and `export`: what reads a run folder."""

from pathlib import Path

import typer

from mlip_autopipec.execution.journal import Journal
from mlip_autopipec.report import open_project, read_campaign, summary_text, write_report
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
    typer.echo(f"wrote {write_report(open_existing(directory), directory / 'report.html')}")


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
