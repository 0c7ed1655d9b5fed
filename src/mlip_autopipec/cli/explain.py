"""`mlip-auto explain`: every value and where it comes from."""

from pathlib import Path

from rich.console import Console
from rich.table import Table


def explain_config(path: Path) -> None:
    """Print all values of a configuration.

    Parameters
    ----------
    path
        The configuration file.
    """
    from mlip_autopipec.config import load_config
    from mlip_autopipec.flows.build import plan

    table = Table(box=None, pad_edge=False)
    for column in ("key", "value", "source", "reason"):
        table.add_column(column, overflow="fold")
    for value in plan(load_config(path), path.parent).values:
        shown = (
            "from the pseudopotentials" if value.path in _AT_RUN and value.value is None else str(value.value)
        )
        table.add_row(value.path, shown, value.source, value.reason)
    Console().print(table)


_AT_RUN = ("oracle.ecutwfc", "oracle.ecutrho")
