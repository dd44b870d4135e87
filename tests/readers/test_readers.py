import shutil
import zipfile
from functools import partial

import conftest
import numpy as np
from PIL import Image

import readers
from dataset import CharDataset
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


def test_names_that_look_the_same_are_one_class_in_every_format(tmp_path, raw):
    """Text from macOS has か and a voiced sound mark where others have が, which no eye can tell from it."""
    labels = ["が", "か\u3099", "き", "き"]
    x = np.stack([np.full((8, 8), 60 * k, np.uint8) for k in range(4)])
    (tmp_path / "images").mkdir()
    for k, image in enumerate(x):
        Image.fromarray(image).save(tmp_path / f"images/{k}.png")
    text = "".join(f"images/{k}.png,{label}\n" for k, label in enumerate(labels))
    (tmp_path / "a.csv").write_text(f"path,label\n{text}", encoding="utf-8")
    pixels = "".join(",".join([label, *map(str, image.ravel())]) + "\n" for label, image in zip(labels, x, strict=True))
    (tmp_path / "pixels.csv").write_text(pixels, encoding="utf-8")
    np.savez(tmp_path / "a.npz", x=x, y=np.array(labels))
    np.savez(tmp_path / "b.npz", x=x, y=np.array(labels), classes=np.array(["か\u3099", "き"]))
    for name in ("a.csv", "pixels.csv", "a.npz", "b.npz"):
        source = open_source(tmp_path / name)
        assert source.classes == ["が", "き"], name
        assert [sample.label for sample in source] == [0, 0, 1, 1]
    pairs = list(zip(x, labels, strict=True))
    assert CharDataset.from_dataset(pairs).classes == ["が", "き"]
    assert CharDataset.from_dataset(pairs, classes=["か\u3099", "き"]).classes == ["が", "き"]
