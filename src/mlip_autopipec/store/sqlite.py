"""A maggma store in one SQLite file: crash-safe, several processes at once, cost linear in what is stored.

A collection is a table of JSON text. Equality and ``$in`` on plain values are answered by SQLite, on
generated indexed columns where ``ensure_index`` was called; the rest of the Mongo language is answered by
mongomock on the rows that SQLite selected. Write-ahead logging lets readers and a writer work side by
side. It needs a local disk: where the file system refuses it, the file keeps SQLite's rollback journal, as
safe but with readers and writers waiting for each other.
"""

import math
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any

from maggma.core import Sort, Store
from pydash import get, has, set_

from mlip_autopipec.errors import StoreError
from mlip_autopipec.store.connection import open_file, transaction
from mlip_autopipec.store.encoding import Document, decoded, encoded
from mlip_autopipec.store.mongo_language import collection_of, matches, projection
from mlip_autopipec.store.selection import NOT_PLAIN, plain_values, quoted, value_of
from mlip_autopipec.store.table import add_index, create_table, indexed_fields

_PAGE_ROWS = 50


class SqliteStore(Store):
    """One collection of documents as one table of a SQLite file.

    Parameters
    ----------
    path
        The file; made on connecting, its folder must exist.
    collection_name
        Name of the table.
    **kwargs
        ``key``, ``last_updated_field``, ``last_updated_type``, ``validator`` of maggma's Store.
    """

    def __init__(self, path: str | Path, collection_name: str = "documents", **kwargs: Any) -> None:
        self.path = str(path)
        self.collection_name = collection_name
        self.kwargs = kwargs
        self._table = quoted(collection_name)
        self._connections: dict[tuple[int, int], sqlite3.Connection] = {}
        self._columns: dict[str, str] = {}
        self._connected = False
        super().__init__(**kwargs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, SqliteStore):
            return False
        return (self.path, self.collection_name) == (other.path, other.collection_name)

    def __hash__(self) -> int:
        return hash((self.path, self.collection_name))

    @property
    def name(self) -> str:
        """Where the documents are."""
        return f"sqlite://{self.path}#{self.collection_name}"

    @property
    def _collection(self) -> sqlite3.Connection:
        """The connection of this process and thread; SQLite's may not be carried across a fork."""
        if not self._connected:
            raise StoreError(f"store {self.name} is not connected.", hint="call connect() first.")
        owner = (os.getpid(), threading.get_ident())
        if owner not in self._connections:
            self._connections[owner] = open_file(self.path)
        return self._connections[owner]

    def connect(self, force_reset: bool = False) -> None:
        """Open the file and make the table where there is none.

        Parameters
        ----------
        force_reset
            Whether to open it anew.

        Raises
        ------
        StoreError
            The file cannot be opened or written.
        """
        if self._connected and not force_reset:
            return
        self.close()
        self._connected = True
        try:
            with self._guard("opened"):
                found = self._collection.execute(
                    "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (self.collection_name,)
                ).fetchone()
                if found is None:
                    with transaction(self._collection) as connection:
                        create_table(connection, self.collection_name)
                self._columns = indexed_fields(self._collection, self.collection_name)
        except StoreError:
            self.close()
            raise

    def close(self) -> None:
        """Close the connections that this process opened."""
        for (process, _), connection in self._connections.items():
            if process == os.getpid():
                connection.close()
        self._connections = {}
        self._connected = False

    def count(self, criteria: Document | None = None) -> int:
        """Count the documents that match.

        Parameters
        ----------
        criteria
            Mongo filter.

        Returns
        -------
        int
            Their number.
        """
        if criteria:
            return sum(1 for _ in self.query(criteria, properties=[self.key]))
        with self._guard("read"):
            found = self._collection.execute(f"SELECT COUNT(*) FROM {self._table}").fetchone()  # noqa: S608
        return int(found[0])

    def query(
        self,
        criteria: Document | None = None,
        properties: Document | list[str] | None = None,
        sort: dict[str, Sort | int] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[Document]:
        """Find documents.

        Parameters
        ----------
        criteria
            Mongo filter.
        properties
            Fields to return; all by default.
        sort
            1 or -1 for each field to sort by.
        skip
            Number of documents to leave out at the start.
        limit
            Largest number of documents; 0 is no limit.

        Yields
        ------
        dict
            The documents, in the order they were first written unless sorted.
        """
        criteria = criteria or {}
        shown = projection(properties)
        if sort or skip:
            order = [(field, direction.value if isinstance(direction, Sort) else direction)
                     for field, direction in (sort or {}).items()]  # fmt: skip
            rows = [decoded(text) for _, text in self._rows(criteria)]
            found = collection_of(rows).find(criteria, shown, sort=order or None, skip=skip, limit=limit)
            yield from found
            return
        remaining = limit or math.inf
        for page in self._pages(criteria):
            for document in collection_of(page).find(criteria, shown):
                yield document
                remaining -= 1
                if not remaining:
                    return

    def update(self, docs: list[Document] | Document, key: list[str] | str | None = None) -> None:
        """Write documents in one transaction; one with the same key is replaced.

        Parameters
        ----------
        docs
            One document or several.
        key
            The field or fields that tell documents apart; default: the store's key.

        Raises
        ------
        StoreError
            The file cannot be written, a key is missing, or the validator refuses a document.
        """
        fields = [key] if isinstance(key, str) else key or [self.key]
        prepared = [
            self._prepared(document, fields) for document in (docs if isinstance(docs, list) else [docs])
        ]
        with self._guard("written"), transaction(self._collection) as connection:
            for identity, text in prepared:
                row = self._existing(identity)
                if row is None:
                    connection.execute(f"INSERT INTO {self._table} (doc) VALUES (?)", (text,))  # noqa: S608
                else:
                    connection.execute(f"UPDATE {self._table} SET doc = ? WHERE id = ?", (text, row))  # noqa: S608

    def remove_docs(self, criteria: Document) -> None:
        """Remove the documents that match.

        Parameters
        ----------
        criteria
            Mongo filter.
        """
        with self._guard("written"), transaction(self._collection) as connection:
            doomed = [(row,) for row, text in self._rows(criteria) if matches(criteria, decoded(text))]
            connection.executemany(f"DELETE FROM {self._table} WHERE id = ?", doomed)  # noqa: S608

    def ensure_index(self, key: str, unique: bool = False) -> bool:
        """Index a field, which may be dotted, for equality and ``$in``.

        Parameters
        ----------
        key
            The field.
        unique
            Whether its values are unique.

        Returns
        -------
        bool
            True: the index exists.
        """
        with self._guard("written"):
            self._columns = indexed_fields(self._collection, self.collection_name)
            if key not in self._columns:
                with transaction(self._collection) as connection:
                    add_index(connection, self.collection_name, key, unique=unique)
                self._columns = indexed_fields(self._collection, self.collection_name)
        return True

    def groupby(
        self,
        keys: list[str] | str,
        criteria: Document | None = None,
        properties: Document | list[str] | None = None,
        sort: dict[str, Sort | int] | None = None,
        skip: int = 0,
        limit: int = 0,
    ) -> Iterator[tuple[Document, list[Document]]]:
        """Group documents by the values of fields.

        Parameters
        ----------
        keys
            The fields.
        criteria
            Mongo filter.
        properties
            Fields to return; all by default.
        sort
            Order inside the groups.
        skip
            Number of documents to leave out at the start.
        limit
            Largest number of documents; 0 is no limit.

        Yields
        ------
        tuple[dict, list[dict]]
            The values and the documents that have them.
        """
        names = [keys] if isinstance(keys, str) else keys
        wanted = [*properties, *names] if properties else None
        documents = [
            document
            for document in self.query(criteria, wanted, sort, skip, limit)
            if all(has(document, name) for name in names)
        ]

        def values(document: Document) -> list[Any]:
            return [get(document, name) for name in names]

        for found, group in groupby(sorted(documents, key=values), key=values):
            label: Document = {}
            for name, value in zip(names, found, strict=True):
                set_(label, name, value)
            yield label, list(group)

    def as_dict(self) -> Document:
        """Return what a worker needs to open the same collection."""
        return {
            "@module": type(self).__module__,
            "@class": type(self).__name__,
            "path": self.path,
            "collection_name": self.collection_name,
            **self.kwargs,
            "key": self.key,
        }

    @classmethod
    def from_dict(cls, d: Document) -> "SqliteStore":
        """Open the collection again; see `as_dict`."""
        return cls(**{name: value for name, value in d.items() if not name.startswith("@")})

    def _prepared(self, document: Document, fields: list[str]) -> tuple[Document, str]:
        """Return the identity of a document and its text."""
        text = encoded(document)
        plain = decoded(text)
        if self.validator and not self.validator.is_valid(plain):
            raise StoreError(
                f"the validator of {self.name} refuses: {self.validator.validation_errors(plain)}."
            )
        missing = [field for field in fields if field not in plain]
        if missing:
            raise StoreError(
                f"a document for {self.name} must have the fields {fields}, {missing} are missing."
            )
        return {field: plain[field] for field in fields}, text

    def _existing(self, identity: Document) -> int | None:
        for row, text in self._rows(identity):
            if matches(identity, decoded(text)):
                return row
        return None

    def _selection(self, criteria: Document) -> tuple[str, list[Any]]:
        """Translate what SQLite can answer; it selects every row that matches, and maybe others."""
        clauses, values = ["1"], []
        for field, condition in criteria.items():
            wanted = plain_values(field, condition)
            if wanted is not None:
                marks = ", ".join(["?"] * len(wanted))
                column = self._columns.get(field) or f"({value_of(field)})"
                clauses.append(f"{column} IN ({marks}{',' if marks else ''} {NOT_PLAIN})")
                values += wanted
        return " AND ".join(clauses), values

    def _rows(self, criteria: Document) -> list[tuple[int, str]]:
        where, values = self._selection(criteria)
        statement = f"SELECT id, doc FROM {self._table} WHERE {where} ORDER BY id"  # noqa: S608
        with self._guard("read"):
            return self._collection.execute(statement, values).fetchall()

    def _pages(self, criteria: Document) -> Iterator[list[Document]]:
        """Read page by page: an open cursor would keep writers out where there is no write-ahead log."""
        where, values = self._selection(criteria)
        statement = (
            f"SELECT id, doc FROM {self._table} WHERE id > ? AND {where} ORDER BY id LIMIT {_PAGE_ROWS}"  # noqa: S608
        )
        last = 0
        while True:
            with self._guard("read"):
                rows = self._collection.execute(statement, [last, *values]).fetchall()
            if rows:
                yield [decoded(text) for _, text in rows]
            if len(rows) < _PAGE_ROWS:
                return
            last = rows[-1][0]

    @contextmanager
    def _guard(self, verb: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise StoreError(
                f"the store {self.path} cannot be {verb}: {error}.",
                hint="check that its folder exists on a local disk, is writable and has free space.",
            ) from error
