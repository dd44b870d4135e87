import hashlib
import json

import numpy as np
import pytest

from common.errors import StorageError
from common.files import (
    append,
    fingerprint,
    remove_unfinished,
    update_digest,
    write_atomically,
    write_json,
    write_text,
)

REMEDY = "free some space or choose another folder; its previous content is intact"


def test_write_atomically_leaves_the_former_file_if_writing_fails(tmp_path):
    path = tmp_path / "file"
    write_atomically(path, lambda file: file.write(b"former"))

    def fail(file):
        file.write(b"half")
        raise OSError("disk full")

    with pytest.raises(StorageError) as caught:
        write_atomically(path, fail)
    assert str(caught.value) == f"{path} cannot be written (disk full): {REMEDY}"
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
    with pytest.raises(StorageError, match="d.txt cannot be written .*: free some space or choose another folder"):
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
    assert str(caught.value) == f"{tmp_path / 'none/log.txt'} cannot be written (No such file or directory): {REMEDY}"


def test_unfinished_files_of_a_path_are_removed_and_no_others(tmp_path):
    names = ["a.ckpt", ".a.ckpt.0123.part", ".a.ckpt.4567.part", ".b.ckpt.0123.part", ".a.ckpt.lock", ".a.part"]
    for name in names:
        (tmp_path / name).touch()
    remove_unfinished(tmp_path / "a.ckpt")
    assert {path.name for path in tmp_path.iterdir()} == {names[0], *names[3:]}


@pytest.mark.parametrize("name", ["a[1].ckpt", "b*.ckpt", "c" * 80])
def test_unfinished_files_of_any_name_are_those_that_write_atomically_leaves(tmp_path, name, monkeypatch):
    (tmp_path / ".a1.ckpt.0.part").touch()
    (tmp_path / ".bb.ckpt.0.part").touch()
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
