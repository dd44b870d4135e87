import gzip
import os
import shutil
import struct
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import conftest
import numpy as np
import pytest
from conftest import ROOT

from common import files
from readers import arrays, container, npz, open_source, pairs
from readers import idx as idx_reader
from readers.pairs import PairSource

error = partial(conftest.error, open_source)

MNIST = Path(os.environ.get("FIT_CHAR_DATA", "")) / "mnist_t10k"
CODES = {"u1": 8, "i2": 11, "i4": 12, "f4": 13, "f8": 14}
X = np.random.default_rng(0).integers(0, 256, (8, 5, 7), np.uint8)
Y = np.array([0, 1, 0, 1, 1, 0, 1, 0])


def idx(path, array, dtype="u1"):
    array = np.asarray(array).astype(f">{dtype}")
    head = struct.pack(f">HBB{array.ndim}I", 0, CODES[dtype], array.ndim, *array.shape)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(head + array.tobytes()) if path.suffix == ".gz" else head + array.tobytes())
    return path


def images_of(source, part="train") -> np.ndarray:
    return np.stack([sample.image for sample in source if sample.part == part])


@pytest.mark.parametrize("name", [
    "{}-images-idx3-ubyte.gz {}-labels-idx1-ubyte.gz", "{}-images-idx3-ubyte {}-labels-idx1-ubyte",
    "{}-images.idx3-ubyte {}-labels.idx1-ubyte", "raw/{}-images-idx3-ubyte raw/{}-labels-idx1-ubyte",
])  # fmt: skip
def test_the_four_files_of_mnist_in_a_folder_and_by_one_of_them(tmp_path, name):
    files = []
    for part, rows in (("train", slice(0, 6)), ("t10k", slice(6, 8))):
        images, labels = name.format(part, part).split()
        files += [idx(tmp_path / images, X[rows]), idx(tmp_path / labels, Y[rows])]
    for path in (tmp_path, *files):
        source = open_source(path)
        assert type(source) is PairSource and source.classes == ["0", "1"] and source.name == path.name
        np.testing.assert_array_equal(images_of(source), X[:6])
        np.testing.assert_array_equal(images_of(source, "test"), X[6:])
        assert [sample.label for sample in source] == Y.tolist()


@pytest.mark.parametrize("name", [
    "{}-images-idx3-ubyte.gz {}-labels-idx1-ubyte.gz", "mnist/raw/{}-images-idx3-ubyte mnist/raw/{}-labels-idx1-ubyte",
    "{0}-images-idx3-ubyte/{0}-images-idx3-ubyte {0}-labels-idx1-ubyte/{0}-labels-idx1-ubyte",
])  # fmt: skip
def test_the_four_files_of_mnist_in_a_zip(tmp_path, name):
    for part, rows in (("train", slice(0, 6)), ("t10k", slice(6, 8))):
        images, labels = name.format(part, part).split()
        idx(tmp_path / "in" / images, X[rows])
        idx(tmp_path / "in" / labels, Y[rows])
    path = Path(shutil.make_archive(str(tmp_path / "mnist"), "zip", tmp_path / "in"))
    for given in (path, tmp_path):
        if given == tmp_path:
            shutil.rmtree(tmp_path / "in")
        source = open_source(given)
        np.testing.assert_array_equal(images_of(source), X[:6])
        np.testing.assert_array_equal(images_of(source, "test"), X[6:])


def test_damage_in_a_zip_is_named_with_the_zip(tmp_path, monkeypatch):
    idx(tmp_path / "in/train-images-idx3-ubyte", X[:5])
    idx(tmp_path / "in/train-labels-idx1-ubyte", Y)
    path = Path(shutil.make_archive(str(tmp_path / "mnist"), "zip", tmp_path / "in"))
    assert error(path) == f"{path}: x holds 5 images and y 8 labels: give one label per image"
    idx(tmp_path / "in/train-images-idx3-ubyte", np.zeros((8, 600, 600)))
    path = Path(shutil.make_archive(str(tmp_path / "mnist"), "zip", tmp_path / "in"))
    monkeypatch.setattr(container, "FREE_EXPANSION", 2**20)
    assert error(path).startswith(f"{path} would expand to 3 MiB, more than 200 times its size")


def test_a_member_without_a_name_is_no_file_of_a_pair(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("name.png", b"")
    (tmp_path / "b.zip").write_bytes((tmp_path / "a.zip").read_bytes().replace(b"name.png", b"\0ame.png"))
    assert "b.zip" in error(tmp_path / "b.zip")


def test_packed_and_unpacked_files_side_by_side_are_read_once(tmp_path):
    for suffix in ("", ".gz"):
        idx(tmp_path / f"train-images-idx3-ubyte{suffix}", X)
        idx(tmp_path / f"train-labels-idx1-ubyte{suffix}", Y)
    assert len(open_source(tmp_path)) == 8


def test_a_single_part_is_used_for_training(tmp_path):
    idx(tmp_path / "t10k-images-idx3-ubyte", X)
    source = open_source(idx(tmp_path / "t10k-labels-idx1-ubyte", Y))
    assert {sample.part for sample in source} == {"train"} and source.notes == [
        "the only part, test, is used for training"
    ]


@pytest.mark.parametrize("dtype", ["i2", "i4", "f4", "f8"])
def test_idx_files_of_other_dtypes(tmp_path, dtype):
    idx(tmp_path / "train-images-idx3-ubyte", X, dtype)
    np.testing.assert_array_equal(images_of(open_source(idx(tmp_path / "train-labels-idx1-ubyte", Y, "i4"))), X)


def emnist(folder, name="emnist-letters"):
    idx(folder / f"{name}-train-images-idx3-ubyte.gz", X.transpose(0, 2, 1))
    return idx(folder / f"{name}-train-labels-idx1-ubyte.gz", Y + 1)


def test_emnist_is_transposed_and_named_by_its_mapping(tmp_path):
    path = emnist(tmp_path)
    source = open_source(path)
    assert source.classes == ["1", "2"] and source.sizes() == {(7, 5): 8}
    assert source.notes == [
        "labels are 1, 2: they are renumbered from 0",
        "rows and columns are exchanged, since EMNIST stores images transposed; the reader's argument transposed=False "
        "leaves them",
    ]
    np.testing.assert_array_equal(images_of(source), X)
    before = repr(source.stamp())
    (tmp_path / "emnist-letters-mapping.txt").write_text("1 65 97\n2 66 98\n3 67 99\n")
    assert open_source(path).classes == ["A", "B"]
    assert repr(open_source(path).stamp()) != before
    as_stored = PairSource(path, transposed=False)
    assert as_stored.stamp() != open_source(path).stamp()
    np.testing.assert_array_equal(images_of(as_stored), X.transpose(0, 2, 1))


def test_several_sets_in_a_folder_are_named(tmp_path):
    emnist(tmp_path, "emnist-letters")
    path = emnist(tmp_path, "emnist-digits")
    assert error(tmp_path) == (
        f"{tmp_path} holds 2 sets of images: give one of the files emnist-digits-train-images-idx3-ubyte.gz, "
        "emnist-letters-train-images-idx3-ubyte.gz"
    )
    assert len(open_source(path)) == 8


def test_files_of_two_folders_are_no_pair(tmp_path):
    for name in ("MNIST", "FashionMNIST"):
        idx(tmp_path / name / "train-images-idx3-ubyte", X if name == "MNIST" else 255 - X)
        idx(tmp_path / name / "train-labels-idx1-ubyte", Y)
    assert error(tmp_path).endswith("FashionMNIST/train-images-idx3-ubyte, MNIST/train-images-idx3-ubyte")
    np.testing.assert_array_equal(images_of(open_source(tmp_path / "MNIST")), X)
    (tmp_path / "MNIST/train-labels-idx1-ubyte").unlink()
    (tmp_path / "FashionMNIST/train-images-idx3-ubyte").unlink()
    assert not PairSource.accepts(tmp_path)


def test_a_mapping_names_each_class_by_a_character_of_its_own(tmp_path):
    path = emnist(tmp_path)
    for text in ("1 65\n2 65\n", "1 65\n2 7\n", "1 65\n2 1114112\n"):
        (tmp_path / "emnist-letters-mapping.txt").write_text(text)
        assert error(path) == (
            f"{tmp_path / 'emnist-letters-mapping.txt'} does not give each class a character of its own: "
            "correct or remove it"
        )
    for text, why in (("1 50\n", "names some of the classes only"), (f"1 {'9' * 5000}\n2 65\n", None)):
        (tmp_path / "emnist-letters-mapping.txt").write_text(text)
        assert why in error(path) if why else open_source(path).classes == ["1", "A"]


def test_kuzushiji_s_npz_files_and_class_map(tmp_path):
    for part, rows in (("train", slice(0, 6)), ("test", slice(6, 8))):
        np.savez_compressed(tmp_path / f"k49-{part}-imgs.npz", X[rows])
        np.savez_compressed(tmp_path / f"k49-{part}-labels.npz", Y[rows])
    (tmp_path / "k49_classmap.csv").write_text("index,codepoint,char\n0,U+3042,あ\n1,U+3044,い\n", encoding="utf-8")
    for name in ("k49-train-imgs.npz", "k49-test-labels.npz", "."):
        source = open_source(tmp_path / name)
        assert source.classes == ["あ", "い"]
        np.testing.assert_array_equal(images_of(source, "test"), X[6:])


@pytest.mark.parametrize("images, labels", [
    ("x", "y"), ("images", "labels"), ("X_train", "y_train"), ("train-images", "train-labels"), ("img", "targets"),
])  # fmt: skip
def test_a_pair_of_npy_files(tmp_path, images, labels):
    np.save(tmp_path / f"{images}.npy", X)
    np.save(tmp_path / f"{labels}.npy", np.array(["b", "a"])[Y])
    for path in (tmp_path, tmp_path / f"{images}.npy", tmp_path / f"{labels}.npy"):
        source = open_source(path)
        np.testing.assert_array_equal(images_of(source), X)
        assert source.classes == ["a", "b"] and [sample.label for sample in source] == (1 - Y).tolist()


def test_the_stamp_changes_when_a_file_does(tmp_path):
    np.save(tmp_path / "x.npy", X)
    np.save(tmp_path / "y.npy", Y)
    stamp = repr(open_source(tmp_path).stamp())
    assert repr(open_source(tmp_path).stamp()) == stamp
    np.save(tmp_path / "y.npy", Y.astype(np.int32))
    assert repr(open_source(tmp_path).stamp()) != stamp


def test_bad_files_are_named_with_what_is_wrong(tmp_path):
    images, labels = tmp_path / "train-images-idx3-ubyte.gz", tmp_path / "train-labels-idx1-ubyte.gz"
    idx(images, X)
    idx(labels, Y)
    good = gzip.decompress(images.read_bytes())
    false = f"{images}: it does not hold as much as it claims, (4294967295, 5, 7) of uint8: download it again"
    for data, message in (
        (gzip.compress(b"\0\0\x08\x03" + b"\xff" * 4 + good[8:]), false),
        (b"\0\0\x08\x03" + b"\xff" * 4 + good[8:], false),
        (gzip.compress(good[:-1]), false.replace("4294967295", "8")),
        (gzip.compress(good + b"\0"), false.replace("4294967295", "8")),
        (b"<html>", f"{images}: it is no IDX file, though its name says so: download it again"),
        (images.read_bytes()[:-20], f"{images} is not a readable idx file ("),
        (b"", f"{images} is not a readable idx file ("),
    ):
        images.write_bytes(data)
        assert error(images).startswith(message)
    idx(images, X[:5])
    assert error(tmp_path) == f"{tmp_path}: x holds 5 images and y 8 labels: give one label per image"
    np.save(tmp_path / "x.npy", np.array([None]), allow_pickle=True)
    np.save(tmp_path / "y.npy", Y)
    assert error(tmp_path / "y.npy") == (
        f"{tmp_path / 'x.npy'}: the file holds Python objects, which only pickle could read"
    )


def test_files_without_their_other_half_are_no_pair(tmp_path):
    np.save(tmp_path / "x.npy", X)
    assert not PairSource.accepts(tmp_path) and not PairSource.accepts(tmp_path / "x.npy")


@pytest.mark.skipif(not MNIST.is_dir(), reason="needs FIT_CHAR_DATA, a folder with mnist_t10k/")
def test_mnist():
    source = open_source(MNIST)
    assert source.classes == [str(k) for k in range(10)] and source.sizes() == {(28, 28): 10_000}
    assert [sample.label for sample in source][:5] == [7, 2, 1, 0, 4]


@pytest.mark.parametrize("kind", ["npy", "fortran.npy", "npz", "idx", "idx.gz", "zip"])
@pytest.mark.parametrize("dtype", ["u1", "f4", "i2"])
def test_large_arrays_are_memory_maps_of_the_same_images(tmp_path, monkeypatch, kind, dtype):
    x = (X if dtype == "u1" else X * 16.0).astype(dtype)  # of 12 bits
    idx_names = {
        "idx": ("a-images-idx3-ubyte", "a-labels-idx1-ubyte"),
        "idx.gz": ("a-images-idx3-ubyte.gz", "a-labels-idx1-ubyte.gz"),
    }
    if kind in idx_names:
        images, labels = (tmp_path / "set" / name for name in idx_names[kind])
        idx(images, x, dtype), idx(labels, Y)
    else:
        (tmp_path / "set").mkdir()
        np.save(tmp_path / "set/images.npy", np.asfortranarray(x) if kind == "fortran.npy" else x)
        np.save(tmp_path / "set/labels.npy", Y)
    path = tmp_path / "set"
    if kind == "npz":
        path = tmp_path / "set.npz"
        np.savez_compressed(path, x=x, y=Y)
    elif kind == "zip":
        path = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "set"))
    expected = [(sample.image.tolist(), sample.label, sample.file) for sample in open_source(path)]
    for module in (pairs, npz, idx_reader, files):
        monkeypatch.setattr(module, "ON_DISK", 10)
    monkeypatch.setattr(arrays, "CHUNK_BYTES", 100)  # two images at once
    source = open_source(path)
    assert files._memory_map(source._parts["train"].x) is not None
    for _ in range(2):  # what was let go of is read again
        assert [(sample.image.tolist(), sample.label, sample.file) for sample in source] == expected


def test_what_a_large_file_needs_is_on_the_disk_or_said(tmp_path, monkeypatch):
    images, labels = idx(tmp_path / "a-images-idx3-ubyte.gz", X), idx(tmp_path / "a-labels-idx1-ubyte", Y)
    monkeypatch.setattr(idx_reader, "ON_DISK", 10)
    images.write_bytes(gzip.compress(gzip.decompress(images.read_bytes()) + b"more"))
    assert "does not hold as much as it claims" in error(labels)
    images.write_bytes(gzip.compress(gzip.decompress(images.read_bytes())[:-50]))
    assert "is not a readable idx file (it ends before its array does)" in error(labels)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=100))
    assert "it needs 0 MiB in " in error(labels) and "free some, or set TMPDIR" in error(labels)


@pytest.mark.skipif(sys.platform == "win32", reason="measures memory with the module resource")
def test_a_set_of_more_than_a_gigabyte_is_prepared_in_little_memory(tmp_path):
    x = np.lib.format.open_memmap(tmp_path / "images.npy", "w+", np.uint8, (1500, 900, 900))  # sparse
    x[::100, 300:600, 400:500] = 255
    del x
    np.save(tmp_path / "labels.npy", np.arange(1500) % 2)
    code = f"""
import resource, sys
from init import preprocess
from readers import open_source
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
before = peak()
summary = preprocess(open_source({str(tmp_path)!r}), {str(tmp_path / "data.npz")!r})
assert summary["images"] == {{"0": 750, "1": 750}}
assert peak() - before < 250, peak() - before
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_one_of_several_sets_in_a_zip_is_given_below_it(tmp_path):
    for name, classes in (("balanced", 2), ("digits", 1)):
        for part, rows in (("train", slice(0, 6)), ("test", slice(6, 8))):
            idx(tmp_path / f"in/gzip/emnist-{name}-{part}-images-idx3-ubyte.gz", X[rows])
            idx(tmp_path / f"in/gzip/emnist-{name}-{part}-labels-idx1-ubyte.gz", Y[rows] % classes)
        (tmp_path / f"in/gzip/emnist-{name}-mapping.txt").write_text("0 65\n1 66\n")
    path = Path(shutil.make_archive(str(tmp_path / "gzip"), "zip", tmp_path / "in"))
    assert error(path) == (
        f"{path} holds 2 sets of images: give one of them, as {path}/gzip/emnist-balanced: gzip/emnist-balanced, "
        "gzip/emnist-digits"
    )
    for given, classes in (("emnist-balanced", ["A", "B"]), ("gzip/emnist-digits", ["A"])):
        source = open_source(path / given)
        assert (source.name, source.classes) == (Path(given).name, classes)
        np.testing.assert_array_equal(images_of(source, "test"), X[6:].swapaxes(1, 2))
    assert error(path / "balanced") == (
        f"{path} holds no set 'balanced' of images: did you mean 'gzip/emnist-balanced'?"
    )
    shutil.rmtree(tmp_path / "in")
    assert error(tmp_path) == error(path)


def test_a_path_below_a_zip_of_something_else_does_not_exist(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("1/a.png", b"")
    assert error(tmp_path / "a.zip/1").startswith(f"{tmp_path / 'a.zip/1'} does not exist: give ")
