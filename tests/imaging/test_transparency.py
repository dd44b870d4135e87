"""Transparent images are on paper, whose grey is told from their ink."""

import numpy as np
import pytest
from conftest import encoded
from PIL import Image

from imaging.decoding import decode, image_to_array, read_image
from imaging.fitting import border


def test_a_transparent_colour_of_a_palette_is_paper(paper):
    drawing = paper(1)[0]
    image = Image.fromarray((drawing == 0).astype(np.uint8))
    image.putpalette([0, 0, 0, 0, 0, 0])  # both are black, but the first is transparent
    pixels, mode = decode(encoded(image, transparency=0))
    np.testing.assert_array_equal(pixels, drawing)
    assert image.mode == mode == "P"


def test_a_wholly_transparent_image_is_white_paper():
    assert (decode(encoded(Image.new("RGBA", (20, 20))))[0] == 255).all()


def test_a_card_of_paper_in_a_tall_transparent_image_is_paper(paper):
    drawing = paper(1)[0]
    height, width = drawing.shape
    picture = np.full((3 * height, width, 4), (255, 255, 255, 0), np.uint8)
    picture[height : 2 * height] = np.asarray(Image.fromarray(drawing).convert("RGBA"))
    found = image_to_array(Image.fromarray(picture))
    assert (found[:height] == np.bincount(drawing.ravel()).argmax()).all()


def test_the_paper_of_a_transparent_image_is_its_commonest_grey(tmp_path):
    picture = np.full((20, 20, 4), 255, np.uint8)
    picture[4:16, 4:16, :3] = np.random.default_rng(0).integers(0, 200, (12, 12, 1))  # ink, more than paper
    picture[:3, :, 3] = picture[:, :3, 3] = picture[-3:, :, 3] = picture[:, -3:, 3] = 0
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert (border(read_image(tmp_path / "a.png")) == 255).all()


def test_an_alpha_channel_of_zeros_is_ignored(paper):
    image = Image.fromarray(paper(1)[0]).convert("RGBA")
    image.putalpha(0)
    np.testing.assert_array_equal(decode(encoded(image))[0], paper(1)[0])


def test_an_alpha_channel_of_ones_is_opaque(paper):
    ink = Image.new("RGBA", (28, 28))
    ink.putalpha(Image.fromarray((paper(1)[0] == 0).astype(np.uint8)))
    np.testing.assert_array_equal(decode(encoded(ink))[0], paper(1)[0])


def cut_out(paper, grey: np.ndarray, rim: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Return a cut-out as uint8 (H, W) after decoding, and where its ink is, bool (H, W): a broad stroke of `grey`."""
    shape = np.zeros((28, 28), bool)
    shape[6:22, 8:13] = shape[16:21, 8:24] = True
    picture = np.zeros((28, 28, 4), np.uint8)
    picture[shape] = np.stack([grey] * 3 + [np.full((28, 28), 255)], -1)[shape]
    if rim is not None:
        inside = shape[1:-1, 1:-1] & shape[:-2, 1:-1] & shape[2:, 1:-1] & shape[1:-1, :-2] & shape[1:-1, 2:]
        picture[shape & ~np.pad(inside, 1)] = rim, rim, rim, 255
        shape = np.pad(inside, 1)
    return decode(encoded(Image.fromarray(picture)))[0], shape


@pytest.mark.parametrize("low, high", [(0, 160), (0, 60), (90, 250), (200, 255)])
def test_ink_of_several_greys_on_transparent_paper_is_ink(paper, low, high):
    grey = np.random.default_rng(0).integers(low, high, (28, 28))
    pixels, ink = cut_out(paper, grey)
    np.testing.assert_array_equal(pixels[ink], grey[ink])
    assert (pixels[~ink] == (255 if low + high < 255 else 0)).all()


def test_ink_that_fills_most_of_a_tight_cut_out_is_ink():
    picture = np.zeros((20, 12, 4), np.uint8)
    picture[:5] = picture[-5:] = picture[:, :4] = picture[:, -4:] = 0, 0, 0, 255  # a bold 0, of greys from 0 to 120
    picture[..., :3] = np.linspace(0, 120, 20)[:, None, None]
    pixels, _ = decode(encoded(Image.fromarray(picture)))
    assert (picture[..., 3] > 0).mean() > 0.8 and (pixels[picture[..., 3] == 0] == 255).all()


def test_a_rim_of_the_former_paper_does_not_become_the_paper(paper):
    pixels, ink = cut_out(paper, np.full((28, 28), 20), rim=255)
    assert (pixels[ink] == 20).all() and (pixels[~ink] == 255).all()
    pixels, ink = cut_out(paper, np.full((28, 28), 230), rim=0)
    assert (pixels[ink] == 230).all() and (pixels[~ink] == 0).all()
