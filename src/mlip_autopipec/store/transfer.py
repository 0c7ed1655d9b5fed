"""Copy a project from one store to another, so that nothing is lost and nothing overwritten."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from maggma.core import Store

from mlip_autopipec.errors import StoreError
from mlip_autopipec.store.encoding import Document, digest

_BATCH = 20  # documents in memory; a blob may have some MB


@dataclass(frozen=True)
class CopiedCollection:
    """What became of one collection: its documents, and how many of them had to be written."""

    name: str
    n_documents: int
    n_written: int


def check_target(name: str, source: Store, target: Store, key: Sequence[str]) -> None:
    """Refuse a target with documents that are not of the source.

    Parameters
    ----------
    name
        Name of the collection, for the message.
    source, target
        Connected collections.
    key
        Fields that tell documents apart.

    Raises
    ------
    StoreError
        There are such documents; nothing was written.
    """
    others = sorted(set(target.distinct(key[0])) - set(source.distinct(key[0])))
    if others:
        raise StoreError(
            f"{target.name} holds {len(others)} documents that are not in {source.name}, such as "
            f"{others[0]!r} in {name}; nothing was written.",
            hint="copy into an empty folder or database.",
        )


def copy_collection(name: str, source: Store, target: Store, key: Sequence[str]) -> CopiedCollection:
    """Copy what the target lacks, and read all of it back.

    Parameters
    ----------
    name
        Name of the collection, for messages.
    source, target
        Connected collections.
    key
        Fields that tell documents apart.

    Returns
    -------
    CopiedCollection
        Counts. Every document of the source is in the target with the same hash.

    Raises
    ------
    StoreError
        The target has another document of the same key, or did not keep what it was given.
    """
    n_documents = n_written = 0
    for ids in _batches(source.distinct(key[0])):
        theirs = _read(source, ids, key)
        before = {identity: digest(document) for identity, document in _read(target, ids, key).items()}
        missing = [document for identity, document in theirs.items() if identity not in before]
        for identity, document in theirs.items():
            if before.get(identity, digest(document)) != digest(document):
                raise StoreError(
                    f"{target.name} has another {'/'.join(map(str, identity))} in {name} than {source.name}; "
                    f"it was left as it is.",
                    hint="copy into an empty folder or database.",
                )
        if missing:
            target.update(missing, key=list(key))
        after = {identity: digest(document) for identity, document in _read(target, ids, key).items()}
        for identity, document in theirs.items():
            if after.get(identity) != digest(document):
                raise StoreError(
                    f"{target.name} did not keep {'/'.join(map(str, identity))} of {name} as it was given.",
                    hint="check its free space and run the same command again.",
                )
        n_documents += len(theirs)
        n_written += len(missing)
    # With a filter: without one MongoDB gives an estimate.
    given, found = (store.count({key[0]: {"$exists": True}}) for store in (source, target))
    if not n_documents == given == found:
        raise StoreError(
            f"{target.name} has {found} documents in {name}, {source.name} has {given}, "
            f"{n_documents} of them different.",
            hint="end all runs that use them and run the same command again.",
        )
    return CopiedCollection(name, n_documents, n_written)


def _batches(values: Sequence[Any]) -> list[list[Any]]:
    ordered = sorted(values)
    return [ordered[i : i + _BATCH] for i in range(0, len(ordered), _BATCH)]


def _read(store: Store, ids: list[Any], key: Sequence[str]) -> dict[tuple[Any, ...], Document]:
    found = store.query({key[0]: {"$in": ids}})
    return {tuple(document[field] for field in key): document for document in found}
