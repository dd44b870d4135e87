import os
import stat
import struct
import tracemalloc
import zipfile
from functools import partial
from pathlib import Path

import conftest
import pytest

from common.errors import InputError
from readers.container import check_archive, is_empty, open_container

error = partial(conftest.error, open_container)


@pytest.fixture
def packed(tmp_path):
    """Return a function that writes a .zip of name (or ZipInfo) → content."""

    def make(files: dict, name: str = "files.zip"):
        with zipfile.ZipFile(tmp_path / name, "w", zipfile.ZIP_DEFLATED) as archive:
            for file, content in files.items():
                archive.writestr(file, content)
        return tmp_path / name

    return make


FILES = {
    "1/a.bmp": b"A", "1/b.bmp": b"BB", "classes.txt": b"", ".DS_Store": b"x", "1/.thumbs/c.bmp": b"x",
    "__MACOSX/1/._a.bmp": b"x", "1/Thumbs.db": b"x", "desktop.ini": b"x",
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


def test_an_npz_that_expands_beyond_measure_is_refused(packed):
    path = packed({"1/a.bmp": bytes(257 * 2**20)})
    with pytest.raises(InputError) as caught, zipfile.ZipFile(path) as archive:
        check_archive(path, archive)
    assert str(caught.value) == f"{path} would expand to 257 MiB, more than 200 times its size: it is refused"


def test_a_zip_of_images_may_expand_as_it_likes(packed):
    """48 paintings of 800×600 pixels, as Paint writes them, are 66 MiB of hardly anything but white."""
    files = open_container(packed({f"1/{i}.bmp": bytes(800 * 600 * 3) for i in range(48)}))
    assert len(files.names) == 48 and len(files.read("1/0.bmp")) == 800 * 600 * 3


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_members_whose_expansion_cannot_be_limited_are_listed(tmp_path, method):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.bmp", b"1", method)
        archive.writestr("b.bmp", b"1")
    files = open_container(tmp_path / "a.zip")
    assert files.names == ["b.bmp"]
    assert files.skipped == [("a.bmp", "compressed by an unusual method: pack it as an ordinary .zip")]


def test_no_more_than_the_limit_is_read(packed, tmp_path):
    packed({"a.bmp": bytes(300 * 2**20)}, "a.zip")
    with open(tmp_path / "b.bmp", "wb") as file:
        file.truncate(3 * 2**30)
    tracemalloc.start()
    for path, name in ((tmp_path / "a.zip", "a.bmp"), (tmp_path, "b.bmp")):
        with pytest.raises(InputError) as caught:
            open_container(path).read(name)
        assert str(caught.value) == f"{name}: more than 128 MiB"
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * 2**20


def test_a_member_that_holds_more_than_it_claims_is_not_expanded(packed):
    path = packed({"a.bmp": bytes(300 * 2**20)})
    path.write_bytes(path.read_bytes().replace(struct.pack("<I", 300 * 2**20), struct.pack("<I", 1000)))
    tracemalloc.start()
    with pytest.raises(zipfile.BadZipFile):  # the checksum is that of the whole
        open_container(path).read("a.bmp")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 300 * 2**20


def test_a_damaged_zip_is_named(packed, tmp_path):
    path = packed({"1/a.bmp": b"x" * 1000})
    path.write_bytes(path.read_bytes()[:40])
    assert error(path) == f"{path} is not a readable .zip (File is not a zip file): unpack it and give the folder"
    assert "is not a readable .zip ([Errno 2] No such file" in error(tmp_path / "none.zip")


def write_bytes(folder, names: list[bytes]) -> None:
    for name in names:
        path = folder / os.fsdecode(name)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(name)
        except OSError:
            pytest.skip("this file system takes no such names")


@pytest.mark.parametrize(
    "names, encoding, decoded",
    [
        (["博/1.bmp".encode("gb18030"), b"a/1.bmp"], "GB18030", ["a/1.bmp", "博/1.bmp"]),
        (["博/1.bmp".encode("gb18030"), "学/1.bmp".encode("gb18030")], "GB18030", ["博/1.bmp", "学/1.bmp"]),
        (["é/1.bmp".encode("cp437"), "ß.bmp".encode("cp437")], "CP437", ["ß.bmp", "é/1.bmp"]),
        ([b"\xff/1.bmp", b"\xfe/1.bmp"], "CP437", ["\xa0/1.bmp", "■/1.bmp"]),
    ],
)
def test_names_that_are_not_utf8_are_decoded_and_this_is_said(tmp_path, names, encoding, decoded):
    write_bytes(tmp_path, names)
    files = open_container(tmp_path)
    assert sorted(name for name in files.names if name[-1] != "/") == sorted(decoded) and files.skipped == []
    assert {files.read(name) for name in decoded} == set(names)
    assert len(files.notes) == 1 and files.notes[0].endswith(
        f" names in {tmp_path.name} whose encoding is not stated are read as {encoding}"
    )


def test_names_that_read_the_same_are_listed(tmp_path):
    write_bytes(tmp_path, ["博.bmp".encode("gb18030"), "博.bmp".encode()])
    files = open_container(tmp_path)
    assert files.names == ["博.bmp"] and files.skipped == [("博.bmp", "another file's name reads the same: rename it")]


def unflagged(path, names: list[bytes]):
    """Write a .zip as tools do that do not say how names are encoded."""
    with zipfile.ZipFile(path, "w") as archive:
        for i, name in enumerate(names):
            archive.writestr("x" * (len(name) - 1) + chr(65 + i), name)
    data = path.read_bytes()
    for i, name in enumerate(names):
        data = data.replace(b"x" * (len(name) - 1) + bytes([65 + i]), name)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["UTF-8", "GB18030", "CP437"])
def test_names_in_a_zip_that_does_not_say_how_they_are_encoded(tmp_path, encoding):
    names = ["é/1.bmp", "a/1.bmp"] if encoding == "CP437" else ["博/1.bmp", "学/1.bmp", "乗/1.bmp", "a/1.bmp"]
    files = open_container(unflagged(tmp_path / "set.zip", [name.encode(encoding) for name in names]))
    assert files.names == names and files.read(names[0]) == names[0].encode(encoding)
    assert files.notes == [f"{len(names) - 1} names in set.zip whose encoding is not stated are read as {encoding}"]


def test_backslashes_separate_folders_in_a_zip(tmp_path):
    names = [b"set\\a\\1.bmp", "set\\乗\\1.bmp".encode("gb18030"), b"set\\", b"__MACOSX\\set\\._1.bmp", b"a\\.DS_Store"]
    files = open_container(unflagged(tmp_path / "set.zip", names))
    assert files.names == ["set/a/1.bmp", "set/乗/1.bmp", "set/"]  # 乗 has a backslash as its second byte
    assert files.read("set/乗/1.bmp") == names[1]


def test_of_two_files_of_one_name_the_last_counts(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, pytest.warns(UserWarning, match="Duplicate name"):
        archive.writestr("1/a.bmp", b"old")
        archive.writestr("1/a.bmp", b"new")
    files = open_container(tmp_path / "a.zip")
    assert files.names == ["1/a.bmp"] and files.read("1/a.bmp") == b"new"
    assert files.skipped == [("1/a.bmp", "another file of this name follows in the archive")]


def link(path, target, **options):
    try:
        path.symlink_to(target, **options)
    except OSError:
        pytest.skip("links cannot be made here")


def test_linked_folders_and_files_are_read_and_loops_are_not(tmp_path):
    (tmp_path / "elsewhere/b").mkdir(parents=True)
    (tmp_path / "elsewhere/b/1.bmp").write_bytes(b"1")
    folder = tmp_path / "raw"
    (folder / "a").mkdir(parents=True)
    link(folder / "a/1.bmp", tmp_path / "elsewhere/b/1.bmp")
    link(folder / "b", tmp_path / "elsewhere/b", target_is_directory=True)
    link(folder / "a/loop", folder, target_is_directory=True)
    link(tmp_path / "elsewhere/b/back", folder / "a", target_is_directory=True)
    link(folder / "0", folder / "a", target_is_directory=True)  # a folder is known by its own name
    link(folder / "self", folder / "self")
    link(folder / "gone", tmp_path / "none")
    files = open_container(folder)
    assert sorted(files.names) == ["a/", "a/1.bmp", "b/", "b/1.bmp"] and files.read("b/1.bmp") == b"1"
    again = "a link to a folder that is read already"
    assert dict(files.skipped) == {
        "0": again, "a/loop": again, "b/back": again, "gone": "a link to nothing", "self": "a link to nothing",
    }  # fmt: skip


def test_a_folder_that_may_not_be_read_is_named(tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()

    def refuse(path):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    assert error(tmp_path) == f"{tmp_path} cannot be read (Permission denied): allow reading it, or move it elsewhere"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="its pipes and long paths are those of POSIX")
def test_pipes_devices_and_paths_that_are_too_long_are_listed(tmp_path, monkeypatch):
    os.mkfifo(tmp_path / "pipe.png")
    link(tmp_path / "zero.png", Path("/dev/zero"))
    monkeypatch.chdir(tmp_path)
    for _ in range(20):
        os.mkdir("d" * 250)
        os.chdir("d" * 250)
    skipped = dict(open_container(tmp_path).skipped)
    neither = "neither a file nor a folder"
    assert skipped.pop("pipe.png") == skipped.pop("zero.png") == neither
    assert list(skipped.values()) == ["File name too long: move it elsewhere"]


def test_what_is_empty(tmp_path):
    assert is_empty(tmp_path / "none") and is_empty(tmp_path)
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden/1.png").touch()
    (tmp_path / "a/.DS_Store").touch()
    assert is_empty(tmp_path)
    link(tmp_path / "a/gone", tmp_path / "none")
    assert not is_empty(tmp_path) and not is_empty(tmp_path / "a/gone")
    (tmp_path / "a/gone").unlink()
    (tmp_path / "a/notes.txt").touch()
    assert not is_empty(tmp_path) and not is_empty(tmp_path / "a/notes.txt")


def test_files_below_more_folders_than_anybody_makes_are_skipped(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as packed:
        packed.writestr("a/" * 65 + "1.png", b"")
        packed.writestr("a/" * 64 + "2.png", b"")
    container = open_container(tmp_path / "a.zip")
    assert container.names == ["a/" * 64 + "2.png"]
    assert container.skipped == [("a/" * 65 + "1.png", "in more than 64 folders: move it up")]
