"""Which file system a path is on: SQLite's write-ahead log needs memory that one machine alone has."""

import re
from pathlib import Path

# As /proc/mounts names them. SQLite: "all processes using a database must be on the same host computer; WAL
# does not work over a network filesystem" (https://sqlite.org/wal.html).
_NETWORK = re.compile(
    r"nfs\d?|cifs|smb\w*|lustre|gpfs|beegfs|ceph|afs|9p|virtiofs|panfs|orangefs|pvfs2|glusterfs|ocfs2|gfs2|ncpfs|wekafs|"
    r"fuse\.(sshfs|glusterfs|ceph|rclone|s3fs|gcsfuse|davfs|juicefs|cephfs|beegfs)"
)


def network_file_system(path: Path, mounts: str | None = None) -> str | None:
    """Say on which network file system a path is.

    Parameters
    ----------
    path
        The path; it need not exist.
    mounts
        Text of ``/proc/self/mounts``; default: that of this machine, nothing where there is none.

    Returns
    -------
    str or None
        Its kind, such as ``"nfs4"``; none if it is on a local disk, or nobody can tell.
    """
    if mounts is None:
        file = Path("/proc/self/mounts")
        mounts = file.read_text() if file.exists() else ""
    kinds = {}
    for line in mounts.splitlines():
        _, mount, kind, *_ = line.split(" ")
        # The kernel writes blanks as octal numbers. A later mount at the same place hides the earlier.
        kinds[re.sub(r"\\(\d{3})", lambda found: chr(int(found[1], 8)), mount)] = kind
    path = path.resolve()
    kind = next((kinds[str(place)] for place in (path, *path.parents) if str(place) in kinds), "")
    return kind if is_network(kind) else None


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
