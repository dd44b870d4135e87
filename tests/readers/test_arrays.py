import numpy as np
import pytest
from PIL import Image

import readers.arrays
from common.errors import InputError
from imaging.decoding import image_to_array
from readers.arrays import convert_images, find_part
from readers.labels import number_labels


@pytest.mark.parametrize(
    "white, dtype", [(1, np.uint8), (1, bool), (15, np.uint8), (16, np.float64), (1023, np.uint16), (4095, np.int32),
                     (65_535, np.uint16), (1, np.float32), (255, np.uint8), (255, np.float32)]
)  # fmt: skip
def test_values_are_scaled_by_the_range_of_all_parts(white, dtype):
    train = np.zeros((2, 3, 3), dtype)
    test = np.full((1, 3, 3), white, dtype)
    grey, notes = convert_images({"train": train, "test": test})
    assert grey["train"].dtype == np.uint8 and (grey["train"] == 0).all() and (grey["test"] == 255).all()
    is_usual = white == 255 or dtype in (bool, np.float32)
    assert [note.endswith(f"are scaled so that {white} becomes 255") for note in notes] == [True] * (not is_usual)


def test_a_scale_is_linear_and_not_that_of_the_largest_value():
    (grey,), notes = (lambda found: (list(found[0].values()), found[1]))(
        convert_images({"train": np.array([[[0, 1000, 3000]]])})
    )
    assert grey.tolist() == [[[0, 62, 187]]]  # of 4095
    assert notes == ["values from 0 to 3000 are scaled so that 4095 becomes 255"]


@pytest.mark.parametrize("channels", [3, 4])
def test_colour_becomes_the_grey_that_pillow_makes(channels, monkeypatch):
    monkeypatch.setattr(readers.arrays, "CHUNK_BYTES", 2 * 5 * 5 * channels)
    x = np.random.default_rng(0).integers(0, 256, (5, 6, 7, channels), np.uint8)
    expected = np.stack([image_to_array(Image.fromarray(image)) for image in x])  # with opacity: on paper
    for images in (x, np.moveaxis(x, 3, 1), x / 255):
        grey, notes = convert_images({"train": images})
        np.testing.assert_array_equal(grey["train"], expected)
        assert notes == ["colour images are made grey (channels=3 keeps their colours)"]


def test_flattened_images_are_square():
    x = np.arange(2 * 9, dtype=np.uint8).reshape(2, 9) * 10
    np.testing.assert_array_equal(convert_images({"train": x})[0]["train"], x.reshape(2, 3, 3))
    with pytest.raises(InputError, match=r"x must be images \(N, H, W\), or with 1, 3 or 4 channels, not \(2, 8\)"):
        convert_images({"train": x[:, :8]})


def test_images_that_are_not_0_to_65535_are_refused():
    with pytest.raises(InputError, match="x holds values from 0 to 65536: they must be 0 to 255, or 0 to 1 as floats"):
        convert_images({"train": np.array([[[0, 65_536]]])})
    with pytest.raises(InputError, match="x holds values from -1 to 0"):
        convert_images({"train": np.zeros((1, 2, 2), np.uint8), "test": np.full((1, 2, 2), -1)})


def test_text_labels_become_the_classes_in_natural_order():
    y, classes, notes = number_labels({"train": np.array(["c10", "c2"]), "test": np.array([b"c2", b"c3"])})
    assert (classes, notes) == (["c2", "c3", "c10"], [])
    assert (y["train"].tolist(), y["test"].tolist()) == ([2, 0], [0, 1])
    y, classes, _ = number_labels({"train": np.array(["b", "a"])}, ["b", "a"])
    assert y["train"].tolist() == [0, 1] and classes == ["b", "a"]


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, np.float64])
def test_numbers_of_any_dtype_are_labels(dtype):
    y, classes, notes = number_labels({"train": np.array([5, 2, 5], dtype)})
    assert (y["train"].tolist(), classes) == ([1, 0, 1], ["2", "5"])
    assert notes == ["labels are 2, 5: they are renumbered from 0"]


def test_labels_from_1_fit_as_many_names():
    y, classes, notes = number_labels({"train": np.array([1, 3, 2])}, ["a", "b", "c"])
    assert (y["train"].tolist(), classes) == ([0, 2, 1], ["a", "b", "c"])
    assert notes == ["labels are 1, 2, 3: they are renumbered from 0"]


def test_negative_and_many_labels():
    y, classes, notes = number_labels({"train": np.arange(-1, 9)})
    assert (y["train"].tolist(), classes[0]) == (list(range(10)), "-1")
    assert notes == ["labels are -1, 0, 1, …, 8: they are renumbered from 0"]
    with pytest.raises(InputError, match="it has 65537 different labels: there can be 65536 classes at most"):
        number_labels({"train": np.arange(65_537)})


@pytest.mark.parametrize(
    "labels",
    [np.array([0.5]), np.array([np.nan]), np.ones((2, 2)), np.array([2.0**63]), np.array([-1e300]), np.array(1)],
)
def test_what_is_no_label_is_refused(labels):
    with pytest.raises(InputError, match="y must be integers or text"):
        number_labels({"train": labels})


def test_names_of_parts():
    names = {"HWDB1.1trn_gnt": "train", "HWDB1.1tst_gnt": "test", "X_train": "train", "t10k-images": "test",
             "Validation": "val", "emnist-letters-test-images": "test", "contest": None, "straining": None}  # fmt: skip
    assert {name: find_part(name) for name in names} == names


def test_text_that_is_no_unicode_is_refused():
    y = np.array(["ab", "cd"])
    y.view(np.uint32)[1] = 0x7FFFFFFF
    with pytest.raises(InputError, match="^it holds text that is damaged"):
        number_labels({"train": y})


def test_one_hot_labels_are_decoded():
    train, test = np.eye(4)[[3, 0, 1]], np.eye(4)[[2, 0]]
    labels, names, notes = number_labels({"train": train, "test": test})
    assert [labels[part].tolist() for part in ("train", "test")] == [[3, 0, 1], [2, 0]]
    assert names == ["0", "1", "2", "3"] and notes == ["labels are one-hot: the class is the place of the 1"]
    assert number_labels({"train": train > 0}, list("abcd"))[0]["train"].tolist() == [3, 0, 1]
    labels, names, notes = number_labels({"train": train})
    assert labels["train"].tolist() == [2, 0, 1] and names == ["0", "1", "3"] and len(notes) == 2


@pytest.mark.parametrize("y", [[[1, 1], [0, 1]], [[0, 0], [0, 1]], [[0.5, 0.5], [0, 1]], [["a", "b"]]])
def test_several_labels_per_image_are_refused(y):
    with pytest.raises(InputError, match=r"^y must be integers or text \(N,\), or one-hot \(N, C\), not "):
        number_labels({"train": np.array(y)})


def test_colours_are_kept_and_greys_become_colours():
    x = np.random.default_rng(0).integers(0, 256, (5, 6, 7, 3), np.uint8)
    for images in (x, np.moveaxis(x, 3, 1), x / 255):
        found, notes = convert_images({"train": images}, 3)
        np.testing.assert_array_equal(found["train"], x)
        assert notes == []
    grey = convert_images({"train": x[..., 0]}, 3)[0]["train"]
    np.testing.assert_array_equal(grey, np.stack([x[..., 0]] * 3, 3))
    on_white = convert_images({"train": np.dstack([x[0], np.full((6, 7), 255)])[None]}, 3)[0]["train"]
    np.testing.assert_array_equal(on_white, x[:1])


@pytest.mark.parametrize("white, highest", [(1, 1.03), (255, 257.0)])
def test_floats_that_resampling_took_beyond_their_range(white, highest):
    x = np.array([[[0, white, highest], [-0.03 * white, white / 2, white]]] * 2)
    half = 128  # 127.5 is rounded to the even number
    found = convert_images({"train": x})[0]["train"][0]
    np.testing.assert_array_equal(found, [[0, 255, 255], [0, half, 255]])
    for low, high in ((-0.06 * white, highest), (0.0, 1e5), (-0.4, 2.8), (-0.14, 7.0), (-1.0, 1.0)):  # normalized
        with pytest.raises(InputError, match=f"x holds values from {low} to {high}: they must be 0 to 255, or 0 to 1"):
            convert_images({"train": np.array([[[low, high]]])})


@pytest.mark.parametrize("other", [np.float32, np.uint8])
def test_parts_of_different_scale_are_refused(other):
    """Of x_train / 255 without x_test / 255, one of them would be blank."""
    x = np.array([[[0, 255], [255, 0]]] * 2)
    for parts in ({"train": (x / 255).astype(other), "test": x}, {"train": x, "test": (x / 255).astype(other)}):
        with pytest.raises(
            InputError, match="values up to 1 in t.* and up to 255 elsewhere: scale all of it to 0 to 255"
        ):
            convert_images(parts)
    blank = convert_images({"train": x, "test": x * 0, "val": (x[:1] > 0).astype(np.uint8)})[0]
    assert blank["train"].max() == 255 and not blank["test"].any() and blank["val"].max() == 1
