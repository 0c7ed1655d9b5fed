"""`mlip-auto setup eon`: eOn from PyPI."""

import typer

from mlip_autopipec.dynamics.eon_setup import provision_eon
from mlip_autopipec.settings import get_settings, home


def provide() -> None:
    """Install what is missing and say where it is."""
    settings = get_settings()
    if settings.eon_python:
        typer.echo(f"eOn               {settings.eon_python} (machine settings)")
        return
    if not (home() / "eon").is_dir():
        typer.echo("eOn               installing pyeonclient and the server of eon-akmc, 320 MB …")
    typer.echo(f"eOn               {provision_eon(home())}")
