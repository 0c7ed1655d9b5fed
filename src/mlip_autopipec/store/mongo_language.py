"""Mongo's query language on documents in memory, by mongomock."""

from typing import Any

import mongomock_ng

from mlip_autopipec.store.encoding import Document


def collection_of(documents: list[Document]) -> Any:
    """Put documents into a collection that answers queries."""
    collection: Any = mongomock_ng.MongoClient().db["rows"]
    if documents:
        collection.insert_many(documents)
    return collection


def matches(criteria: Document, document: Document) -> bool:
    """Return whether a document answers a filter."""
    return next(iter(collection_of([document]).find(criteria, {"_id": 1})), None) is not None


def projection(properties: Document | list[str] | None) -> Document:
    """Return the fields to show, as Mongo wants them; never its own id."""
    if not properties:
        return {"_id": 0}
    wanted = properties if isinstance(properties, dict) else dict.fromkeys(properties, 1)
    return {**wanted, "_id": 0}
