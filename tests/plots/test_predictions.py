import numpy as np
import pytest

import plots


def images(axis) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in axis.get_images()]


@pytest.fixture
def exemplars(drawn) -> np.ndarray:
    return plots.exemplars(drawn.x, drawn.y, 12)


def test_confusion_counts_errors_only(exemplars, drawable):
    matrix = np.diag(range(1, 13)) + 2 * np.eye(12, k=1, dtype=int)
    matrix[2, 7] = 5
    names = [f"n{k}" for k in range(12)]
    axis = drawable(plots.confusion(matrix, exemplars, names)).axes[0]
    first, *largest = axis.get_title().splitlines()
    assert first == f"27 errors in {matrix.sum()} images (correct ones not shown)"
    assert largest == ["n2 predicted as n7: 5", "n0 predicted as n1: 2", "n1 predicted as n2: 2"]
    assert sorted(text.get_text() for text in axis.texts) == ["2"] * 11 + ["5"]
    np.testing.assert_array_equal(images(axis)[0], matrix - np.diag(np.diag(matrix)))
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("predicted class", "label")
    whole = drawable(plots.confusion(matrix, exemplars, names, diagonal=True)).axes[0]
    assert len(whole.texts) == 24 and whole.get_title().splitlines()[0] == f"27 errors in {matrix.sum()} images"


def test_confusion_without_errors(exemplars, drawable):
    axis = drawable(plots.confusion(np.diag([3, 4]), exemplars[:2], ["a", "b"])).axes[0]
    assert axis.get_title() == "0 errors in 7 images (correct ones not shown)" and len(axis.texts) == 0


@pytest.fixture
def three(drawn):
    """Labels and probabilities of three images: one is classified correctly."""
    probabilities = np.zeros((3, 12))
    probabilities[0, 0] = 1
    probabilities[1, [4, 5]] = 0.6, 0.4
    probabilities[2, 7] = 0.9
    return drawn.y[:3], probabilities


def test_errors_are_ranked_by_confidence(drawn, exemplars, three, drawable):
    y, probabilities = three
    names = [str(k) for k in range(12)]
    assert plots.most_confident_errors(y, probabilities).tolist() == [2, 1]
    figure = drawable(plots.errors(drawn.x[:3], y, probabilities, exemplars, "abc", names))
    shown = [axis for axis in figure.axes if axis.get_images()]
    titles = ["c", "label: 0", "predicted: 7, 90%", "b", "label: 0", "predicted: 4, 60%"]
    assert [axis.get_title() for axis in shown] == titles
    for axis, image in zip(shown, [drawn.x[2], exemplars[0], exemplars[7], drawn.x[1]], strict=False):
        np.testing.assert_array_equal(images(axis)[0], image)


def test_chosen_images_are_drawn_beside_the_nearest_in_training(drawn, exemplars, three, drawable):
    y, probabilities = three
    names, files = [str(k) for k in range(12)], ["$学_" + "a" * 17] * 3
    figure = drawable(plots.errors(drawn.x[:3], y, probabilities, exemplars, files, names, np.array([0]), drawn.x[4:5]))
    titles = ["…" + "a" * 17, "label: 0", "predicted: 0, 100%", "nearest in training"]
    assert [axis.get_title() for axis in figure.axes][:4] == titles
    np.testing.assert_array_equal(images(figure.axes[3])[0], drawn.x[4])


def test_as_many_errors_are_drawn_as_wanted(drawn, exemplars):
    probabilities = np.eye(12)[(drawn.y + 1) % 12]
    for options, count in (({}, 12), ({"most": 3}, 3)):
        figure = plots.errors(drawn.x, drawn.y, probabilities, exemplars, drawn.files, list("abcdefghijkl"), **options)
        assert sum(axis.get_title() == "label: a" for axis in figure.axes) == count


def test_no_errors_are_said(drawable):
    figure = drawable(plots.errors(np.zeros((2, 8, 8), np.uint8), np.array([0, 1]), np.eye(2), None, "ab", "cd"))
    assert figure.get_suptitle() == "no errors in 2 images"


def test_reliability_shows_each_class_and_each_bin(drawn, exemplars, drawable):
    probabilities = np.full((480, 12), 0.01)
    probabilities[np.arange(480), drawn.y] = 0.89
    probabilities[:4] = np.roll(probabilities[:4], 1, axis=1)  # four errors in class 0
    left, right = drawable(plots.reliability(drawn.y, probabilities, exemplars)).axes
    points = [line.get_xdata()[0] for line in left.lines if line.get_marker() == "o"]
    assert points == [0.9] + [1.0] * 11
    assert left.get_title() == "all classes (grey): 99.17% (97.88% to 99.68%, n = 480)"
    (place,) = right.collections[0].get_offsets()
    np.testing.assert_allclose(place, [0.89, 476 / 480])


def test_a_class_without_images_has_no_point(drawn, exemplars, drawable):
    left, _ = drawable(plots.reliability(drawn.y[:80], np.eye(12)[drawn.y[:80]], exemplars)).axes
    assert [line.get_ydata()[0] for line in left.lines if line.get_marker() == "o"] == [0, 1]


def test_a_prediction_has_its_five_most_probable_classes(drawn, exemplars, drawable):
    ink = 1 - drawn.x[0] / 255.0
    figure = drawable(plots.prediction(drawn.x[0], ink, np.linspace(0, 0.1, 12), exemplars, list("abcdefghijkl")))
    titles = [axis.get_title() for axis in figure.axes]
    assert titles[:3] == ["the image", "model input", "l: 10.0%"] and len(titles) == 7
    np.testing.assert_array_equal(images(figure.axes[2])[0], exemplars[11])
    np.testing.assert_array_equal(images(figure.axes[0])[0], drawn.x[0])
    two = drawable(plots.prediction(drawn.x[0], ink, np.array([0.3, 0.7]), exemplars[:2], ["a", "b"]))
    assert [axis.get_title() for axis in two.axes][2:] == ["b: 70.0%", "a: 30.0%"]
