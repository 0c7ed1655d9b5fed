"""`mlip-auto store copy`."""

import shutil
from contextlib import ExitStack
from pathlib import Path

import typer
from maggma.core import Store

from mlip_autopipec.errors import ConfigError
from mlip_autopipec.execution.folder import locked
from mlip_autopipec.execution.journal import JOURNAL_KEY, journal_beside
from mlip_autopipec.settings import get_settings
from mlip_autopipec.store import is_mongo, open_existing, open_store, require_store
from mlip_autopipec.store.mongo import database_of, public_name
from mlip_autopipec.store.transfer import check_target, copy_collection

# Data before the documents that point to them, and the journal, which says what is finished, last.
_KEYS = {"data": ("blob_uuid",), "jobs": ("uuid", "index"), "journal": JOURNAL_KEY}


def copy_project(source: str, target: str) -> None:
    """Copy the documents, data and journal of a project, and check that all have arrived.

    Parameters
    ----------
    source, target
        Run folder or ``mongodb://…``.

    Raises
    ------
    ConfigError
        Both are the same.
    """
    if source == target or (
        not is_mongo(source) and not is_mongo(target) and Path(source).resolve() == Path(target).resolve()
    ):
        raise ConfigError(f"a project cannot be copied to itself, got {_shown(source)!r} twice.")
    with ExitStack() as stack:
        theirs = _open(source, stack, new=False)
        ours = _open(target, stack, new=True)
        for name, key in _KEYS.items():
            check_target(name, theirs[name], ours[name], key)
        for name, key in _KEYS.items():
            copied = copy_collection(name, theirs[name], ours[name], key)
            typer.echo(
                f"{name:8}{copied.n_documents:6} documents, {copied.n_written} written now, "
                "all compared by hash"
            )
    config = Path(source) / "config.yaml"
    if not is_mongo(source) and not is_mongo(target) and config.is_file():
        shutil.copyfile(config, Path(target) / "config.yaml")
    typer.echo(f"{_shown(target)} holds all of {_shown(source)}")


def _open(place: str, stack: ExitStack, *, new: bool) -> dict[str, Store]:
    """Open the collections of a place; those of a folder when nobody runs in it."""
    if is_mongo(place):
        project = open_existing(place)
    else:
        if not new:
            require_store(Path(place))
        stack.enter_context(locked(Path(place)))
        project = open_store(Path(place))
    stack.callback(project.close)
    journal = journal_beside(project.docs_store)
    journal.connect()
    stack.callback(journal.close)
    data: Store = vars(project)["additional_stores"]["data"]
    return {"data": data, "jobs": project.docs_store, "journal": journal}


def _shown(place: str) -> str:
    """Return a place without a password."""
    if not is_mongo(place):
        return place
    database = database_of(place, get_settings().store_database)
    return public_name(place, database, "").rstrip("/")
