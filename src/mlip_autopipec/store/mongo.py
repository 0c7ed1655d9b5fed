"""MongoDB collections that hide their password and wait for a server that went away."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, TypeVar
from urllib.parse import urlsplit

from jobflow import JobStore
from maggma.core import Store
from maggma.stores import GridFSStore, MongoStore
from pymongo.errors import ConnectionFailure, PyMongoError

from mlip_autopipec.errors import StoreError
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store.encoding import Document

Answer = TypeVar("Answer")

_logger = logging.getLogger(__name__)
_SELECTION_TIMEOUT = 5000  # ms that the driver looks for a server; its own default is 30 s
_PAUSE = 1.0  # s between two attempts


class PatientStore(Store):
    """What all of MongoDB's collections do here, in front of the class that talks to the server.

    A server that does not answer is asked again for as long as the machine setting ``store_patience`` says.
    Every write is an upsert by key, so one that may have arrived may be repeated.
    """

    uri: str | None
    database: str | None
    collection_name: str

    @property
    def name(self) -> str:
        """Where the documents are, without the password, as logs show it.

        ``as_dict`` has to carry the whole URI, as workers open the store from it; it travels through pipes,
        never through files.
        """
        return public_name(self.uri, self.database, self.collection_name)

    def query(self, *args: Any, **kwargs: Any) -> Iterator[Document]:
        """Find documents, without MongoDB's own id."""
        below: Any = super()
        for document in self._ask(lambda: list(below.query(*args, **kwargs))):
            document.pop("_id", None)
            yield document

    def count(self, *args: Any, **kwargs: Any) -> int:
        """Count the documents that match."""
        below: Any = super()
        return self._ask(lambda: int(below.count(*args, **kwargs)))

    def update(self, *args: Any, **kwargs: Any) -> None:
        """Write documents; one with the same key is replaced."""
        below: Any = super()
        self._ask(lambda: below.update(*args, **kwargs))

    def remove_docs(self, *args: Any, **kwargs: Any) -> None:
        """Remove the documents that match."""
        below: Any = super()
        self._ask(lambda: below.remove_docs(*args, **kwargs))

    def distinct(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Return all values of a field."""
        below: Any = super()
        return self._ask(lambda: list(below.distinct(*args, **kwargs)))

    def groupby(self, *args: Any, **kwargs: Any) -> Iterator[tuple[Document, list[Document]]]:
        """Group documents by the values of fields."""
        below: Any = super()
        yield from self._ask(lambda: list(below.groupby(*args, **kwargs)))

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        patience = get_settings().store_patience
        end = time.monotonic() + patience
        while True:
            try:
                return call()
            except ConnectionFailure as error:
                # Not `from error`: the driver's message may quote the URI with its password.
                kind = type(error).__name__
            if time.monotonic() > end:
                raise StoreError(
                    f"MongoDB at {self.name} has not answered for {patience:g} s ({kind}).",
                    hint="start the server and run the same command again; results that could not be stored "
                    "are kept in the folders of their jobs until then.",
                )
            _logger.warning("MongoDB at %s does not answer (%s); it is asked again.", self.name, kind)
            time.sleep(_PAUSE)


class PrivateMongoStore(PatientStore, MongoStore):
    """A MongoDB collection."""


class PrivateGridFSStore(PatientStore, GridFSStore):
    """A MongoDB GridFS collection: documents of any size."""


def open_mongo(uri: str, database: str) -> JobStore:
    """Open a store in MongoDB, connected.

    Parameters
    ----------
    uri
        ``mongodb://…``; a database that it names wins.
    database
        Name of the database, where the URI has none.

    Returns
    -------
    jobflow.JobStore
        Collection ``jobs`` and the additional store ``data`` in GridFS.

    Raises
    ------
    StoreError
        The server does not answer, refuses, or the URI is none.
    """
    database = database_of(uri, database)
    given = "serverselectiontimeoutms" in uri.lower()
    client = {} if given else {"serverSelectionTimeoutMS": _SELECTION_TIMEOUT}
    try:
        jobs = PrivateMongoStore(database, "jobs", uri=uri, mongoclient_kwargs=client)
        # GridFS: a packed data set or potential may pass the 16 MB that a MongoDB document may have.
        data = PrivateGridFSStore(
            database,
            "data",
            uri=uri,
            mongoclient_kwargs=client,
            key="blob_uuid",
            searchable_fields=["job_uuid", "job_index"],
        )
        store = JobStore(jobs, additional_stores={"data": data})
        with ExitStack() as on_error:
            on_error.callback(store.close)
            store.connect()
            # jobflow makes no index; without these each look-up reads the whole collection.
            for collection, key in ((jobs, "uuid"), (jobs, "metadata.stage"), (data, "blob_uuid")):
                if not collection.ensure_index(key):
                    raise ConnectionFailure(key)
            on_error.pop_all()
    except (PyMongoError, ValueError) as error:
        raise StoreError(
            f"MongoDB at {public_name(uri, database, 'jobs')} cannot be used ({type(error).__name__}).",
            hint="check MLIP_AUTO_STORE_URI and that the server answers.",
        ) from None
    return store


def beside(collection: Store, name: str) -> PrivateGridFSStore:
    """Return another collection of the same database, for documents of any size.

    Parameters
    ----------
    collection
        One of them.
    name
        Name of the other.

    Returns
    -------
    PrivateGridFSStore
        Not connected.

    Raises
    ------
    StoreError
        The collection is in no MongoDB.
    """
    if not isinstance(collection, PrivateMongoStore):
        raise StoreError(f"{collection.name} is not in a MongoDB that open_store opened.")
    return PrivateGridFSStore(
        collection.database,
        name,
        uri=collection.uri,
        mongoclient_kwargs=collection.mongoclient_kwargs,
        key="uuid",
    )


def database_of(uri: str, default: str) -> str:
    """Return the database that a URI names.

    Parameters
    ----------
    uri
        ``mongodb://…``.
    default
        Its name where the URI has none.

    Returns
    -------
    str
        Name of the database.
    """
    return urlsplit(uri).path.strip("/") or default


def public_name(uri: str | None, database: str | None, collection: str) -> str:
    """Return the address of a collection without user and password."""
    hosts = urlsplit(uri or "").netloc.rpartition("@")[2]
    return f"mongodb://{hosts}/{database}/{collection}"
