import numpy as np

import plots
from analysis.audit import Issue
from dataset import CharDataset


def images(axis) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in axis.get_images()]


def test_samples_have_a_row_per_class(drawn, drawable):
    figure = drawable(plots.samples(drawn.x, drawn.y, drawn.classes, per_class=4))
    assert len(figure.axes) == 60 and all(len(images(axis)) == 1 for axis in figure.axes)
    assert figure.axes[0].get_title() == "mean"
    assert figure.axes[5].texts[0].get_text() in ("1  (n = 40)", "学  (n = 40)")  # the name if a font has it
    np.testing.assert_array_equal(images(figure.axes[5])[0], drawn.x[drawn.y == 1].mean(0).astype(np.uint8))
    row = [images(axis)[0].tobytes() for axis in figure.axes[6:10]]
    assert len(set(row)) == 4 and set(row) <= {image.tobytes() for image in drawn.x[drawn.y == 1]}


def test_a_class_with_few_images_leaves_gaps(drawn, drawable):
    few = CharDataset(drawn.x[38:42], drawn.y[38:42], classes=["a", "b", "none"])
    figure = drawable(plots.samples(few.x, few.y, few.classes, per_class=5))
    assert [len(images(axis)) for axis in figure.axes] == [1, 1, 1, 0, 0, 0] * 2 + [0] * 6
    assert figure.axes[12].texts[0].get_text() == "none  (n = 0)"


def test_exemplars_are_images_of_their_class(drawn):
    exemplars = plots.exemplars(drawn.x, drawn.y, 13)
    assert exemplars.shape == (13, 28, 28) and exemplars.dtype == np.uint8
    for k in range(12):
        assert exemplars[k].tobytes() in {image.tobytes() for image in drawn.x[drawn.y == k]}
    assert (exemplars[12] == 255).all()  # a class without an image


def test_an_exemplar_is_the_image_nearest_to_the_mean_of_its_class():
    grey = np.array([0, 10, 50, 200, 90, 100], np.uint8)  # the means are 20 and 130
    x = grey[:, None, None].repeat(9, 1).repeat(11, 2)
    assert plots.exemplars(x, np.array([0, 0, 0, 1, 1, 1]), 2)[:, 0, 0].tolist() == [10, 100]


def test_augmented_images_are_beside_their_originals(drawn, drawable):
    ink = 1 - drawn.x / 255.0
    variants = np.stack([ink[3:6], ink[6:9], ink[9:12], ink[12:15]], axis=1)
    figure = drawable(plots.augmented(ink[:3], variants))
    assert [figure.axes[k].get_title() for k in (0, 5)] == ["original", ""] and len(figure.axes) == 15
    assert figure.axes[1].get_title(loc="left") == "augmented …"
    np.testing.assert_array_equal(images(figure.axes[5])[0], 1 - ink[1])
    np.testing.assert_array_equal(images(figure.axes[7])[0], 1 - ink[7])


def test_issues_have_a_row_each(drawn, drawable):
    found = [
        Issue("identical", [4, 7], ["1/a", "2/b"], ["1", "2"], across_classes=True),
        Issue("few_images", [], [], ["1"], note="3"),
    ]
    figure = drawable(plots.issues(drawn.x, found))
    assert [axis.get_title() for axis in figure.axes] == ["1/a", "2/b"]
    assert figure.axes[0].texts[0].get_text() == found[0].title.replace(" in ", "\nin ") != found[0].title
    np.testing.assert_array_equal(images(figure.axes[1])[0], drawn.x[7])
    assert plots.issues(drawn.x, found[1:]) is None and plots.issues(drawn.x, []) is None


def test_twelve_issues_of_six_images_are_drawn_at_most(drawn):
    found = [Issue("near_duplicate", list(range(k, k + 9)), list("abcdefghi"), ["1"]) for k in range(15)]
    figure = plots.issues(drawn.x, found)
    assert len(figure.axes) == 12 * 6 and [axis.get_title() for axis in figure.axes[:6]] == list("abcdef")
    np.testing.assert_array_equal(images(figure.axes[71])[0], drawn.x[16])
