import dataclasses
from collections import Counter

import numpy as np
import pytest

from common.errors import InputError
from readers.source import Sample, Source, check_arrays


def test_arrays_that_fit_are_accepted():
    x, y = np.zeros((3, 8, 9), np.uint8), np.array([0, 1, 1])
    check_arrays(x, y)
    check_arrays(x, y.astype(np.uint8), 2)
    check_arrays(x[:0], y[:0], 0)


@pytest.mark.parametrize(
    "x, y, classes, message",
    [
        (
            np.zeros((8, 8), np.uint8),
            [0, 1, 1],
            None,
            "x must be uint8 (N, H, W), or in colour (N, H, W, 3), not uint8 (8, 8)",
        ),
        (
            np.zeros((3, 8, 8)),
            [0, 1, 1],
            None,
            "x must be uint8 (N, H, W), or in colour (N, H, W, 3), not float64 (3, 8, 8)",
        ),
        (
            np.zeros((3, 0, 8), np.uint8),
            [0, 1, 1],
            None,
            "x must be uint8 (N, H, W), or in colour (N, H, W, 3), not uint8 (3, 0, 8)",
        ),
        (np.zeros((3, 8, 8), np.uint8), [0, 1], 2, "x holds 3 images and y 2 labels: give one label per image"),
        (np.zeros((3, 8, 8), np.uint8), [0.0, 1.0, 1.0], 2, "y must be integers (N,), not float64 (3,)"),
        (np.zeros((3, 8, 8), np.uint8), [[0, 1, 1]], 2, "y must be integers (N,), not int64 (1, 3)"),
        (np.zeros((3, 8, 8), np.uint8), [0, 1, 1], 1, "y has labels from 0 to 1: with 1 class they must be 0 to 0"),
        (
            np.zeros((3, 8, 8), np.uint8),
            [1, 2, 2],
            2,
            "y has labels from 1 to 2: with 2 classes they must be 0 to 1, so give y - 1",
        ),
        (
            np.zeros((3, 8, 8, 4), np.uint8),
            [0, 1, 1],
            2,
            "x must be uint8 (N, H, W), or in colour (N, H, W, 3), not uint8 (3, 8, 8, 4): "
            "imaging.pictures.as_images(x) makes it so",
        ),
        (np.zeros((3, 8, 8), np.uint8), [-1, 1, 1], 2, "y has labels from -1 to 1: with 2 classes they must be 0 to 1"),
    ],
)
def test_arrays_that_do_not_fit_are_named(x, y, classes, message):
    with pytest.raises(InputError) as caught:
        check_arrays(x, np.array(y), classes)
    assert str(caught.value) == message


def test_a_sample_cannot_be_changed():
    sample = Sample(np.zeros((4, 5), np.uint8), 1, "1/a.png")
    assert (sample.part, sample.group) == ("train", "")
    with pytest.raises(dataclasses.FrozenInstanceError):
        sample.label = 2


class TwoImages(Source):
    name, classes = "two images", ["a", "b"]

    def stamp(self):
        return 1

    def sizes(self):
        return Counter({(5, 4): 2})

    def __len__(self):
        return 2

    def __iter__(self):
        for label in range(2):
            yield Sample(np.zeros((4, 5), np.uint8), label, str(label))


def test_a_source_begins_with_nothing_skipped():
    one, other = TwoImages(), TwoImages()
    one.skipped.append(("a", "why"))
    one.modes["L"] += 1
    assert (other.skipped, other.modes, other.cropped) == ([], {}, False)
    assert [sample.label for sample in one] == [0, 1]


@pytest.mark.parametrize("missing", ["stamp", "__len__", "__iter__"])
def test_a_source_says_all_that_preparation_asks_for(missing):
    methods = {name: value for name, value in vars(TwoImages).items() if name != missing and callable(value)}
    with pytest.raises(TypeError, match=missing):
        type("Incomplete", (Source,), methods)()
