"""How a SQLite file is opened."""

import sqlite3
import time

TIMEOUT = 60.0  # s that a writer waits for another writer


def open_file(path: str) -> sqlite3.Connection:
    """Open a SQLite file in autocommit mode, with write-ahead logging where the file system allows it."""
    connection = sqlite3.connect(path, timeout=TIMEOUT, isolation_level=None, check_same_thread=False)
    try:
        _set_journal(connection)
        # FULL: a document may stand for hours of DFT, an fsync costs milliseconds. NORMAL could lose the
        # last ones in a power cut.
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def _set_journal(connection: sqlite3.Connection) -> None:
    """Switch to write-ahead logging; SQLite answers with the mode it could set."""
    if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
        return
    end = time.monotonic() + TIMEOUT
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as error:
            # The switch does not wait for other openers by itself as other statements do.
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > end:
                raise
            time.sleep(0.01)
        else:
            return
