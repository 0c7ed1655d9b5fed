"""The attempts at the jobs of a run folder: one entry a job in the journal, one folder an attempt."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from mlip_autopipec.execution.folder import clear
from mlip_autopipec.execution.journal import JobFailure, JobKey, Journal, JournalEntry
from mlip_autopipec.execution.schedule import JobNode
from mlip_autopipec.schemas.files import write_atomic


class Attempts:
    """What was tried in a run folder, and what became of it.

    Parameters
    ----------
    directory
        The run folder.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._journal = Journal(directory)
        self._entries = {entry.key: entry for entry in self._journal.entries()}
        self._folders = {entry.folder: entry.key for entry in self._entries.values()}

    def all(self) -> list[JournalEntry]:
        """Return the last attempt at each job."""
        return list(self._entries.values())

    def last(self, key: JobKey) -> JournalEntry | None:
        """Return the last attempt at a job, if there was one."""
        return self._entries.get(key)

    def begin(self, node: JobNode) -> JournalEntry:
        """Clear the folder of a job and write in the journal that it runs.

        Parameters
        ----------
        node
            The job.

        Returns
        -------
        JournalEntry
            The attempt.
        """
        last = self._entries.get(node.key)
        folder = last.folder if last else self._new_folder(node)
        clear(self.directory / folder, last)
        entry = JournalEntry(
            uuid=node.uuid,
            index=node.key[1],
            name=node.document["name"],
            metadata=node.document["metadata"],
            state="running",
            attempts=last.attempts + 1 if last else 1,
            started_at=datetime.now(UTC).isoformat(),
            folder=folder,
        )
        self._journal.write(entry)
        self.note(entry)
        return entry

    def note(self, entry: JournalEntry) -> None:
        """Take note of an attempt that the worker has written down itself."""
        self._entries[entry.key] = entry

    def bury(self, node: JobNode, why: JobFailure) -> JournalEntry:
        """Write down that a job died with its worker, in its folder as well.

        Parameters
        ----------
        node
            The job.
        why
            How the worker died.

        Returns
        -------
        JournalEntry
            The failed attempt.
        """
        entry = self._entries[node.key]
        now = datetime.now(UTC)
        entry = entry.model_copy(
            update={
                "state": "failed",
                "ended_at": now.isoformat(),
                # The clock may have been set back.
                "wall_time": max((now - datetime.fromisoformat(entry.started_at)).total_seconds(), 0.0),
                "error": why,
            }
        )
        self._journal.write(entry)
        self.note(entry)
        folder = self.directory / entry.folder
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "error.txt", f"{why.message}\n")
        return entry

    def interrupt(self, nodes: Iterable[JobNode]) -> None:
        """Write down that jobs were cut off, unless they had just ended.

        Parameters
        ----------
        nodes
            The jobs, none of which runs any more.
        """
        written = {entry.key: entry for entry in self._journal.entries()}
        for node in nodes:
            last = written[node.key]
            if last.state == "running":
                ended = datetime.now(UTC).isoformat()
                self._journal.write(last.model_copy(update={"state": "interrupted", "ended_at": ended}))

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _new_folder(self, node: JobNode) -> str:
        slug = re.sub(r"[^a-z0-9]+", "-", node.document["name"].lower()).strip("-")[:40]
        folder = f"jobs/{node.uuid[:8]}-{node.key[1]}-{slug}"
        if self._folders.setdefault(folder, node.key) != node.key:
            folder = f"jobs/{node.uuid}-{node.key[1]}-{slug}"
        return folder
