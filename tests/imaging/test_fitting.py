import numpy as np
import pytest

from imaging.fitting import border, fit_image


@pytest.fixture
def tall() -> np.ndarray:
    """A vertical bar of 40×4 pixels on grey paper of 60×20."""
    image = np.full((60, 20), 200, np.uint8)
    image[10:50, 8:12] = 10
    return image


def test_other_sizes_keep_their_aspect_and_background(tall):
    small = fit_image(tall, 28, 28)
    assert small.shape == (28, 28) and small.dtype == np.uint8
    assert (small[:, :8] == 200).all() and (small[:, -8:] == 200).all()  # the background goes on
    ink = small < 105
    height, width = ink.any(1).sum(), ink.any(0).sum()
    assert 17 <= height <= 20 and 1 <= width <= 3  # 40 and 4 pixels of 60


def test_cropping_leaves_a_margin_of_a_tenth(tall):
    cropped = fit_image(tall, 28, 28, crop=True) < 105
    assert 22 <= cropped.any(1).sum() <= 24 and 1 <= cropped.any(0).sum() <= 3  # 40 and 4 pixels of 48
    same = np.full((28, 28), 255, np.uint8)
    same[10:18, 12:14] = 0
    assert 22 <= (fit_image(same, 28, 28, crop=True) < 128).any(1).sum() <= 24  # what has the size already, too
    np.testing.assert_array_equal(fit_image(255 - tall, 28, 28, crop=True), 255 - fit_image(tall, 28, 28, crop=True))


def test_a_blank_image_is_cropped_to_itself():
    blank = np.full((50, 40), 200, np.uint8)
    assert (fit_image(blank, 28, 28, crop=True) == 200).all()


def test_an_image_of_the_size_is_returned_as_it_is():
    same = np.zeros((28, 28), np.uint8)
    assert fit_image(same, 28, 28) is same


@pytest.mark.parametrize("shape", [(1, 1), (1, 50), (3, 200), (500, 7)])
@pytest.mark.parametrize("crop", [False, True])
def test_every_size_fits_a_frame_of_another_aspect(shape, crop):
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    assert fit_image(image, 20, 40, crop).shape == (20, 40)


def test_a_frame_of_another_aspect_is_filled_on_both_sides(tall):
    wide = fit_image(tall, 30, 60)
    columns = np.flatnonzero((wide < 105).any(0))
    assert abs(columns.mean() - 29.5) <= 1 and (wide[:, :25] == 200).all() and (wide[:, 35:] == 200).all()


def test_border_has_the_corners_twice():
    assert border(np.arange(12).reshape(3, 4)).tolist() == [0, 1, 2, 3, 8, 9, 10, 11, 0, 4, 8, 3, 7, 11]
