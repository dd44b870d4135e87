import os
import stat
import zipfile

import pytest

from common.errors import InputError
from readers import container
from readers.container import open_container


@pytest.fixture
def packed(tmp_path):
    """Return a function that writes a .zip of name (or ZipInfo) → content."""

    def make(files: dict, name: str = "files.zip"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in files.items():
                archive.writestr(file, content)
        return tmp_path / name

    return make


def error(path) -> str:
    with pytest.raises(InputError) as caught:
        open_container(path)
    return str(caught.value)


FILES = {
    "1/a.bmp": b"A", "1/b.bmp": b"BB", "classes.txt": b"", ".DS_Store": b"x", "1/.thumbs/c.bmp": b"x",
    "__MACOSX/1/._a.bmp": b"x",
}  # fmt: skip


def test_a_folder_and_a_zip_hold_the_same_files_without_hidden_ones(packed, tmp_path):
    for name, content in FILES.items():
        (tmp_path / "folder" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "folder" / name).write_bytes(content)
    for files in (open_container(tmp_path / "folder"), open_container(packed({"1/": b""} | FILES))):
        assert sorted(files.names) == ["1/", "1/a.bmp", "1/b.bmp", "classes.txt"]
        assert files.read("1/b.bmp") == b"BB" and files.read("classes.txt") == b""
        assert [(name, size) for name, size, _ in files.stamp if name[-1] != "/"] == [
            ("1/a.bmp", 1), ("1/b.bmp", 2), ("classes.txt", 0),
        ]  # fmt: skip
        with files.open("1/a.bmp") as file:
            assert file.read(1) == b"A"


def test_the_stamp_of_a_folder_changes_with_a_file(tmp_path):
    def stamp():
        return open_container(tmp_path).stamp

    (tmp_path / "a").write_bytes(b"1")
    first = stamp()
    os.utime(tmp_path / "a", ns=(0, first[0][2] + 10**9))
    touched = stamp()
    (tmp_path / "b").write_bytes(b"1")
    added = stamp()
    (tmp_path / "a").rename(tmp_path / "c")
    assert first == first and len({repr(value) for value in (first, touched, added, stamp())}) == 4


def test_the_stamp_of_a_zip_is_of_its_content_alone(packed):
    one = open_container(packed({"a": b"1", "b": b"2"})).stamp
    assert open_container(packed({"b": b"2", "a": b"1"}, "other.zip")).stamp == one
    assert open_container(packed({"a": b"1", "b": b"3"})).stamp != one


@pytest.mark.parametrize("name", ["../a.bmp", "1/../../a.bmp", "/a.bmp", "C:/a.bmp", "..\\a.bmp"])
def test_names_that_point_outside_are_refused(packed, name):
    path = packed({"1/a.bmp": b"x", name: b"x"})
    assert error(path) == f"{path} holds a file named {name!r}, outside the archive: it is refused"


def test_names_with_dots_that_stay_inside_are_fine(packed):
    assert open_container(packed({"1/a..b.bmp": b"x", "..a/b": b"x"})).names == ["1/a..b.bmp"]


def test_links_are_refused(packed):
    link = zipfile.ZipInfo("1/a.bmp")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    path = packed({link: b"/etc/passwd"})
    assert error(path) == f"{path} holds a link, '1/a.bmp': it is refused, pack the file itself"


def test_an_archive_that_expands_beyond_measure_is_refused(packed):
    path = packed({"1/a.bmp": bytes(65 * 2**20)})
    assert error(path) == f"{path} would expand to 65 MiB, more than 200 times its size: it is refused"


def test_a_small_archive_may_expand_as_it_likes(packed, monkeypatch):
    monkeypatch.setattr(container, "MAX_EXPANSION", 1)
    assert open_container(packed({"1/a.bmp": bytes(2**20)})).names == ["1/a.bmp"]


def test_a_damaged_zip_is_named(packed, tmp_path):
    path = packed({"1/a.bmp": b"x" * 1000})
    path.write_bytes(path.read_bytes()[:40])
    assert error(path) == f"{path} is not a readable .zip (File is not a zip file): unpack it and give the folder"
    assert "is not a readable .zip ([Errno 2] No such file" in error(tmp_path / "none.zip")


def test_names_that_are_no_text_can_still_be_printed(tmp_path):
    try:
        (tmp_path / os.fsdecode(b"\xff.bmp")).write_bytes(b"x")
    except OSError:
        pytest.skip("this file system takes no such names")
    files = open_container(tmp_path)
    assert files.names == ["\ufffd.bmp"] and files.read(files.names[0]) == b"x"
    files.names[0].encode()
