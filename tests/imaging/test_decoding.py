import io
import os
import subprocess
import sys
import zlib

import numpy as np
import pytest
from conftest import ROOT, encoded
from PIL import ExifTags, Image, ImageOps

from common.errors import InputError
from imaging import decoding
from imaging.decoding import decode, decode_picture, is_image, read_image


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


@pytest.mark.parametrize("white", [1, 16, 255, 1023, 4095, 65_535])
def test_levels_are_scaled_by_their_depth(paper, white):
    grey = paper(1)[0]
    stored = np.rint(grey / 255 * white)
    images = [(Image.fromarray(stored.astype(np.uint16)), "PNG"), (Image.fromarray(stored.astype(np.float32)), "TIFF")]
    images += [(Image.fromarray(stored.astype(np.uint8)), "PNG")] if white == 255 else []
    for image, kind in images:
        np.testing.assert_array_equal(decode(encoded(image, kind))[0], grey)


def test_floats_are_scaled_though_resampling_overshoots():
    values = np.full((8, 8), 0.5, np.float32)
    values[0], values[1], values[2], values[3] = np.nan, 1.02, -0.02, np.inf
    pixels, mode = decode(encoded(Image.fromarray(values), "TIFF"))
    assert mode == "F" and pixels[:5, 0].tolist() == [0, 255, 0, 0, 128]


def test_whether_there_are_more_pages_is_told():
    pages = [Image.new("L", (8, 8), grey) for grey in (10, 20)]
    for kind in ("TIFF", "GIF", "WEBP", "PNG"):
        picture = decode_picture(encoded(pages[0], kind, save_all=True, append_images=pages[1:]))
        assert picture.has_more_pages and abs(picture.pixels.astype(int) - 10).max() < 3
        assert not decode_picture(encoded(pages[0], kind)).has_more_pages


def test_a_photo_that_was_taken_sideways_is_turned(paper):
    image = Image.fromarray(paper(1, shape=(40, 28))[0])
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90° clockwise
    pixels, _ = decode(encoded(image, exif=exif))
    np.testing.assert_array_equal(pixels, np.rot90(np.asarray(image), -1))


def test_what_is_no_image_is_an_error():
    with pytest.raises(ValueError, match="^an empty file$"):
        decode(b"")
    with pytest.raises(ValueError, match="^not an image, judging by its content$"):
        decode(b"not a picture")


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_a_large_image_is_read_smaller(paper, kind):
    small = paper(1, shape=(40, 60))[0]
    large = Image.fromarray(small).resize((6000, 4000), Image.Resampling.NEAREST)
    pixels, _ = decode(encoded(large, kind))
    assert pixels.shape == (2000, 3000)
    assert abs(pixels.astype(int) - np.asarray(large)[1::2, 1::2]).mean() < 1


def test_a_photo_of_48_megapixels_is_read(monkeypatch):
    """A JPEG is decoded at a smaller size in the first place, and so may have more pixels than others."""
    large = Image.new("RGB", (8000, 6000), "white")
    monkeypatch.setattr(decoding, "MAX_DECODED", 160_000_000)
    for format in ("JPEG", "JPEG2000"):
        assert decode(encoded(large, format))[0].shape == (3000, 4000)
    assert decode(encoded(large.convert("L")))[0].shape == (3000, 4000)
    wanted = "^8000×6000 pixels, PNG in mode RGB: at most 40,000,000, save it smaller, in grey, or as JPEG$"
    with pytest.raises(ValueError, match=wanted):
        decode(encoded(large))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_is_turned_whether_it_is_reduced_or_not(monkeypatch, orientation):
    picture = Image.fromarray(np.arange(40 * 60, dtype=np.uint16).reshape(40, 60).astype(np.uint8))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    file = io.BytesIO()
    picture.save(file, "PNG", exif=exif)
    wanted = np.asarray(ImageOps.exif_transpose(Image.open(file)))
    np.testing.assert_array_equal(decode(file.getvalue())[0], wanted)
    monkeypatch.setattr(decoding, "MAX_SIDE", 30)
    halves = np.asarray(Image.fromarray(wanted).reduce(2))
    np.testing.assert_array_equal(decode(file.getvalue())[0], halves)


@pytest.mark.skipif(os.name != "posix", reason="measures memory with the module resource")
def test_the_memory_of_decoding_is_bounded(tmp_path):
    Image.new("RGBA", (8000, 6000), "white").save(tmp_path / "large.png")
    code = f"""
import resource, sys
from imaging.decoding import read_image
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
before = peak()
read_image({str(tmp_path / "large.png")!r})
assert peak() - before < 250 * 2**20, peak() - before
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_page_of_a_scanner_at_600_dpi_is_read():
    assert decode(encoded(Image.new("1", (4960, 7016), 1), "TIFF"))[0].shape == (3508, 2480)


def test_images_beyond_reason_are_not_decoded():
    header = encoded(Image.new("L", (1, 1)))
    huge = header[:16] + (20_000).to_bytes(4, "big") * 2 + header[24:]
    huge = huge[:29] + zlib.crc32(huge[12:29]).to_bytes(4, "big") + huge[33:]
    with pytest.raises(ValueError, match="^more than 178,956,970 pixels: save it smaller$"):
        decode(huge)
    with pytest.raises(ValueError, match="^129 MiB: at most 128 MiB per file$"):
        decode(bytes(129 * 2**20))


def test_a_long_strip_is_read_smaller():
    assert decode(encoded(Image.new("L", (20_000, 1), 255)))[0].shape == (1, 4000)


def test_read_image(paper, tmp_path):
    Image.fromarray(paper(1)[0]).save(tmp_path / "我的 '字'.png")
    np.testing.assert_array_equal(read_image(tmp_path / "我的 '字'.png"), paper(1)[0])
    with pytest.raises(InputError, match="none.png cannot be read as an image: "):
        read_image(tmp_path / "none.png")
    (tmp_path / "text.png").write_text("text")
    with pytest.raises(InputError, match="text.png cannot be read as an image: not an image, judging by its content$"):
        read_image(tmp_path / "text.png")


def test_heic_is_named_with_the_remedy():
    assert is_image("a/IMG_1.HEIC")
    for brand in (b"heic", b"mif1"):
        with pytest.raises(ValueError, match="^HEIC, which cannot be decoded: convert it to JPEG or PNG$"):
            decode(bytes([0, 0, 0, 24]) + b"ftyp" + brand + bytes(100))


# Every program that Pillow's plugins, ImageShow and ImageGrab can start.
PROGRAMS = [
    "gs",
    "gswin32c",
    "gswin64c",
    "djpeg",
    "cjpeg",
    "ppmquant",
    "ppmtogif",
    "xdg-open",
    "display",
    "gm",
    "eog",
    "xv",
]
PROGRAMS += ["open", "osascript", "screencapture", "gnome-screenshot", "grim", "spectacle", "wl-paste", "xclip", "sh"]
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 20 20\n%%EndComments\n20 20 scale showpage\n%%EOF\n"


def contents() -> dict[str, bytes]:
    """Return files of formats that Pillow opens, but not by itself."""
    iptc = b"".join(
        b"\x1c" + bytes(tag) + len(value).to_bytes(2, "big") + value
        for tag, value in (((3, 60), b"\1\0"), ((3, 20), b"\0\x14"), ((3, 30), b"\0\x14"), ((3, 120), b"\1"),
                           ((8, 10), POSTSCRIPT))
    )  # fmt: skip
    binary = b"\xc5\xd0\xd3\xc6" + (32).to_bytes(4, "little") + len(POSTSCRIPT).to_bytes(4, "little") + bytes(20)
    return {
        "postscript": POSTSCRIPT, "binary postscript": binary + POSTSCRIPT, "iptc": iptc, "pdf": b"%PDF-1.4\n" * 9,
        "metafile": b"\xd7\xcd\xc6\x9a" + bytes(90), "grib": b"GRIB" + b"\0\0\0\1" * 9, "hdf": b"\x89HDF\r\n\x1a\n" * 9,
        "bufr": b"BUFR" + bytes(90), "icns": b"icns" + bytes(90), "fits": b"SIMPLE  =                    T".ljust(2880),
    }  # fmt: skip


@pytest.mark.skipif(os.name != "posix", reason="the stand-ins are shell scripts")
@pytest.mark.parametrize("name", contents())
def test_nothing_in_a_file_starts_a_program(name, tmp_path, monkeypatch):
    started = tmp_path / "started"
    (tmp_path / "bin").mkdir()
    for program in PROGRAMS:
        script = tmp_path / "bin" / program
        script.write_text(f"#!/bin/sh\necho {program} >> {started}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", None)  # as before it is first looked for
    with pytest.raises(ValueError, match="^not an image, judging by its content$"):
        decode(contents()[name])
    assert not started.exists()
    if name == "postscript":  # the stand-ins do stand in
        with pytest.raises(OSError):
            Image.open(io.BytesIO(POSTSCRIPT)).load()
        assert "gs" in started.read_text()


def test_images_are_opened_with_a_list_of_formats():
    files = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] not in ("tests", ".venv")]
    texts = {path.name: path.read_text(encoding="utf-8") for path in files}
    opened = {name: text for name, text in texts.items() if "Image.open(" in text}
    assert sorted(opened) == ["decoding.py", "use_onnx.py"]  # which stands alone
    assert all(text.count("Image.open(") == text.count(", formats=") for text in opened.values())
