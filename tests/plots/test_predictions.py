import numpy as np
import pytest
from conftest import images_on, texts_on

import plots
from plots.labels import class_labels


@pytest.fixture
def exemplars(drawn) -> np.ndarray:
    return plots.exemplars(drawn.x, drawn.y, 12)


NAMES = [f"n{k}" for k in range(12)]


def counted(matrix) -> tuple[np.ndarray, np.ndarray]:
    """Return labels and predicted classes of which a matrix (C, C) counts how many there are of each pair."""
    y, predicted = np.nonzero(matrix)
    return np.repeat((y, predicted), np.asarray(matrix)[y, predicted], axis=1)


def test_confusion_counts_errors_only(exemplars, drawable):
    matrix = np.diag(range(1, 13)) + 2 * np.eye(12, k=1, dtype=int)
    matrix[2, 7] = 5
    axis = drawable(plots.confusion(*counted(matrix), exemplars, NAMES)).axes[0]
    first, *largest = axis.get_title().splitlines()
    assert first == f"27 errors in {matrix.sum()} images (correct ones not shown)"
    assert largest == ["n2 predicted as n7: 5", "n0 predicted as n1: 2", "n1 predicted as n2: 2"]
    assert sorted(texts_on(axis)) == ["2"] * 11 + ["5"]
    np.testing.assert_array_equal(images_on(axis)[0], matrix - np.diag(np.diag(matrix)))
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted class", "label")
    whole = drawable(plots.confusion(*counted(matrix), exemplars, NAMES, diagonal=True)).axes[0]
    assert len(texts_on(whole)) == 24 and whole.get_title().splitlines()[0] == f"27 errors in {matrix.sum()} images"


def test_numbers_of_a_confusion_can_be_read_on_dark_and_on_pale_cells(exemplars):
    (axis,) = plots.confusion(*counted([[0, 9], [1, 0]]), exemplars[:2], NAMES[:2]).axes
    assert {text.get_text(): text.get_color() for text in axis.texts} == {"9": "white", "1": "black"}


@pytest.mark.parametrize("names", [list("0Oo1lI"), ["1", "2", "\u4e2d", "\u597d", "letter_alpha_upper", "0"]])
def test_classes_have_a_name_beside_their_image(exemplars, drawable, names):
    confusion = drawable(plots.confusion(np.arange(6), np.arange(6), exemplars[:6], names)).axes[0]
    reliability = drawable(plots.reliability(np.arange(6), np.arange(6), np.ones(6), exemplars[:6], names)).axes[0]
    axes = [confusion.get_xticklabels(), confusion.get_yticklabels(), reliability.get_yticklabels()]
    for labels in axes:
        assert [label.get_text() for label in labels] == class_labels(names)
    assert len(confusion.artists) == 12 and len(reliability.artists) == 6
    for axis, artists in ((confusion, confusion.artists[1::2]), (reliability, reliability.artists)):
        for label, image in zip(axis.get_yticklabels(), artists, strict=True):
            assert not label.get_window_extent().overlaps(image.get_window_extent())


def test_confusion_without_errors_shows_what_is_correct(exemplars, drawable):
    axis = drawable(plots.confusion(*counted(np.diag([3, 4])), exemplars[:2], ["a", "b"])).axes[0]
    assert axis.get_title() == "0 errors in 7 images" and texts_on(axis) == ["3", "4"]


def test_one_error_is_singular(exemplars):
    (axis,) = plots.confusion(*counted([[0, 1], [0, 0]]), exemplars[:2], ["a", "b"]).axes
    assert axis.get_title().startswith("1 error in 1 image (")


def test_the_most_frequent_confusions_of_many_classes_are_pairs(drawable):
    matrix = np.diag(np.full(1000, 50))
    matrix[np.arange(40), np.arange(40) + 1] = np.arange(1, 41)
    exemplars = (np.arange(1000) % 251).astype(np.uint8)[:, None, None].repeat(8, 1).repeat(8, 2)
    figure = drawable(plots.confusion(*counted(matrix), exemplars, [f"k{k}" for k in range(1000)]))
    (axis,) = figure.axes
    assert len(images_on(axis)) == 40 and figure.get_size_inches().max() < 12
    title, _, first, *others = texts_on(axis)
    assert title == "820 errors in 50,820 images; the most frequent confusions, label → predicted class:"
    assert first == "k39 → k40\n40 of 90 images" and others[-1] == "k20 → k21\n21 of 71 images"
    assert [image[0, 0] for image in images_on(axis)[:2]] == [39, 40]
    none = drawable(plots.confusion(*counted(np.diag(np.full(1000, 50))), exemplars, [f"k{k}" for k in range(1000)]))
    assert texts_on(none.axes[0]) == ["0 errors in 50,000 images"]


@pytest.fixture
def three(drawn):
    """Labels, predicted classes and confidence of three images: one is classified correctly."""
    return drawn.y[:3], np.array([0, 4, 7]), np.array([1, 0.6, 0.9])


def test_errors_are_ranked_by_confidence(drawn, exemplars, three, drawable):
    assert plots.most_confident_errors(*three).tolist() == [2, 1]
    (axis,) = drawable(plots.errors(drawn.x[:3], *three, exemplars, "abc", NAMES)).axes
    assert texts_on(axis) == [
        "image\nc", "label\nn0", "predicted, 90%\nn7", "image\nb", "label\nn0", "predicted, 60%\nn4"
    ]  # fmt: skip
    for shown, expected in zip(images_on(axis), [drawn.x[2], exemplars[0], exemplars[7], drawn.x[1]], strict=False):
        np.testing.assert_array_equal(shown, expected)


def test_chosen_images_are_beside_their_nearest_neighbour(drawn, exemplars, three, drawable):
    files, nearest = ["$学_" + "a" * 17] * 3, drawn.x[4:5]
    (axis,) = drawable(plots.errors({0: drawn.x[0]}, *three, exemplars, files, NAMES, np.array([0]), nearest)).axes
    titles = ["image\n…" + "a" * 17, "label\nn0", "predicted, 100%\nn0", "nearest in training\nn0"]
    assert texts_on(axis) == titles
    np.testing.assert_array_equal(images_on(axis)[0], drawn.x[0])
    np.testing.assert_array_equal(images_on(axis)[3], drawn.x[4])


def test_as_many_errors_are_drawn_as_wanted(drawn, exemplars):
    predicted, confidence = (drawn.y + 1) % 12, np.ones(480)
    for options, count in (({}, 12), ({"most": 3}, 3)):
        (axis,) = plots.errors(
            drawn.x, drawn.y, predicted, confidence, exemplars, drawn.files, NAMES, **options
        ).axes  # fmt: skip
        assert texts_on(axis).count("label\nn0") == count


def test_no_errors_are_said(drawable):
    x, y = np.zeros((2, 8, 8), np.uint8), np.arange(2)
    figure = drawable(plots.errors(x, y, y, np.ones(2), None, "ab", "cd"))
    assert texts_on(figure.axes[0]) == ["no errors in 2 images"]
    figure = drawable(plots.errors(x, y, 1 - y, np.ones(2), None, "ab", "cd", chosen=y[:0]))
    assert texts_on(figure.axes[0]) == ["none is shown"]


def test_reliability_shows_each_class_and_each_bin(drawn, exemplars, drawable):
    predicted, confidence = drawn.y.copy(), np.full(480, 0.89)
    predicted[:4] = 1  # four errors in class 0
    left, right = drawable(plots.reliability(drawn.y, predicted, confidence, exemplars, NAMES)).axes
    points = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    assert points == [0.9] + [1.0] * 11
    assert left.get_title() == "all classes (grey): 99.17% (97.88% to 99.68%, n = 480)"
    intervals, bins = right.collections
    np.testing.assert_allclose(bins.get_offsets(), [[0.89, 476 / 480]])
    np.testing.assert_allclose(intervals.get_segments(), [[[0.89, 0.978771], [0.89, 0.996755]]], atol=1e-5)


def test_reliability_gives_macro_averages_if_classes_differ_in_size(exemplars, drawable):
    y, predicted = np.array([0] * 6 + [1] * 2), np.array([0] * 6 + [1, 0])
    left, _ = drawable(plots.reliability(y, predicted, np.full(8, 0.9), exemplars[:2], ["a", "b"])).axes
    assert left.get_title().splitlines()[1] == "balanced accuracy 75.00%, macro F1 79.49%"


def test_reliability_of_few_images_has_few_bins(exemplars, drawable):
    zeros, confidence = np.zeros(30, int), np.linspace(0.51, 0.99, 30)
    _, right = drawable(plots.reliability(zeros, zeros, confidence, exemplars[:2], ["a", "b"])).axes
    assert len(right.collections[1].get_offsets()) <= 2


def test_of_many_classes_the_worst_twenty_are_drawn(drawable):
    y = np.arange(100).repeat(10)
    predicted = np.where(np.arange(1000) % 10 < np.minimum(y, 9), y, (y + 1) % 100)  # class k < 9: k of 10 are correct
    exemplars = np.zeros((101, 8, 8), np.uint8)
    names = [f"k{k}" for k in range(101)]  # of the last one, there is no image
    figure = drawable(plots.reliability(y, predicted, np.ones(1000), exemplars, names))
    worst, histogram, _ = figure.axes
    assert [label.get_text() for label in worst.get_yticklabels()] == names[:20]
    points = [line.get_xdata()[0] for line in worst.lines if line.get_marker() == "o"]
    assert points == [k / 10 for k in range(9)] + [0.9] * 11
    assert worst.get_title().startswith("the worst 20 of 101 classes\n")
    assert histogram.get_title() == "0 of 100 classes without errors"
    assert sum(bar.get_height() for bar in histogram.patches) == 100 and figure.get_size_inches().max() < 14


def test_a_class_without_images_has_no_point(drawn, exemplars, drawable):
    left, _ = drawable(plots.reliability(drawn.y[:80], drawn.y[:80], np.ones(80), exemplars, NAMES)).axes
    assert [line.get_ydata()[0] for line in left.lines if line.get_marker() == "o"] == [0, 1]


def test_a_prediction_has_its_five_most_probable_classes(drawn, exemplars, drawable):
    ink = 1 - drawn.x[0] / 255.0
    (axis,) = drawable(plots.prediction(drawn.x[0], ink, np.linspace(0, 0.1, 12), exemplars, NAMES)).axes
    assert texts_on(axis)[:3] == ["image", "model input", "n11\n10.0%"] and len(images_on(axis)) == 7
    np.testing.assert_array_equal(images_on(axis)[2], exemplars[11])
    np.testing.assert_array_equal(images_on(axis)[0], drawn.x[0])
    two = drawable(plots.prediction(drawn.x[0], ink, np.array([0.3, 0.7]), exemplars[:2], ["a", "b"]))
    assert texts_on(two.axes[0])[2:] == ["b\n70.0%", "a\n30.0%"]


def test_a_photo_is_beside_what_was_made_of_it(drawn, exemplars, drawable):
    photo, ink = np.full((300, 200, 3), 90, np.uint8), 1 - drawn.x[0] / 255.0
    (axis,) = drawable(plots.prediction(drawn.x[0], ink, np.eye(12)[3], exemplars, NAMES, photo)).axes
    assert texts_on(axis)[:3] == ["photo", "prepared", "model input"] and len(images_on(axis)) == 8
    assert images_on(axis)[0].shape == (300, 200, 3)
