"""`mlip-auto eject`: the configuration as an editable Python script."""

from pathlib import Path

import typer

from mlip_autopipec.cli.files import new_file
from mlip_autopipec.config import load_config
from mlip_autopipec.flows.build import plan
from mlip_autopipec.flows.eject import flow_script


def write_script(config: Path, output: Path) -> None:
    """Write the script.

    Parameters
    ----------
    config
        The configuration file.
    output
        The script; it must not exist.

    Raises
    ------
    ConfigError
        The configuration is not accepted, or the file exists.
    MissingProgramError
        The oracle is not installed, so that its settings are not known.
    """
    ready = plan(load_config(config), config.parent).prepared()
    new_file(output, flow_script(ready, config.name))
    typer.echo(f"wrote {output}\nnext: python {output}")
