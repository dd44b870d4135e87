import os
import struct
import zipfile

import numpy as np
import pytest
from conftest import ROOT, error

from common.errors import InputError
from dataset import load
from readers import open_source
from readers.npz import NpzSource, read_npz


def saved(path, **arrays):
    np.savez(path, **arrays)
    return path


@pytest.fixture
def ours(tmp_path, drawn):
    """A data.npz like ours, of 12 images to train and 3 to test."""
    few, test = drawn.subset(range(0, 480, 40)), drawn.subset([1, 41, 81])
    return saved(
        tmp_path / "data.npz", x=few.x, y=few.y, classes=np.array(few.classes), source=np.array("a test"),
        files=np.array([f"{k}/1.bmp" for k in range(12)]), cropped=np.array(True), x_test=test.x, y_test=test.y,
        files_test=np.array([f"test/{k}/1.bmp" for k in range(3)]),
    )  # fmt: skip


def test_our_own_layout(ours, drawn):
    train, test = read_npz(ours), read_npz(ours, "test")
    np.testing.assert_array_equal(train.x, drawn.x[::40])
    np.testing.assert_array_equal(test.x, drawn.x[[1, 41, 81]])
    assert train.y.tolist() == list(range(12)) and test.y.tolist() == [0, 1, 2]
    assert train.classes == test.classes == drawn.classes and train.source == "a test"
    assert train.files[0] == "0/1.bmp" and test.files[2] == "test/2/1.bmp" and train.cropped


def test_a_file_of_an_earlier_version(drawn):
    arrays = read_npz(ROOT / "tests/files/data.npz")
    assert arrays.x.dtype == np.uint8 and len(arrays.x) == len(arrays.y) == len(arrays.files)
    assert len(arrays.classes) == 2 and not arrays.cropped


def test_keras_layout(tmp_path):
    x = np.arange(3 * 9, dtype=np.uint8).reshape(3, 3, 3)
    path = saved(tmp_path / "mnist.npz", x_train=x[:2], y_train=[0, 1], x_test=x[2:], y_test=[2])
    train, test = read_npz(path), read_npz(path, "test")
    np.testing.assert_array_equal(train.x, x[:2])
    np.testing.assert_array_equal(test.x, x[2:])
    assert train.classes == test.classes == ["0", "1", "2"]  # also a class that only the test part has
    assert (train.source, train.files.tolist(), train.cropped) == ("mnist.npz", ["0", "1"], False)


@pytest.mark.parametrize("images, labels, val", [
    ("x_{}", "y_{}", "val"), ("x_{}", "y_{}", "valid"), ("{}_images", "{}_labels", "val"), ("X_{}", "y_{}", "dev"),
])  # fmt: skip
def test_the_layouts_of_keras_and_medmnist_with_their_own_validation_images(tmp_path, images, labels, val):
    x, y = np.arange(6 * 9, dtype=np.uint8).reshape(6, 3, 3), np.array([[0], [1], [0], [1], [1], [0]])
    parts = {"train": slice(0, 2), val: slice(2, 4), "test": slice(4, 6)}
    arrays = {images.format(name): x[rows] for name, rows in parts.items()}
    path = saved(tmp_path / "a.npz", **arrays, **{labels.format(name): y[rows] for name, rows in parts.items()})
    for part, rows in zip(("train", "val", "test"), parts.values(), strict=True):
        np.testing.assert_array_equal(read_npz(path, part).x, x[rows])
        assert read_npz(path, part).y.tolist() == y[rows, 0].tolist()


@pytest.mark.parametrize("images, labels", [("images", "labels"), ("X", "y"), ("data", "target"), ("arr_0", "arr_1")])
def test_other_names_of_images_and_labels(tmp_path, images, labels):
    x = np.arange(2 * 9, dtype=np.uint8).reshape(2, 3, 3)
    arrays = read_npz(saved(tmp_path / "a.npz", **{images: x, labels: [1, 0]}))
    np.testing.assert_array_equal(arrays.x, x)
    assert arrays.y.tolist() == [1, 0] and arrays.notes == []


def test_labels_with_gaps_are_renumbered_alike_in_all_parts_and_that_is_said(tmp_path, capsys):
    x = np.random.default_rng(0).integers(0, 256, (6, 8, 8), np.uint8)
    path = saved(tmp_path / "a.npz", x_train=x[:4], y_train=[10, 3, 10, 1], x_test=x[4:], y_test=[7, 3])
    note = "labels are 1, 3, 7, 10: they are renumbered from 0"
    source = open_source(path)
    assert source.classes == ["1", "3", "7", "10"] and source.notes == [note]
    assert [sample.label for sample in source] == [3, 1, 3, 0, 2, 1]
    assert load(path, "test").y.tolist() == [2, 1]
    assert f"{path}: {note}." in capsys.readouterr().out


def test_a_file_of_ours_is_never_scaled(tmp_path):
    x = np.full((2, 8, 8), 9, np.uint8)  # dark images
    path = saved(tmp_path / "a.npz", x=x, y=[0, 1], source="ours", classes=["a", "b"])
    np.testing.assert_array_equal(read_npz(path).x, x)


def test_without_test_images_the_test_part_is_empty(tmp_path):
    path = saved(tmp_path / "a.npz", x=np.zeros((2, 8, 7), np.uint8), y=[0, 1], files=["a", "b"], classes=["a", "b"])
    test = read_npz(path, "test")
    assert test.x.shape == (0, 8, 7) and test.y.shape == test.files.shape == (0,) and test.classes == ["a", "b"]


@pytest.mark.parametrize("dtype, factor", [(np.float32, 1 / 255), (np.float64, 1), (np.int32, 1), (np.uint16, 1)])
@pytest.mark.parametrize("shape", [(2, 8, 8), (2, 1, 8, 8), (2, 8, 8, 1)])
def test_other_dtypes_and_a_channel_become_uint8(tmp_path, dtype, factor, shape):
    x = np.random.default_rng(0).integers(0, 256, (2, 8, 8))
    path = saved(tmp_path / "a.npz", x=(x * factor).astype(dtype).reshape(shape), y=[[0], [1]])
    arrays = read_npz(path)
    np.testing.assert_array_equal(arrays.x, x)
    assert arrays.x.dtype == np.uint8 and arrays.y.tolist() == [0, 1]


def test_black_and_white_images_become_uint8(tmp_path):
    x = np.random.default_rng(0).random((2, 8, 8)) < 0.5
    np.testing.assert_array_equal(read_npz(saved(tmp_path / "a.npz", x=x, y=[0, 1])).x, x * 255)


def test_bad_files_are_named_with_what_is_wrong(tmp_path):
    x, y, path = np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), tmp_path / "a.npz"
    bad = np.zeros((2, 8, 8))
    bad[0, 0, 0] = np.nan
    for arrays, message in (
        ({"x": x}, "it has no 'y', only x"),
        ({}, "it has no 'x', only nothing"),
        ({"x_train": x, "y": y}, "it has no 'y_train', only x_train, y"),
        ({"x": x, "y": [0.5, 1]}, "y must be integers or text (N,), or one-hot (N, C), not float64 (2,)"),
        ({"x": bad, "y": y}, "x holds values that are not finite (NaN or infinity): correct or drop those images"),
        ({"x": bad[1:] - 1, "y": y[:1]},
         "x holds values from -1.0 to -1.0: they must be 0 to 255, or 0 to 1 as floats, not normalized"),
        ({"x": x.astype(str), "y": y}, "x must be numbers, not <U3"),
        ({"x": np.array([x, None], dtype=object), "y": y},
         "'x.npy' holds Python objects, which only pickle could read"),
        ({f"a{i}": y for i in range(101)}, "it holds more than 100 arrays"),
    ):  # fmt: skip
        assert error(read_npz, saved(path, **arrays)) == f"{path}: {message}"
    no_text = np.full(2, 0x110000, np.uint32).view("U1")  # there are fewer characters
    assert "holds text that is damaged: save it again" in error(read_npz, saved(path, x=x, y=y, files=no_text))
    path.write_bytes(path.read_bytes()[:50])
    assert error(read_npz, path).startswith(f"{path} is not a readable npz of plain arrays: ")
    np.save(tmp_path / "a.npy", x)
    assert "is not a readable npz" in error(read_npz, tmp_path / "a.npy")
    assert error(read_npz, tmp_path / "b.npz") == f"{tmp_path / 'b.npz'} does not exist: make it with init.prepare"


def test_an_array_that_claims_more_than_it_holds_is_not_read(tmp_path):
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000000000, 28, 28)}"
    header += b" " * (117 - len(header)) + b"\n"
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("x.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + bytes(784))
    assert error(read_npz, tmp_path / "a.npz") == (
        f"{tmp_path / 'a.npz'}: 'x.npy' does not hold as much as it claims: (1000000000, 28, 28) of uint8"
    )


def test_an_npz_that_expands_beyond_measure_is_refused(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros((257, 1024, 1024), np.uint8), y=np.arange(257))
    assert "a.npz would expand to 257 MiB, more than 200 times its size: it is refused" in error(
        read_npz, tmp_path / "a.npz"
    )


# ----------------------------------------------------------------------------------------------- NpzSource


def test_the_source_has_the_parts_names_and_cropping_of_ours(ours, drawn):
    source = open_source(ours)
    assert (source.name, source.classes, source.cropped) == ("a test", drawn.classes, True)
    samples = list(source)
    assert len(source) == len(samples) == 15 and source.sizes() == {(28, 28): 15}
    assert [(sample.file, sample.label, sample.part) for sample in samples[10:13]] == [
        ("10/1.bmp", 10, "train"), ("11/1.bmp", 11, "train"), ("test/0/1.bmp", 0, "test"),
    ]  # fmt: skip
    np.testing.assert_array_equal(samples[14].image, drawn.x[81])
    assert source.modes == {"L": 15} and source.skipped == []


def test_the_source_of_keras_layout_numbers_the_images(tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (5, 9, 7), np.uint8)
    source = open_source(saved(tmp_path / "k.npz", x_train=x[:3], y_train=[0, 1, 0], x_test=x[3:], y_test=[[1], [0]]))
    assert (source.name, source.classes, source.cropped) == ("k.npz", ["0", "1"], False)
    assert source.sizes() == {(7, 9): 5}
    samples = list(source)
    assert [(sample.file, sample.label, sample.part) for sample in samples] == [
        ("0", 0, "train"), ("1", 1, "train"), ("2", 0, "train"), ("test/0", 1, "test"), ("test/1", 0, "test"),
    ]  # fmt: skip
    np.testing.assert_array_equal(np.stack([sample.image for sample in samples]), x)


def test_the_source_refuses_labels_and_arrays_that_do_not_fit(tmp_path):
    x, y, path = np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), tmp_path / "a.npz"
    for arrays, message in (
        ({"y": y[:1]}, "x holds 2 images and y 1 labels: give one label per image"),
        ({"y": y + 5, "classes": ["a", "b"]}, "y has labels from 5 to 6: with 2 classes they must be 0 to 1"),
        ({"y": y - 1, "classes": ["a", "b"]}, "y has labels from -1 to 0: with 2 classes they must be 0 to 1"),
        ({"y": np.array(["a", "c"]), "classes": ["a", "b"]}, "the label 'c' is none of its classes: a, b"),
        ({"y": y, "x_test": x, "y_test": np.array(["a", "b"])},
         "y holds numbers in one part and text in another: use the same in all"),
        ({"y": y, "x_test": x, "y_test": y + 1, "classes": ["a", "b"]},
         "y has labels from 1 to 2: with 2 classes they must be 0 to 1, so give y - 1"),
        ({"x": np.zeros((2, 8, 8, 5), np.uint8), "y": y},
         "x must be images (N, H, W), or with 1, 3 or 4 channels, not (2, 8, 8, 5)"),
    ):  # fmt: skip
        assert error(open_source, saved(path, **{"x": x} | arrays)) == f"{path}: {message}"
    assert error(open_source, saved(path, y=y)) == f"{path}: it has no 'x', only y"


def test_the_stamp_changes_when_the_file_does(tmp_path):
    x, path = np.zeros((2, 8, 8), np.uint8), tmp_path / "a.npz"
    first = repr(open_source(saved(path, x=x, y=[0, 1])).stamp())
    assert repr(open_source(path).stamp()) == first
    saved(path, x=x, y=[1, 0])
    os.utime(path, (10**9, 10**9))
    other = repr(open_source(path).stamp())
    assert len({first, other, repr(open_source(saved(path, x=x[:1], y=[0])).stamp())}) == 3


def test_names_that_do_not_fit_their_images_are_refused(tmp_path):
    x, y = np.zeros((4, 8, 8), np.uint8), np.array([0, 0, 1, 1])
    for files in (["a"], [["a", "b"]] * 4):
        np.savez(tmp_path / "a.npz", x=x, y=y, files=np.array(files))
        with pytest.raises(InputError, match="files must be names .N,., one per image, not"):
            NpzSource(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", x=x, y=y, x_test=x, y_test=y, files_test=np.arange(4))
    assert [sample.file for sample in NpzSource(tmp_path / "a.npz")][4:] == [f"test/{k}" for k in range(4)]


@pytest.mark.parametrize(
    "key, names", [("files", ["f" * 5000] * 4), ("group", ["g" * 5000] * 4), ("classes", ["a", "b" * 5000])]
)
def test_texts_as_long_as_no_name_are_refused(tmp_path, key, names):
    x = np.zeros((4, 3, 3), np.uint8)
    np.savez_compressed(tmp_path / "a.npz", x=x, y=[0, 1] * 2, **{key: np.array(names)})
    with pytest.raises(InputError, match=f"{key} holds texts of more than 4,096 characters"):
        read_npz(tmp_path / "a.npz")
