"""Files that commands write for the user."""

from pathlib import Path

from mlip_autopipec.errors import ConfigError, StoreError


def new_file(path: Path, text: str) -> None:
    """Write a file that does not exist yet.

    Parameters
    ----------
    path
        The file.
    text
        What it holds.

    Raises
    ------
    ConfigError
        It exists.
    StoreError
        It cannot be written.
    """
    if path.exists():
        raise ConfigError(f"{str(path)!r} exists already.", hint="give another name with --output.")
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise StoreError(f"{str(path)!r} cannot be written: {error.strerror}.") from error
