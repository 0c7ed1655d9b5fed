"""The JobStore and typed reading of it."""

from mlip_autopipec.store.open import open_store
from mlip_autopipec.store.query import StoredOutput, find_outputs, load_output
from mlip_autopipec.store.sqlite import SqliteStore

__all__ = ["SqliteStore", "StoredOutput", "find_outputs", "load_output", "open_store"]
