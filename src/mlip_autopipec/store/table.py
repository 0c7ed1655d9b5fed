"""The table behind a collection: JSON text, and generated columns for the fields that are searched by."""

import sqlite3

from mlip_autopipec.store.selection import quoted, value_of

# Not "index", the number of a replacement: SQLite would search by it, and it is 1 almost everywhere.
_INDEXED = ("uuid", "name", "blob_uuid")


def create_table(connection: sqlite3.Connection, collection: str) -> None:
    """Make the table of a collection with the indexes that jobflow's look-ups need."""
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {quoted(collection)} (id INTEGER PRIMARY KEY, doc TEXT NOT NULL)"
    )
    for field in _INDEXED:
        add_index(connection, collection, field)


def add_index(connection: sqlite3.Connection, collection: str, field: str, *, unique: bool = False) -> None:
    """Add a generated column for a field, and its index; inside a transaction."""
    column = quoted(f"@{field}")
    # Looked up again: another process may have added it since.
    if field not in indexed_fields(connection, collection):
        connection.execute(
            f"ALTER TABLE {quoted(collection)} ADD COLUMN {column} AS ({value_of(field)}) VIRTUAL"
        )
    connection.execute(
        f"CREATE {'UNIQUE' if unique else ''} INDEX IF NOT EXISTS {quoted(f'{collection}@{field}')} "
        f"ON {quoted(collection)} ({column})"
    )


def indexed_fields(connection: sqlite3.Connection, collection: str) -> dict[str, str]:
    """Return the SQL name of the column of each field that has one."""
    names = [str(row[1]) for row in connection.execute(f"PRAGMA table_xinfo({quoted(collection)})")]
    return {name[1:]: quoted(name) for name in names if name.startswith("@")}
