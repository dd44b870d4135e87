import numpy as np

import plots


def images(axis) -> list[np.ndarray]:
    return [np.asarray(image.get_array()) for image in axis.get_images()]


def test_feature_maps_have_a_row_per_layer(drawable):
    rng = np.random.default_rng(0)
    filters, maps = rng.normal(size=(6, 5, 5)), {
        "conv1": rng.random((6, 28, 28)), "conv3": rng.random((20, 10, 10)), "fc6": rng.random((16, 1, 1)),
    }  # fmt: skip
    figure = drawable(plots.feature_maps(filters, maps))
    assert len(figure.axes) == 3 * 16  # a layer of single numbers has none
    labels = [axis.texts[0].get_text() for axis in figure.axes[::16]]
    assert labels == ["filters\n6 of 5×5", "conv1\n6 of 28×28", "conv3\n20 of 10×10"]
    assert [len(axis.get_images()) for axis in figure.axes[:16]] == [1] * 6 + [0] * 10
    np.testing.assert_array_equal(images(figure.axes[2 * 16 + 15])[0], maps["conv3"][15])
    low, high = figure.axes[0].get_images()[0].get_clim()
    assert -low == high == np.abs(filters).max()  # so that 0 is white


def test_grad_cam_lies_over_the_image(drawn, drawable):
    heat = np.zeros((2, 28, 28), np.float32)
    heat[0, 5:9, 5:9] = 3
    figure = drawable(plots.grad_cam(1 - drawn.x[:2] / 255.0, heat, [0, 1], [1, 1], ["a", "b"]))
    assert [axis.get_title() for axis in figure.axes] == ["label: a, predicted: b", "label: b, predicted: b"]
    np.testing.assert_array_equal(images(figure.axes[0])[1], heat[0])
    np.testing.assert_allclose(images(figure.axes[0])[0], drawn.x[0] / 255, atol=1e-12)


def test_an_embedding_has_misclassified_images_ringed_and_an_image_per_class(drawn, drawable):
    points = np.random.default_rng(0).normal(size=(480, 2))
    predicted = drawn.y.copy()
    predicted[[3, 77]] = 5
    figure = drawable(plots.plot_embedding(points, drawn.y, predicted, plots.exemplars(drawn.x, drawn.y, 12)))
    (axis,) = figure.axes
    everything, ringed = axis.collections
    np.testing.assert_array_equal(everything.get_offsets(), points)
    np.testing.assert_array_equal(everything.get_array(), drawn.y)
    np.testing.assert_array_equal(ringed.get_offsets(), points[[3, 77]])
    assert ringed.get_label() == "misclassified (2)" and len(axis.artists) == 12
    np.testing.assert_allclose(axis.artists[4].xy, np.median(points[drawn.y == 4], 0))
    assert axis.get_title() == "t-SNE of the penultimate layer (axes without unit)"
