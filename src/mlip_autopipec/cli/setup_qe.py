"""`mlip-auto setup qe`: pw.x and pseudopotentials from PyPI."""

import shutil

import typer

from mlip_autopipec.oracle.qe_setup import provision_pseudopotentials, provision_pw
from mlip_autopipec.settings import get_settings, home


def provide() -> None:
    """Install what is missing and say where it is."""
    settings = get_settings()
    if settings.pw_command:
        typer.echo(f"pw.x              {settings.pw_command} (machine settings)")
    elif found := shutil.which("pw.x"):
        typer.echo(f"pw.x              {found} (on PATH)")
    else:
        typer.echo("pw.x              not on PATH; installing the qepy wheel …")
        typer.echo(f"pw.x              {provision_pw(home())}")
    if settings.pseudo_dir:
        typer.echo(f"pseudopotentials  {settings.pseudo_dir} (machine settings)")
    else:
        typer.echo(f"pseudopotentials  {provision_pseudopotentials(home())}")
