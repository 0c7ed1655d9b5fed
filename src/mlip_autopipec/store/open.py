"""The JobStore of a run folder, or of a MongoDB."""

from pathlib import Path

from jobflow import JobStore

from mlip_autopipec.errors import StoreError
from mlip_autopipec.settings import Settings, get_settings
from mlip_autopipec.store.mongo import open_mongo
from mlip_autopipec.store.sqlite import SqliteStore

STORE_FILE = "store.sqlite"
_MONGO = ("mongodb://", "mongodb+srv://")


def open_store(directory: Path, settings: Settings | None = None) -> JobStore:
    """Open the store of a run folder, connected.

    Parameters
    ----------
    directory
        The run folder; made where there is none.
    settings
        Machine settings; with ``store_uri`` the store is that MongoDB. Default: files in the run folder.

    Returns
    -------
    jobflow.JobStore
        Collection ``jobs`` and one additional store named ``data``. One, as jobflow 0.4 loads a reference in
        place of the data where a job uses two.

    Raises
    ------
    StoreError
        The folder cannot be written, or the database cannot be reached.
    """
    if settings is not None and settings.store_uri is not None:
        return open_mongo(settings.store_uri.get_secret_value(), settings.store_database)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the run folder {directory} cannot be made: {error.strerror}.",
            hint="choose a folder you can write to.",
        ) from error
    file = directory.resolve() / STORE_FILE
    store = JobStore(SqliteStore(file, "jobs"), additional_stores={"data": SqliteStore(file, "data")})
    store.connect()
    return store


def is_mongo(place: str | Path) -> bool:
    """Say whether a place is the URI of a MongoDB and no folder.

    Parameters
    ----------
    place
        A folder or ``mongodb://…``.

    Returns
    -------
    bool
        Whether it is a URI.
    """
    return str(place).startswith(_MONGO)


def open_existing(place: str | Path) -> JobStore:
    """Open the store of a project that is there, connected.

    Parameters
    ----------
    place
        Run folder, or ``mongodb://host/database``.

    Returns
    -------
    jobflow.JobStore
        As of `open_store`.

    Raises
    ------
    StoreError
        The folder holds no store and the machine settings name none, or it cannot be opened.
    """
    settings = get_settings()
    if is_mongo(place):
        return open_mongo(str(place), settings.store_database)
    if settings.store_uri is None:
        require_store(Path(place))
    return open_store(Path(place), settings)


def require_store(directory: Path) -> None:
    """Raise unless a folder holds an embedded store.

    Parameters
    ----------
    directory
        The folder.

    Raises
    ------
    StoreError
        It does not.
    """
    if not (directory / STORE_FILE).is_file():
        raise StoreError(
            f"{str(directory)!r} is not a run folder: it has no {STORE_FILE}.",
            hint="give the folder of a run with --directory.",
        )
