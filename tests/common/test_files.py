import errno
import hashlib
import json
import os
from pathlib import Path

import numpy as np
import pytest

from common.errors import InputError, StorageError
from common.files import (
    _temporary_prefix,
    append,
    check_file,
    check_writable,
    fingerprint,
    locked,
    mapped_file,
    remove_unfinished,
    try_lock,
    update_digest,
    write_atomically,
    write_json,
    write_text,
    zeros,
)

END = "or choose another folder; its previous content is intact"


def test_write_atomically_leaves_the_former_file_if_writing_fails(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"former"))

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(StorageError) as caught:
        write_atomically(path, fail)
    assert str(caught.value) == f"{path} cannot be written (disk full): check the disk {END}"
    assert path.read_bytes() == b"former" and list(tmp_path.iterdir()) == [path]


def test_any_other_error_leaves_the_former_file_too(tmp_path):
    write_text(tmp_path / "file", "former")

    def interrupt(file):
        file.write(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_atomically(tmp_path / "file", interrupt)
    assert (tmp_path / "file").read_text() == "former" and len(list(tmp_path.iterdir())) == 1


def test_the_folder_is_made_unless_a_file_has_its_place(tmp_path):
    write_text(tmp_path / "a/b/c.txt", "x")
    assert (tmp_path / "a/b/c.txt").read_text() == "x"
    with pytest.raises(StorageError, match="d.txt cannot be written .*: rename the file that stands"):
        write_text(tmp_path / "a/b/c.txt/d.txt", "x")


def test_the_new_file_is_in_place_only_when_complete(tmp_path):
    path, seen = tmp_path / ("long" * 40), []
    write_text(path, "former")

    def write(file):
        file.write(b"new")
        seen.extend([path.read_text(), len(list(tmp_path.iterdir()))])

    write_atomically(path, write)
    assert seen == ["former", 2] and path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


def test_append_adds_to_the_end(tmp_path):
    append(tmp_path / "log.txt", "博\n")
    append(tmp_path / "log.txt", "学\n")
    assert (tmp_path / "log.txt").read_text(encoding="utf-8") == "博\n学\n"
    with pytest.raises(StorageError) as caught:
        append(tmp_path / "none/log.txt", "x")
    assert (
        str(caught.value)
        == f"{tmp_path / 'none/log.txt'} cannot be written (No such file or directory): check the disk {END}"
    )


@pytest.mark.parametrize("code, remedy", [
    (errno.ENOSPC, "free some space"), (errno.EDQUOT, "free some space"), (errno.EACCES, "change the permissions"),
    (errno.EISDIR, "name a file in it"), (errno.EROFS, "make the disk writable"), (errno.EIO, "check the disk"),
])  # fmt: skip
def test_the_remedy_is_that_of_the_error(tmp_path, code, remedy):
    def fail(file):
        raise OSError(code, os.strerror(code))

    with pytest.raises(StorageError) as caught:
        write_atomically(tmp_path / "a", fail)
    assert str(caught.value) == f"{tmp_path / 'a'} cannot be written ({os.strerror(code)}): {remedy} {END}"


def test_a_folder_that_can_be_made_is_writable_and_is_not_made(tmp_path):
    check_writable(tmp_path / "a/b")
    check_writable(Path())
    assert not list(tmp_path.iterdir())
    (tmp_path / "file").touch()
    for name in ("file", "file/a/b"):
        with pytest.raises(StorageError, match=f"{name} cannot be written .*: rename the file that stands"):
            check_writable(tmp_path / name)


def test_a_lock_keeps_others_out_until_it_is_released(tmp_path, monkeypatch):
    lock = try_lock(tmp_path / "a/data.npz")
    assert lock and try_lock(tmp_path / "a/data.npz") is None and try_lock(tmp_path / "a/b.npz")
    monkeypatch.setattr("common.files.LOCK_SECONDS", 0.1)
    with (
        pytest.raises(StorageError, match=r"data.npz was locked by another process for 0 s: end it or"),
        locked(tmp_path / "a/data.npz"),
    ):
        pytest.fail("it has the lock")
    lock.release()
    with locked(tmp_path / "a/data.npz"):
        assert try_lock(tmp_path / "a/data.npz") is None
    assert try_lock(tmp_path / "a/data.npz")


@pytest.mark.parametrize("error, remedy", [
    (OSError(errno.ENOLCK, "No locks available"), "mount the disk with support for file locks"),
    (OSError(errno.EOPNOTSUPP, "Operation not supported"), "mount the disk with support for file locks"),
    (NotImplementedError("FileSystem does not appear to support flock"), "mount the disk with support for file locks"),
    (PermissionError(errno.EACCES, "Permission denied"), "change the permissions"),
    (FileNotFoundError(errno.ENOENT, "No such file or directory"), "check the disk"),
])  # fmt: skip
def test_a_lock_that_cannot_be_had_is_an_error_at_once(tmp_path, monkeypatch, error, remedy):
    """As filelock raises it from 3.21 on; before, it would wait for ever where locks are not supported."""

    def acquire(self, timeout):
        raise error

    monkeypatch.setattr("common.files.FileLock.acquire", acquire)
    with pytest.raises(StorageError, match=f"a.* cannot be written .*: {remedy} or choose another folder"):
        try_lock(tmp_path / "a")


@pytest.mark.parametrize("name", ["a.ckpt", "a[1].ckpt", "b*.ckpt", "c" * 80, "学" * 60])
def test_unfinished_files_of_any_name_are_those_that_write_atomically_leaves(tmp_path, name, monkeypatch):
    for other in ("a.ckpt.ckpt", "a1.ckpt", "bb.ckpt", "c" * 79, "c" * 81, "学" * 59):  # of live runs
        (tmp_path / f"{_temporary_prefix(Path(other))}0.part").touch()
    before = set(tmp_path.iterdir())
    with monkeypatch.context() as patch:  # a process that is killed while it writes
        patch.setattr("pathlib.Path.unlink", lambda path: None)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(tmp_path / name, interrupt_after_half)
    assert len(set(tmp_path.iterdir()) - before) == 1
    remove_unfinished(tmp_path / name)
    assert set(tmp_path.iterdir()) == before


def interrupt_after_half(file):
    file.write(b"half")
    raise KeyboardInterrupt


def test_text_is_utf8_with_its_own_line_ends(tmp_path):
    write_text(tmp_path / "a.csv", "博,1\n学,2\r\n")
    assert (tmp_path / "a.csv").read_bytes() == "博,1\n学,2\r\n".encode()


def test_json_is_indented_and_keeps_characters(tmp_path):
    values = {"classes": ["博"], "n": 2, "none": None}
    write_json(tmp_path / "a.json", values)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert text == '{\n  "classes": [\n    "博"\n  ],\n  "n": 2,\n  "none": null\n}\n' and json.loads(text) == values
    with pytest.raises(TypeError):
        write_json(tmp_path / "a.json", {"x": np.zeros(2)})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == text


def test_large_arrays_are_temporary_files(monkeypatch):
    monkeypatch.setattr("common.files.ON_DISK", 12)
    for shape, on_disk in (((3,), False), ((2, 2), True)):
        array = zeros(shape)
        assert array.shape == shape and not array.any() and array.dtype == np.float32
        array[-1] = 1
        assert isinstance(array, np.memmap) == on_disk


def test_the_file_of_a_memory_map_is_found_from_its_views(tmp_path):
    np.save(tmp_path / "x.npy", np.arange(10))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    for view in (mapped, mapped[2:], np.asarray(mapped)[::2]):
        assert mapped_file(view) == tmp_path / "x.npy"
    assert mapped_file(np.arange(3)) is None and mapped_file(mapped[np.array([1])]) is None


def test_a_fingerprint_is_of_shape_dtype_and_bytes():
    x = np.arange(6, dtype=np.uint8)
    assert fingerprint(x) == hashlib.sha256(b"(6,)uint8" + bytes(range(6))).hexdigest()[:16]
    others = [x.reshape(2, 3), x.reshape(3, 2), x.astype(np.int64), x.view(np.int8), x[::-1], x[:5]]
    found = [fingerprint(array) for array in [x, *others]] + [fingerprint(x[:3], x[3:]), fingerprint(x, x)]
    assert len(set(found)) == len(found)
    assert fingerprint(np.asfortranarray(x.reshape(2, 3))) == fingerprint(x.reshape(2, 3))
    assert fingerprint(np.zeros(())) != fingerprint(np.zeros(1))


@pytest.mark.parametrize("size", [1, 3, 7, 100])
def test_an_array_in_chunks_has_the_digest_of_the_whole(size):
    x = np.random.default_rng(0).integers(0, 256, (20, 4, 5), np.uint8)
    digest = hashlib.sha256()
    update_digest(digest, x.shape, x.dtype, (x[start : start + size] for start in range(0, 20, size)))
    assert digest.hexdigest()[:16] == fingerprint(x)


def test_what_cannot_be_read_to_its_end_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_bytes(bytes(2**21))
    for path in (tmp_path / "file", tmp_path, tmp_path / "none"):
        check_file(path)
    with pytest.raises(InputError, match="file has 2 MiB: at most 1 MiB are read"):
        check_file(tmp_path / "file", 2**20)
    with pytest.raises(InputError, match=f"{os.devnull} is neither a file nor a folder"):
        check_file(os.devnull)

    def refuse(*ignored):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("builtins.open", refuse)
    with pytest.raises(InputError, match="cannot be read .Permission denied.: allow reading it"):
        check_file(tmp_path / "file")
