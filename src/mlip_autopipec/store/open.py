"""The JobStore of a run folder."""

from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

from jobflow import JobStore
from maggma.stores import GridFSStore, MongoStore
from pymongo.errors import PyMongoError

from mlip_autopipec.errors import StoreError
from mlip_autopipec.settings import Settings
from mlip_autopipec.store.sqlite import SqliteStore


class PrivateMongoStore(MongoStore):
    """A MongoDB collection whose name, which logs show, holds no password.

    ``as_dict`` has to carry the whole URI, as workers open the store from it; it travels
    through pipes, never through files.
    """

    @property
    def name(self) -> str:
        """Where the documents are."""
        return _public_name(self.uri, self.database, self.collection_name)


class PrivateGridFSStore(GridFSStore):
    """A MongoDB GridFS collection whose name, which logs show, holds no password."""

    @property
    def name(self) -> str:
        """Where the files are."""
        return _public_name(self.uri, self.database, self.collection_name)


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
        return _open_mongo(settings.store_uri.get_secret_value(), settings.store_database)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the run folder {directory} cannot be made: {error.strerror}.",
            hint="choose a folder you can write to.",
        ) from error
    file = directory.resolve() / "store.sqlite"
    store = JobStore(SqliteStore(file, "jobs"), additional_stores={"data": SqliteStore(file, "data")})
    store.connect()
    return store


def _open_mongo(uri: str, database: str) -> JobStore:
    try:
        jobs = PrivateMongoStore(database, "jobs", uri=uri)
        # GridFS: a packed data set or potential may pass the 16 MB that a MongoDB document may have.
        data = PrivateGridFSStore(database, "data", uri=uri)
        store = JobStore(jobs, additional_stores={"data": data})
        with ExitStack() as on_error:
            on_error.callback(store.close)
            store.connect()
            # jobflow makes no index; without this one each look-up reads the whole collection.
            jobs.ensure_index("uuid")
            on_error.pop_all()
    except (PyMongoError, ValueError) as error:
        # Not `from error`: the driver's message may quote the URI with its password.
        raise StoreError(
            f"MongoDB at {_public_name(uri, database, 'jobs')} cannot be used ({type(error).__name__}).",
            hint="check MLIP_AUTO_STORE_URI and that the server answers.",
        ) from None
    return store


def _public_name(uri: str | None, database: str | None, collection: str) -> str:
    hosts = urlsplit(uri or "").netloc.rpartition("@")[2]
    return f"mongodb://{hosts}/{database}/{collection}"
