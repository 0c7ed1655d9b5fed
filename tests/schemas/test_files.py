import hashlib

import pytest

from mlip_autopipec.errors import StoreError
from mlip_autopipec.schemas.files import pack_file, unpack_file, write_atomic


def test_bytes_survive(tmp_path):
    source = tmp_path / "a.bin"
    source.write_bytes(bytes(range(256)) * 3)
    packed = pack_file(source)
    assert packed.name == "a.bin"
    assert packed.sha256 == hashlib.sha256(source.read_bytes()).hexdigest()
    (tmp_path / "out").mkdir()
    assert unpack_file(packed, tmp_path / "out").read_bytes() == source.read_bytes()


def test_bytes_that_changed_are_refused(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    packed = pack_file(path).model_copy(update={"base64": "b3RoZXI="})
    with pytest.raises(StoreError, match=r"file 'a' has hash .*, its document says"):
        unpack_file(packed, tmp_path)
    assert path.read_text() == "one"


def test_a_name_with_a_folder_does_not_leave_the_folder(tmp_path):
    path = tmp_path / "a"
    path.write_text("one")
    inside = tmp_path / "inside"
    inside.mkdir()
    written = unpack_file(pack_file(path).model_copy(update={"name": "../../evil"}), inside)
    assert written == inside / "evil"


def test_an_atomic_write_leaves_the_old_file_if_it_fails(tmp_path):
    target = tmp_path / "folder"
    target.mkdir()
    (target / "x").write_text("old")
    with pytest.raises(OSError, match=r"folder"):
        write_atomic(target, "new")  # a folder cannot be replaced by a file
    assert [p.name for p in tmp_path.iterdir()] == ["folder"]
    write_atomic(target / "x", "neü")
    assert (target / "x").read_text(encoding="utf-8") == "neü"
    assert (target / "x").stat().st_mode & 0o777 == 0o644
