"""How a SQLite file is opened."""

import logging
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from mlip_autopipec.store.file_system import network_file_system

_logger = logging.getLogger(__name__)
TIMEOUT = 60.0  # s that a writer waits for another writer


def open_file(path: str, network: str | None = None) -> sqlite3.Connection:
    """Open a SQLite file in autocommit mode, with write-ahead logging where the file system allows it.

    Parameters
    ----------
    path
        The file.
    network
        Kind of the network file system it is on; looked up by default.

    Returns
    -------
    sqlite3.Connection
        The open file.
    """
    network = network or network_file_system(Path(path))
    if network:
        _logger.warning(
            "%s is on a network file system (%s): readers and writers wait for each other, and only one "
            "machine may use it at a time. A local disk, or MongoDB by MLIP_AUTO_STORE_URI, is better.",
            path,
            network,
        )
    if Path(path).is_file() and not os.access(Path(path).parent, os.W_OK):
        return _open_to_read(path)
    connection = sqlite3.connect(path, timeout=TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        _set_journal(connection, "DELETE" if network else "WAL")
        # FULL: a document may stand for hours of DFT, an fsync costs milliseconds. NORMAL could lose the
        # last ones in a power cut.
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _open_to_read(path: str) -> sqlite3.Connection:
    """Open a file where nothing may be written; where nobody else writes either, no lock is needed."""
    log = Path(f"{path}-wal")
    how = "mode=ro" if log.is_file() and log.stat().st_size else "immutable=1"
    uri = f"{Path(path).absolute().as_uri()}?{how}"
    return sqlite3.connect(uri, uri=True, timeout=TIMEOUT, isolation_level=None, check_same_thread=False)


def _set_journal(connection: sqlite3.Connection, mode: Literal["WAL", "DELETE"]) -> None:
    """Set how SQLite keeps a transaction whole; it answers with the mode it could set."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == mode.lower():
        return
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            connection.execute(f"PRAGMA journal_mode = {mode}").fetchone()
        except sqlite3.OperationalError as error:
            # The switch does not wait for other openers by itself as other statements do.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Take the write lock first, so that looking and writing are one step among several writers."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
        connection.execute("COMMIT")
    except BaseException:
        # A full disk may have rolled back already.
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
