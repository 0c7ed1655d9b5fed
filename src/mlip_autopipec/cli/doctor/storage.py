"""Whether results can be kept: the store, and the disk of the run folder."""

import os
import shutil
import time
import uuid
from pathlib import Path
from tempfile import TemporaryDirectory

from mlip_autopipec.cli.doctor.finding import Finding, Machine
from mlip_autopipec.errors import StoreError
from mlip_autopipec.store import open_store
from mlip_autopipec.store.file_system import file_system, is_network

_VOLATILE = {"ramfs", "tmpfs"}
_GIGABYTE = 1e9
_LITTLE = 2.0  # GB
_SLOW = 0.5  # s a write


def probe_store(machine: Machine) -> Finding:
    """Write a document to the store, read it back and remove it.

    Parameters
    ----------
    machine
        Where to look.

    Returns
    -------
    Finding
        Which store, and how long a document takes.
    """
    with TemporaryDirectory(dir=machine.scratch) as folder:
        # The embedded store of a real run is left alone; probe_disk tries its disk.
        store = open_store(Path(folder), machine.settings)
        document = {"uuid": f"doctor-{uuid.uuid4()}", "index": 1, "output": {"answer": 42}}
        start = time.perf_counter()
        try:
            store.docs_store.update([document], key=["uuid", "index"])
            found = store.docs_store.query_one({"uuid": document["uuid"]}, properties=["output"])
            took = time.perf_counter() - start
            store.docs_store.remove_docs({"uuid": document["uuid"]})
        finally:
            store.close()
    kind = "embedded (SQLite)" if machine.settings.store_uri is None else store.docs_store.name
    measured = f"{kind}: a document written and read in {1000 * took:.0f} ms"
    if found is None or found["output"] != document["output"]:
        return Finding("store", "broken", f"{kind}: a document was not found again", "check the server", True)
    return Finding("store", "ok", measured)


def probe_disk(machine: Machine) -> Finding:
    """Say what kind of disk the run folder is on, how much is free, and how long a safe write takes.

    Parameters
    ----------
    machine
        Where to look.

    Returns
    -------
    Finding
        Type, space and time.
    """
    folder = _existing(machine.run.absolute())
    free = shutil.disk_usage(folder).free / _GIGABYTE
    system = file_system(folder, machine.mounts)
    if system is None:
        raise StoreError(f"no file system is known for {folder}.", hint="is /proc mounted?")
    took = _write(folder)
    measured = (
        f"{folder} is on {system.kind} ({system.mount}), {free:.1f} GB free, "
        f"a safe write takes {1000 * took:.0f} ms"
    )
    embedded = machine.settings.store_uri is None
    if embedded and is_network(system.kind):
        advice = "run on a local disk (--directory), or keep the store in MongoDB (MLIP_AUTO_STORE_URI)"
        return Finding("disk", "broken", f"{measured}; SQLite's log does not work on {system.kind}", advice)
    if system.kind in _VOLATILE:
        return Finding("disk", "warning", f"{measured}; in memory: gone after a restart", "use a real disk")
    if free < _LITTLE:
        return Finding("disk", "warning", f"{measured}; a campaign may need more", "make space")
    if took > _SLOW:
        return Finding("disk", "warning", f"{measured}; slow", "use a local disk")
    return Finding("disk", "ok", measured)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.is_dir())


def _write(folder: Path) -> float:
    """Write a page to the disk and time it; in s."""
    start = time.perf_counter()
    try:
        with TemporaryDirectory(dir=folder) as scratch, (Path(scratch) / "page").open("wb") as file:
            file.write(bytes(4096))
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise StoreError(
            f"{folder} cannot be written: {error.strerror}.", hint="give another folder with --directory."
        ) from error
    return time.perf_counter() - start
