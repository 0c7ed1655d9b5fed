"""In which settings and inputs two jobs differ, on their JSON form."""

import re
from itertools import zip_longest
from typing import Any

from mlip_autopipec.flows.identity import Node

ANOTHER_INPUT = "takes the output of another job than before"
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_LONGEST = 60  # characters of a value that is shown


def differences(old: Node, new: Node) -> list[str]:
    """List what makes two jobs different ones.

    Parameters
    ----------
    old, new
        JSON forms of jobs of the same function.

    Returns
    -------
    list[str]
        Changed settings, ``"oracle_maker.ecutwfc: 40 -> 60"``, and changed arguments; of those that come from
        another job, only that.
    """
    found: list[str] = []
    for part in ("function", "function_kwargs"):
        _compare(old[part], new[part], [], found)
    for index, pair in enumerate(zip_longest(old["function_args"], new["function_args"])):
        _compare(*pair, [str(index)], found)
    return list(dict.fromkeys(found))


def _compare(old: Any, new: Any, path: list[str], found: list[str]) -> None:
    if old == new:
        return
    kinds = [value.get("@class") if isinstance(value, dict) else None for value in (old, new)]
    if kinds == ["OutputReference", "OutputReference"] or (_is_id(old) and _is_id(new)):
        found.append(ANOTHER_INPUT)
    elif isinstance(old, dict) and isinstance(new, dict) and kinds[0] == kinds[1]:
        for name in [*old, *(name for name in new if name not in old)]:
            if name not in ("@version", "name"):
                _compare(old.get(name), new.get(name), [*path, name], found)
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new) and not _plain(new):
        for index, pair in enumerate(zip(old, new, strict=True)):
            _compare(*pair, [*path, str(index)], found)
    else:
        found.append(f"{_joined(path)}: {_shown(old)} -> {_shown(new)}")


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _plain(values: list[Any]) -> bool:
    return not any(isinstance(value, dict | list) for value in values)


def _joined(path: list[str]) -> str:
    return ".".join(name for name in path if not name.startswith("@"))


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("@class", "another value"))
    text = str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"
