import numpy as np
import pytest
import torch
from PIL import Image

from common.errors import InputError
from imaging.pictures import as_images

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (20, 30), dtype=np.uint8)
COLOUR = np.repeat(GREY[..., None], 3, 2)
OPAQUE = np.concatenate([COLOUR, np.full((20, 30, 1), 255, np.uint8)], 2)


@pytest.mark.parametrize(
    "image",
    [
        GREY, COLOUR, OPAQUE, GREY[..., None], torch.from_numpy(GREY), torch.from_numpy(COLOUR),
        *(Image.fromarray(GREY).convert(mode) for mode in ("L", "RGB", "RGBA", "LA", "I", "F", "CMYK")),
    ],
)  # fmt: skip
def test_one_picture_is_one_image(image):
    for given, count in ((image, 1), ([image], 1), ([image, image], 2)):
        np.testing.assert_array_equal(as_images(given), [GREY] * count)


@pytest.mark.parametrize("batch", [COLOUR[None], np.moveaxis(COLOUR[None], -1, 1), OPAQUE[None], GREY[None, None]])
def test_batches_in_colour(batch):
    np.testing.assert_array_equal(as_images(np.concatenate([batch, 255 - batch])[:1]), [GREY])
    assert len(as_images(batch.repeat(5, 0))) == 5 and as_images(batch[:0]).shape[0] == 0


def test_a_colour_picture_of_28_rows_gives_one_image():
    assert as_images(np.zeros((28, 28, 3), np.uint8)).shape == (1, 28, 28)


def test_colours_are_as_bright_as_pillow_makes_them():
    red = np.zeros((4, 5, 3), np.uint8)
    red[..., 0] = 255
    assert (as_images(red) == 76).all()


def test_paths_and_lists_of_different_sizes(tmp_path):
    Image.fromarray(GREY).save(tmp_path / "a.png")
    Image.fromarray(GREY.T).save(tmp_path / "b.png")
    np.testing.assert_array_equal(as_images(str(tmp_path / "a.png")), [GREY])
    several = as_images([tmp_path / "a.png", str(tmp_path / "b.png"), COLOUR, GREY[:5]])
    assert isinstance(several, list) and [image.shape for image in several] == [(20, 30), (30, 20), (20, 30), (5, 30)]
    np.testing.assert_array_equal(several[1], GREY.T)
    np.testing.assert_array_equal(as_images(image for image in (GREY, GREY)), [GREY, GREY])
    with pytest.raises(InputError, match="it is a folder: list its files"):
        as_images(tmp_path)


def test_black_and_white():
    np.testing.assert_array_equal(as_images(GREY > 127), [np.where(GREY > 127, 255, 0)])


@pytest.mark.parametrize("white", [1, 16])
def test_a_single_picture_has_the_levels_of_its_set(tmp_path, white):
    """Preparation scales masks of 0 and 1 and images of 4 bits; alone, too, they must not look blank to a model."""
    levels = np.array([[white, 0, white, 0, 0], [white, white, 0, 0, 0]], np.uint8)
    expected = np.where(levels, 255, 0)
    Image.fromarray(levels).save(tmp_path / "a.png")
    for picture in (levels, levels[..., None], Image.fromarray(levels), tmp_path / "a.png", [levels]):
        np.testing.assert_array_equal(as_images(picture), expected[None])
    np.testing.assert_array_equal(as_images(np.stack([levels * 0, levels]))[1], expected)
    assert as_images(np.full((3, 3), 17, np.uint8)).max() == 17 and not as_images(levels * 0).any()


@pytest.mark.parametrize(
    "x, message",
    [
        (GREY / 255, "not float64: convert values in [0, 1] with (x * 255).astype('uint8')"),
        (GREY.astype(int), "not int64: convert values in [0, 255] with x.astype('uint8')"),
        (GREY.astype(np.float32), "not float32: convert values in [0, 255] with x.astype('uint8')"),
        (GREY / 127.5 - 1, "not float64: its values are from -1 to 1; scale them to [0, 255], then use"),
        (GREY.astype(np.int32) * 257, "not int32: its values are from 0 to 65535; scale them"),
        (np.array([["a"]]), "not <U1: give numbers"),
        ({1}, "not object: give numbers, a PIL image, a path, or a list of these"),
        (torch.ones(8, 8, dtype=torch.bfloat16), "convert values in [0, 1] with"),
        (
            np.zeros(28, np.uint8),
            "images must be (N, H, W) or (H, W), or in colour (N, H, W, 3) or (H, W, 3), not ",
        ),
        (np.zeros((2, 0, 8), np.uint8), "not (2, 0, 8)"),
        (np.zeros((2, 5, 8, 8), np.uint8), "not (2, 5, 8, 8)"),
        ("nothing.png", "nothing.png cannot be read as an image"),
    ],
)
def test_what_cannot_be_an_image_is_named_with_the_remedy(x, message):
    with pytest.raises(InputError) as caught:
        as_images(x)
    assert message in str(caught.value)
