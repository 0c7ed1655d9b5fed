"""What happened in a run folder: one entry a job, written as soon as it is known."""

from pathlib import Path
from typing import Any, Literal

from maggma.core import Store
from pydantic import Field

from mlip_autopipec.schemas.base import Document
from mlip_autopipec.store import SqliteStore
from mlip_autopipec.store.mongo import beside

JobKey = tuple[str, int]
JOURNAL_KEY = ("uuid", "index")


WORKER_DIED = "WorkerDied"
"""Type of the failure of a job whose worker process was killed: it says nothing against the job."""


class JobFailure(Document):
    """Why a job failed."""

    type: str = Field(description="Name of the exception.")
    message: str = Field(description="Its message.")
    hint: str | None = Field(None, description="What to do about it, where the error is one of ours.")


class JobGrowth(Document):
    """What a job answered besides its output: new flows as JSON text, and whom it stops."""

    replace: str | None = Field(None, description="Flow that replaces the job.")
    detour: str | None = Field(None, description="Flow to run before the job's dependents.")
    addition: str | None = Field(None, description="Flow to run as well.")
    stop_children: bool = Field(False, description="Whether the jobs that depend on it do not run.")
    stop_jobflow: bool = Field(False, description="Whether no further job runs.")


class JournalEntry(Document):
    """One job of a run."""

    uuid: str = Field(description="Id of the job.")
    index: int = Field(description="Number of the replacement, from 1 [1].")
    name: str = Field(description="Name of the job.")
    metadata: dict[str, Any] = Field(default_factory=dict, description="Metadata of the job.")
    state: Literal["running", "done", "failed", "interrupted"] = Field(description="How far it is.")
    attempts: int = Field(description="How often it was started [1].")
    started_at: str = Field(description="Start of the last attempt, ISO 8601 in UTC.")
    ended_at: str | None = Field(None, description="End of the last attempt, ISO 8601 in UTC.")
    wall_time: float | None = Field(None, description="Wall time of the last attempt [s].")
    folder: str = Field(description="Folder of the job inside the run folder.")
    error: JobFailure | None = Field(None, description="Why it failed.")
    growth: JobGrowth = Field(default_factory=JobGrowth, description="What it answered besides its output.")

    @property
    def key(self) -> JobKey:
        """Id and index."""
        return self.uuid, self.index


class Journal:
    """The journal of a run folder; several processes may write and read it at once.

    Parameters
    ----------
    directory
        The run folder; it must exist.
    """

    def __init__(self, directory: Path) -> None:
        self.store = _file(directory)
        self.store.connect()

    def write(self, entry: JournalEntry) -> None:
        """Write an entry over the last one of the same job."""
        self.store.update(entry.model_dump(mode="json"), key=list(JOURNAL_KEY))

    def entries(self) -> list[JournalEntry]:
        """Read all entries, in the order the jobs were first started."""
        documents = self.store.query()
        return [JournalEntry.model_validate(document) for document in documents]

    def close(self) -> None:
        """Close the file."""
        self.store.close()


def journal_beside(jobs: Store) -> Store:
    """Return the collection for the journal of a project beside its documents, to be copied with them.

    Parameters
    ----------
    jobs
        The documents, in a run folder or in MongoDB.

    Returns
    -------
    maggma.core.Store
        The collection, not connected. In MongoDB it is a copy: a run keeps its journal in its folder.
    """
    if isinstance(jobs, SqliteStore):
        return _file(Path(jobs.path).parent)
    return beside(jobs, "journal")


def _file(directory: Path) -> SqliteStore:
    return SqliteStore(directory / "journal.sqlite", "journal", key="uuid")
