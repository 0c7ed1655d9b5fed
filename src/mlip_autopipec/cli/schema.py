"""`mlip-auto schema`: what editors need to complete a configuration."""

from pathlib import Path

import typer

from mlip_autopipec.config.schema import schema_text
from mlip_autopipec.errors import StoreError
from mlip_autopipec.schemas.files import write_atomic


def write_schema(output: Path | None) -> None:
    """Print the schema, or write it.

    Parameters
    ----------
    output
        File, replaced if it is there; none to print.

    Raises
    ------
    StoreError
        It cannot be written.
    """
    if output is None:
        typer.echo(schema_text(), nl=False)
        return
    try:
        write_atomic(output, schema_text())
    except OSError as error:
        raise StoreError(f"{str(output)!r} cannot be written: {error.strerror}.") from error
    typer.echo(f"wrote {output}")
