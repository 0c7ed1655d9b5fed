"""Which file system a path is on: SQLite's write-ahead log needs memory that one machine alone has."""

import re
from dataclasses import dataclass
from pathlib import Path

# As /proc/mounts names them. SQLite: "all processes using a database must be on the same host computer; WAL
# does not work over a network filesystem" (https://sqlite.org/wal.html).
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|lustre|gpfs|beegfs|ceph|afs|9p|virtiofs|panfs|orangefs|pvfs2|glusterfs|ocfs2|gfs2|ncpfs|wekafs|"
    r"fuse\.(sshfs|glusterfs|ceph|rclone|s3fs|gcsfuse|davfs|juicefs|cephfs|beegfs)"
)
MOUNTS = Path("/proc/self/mounts")


@dataclass(frozen=True)
class FileSystem:
    """A mounted file system: where, and of which kind, as the kernel names it."""

    mount: Path
    kind: str


def file_system(path: Path, mounts: Path = MOUNTS) -> FileSystem | None:
    """Find the file system that holds a path.

    Parameters
    ----------
    path
        The path; it need not exist.
    mounts
        A table like that of this machine.

    Returns
    -------
    FileSystem or None
        That of the longest mount point above it; of several the last mounted. None if nobody can tell.
    """
    kinds = {}
    for line in mounts.read_text().splitlines() if mounts.exists() else []:
        _, mount, kind, *_ = line.split(" ")
        # The kernel writes blanks as octal numbers. A later mount at the same place hides the earlier.
        kinds[Path(re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), mount))] = kind
    path = path.resolve()
    return next((FileSystem(place, kinds[place]) for place in (path, *path.parents) if place in kinds), None)


def network_file_system(path: Path, mounts: Path = MOUNTS) -> str | None:
    """Say on which network file system a path is.

    Parameters
    ----------
    path
        The path; it need not exist.
    mounts
        A table like that of this machine.

    Returns
    -------
    str or None
        Its kind, such as ``"nfs4"``; none if it is on a local disk, or nobody can tell.
    """
    found = file_system(path, mounts)
    return found.kind if found is not None and is_network(found.kind) else None


def is_network(kind: str) -> bool:
    """Say whether a kind of file system, as the kernel names it, is shared between machines.

    Parameters
    ----------
    kind
        Such as ``"nfs4"``.

    Returns
    -------
    bool
        Whether SQLite's log cannot be trusted there.
    """
    return _NETWORK.fullmatch(kind) is not None
