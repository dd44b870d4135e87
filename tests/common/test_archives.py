"""The list of members of a zip is limited before it is read."""

import zipfile

import pytest

from benchmarks.fuzz_hostile import many_members
from common import archives
from common.archives import Archive
from common.errors import InputError


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("large", bytes(3000))
        archive.writestr("small", b"1")
    return path


def test_an_archive_is_read_and_its_file_closed(packed):
    with Archive(packed, most=200) as archive:
        file = archive.fp
        assert archive.head == b"PK\3\4" and archive.namelist() == ["large", "small"]
        assert archive.read("large") == bytes(3000), "the limit is that of the list"
    assert file.closed


def test_a_longer_list_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "a.zip"
    path.write_bytes(many_members(1000))  # whose number its end does not tell
    assert len(Archive(path).namelist()) == 1000
    monkeypatch.setattr(zipfile, "ZipInfo", lambda *ignored: pytest.fail("it was read"))
    with pytest.raises(InputError, match="^.*a.zip lists too many files, 0 MiB of names: unpack it$"):
        Archive(path, most=1000 * 50)
    path.write_bytes(many_members(400_000))
    assert path.stat().st_size > archives.MAX_LIST
    with pytest.raises(InputError, match="^.*a.zip lists too many files, 22 MiB of names: unpack it$"):
        Archive(path)


def test_what_is_no_archive_leaves_no_open_file(tmp_path):
    (tmp_path / "a.zip").write_bytes(b"no zip")
    with pytest.raises(zipfile.BadZipFile):
        Archive(tmp_path / "a.zip")
    with pytest.raises(FileNotFoundError):
        Archive(tmp_path / "none.zip")
