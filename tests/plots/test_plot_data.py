import numpy as np
import pytest
from conftest import images_on, texts_on

import plots
from analysis.audit import Issue
from dataset import CharDataset


def test_samples_have_a_row_per_class(drawn, drawable):
    names = [f"n{k}" for k in range(12)]
    (axis,) = drawable(plots.samples(drawn.x, drawn.y, names, per_class=4)).axes
    assert texts_on(axis) == ["n0  (n = 40)", "mean", *[f"{name}  (n = 40)" for name in names[1:]]]
    mean, *row = images_on(axis)[5:10]
    np.testing.assert_array_equal(mean, drawn.x[drawn.y == 1].mean(0).astype(np.uint8))
    shown = [image.tobytes() for image in row]
    assert len(set(shown)) == 4 and set(shown) <= {image.tobytes() for image in drawn.x[drawn.y == 1]}


def test_a_class_with_few_images_leaves_gaps(drawn, drawable):
    few = CharDataset(drawn.x[38:42], drawn.y[38:42], classes=["a", "b", "none"])
    (axis,) = drawable(plots.samples(few.x, few.y, few.classes, per_class=5)).axes
    assert len(images_on(axis)) == 3 + 3 and texts_on(axis)[-1] == "none  (n = 0)"


@pytest.mark.parametrize(("count", "shown", "title"), [
    (31, range(31), "31 classes: a typical image of each (1 to 2 images per class)"),
    (7356, None, "150 of 7,356 classes, evenly spaced: a typical image of each (1 to 2 images per class)"),
])  # fmt: skip
def test_many_classes_have_an_image_each(drawable, count, shown, title):
    y = np.concatenate([np.arange(count), [5, 0]])
    x = (y % 251).astype(np.uint8)[:, None, None].repeat(8, 1).repeat(9, 2)
    figure = drawable(plots.samples(x, y, [f"k{k}" for k in range(count)]))
    (axis,) = figure.axes
    *labels, last = texts_on(axis)
    assert last == title and figure.get_size_inches().max() < 13
    assert len(labels) == len(images_on(axis)) == min(count, 150)
    assert (labels[0], labels[-1]) == ("k0", f"k{count - 1}")
    assert [image[0, 0] for image in images_on(axis)] == [int(label[1:]) % 251 for label in labels]


def test_exemplars_are_images_of_their_class(drawn):
    exemplars = plots.exemplars(drawn.x, drawn.y, 13)
    assert exemplars.shape == (13, 28, 28) and exemplars.dtype == np.uint8
    for k in range(12):
        assert exemplars[k].tobytes() in {image.tobytes() for image in drawn.x[drawn.y == k]}
    assert (exemplars[12] == 255).all()  # a class without an image


def test_exemplars_are_the_same_whatever_the_chunks(drawn, monkeypatch):
    expected = plots.exemplars(drawn.x, drawn.y, 12)
    monkeypatch.setattr("plots.data.CHUNK", 7)
    np.testing.assert_array_equal(plots.exemplars(drawn.x, drawn.y, 12), expected)


def test_an_exemplar_is_the_image_nearest_to_the_mean_of_its_class():
    grey = np.array([0, 10, 50, 200, 90, 100], np.uint8)  # the means are 20 and 130
    x = grey[:, None, None].repeat(9, 1).repeat(11, 2)
    assert plots.exemplars(x, np.array([0, 0, 0, 1, 1, 1]), 2)[:, 0, 0].tolist() == [10, 100]


def test_augmented_images_are_beside_their_originals(drawn, drawable):
    ink = 1 - drawn.x / 255.0
    variants = np.stack([ink[3:6], ink[6:9], ink[9:12], ink[12:15]], axis=1)
    (axis,) = drawable(plots.augmented(ink[:3], variants)).axes
    assert texts_on(axis) == ["original", "augmented"] and len(images_on(axis)) == 15
    np.testing.assert_array_equal(images_on(axis)[5], 1 - ink[1])
    np.testing.assert_array_equal(images_on(axis)[7], 1 - ink[7])


def test_twelve_rows_of_augmented_images_are_drawn_at_most(drawn):
    ink = 1 - drawn.x / 255.0
    (axis,) = plots.augmented(ink[:30], np.stack([ink[:30]] * 15, axis=1)).axes
    assert len(images_on(axis)) == 12 * 13


def test_issues_have_a_row_each(drawn, drawable):
    found = [
        Issue("identical", [4, 7], ["1/a", "2/b"], ["1", "2"], across_classes=True),
        Issue("few_images", [], [], ["1"], note="3"),
    ]
    (axis,) = drawable(plots.issues(drawn.x, found)).axes
    title, *files = texts_on(axis)
    assert files == ["1/a", "2/b"] and title.replace("\n", " ") == found[0].title
    assert max(map(len, title.split("\n"))) <= 26
    np.testing.assert_array_equal(images_on(axis)[1], drawn.x[7])
    assert plots.issues(drawn.x, found[1:]) is None and plots.issues(drawn.x, []) is None


def test_twelve_issues_of_six_images_are_drawn_at_most(drawn):
    found = [Issue("near_duplicate", list(range(k, k + 9)), list("abcdefghi"), ["1"]) for k in range(15)]
    (axis,) = plots.issues(drawn.x, found).axes
    assert len(images_on(axis)) == 12 * 6 and texts_on(axis)[1:7] == list("abcdef")
    np.testing.assert_array_equal(images_on(axis)[71], drawn.x[16])
