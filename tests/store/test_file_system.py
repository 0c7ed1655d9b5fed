import sqlite3
from pathlib import Path

import pytest

from mlip_autopipec.store.connection import open_file
from mlip_autopipec.store.file_system import FileSystem, file_system, network_file_system

MOUNTS = r"""/dev/sda / ext4 rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
tmpfs /home/me/local tmpfs rw 0 0
o2ib:/scratch /scratch/my\040work lustre rw 0 0
me@host: /mnt/remote fuse.sshfs rw 0 0
overlay /mnt/over overlay rw 0 0
server:/x /mnt/hidden nfs rw 0 0
/dev/sdb /mnt/hidden ext4 rw 0 0
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/home/me/run", "nfs4"),
        ("/home/me/local/run", None),
        ("/scratch/my work/run/store.sqlite", "lustre"),
        ("/mnt/remote", "fuse.sshfs"),
        ("/mnt/over/run", None),
        ("/mnt/hidden/run", None),
        ("/homes/run", None),
    ],
)
def test_network_file_systems_are_known(path, kind, tmp_path):
    mounts = tmp_path / "mounts"
    assert network_file_system(Path(path), mounts) is None
    mounts.write_text(MOUNTS)
    assert network_file_system(Path(path), mounts) == kind


def test_the_file_system_is_that_of_the_last_and_longest_mount(tmp_path):
    (tmp_path / "mounts").write_text(MOUNTS)
    assert file_system(Path("/mnt/hidden/run"), tmp_path / "mounts") == FileSystem(
        Path("/mnt/hidden"), "ext4"
    )


def test_this_disk_is_local(tmp_path):
    assert network_file_system(tmp_path) is None
    connection = open_file(str(tmp_path / "s.sqlite"))
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
    connection.close()


def test_a_network_disk_gets_no_write_ahead_log_and_is_told(tmp_path, caplog):
    file = str(tmp_path / "s.sqlite")
    open_file(file).close()
    connection = open_file(file, network="nfs4")
    assert connection.execute("PRAGMA journal_mode").fetchone()[0] == "delete"
    connection.execute("CREATE TABLE t (x)")
    connection.close()
    assert "is on a network file system (nfs4): readers and writers wait for each other" in caplog.text
    assert sqlite3.connect(file).execute("SELECT COUNT(*) FROM t").fetchone() == (0,)
