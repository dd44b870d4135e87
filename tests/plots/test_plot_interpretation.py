import numpy as np
from conftest import images_on, texts_on

import plots


def test_feature_maps_have_a_row_per_layer(drawable):
    rng = np.random.default_rng(0)
    filters, maps = rng.normal(size=(6, 5, 5)), {
        "conv1": rng.random((6, 28, 28)), "conv3": rng.random((20, 10, 10)), "fc6": rng.random((16, 1, 1)),
    }  # fmt: skip
    (axis,) = drawable(plots.feature_maps(filters, maps)).axes
    assert texts_on(axis) == ["filters\n6: 5×5", "conv1\n6: 28×28", "conv3\n16 of 20: 10×10"]  # none of single numbers
    assert len(images_on(axis)) == 6 + 6 + 16
    np.testing.assert_array_equal(images_on(axis)[-1], maps["conv3"][15])
    low, high = axis.get_images()[0].get_clim()
    assert -low == high == np.abs(filters).max()  # so that 0 is white


def test_grad_cam_lies_over_the_image(drawn, drawable):
    heat = np.zeros((2, 28, 28), np.float32)
    heat[0, 5:9, 5:9] = 3
    (axis,) = drawable(plots.grad_cam(1 - drawn.x[:2] / 255.0, heat, [0, 1], [1, 1], ["a", "b"])).axes
    assert texts_on(axis) == ["label: a\npredicted: b", "label: b\npredicted: b"]
    np.testing.assert_array_equal(images_on(axis)[1], heat[0])
    np.testing.assert_allclose(images_on(axis)[0], drawn.x[0] / 255, atol=1e-12)
    extents = [image.get_extent() for image in axis.get_images()]
    assert extents[0] == extents[1] != extents[2] == extents[3]


def test_grad_cam_draws_colours_grey(drawable):
    """A heat map in orange on red would show nothing, and blue under it would be purple."""
    red = np.zeros((1, 28, 28, 3)) + [0.9, 0.3, 0.0]
    (axis,) = drawable(plots.grad_cam(red, np.ones((1, 28, 28)), [0], [0], ["a"])).axes
    np.testing.assert_allclose(images_on(axis)[0], np.full((28, 28, 3), 0.4))


def test_an_embedding_has_misclassified_images_ringed(drawn, drawable):
    points = np.random.default_rng(0).normal(size=(480, 2))
    predicted = drawn.y.copy()
    predicted[[3, 77]] = 5
    exemplars, names = plots.exemplars(drawn.x, drawn.y, 12), [f"n{k}" for k in range(12)]
    figure = drawable(plots.plot_embedding(points, drawn.y, predicted, exemplars, names))
    everything, ringed = figure.axes[0].collections
    np.testing.assert_array_equal(everything.get_offsets(), points)
    np.testing.assert_array_equal(everything.get_array(), drawn.y)
    np.testing.assert_array_equal(ringed.get_offsets(), points[[3, 77]])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["misclassified (2)"]


def clusters(count: int, spread: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Return points float (20 * count, 2) around a grid, and their classes."""
    y = np.arange(count).repeat(20)
    centres = np.stack(np.divmod(np.arange(count), int(count**0.5)), 1)
    return centres[y] + np.random.default_rng(0).normal(size=(len(y), 2)) * spread, y


def test_images_of_an_embedding_hide_no_point(drawable):
    points, y = clusters(12)
    exemplars, names = np.zeros((12, 8, 8), np.uint8), [f"n{k}" for k in range(12)]
    figure = drawable(plots.plot_embedding(points, y, y, exemplars, names))
    (axis,) = figure.axes
    shown = axis.transData.transform(points)
    boxes = [box.get_window_extent() for box in axis.artists]
    assert len(boxes) == 12 and sorted(texts_on(axis)) == sorted(names)
    assert not any(box.contains(*point) for box in boxes for point in shown)
    assert not any(one.overlaps(other) for i, one in enumerate(boxes) for other in boxes[:i])
    assert axis.get_title() == "t-SNE of the penultimate layer (axes without unit)"


def test_of_many_classes_those_are_named_for_which_there_is_room(drawable):
    points, y = clusters(1000, spread=5)
    names = [f"class{k}" for k in range(1000)]
    (axis,) = drawable(plots.plot_embedding(points, y, y, np.zeros((1000, 8, 8), np.uint8), names)).axes
    assert len(axis.artists) == len(texts_on(axis)) <= 30
    assert axis.get_title().endswith(f"; {len(axis.artists)} of 1,000 classes are named")


def test_an_embedding_of_one_image(drawable):
    drawable(plots.plot_embedding(np.zeros((1, 2)), np.array([1]), np.array([0]), np.zeros((2, 8, 8), np.uint8), "ab"))
