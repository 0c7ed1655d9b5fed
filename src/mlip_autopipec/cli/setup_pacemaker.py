"""`mlip-auto setup pacemaker`: pacemaker with TensorFlow from PyPI."""

import typer

from mlip_autopipec.settings import get_settings, home
from mlip_autopipec.training.pacemaker_setup import provision_pacemaker


def provide() -> None:
    """Install what is missing and say where it is."""
    settings = get_settings()
    if settings.pacemaker_command:
        typer.echo(f"pacemaker         {settings.pacemaker_command} (machine settings)")
        return
    if not (home() / "pacemaker").is_dir():
        typer.echo("pacemaker         installing python-ace, tensorflow-cpu and tensorpotential, 2 GB …")
    typer.echo(f"pacemaker         {provision_pacemaker(home())}")
