"""`mlip-auto explain`: every value and where it comes from."""

import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

_WIDTH = 120
_AT_RUN = ("oracle.ecutwfc", "oracle.ecutrho")


def explain_config(path: Path, *, as_json: bool = False) -> None:
    """Print all values of a configuration.

    Parameters
    ----------
    path
        The configuration file.
    as_json
        Whether to print JSON.
    """
    from mlip_autopipec.config import load_config
    from mlip_autopipec.config.reference import configuration_units
    from mlip_autopipec.flows.build import plan

    values = plan(load_config(path), path.parent).values
    units = configuration_units()
    if as_json:
        rows = [{**asdict(value), "unit": units.get(value.path)} for value in values]
        print(json.dumps(rows, indent=2, ensure_ascii=False))  # noqa: T201
        return
    table = Table(box=None, pad_edge=False)
    for column, fold in (("key", False), ("value", True), ("source", False), ("reason", True)):
        table.add_column(column, no_wrap=not fold, overflow="fold")
    for value in values:
        shown = f"{value.value} {units.get(value.path, '')}"
        if value.value is None or value.value == {}:
            shown = "from the pseudopotentials" if value.path in _AT_RUN else "none"
        table.add_row(value.path, shown, value.source, value.reason)
    # A reason is a sentence: on a narrow terminal it would stand one word a line.
    Console(width=max(Console().width, _WIDTH)).print(table)
