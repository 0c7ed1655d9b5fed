"""Which part of a Mongo filter SQLite answers, and how."""

import math
from collections.abc import Iterable
from typing import Any

# What a generated column holds where the value is a list or a dict: such rows are always left to mongomock.
NOT_PLAIN = "x'00'"
_LARGEST_INTEGER = 2**63 - 1
_MOST_VALUES = 10_000


def quoted(name: str) -> str:
    """Return a name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _json_path(parts: Iterable[str]) -> str:
    path = "$" + "".join(f".{quoted(part)}" for part in parts)
    return "'" + path.replace("'", "''") + "'"


def value_of(field: str) -> str:
    """Return the SQL expression of a field's plain value."""
    parts = field.split(".")
    paths = [_json_path(parts[: n + 1]) for n in range(len(parts))]
    nested = [f"json_type(doc, {path}) = 'array'" for path in paths] + [
        f"json_type(doc, {paths[-1]}) = 'object'"
    ]
    return f"CASE WHEN {' OR '.join(nested)} THEN {NOT_PLAIN} ELSE json_extract(doc, {paths[-1]}) END"


def plain_values(field: str, condition: Any) -> list[Any] | None:
    """Return the values that SQLite may compare with, none where only mongomock can decide."""
    if field.startswith("$") or any(part.isdigit() or '"' in part for part in field.split(".")):
        return None
    if isinstance(condition, dict):
        if list(condition) != ["$in"]:
            return None
        wanted = list(condition["$in"])
    else:
        wanted = [condition]
    return wanted if all(map(_is_plain, wanted)) and len(wanted) < _MOST_VALUES else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, str) or (isinstance(value, int) and abs(value) <= _LARGEST_INTEGER)
