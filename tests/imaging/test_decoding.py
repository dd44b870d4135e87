import io

import numpy as np
import pytest
from PIL import Image

from common.errors import InputError
from imaging import decoding
from imaging.decoding import decode, read_image
from imaging.fitting import border


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


@pytest.mark.parametrize("kind", ["BMP", "PNG", "JPEG", "GIF", "TIFF", "WEBP"])
def test_formats(paper, kind):
    image = Image.fromarray(paper(1)[0])
    pixels, _ = decode(encoded(image if kind != "WEBP" else image.convert("RGB"), kind))
    assert pixels.dtype == np.uint8 and pixels.shape == (28, 28)
    assert abs(pixels.astype(int) - np.asarray(image)).mean() < 6  # lossy formats are near


def test_the_same_character_in_every_mode_gives_the_same_pixels(paper):
    grey = Image.fromarray(paper(1)[0])
    clear = Image.new("RGBA", grey.size)  # black ink on nothing
    clear.putalpha(grey.point(lambda value: 255 - value))
    chalk = Image.new("RGBA", grey.size, (255, 255, 255, 0))  # white ink on nothing
    chalk.putalpha(grey.point(lambda value: 255 - value))
    card = Image.new("RGBA", grey.size, (255, 255, 255, 0))  # a card of white paper on nothing
    card.paste(grey.crop((2, 2, 26, 26)).convert("RGBA"), (2, 2))
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    for image in (grey, *map(grey.convert, ("1", "RGB", "RGBA", "P", "LA")), clear, card, deep):
        pixels, mode = decode(encoded(image))
        np.testing.assert_array_equal(pixels, np.asarray(grey))
        assert mode == image.mode
    np.testing.assert_array_equal(decode(encoded(chalk))[0], 255 - np.asarray(grey))


def test_a_transparent_colour_of_a_palette_is_paper(paper):
    drawing = paper(1)[0]
    image = Image.fromarray((drawing == 0).astype(np.uint8))
    image.putpalette([0, 0, 0, 0, 0, 0])  # both are black, but the first is transparent
    pixels, mode = decode(encoded(image, transparency=0))
    np.testing.assert_array_equal(pixels, drawing)
    assert image.mode == mode == "P"


def test_a_wholly_transparent_image_is_white_paper():
    assert (decode(encoded(Image.new("RGBA", (20, 20))))[0] == 255).all()


def test_the_paper_of_a_transparent_image_is_its_commonest_grey(tmp_path):
    picture = np.full((20, 20, 4), 255, np.uint8)
    picture[4:16, 4:16, :3] = np.random.default_rng(0).integers(0, 200, (12, 12, 1))  # ink, more than paper
    picture[:3, :, 3] = picture[:, :3, 3] = picture[-3:, :, 3] = picture[:, -3:, 3] = 0
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert (border(read_image(tmp_path / "a.png")) == 255).all()


def test_numbers_with_a_fraction_are_grey_levels_and_what_is_none_is_black():
    values = np.full((8, 8), 200.5, np.float32)
    values[0] = np.nan
    pixels, mode = decode(encoded(Image.fromarray(values), "TIFF"))
    assert mode == "F" and (pixels[0] == 0).all() and (pixels[1:] == 200).all()


def test_a_photo_that_was_taken_sideways_is_turned(paper):
    image = Image.fromarray(paper(1, shape=(40, 28))[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise
    pixels, _ = decode(encoded(image, exif=exif))
    np.testing.assert_array_equal(pixels, np.rot90(np.asarray(image), -1))


def test_what_is_no_image_is_an_error():
    with pytest.raises(ValueError, match="^not an image, whatever its name$"):
        decode(b"not a picture")


@pytest.mark.parametrize("shape", [(40, 40), (1, 20_000)])
def test_too_many_pixels_are_not_decoded(monkeypatch, shape):
    monkeypatch.setattr(decoding, "MAX_PIXELS", 1000)
    with pytest.raises(ValueError) as caught:
        decode(encoded(Image.fromarray(np.zeros(shape, np.uint8))))
    assert str(caught.value) == f"{shape[1]}×{shape[0]} pixels: at most 1,000 pixels, and 10,000 per side"


def test_a_side_that_is_too_long_is_not_decoded():
    with pytest.raises(ValueError, match="^10001×1 pixels: at most 25,000,000 pixels, and 10,000 per side$"):
        decode(encoded(Image.fromarray(np.zeros((1, 10_001), np.uint8))))


def test_read_image(paper, tmp_path):
    Image.fromarray(paper(1)[0]).save(tmp_path / "我的 '字'.png")
    np.testing.assert_array_equal(read_image(tmp_path / "我的 '字'.png"), paper(1)[0])
    with pytest.raises(InputError, match="none.png cannot be read as an image: "):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(InputError, match="text.png cannot be read as an image: not an image, whatever its name$"):
        read_image(tmp_path / "text.png")
