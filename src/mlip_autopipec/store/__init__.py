"""The JobStore and typed reading of it."""

from mlip_autopipec.store.open import STORE_FILE, is_mongo, open_existing, open_store, require_store
from mlip_autopipec.store.query import StoredOutput, find_outputs, load_output
from mlip_autopipec.store.sqlite import SqliteStore

__all__ = [
    "STORE_FILE",
    "SqliteStore",
    "StoredOutput",
    "find_outputs",
    "is_mongo",
    "load_output",
    "open_existing",
    "open_store",
    "require_store",
]
