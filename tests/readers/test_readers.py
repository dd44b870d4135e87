import shutil
import zipfile
from functools import partial

import conftest
import numpy as np

import readers
from readers import open_source
from readers.folder import FolderSource
from readers.npz import NpzSource
from readers.source import Sample, Source


def test_the_reader_is_chosen_by_what_the_path_is(raw, paper, tmp_path):
    folder = raw({"a": paper(2), "b": paper(2, 1)})
    archive = shutil.make_archive(str(tmp_path / "raw"), "zip", folder)
    shutil.copy(archive, tmp_path / "unnamed")
    np.savez(tmp_path / "A.NPZ.npz", x=np.zeros((2, 8, 8), np.uint8), y=[0, 1])
    (tmp_path / "A.NPZ.npz").rename(tmp_path / "A.NPZ")
    shutil.copytree(folder, tmp_path / "folder.npz")
    for path, reader in (
        (folder, FolderSource), (str(folder), FolderSource), (archive, FolderSource), (tmp_path / "A.NPZ", NpzSource),
        (tmp_path / "unnamed", FolderSource), (tmp_path / "folder.npz", FolderSource),
    ):  # fmt: skip
        assert type(open_source(path)) is reader, path


def test_paths_that_no_reader_reads_are_named_with_the_remedy(tmp_path):
    error = partial(conftest.error, open_source)
    assert error(tmp_path / "none") == (f"{tmp_path / 'none'} does not exist: give {readers.KINDS}")
    (tmp_path / "images.other").touch()
    assert error(tmp_path / "images.other") == (
        f"{tmp_path / 'images.other'} is of no kind that is read: give {readers.KINDS}"
    )
    for name, remedy in (
        ("a.RAR", "unpack archives and give the folder"), ("set.tar.gz", "unpack archives and give the folder"),
        ("a.mat", "save arrays with numpy.savez(file, x=images, y=labels)"),
        ("labels.jsonl", "list paths and labels in a CSV"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(b"Rar!")
        assert error(tmp_path / name) == f"{tmp_path / name} is of no kind that is read: {remedy}"
    with zipfile.ZipFile(tmp_path / "labels.xlsx", "w") as archive:
        archive.writestr("xl/workbook.xml", "")
    assert error(tmp_path / "labels.xlsx").endswith("It holds xl/workbook.xml: save tables as CSV.")
    (tmp_path / "file.zip").write_bytes(b"not a zip")
    assert error(tmp_path / "file.zip") == (
        f"{tmp_path / 'file.zip'} is not a readable .zip (File is not a zip file): unpack it and give the folder"
    )


def test_a_new_format_is_one_line(tmp_path, monkeypatch):
    class TextSource(Source):
        name, classes = "text", ["a", "b"]

        def __init__(self, path, channels=1):
            super().__init__(channels)

        @classmethod
        def accepts(cls, path):
            return path.suffix == ".txt"

        def stamp(self):
            return 1

        def __len__(self):
            return 1

        def __iter__(self):
            yield Sample(np.zeros((2, 2), np.uint8), 0, "1")

    monkeypatch.setattr(readers, "READERS", [*readers.READERS, TextSource])
    (tmp_path / "images.txt").touch()
    source = open_source(tmp_path / "images.txt")
    assert type(source) is TextSource and [sample.file for sample in source] == ["1"]
