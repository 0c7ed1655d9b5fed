"""Documents as strict JSON text, which every SQLite version can read."""

import hashlib
import json
import math
import re
from datetime import datetime
from typing import Any

from bson import ObjectId
from monty.json import jsanitize

Document = dict[str, Any]
_PART_OF_MS = re.compile(r'("\$date": "[^"]*\.\d{3})\d+')


def encoded(document: Document) -> str:
    """Write a document as strict JSON; the rest is tagged as in MongoDB's extended JSON."""
    plain = {name: value for name, value in document.items() if name != "_id"}
    try:
        return json.dumps(plain, default=_tagged, allow_nan=False)
    except (ValueError, TypeError):
        # A number that is not finite, or a key that is no string.
        return json.dumps(
            _without_nan(jsanitize(plain, allow_bson=True, recursive_msonable=True)), default=_tagged
        )


def _tagged(value: Any) -> Any:
    if isinstance(value, datetime):
        return {"$date": value.isoformat()}
    if isinstance(value, ObjectId):
        return {"$oid": str(value)}
    return jsanitize(value, allow_bson=True, recursive_msonable=True)


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_nan(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {"$numberDouble": repr(value)}
    return value


def decoded(text: str) -> Document:
    """Read a document back."""
    return json.loads(text, object_hook=_untagged if '"$' in text else None)


def _untagged(value: Document) -> Any:
    if len(value) == 1:
        tag, content = next(iter(value.items()))
        if tag == "$date":
            return datetime.fromisoformat(content)
        if tag == "$oid":
            return ObjectId(content)
        if tag == "$numberDouble":
            return float(content)
    return value


def digest(document: Document) -> str:
    """Hash a document: the same in every store that holds it, whatever the order of its fields."""
    # MongoDB keeps times to the ms.
    text = _PART_OF_MS.sub(r"\1", encoded(document))
    return hashlib.sha256(json.dumps(json.loads(text), sort_keys=True).encode()).hexdigest()
