"""`mlip-auto why`: where a label comes from."""

from pathlib import Path

import typer

from mlip_autopipec.report import open_project


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
