"""Files inside documents: so that a document and its store are all that a job needs."""

import base64
import hashlib
import os
import tempfile
from pathlib import Path

from mlip_autopipec.errors import StoreError
from mlip_autopipec.schemas.structure import FileData

RESUME_FOLDER = "resume"
"""What a job puts here, in its own folder, outlives an attempt that was cut off: the next goes on with it."""


def pack_file(path: Path) -> FileData:
    """Read a file into a document.

    Parameters
    ----------
    path
        The file.

    Returns
    -------
    FileData
        Its name, hash and bytes.
    """
    content = path.read_bytes()
    return FileData(
        name=path.name,
        sha256=hashlib.sha256(content).hexdigest(),
        base64=base64.b64encode(content).decode("ascii"),
    )


def unpack_file(file: FileData, directory: Path) -> Path:
    """Write a packed file into a folder.

    Parameters
    ----------
    file
        The packed file.
    directory
        Where to write it; it must exist.

    Returns
    -------
    pathlib.Path
        The written file.

    Raises
    ------
    StoreError
        The bytes do not have the recorded hash.
    """
    content = base64.b64decode(file.base64)
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise StoreError(f"file {file.name!r} has hash {found[:12]}…, its document says {file.sha256[:12]}….")
    path = directory / Path(file.name).name
    write_atomic(path, content)
    return path


def write_atomic(path: Path, content: bytes | str) -> None:
    """Write a file so that a reader sees all of it or the old one, never a part.

    Parameters
    ----------
    path
        The file.
    content
        Bytes, or text written as UTF-8.
    """
    data = content.encode() if isinstance(content, str) else content
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
