"""Image files decoded to grey or, if that is wanted, to colour."""

import io
import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from common.errors import InputError
from imaging.channels import with_channels
from imaging.jpeg import coefficient_bytes
from imaging.levels import full_range, to_uint8, white_level
from imaging.transparency import on_paper

# The formats that Pillow decodes by itself. Others start a program (Ghostscript for PostScript), or hand an image that
# they contain to a decoder of its own choice. TGA comes last, because it has no signature.
FORMATS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "PPM": (".pbm", ".pgm", ".ppm", ".pnm", ".pfm"),
    "ICO": (".ico",),
    "MSP": (".msp",),
    "PCX": (".pcx",),
    "QOI": (".qoi",),
    "SGI": (".sgi", ".bw", ".rgb", ".rgba"),
    "SUN": (".ras",),
    "XBM": (".xbm",),
    "XPM": (".xpm",),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
}
IMAGE_SUFFIXES = {suffix for suffixes in FORMATS.values() for suffix in suffixes}
HEIC_SUFFIXES = {".heic", ".heif", ".hif"}
HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
MAX_FILE = 128 * 2**20  # bytes of a file that is read
MAX_PIXELS = 50_000_000  # of a record of a .gnt file
# Bytes that an image is decoded to. Pillow decodes PNG, TIFF and BMP as a whole, in colour 4 bytes per pixel, so that
# 48 megapixels are read in colour and 178 in grey. Python and one image take 300 MiB at most, or 430 for a WebP.
MAX_DECODED = 192_000_000
DEPTHS = {"1": 1, "L": 1, "P": 1, "I;16": 2, "I;16B": 2, "I;16L": 2}  # bytes per pixel, by mode; others have 4
SEVERAL_COPIES = {"WEBP": 2, "AVIF": 2}  # decoded to more: a WebP, of 24 megapixels at most, to 16 bytes per pixel
MAX_SIDE = 4096  # pixels; an image with a longer side is read smaller
BAND = 16  # rows of a large image that are reduced at once
_T = Image.Transpose
TURNS = {  # of an image, by the orientation in its Exif data
    2: _T.FLIP_LEFT_RIGHT, 3: _T.ROTATE_180, 4: _T.FLIP_TOP_BOTTOM, 5: _T.TRANSPOSE, 6: _T.ROTATE_270,
    7: _T.TRANSVERSE, 8: _T.ROTATE_90,
}  # fmt: skip


@dataclass(frozen=True)
class Picture:
    """An image file as it was stored.

    Attributes:
        pixels: uint8 (H, W) or, in colour, (H, W, 3); float32 (H, W) if the file has more than 8 bits per channel.
        mode: the Pillow mode that it has in the file.
        has_more_pages: whether the file holds other images behind this one.
    """

    pixels: np.ndarray
    mode: str
    has_more_pages: bool


def is_image(name: str) -> bool:
    """Return whether a file's name is that of an image, even one that must be converted first; no folder's name is."""
    return not name.endswith("/") and Path(name).suffix.lower() in IMAGE_SUFFIXES | HEIC_SUFFIXES


def read_image(path: str | Path, channels: int = 1) -> np.ndarray:
    """Return an image file as uint8 (H, W) or (H, W, 3), decoded as in data preparation. Raises InputError."""
    try:
        return decode(read_file(path), channels)[0]
    except Exception as error:  # Pillow's decoders raise nearly anything for damaged files
        raise InputError(f"{path} cannot be read as an image: {error}") from error


def read_file(path: str | Path) -> bytes:
    """Return the content of an image file. Raises ValueError for what is no file, or too large."""
    if os.path.isdir(path):
        raise ValueError("it is a folder: list its files, for example sorted(Path(folder).glob('*.png'))")
    if not os.path.isfile(path):  # nor a device or a pipe, which may never end
        raise ValueError("no such file")
    if os.path.getsize(path) > MAX_FILE:
        raise ValueError(too_large(os.path.getsize(path)))
    return Path(path).read_bytes()


def decode(data: bytes, channels: int = 1) -> tuple[np.ndarray, str]:
    """Return a single image file as uint8 (H, W) or (H, W, 3), and the Pillow mode that it has in the file."""
    picture = decode_picture(data, channels)
    return with_channels(full_range(_of_its_own_depth(picture.pixels)), channels), picture.mode


def decode_picture(data: bytes, channels: int = 1) -> Picture:
    """Return the first page of an image file, with its longer side reduced to at most MAX_SIDE.

    Args:
        data: the content of the file.
        channels: 1 for grey, 3 for colour.

    Raises:
        ValueError: not an image, or too large; Pillow's decoders raise nearly anything for damaged files.
    """
    if len(data) > MAX_FILE:
        raise ValueError(too_large(len(data)))
    if not data:
        raise ValueError("an empty file")
    image = open_image(io.BytesIO(data))
    mode = image.mode
    has_more_pages = getattr(image, "is_animated", False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        _load(image, data, channels)
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    factor = math.ceil(max(image.size) / MAX_SIDE)
    image = _reduce(image, factor, channels) if factor > 1 else _convert(image, channels)  # which frees the larger one
    return Picture(_to_array(image if turn is None else image.transpose(turn), channels), mode, has_more_pages)


def _load(image: Image.Image, data: bytes, channels: int) -> None:
    """Decode an image, a large one smaller if its format allows it. Raises ValueError for one that is too large.

    Args:
        data: the file that it is in.
        channels: 1 for grey, 3 for colour.
    """
    width, height = image.size
    factor = math.ceil(max(width, height) / MAX_SIDE)
    pixels = width * height
    if image.format in ("JPEG", "MPO") and coefficient_bytes(data) > MAX_DECODED:
        raise ValueError(f"{width}×{height} pixels as progressive JPEG: save it smaller, or as baseline JPEG")
    if factor > 1 and image.format == "JPEG":
        image.draft("L" if channels == 1 else None, (max(1, width // factor), max(1, height // factor)))
        pixels = image.width * image.height
    elif factor > 1 and image.format == "JPEG2000":
        image.reduce = factor.bit_length() - 1  # type: ignore[method-assign,assignment]  # an exponent of 2
        pixels >>= 2 * (factor.bit_length() - 1)
    depth = (DEPTHS.get(image.mode, 4) if channels == 1 else 4) * SEVERAL_COPIES.get(str(image.format), 1)
    if pixels * depth > MAX_DECODED:
        raise ValueError(
            f"{width}×{height} pixels, {image.format} in mode {image.mode}: at most {MAX_DECODED // depth:,}, "
            "save it smaller, in grey, or as JPEG"
        )
    image.load()


def open_image(file: IO[bytes]) -> Image.Image:
    """Open an image without decoding it. Nothing in the file chooses a decoder that is not in FORMATS.

    Raises:
        ValueError: not an image of these formats, or one that is too large.
    """
    Image.init()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `_load` has a limit of its own
        try:
            return Image.open(file, formats=[name for name in FORMATS if name in Image.OPEN])
        except Image.DecompressionBombError:
            raise ValueError(f"more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels: save it smaller") from None
        except UnidentifiedImageError:
            file.seek(0)
            head = file.read(12)
    if head[4:8] == b"ftyp" and head[8:] in HEIC_BRANDS:
        raise ValueError("HEIC, which cannot be decoded: convert it to JPEG or PNG")
    raise ValueError("not an image, judging by its content")


def too_large(size: int) -> str:
    """Return the reason why a file of that many bytes is not read."""
    return f"{size / 2**20:,.0f} MiB: at most {MAX_FILE // 2**20} MiB per file"


def image_to_array(image: Image.Image, channels: int = 1) -> np.ndarray:
    """Return a PIL image of any mode as uint8 (H, W) or, with 3 channels, (H, W, 3)."""
    return with_channels(_of_its_own_depth(_to_array(_convert(image, channels), channels)), channels)


def _of_its_own_depth(pixels: np.ndarray) -> np.ndarray:
    """Return the levels of one image as uint8; 8 bits may be dark, but more bits need not all be used."""
    return pixels if pixels.dtype == np.uint8 else to_uint8(pixels, white_level(pixels.max(initial=0)))


def _convert(image: Image.Image, channels: int) -> Image.Image:
    """Return an image in mode F if it has more than 8 bits per channel, RGBA if it is transparent, else L or RGB."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(np.nan_to_num(np.asarray(image, np.float32), nan=0, posinf=0, neginf=0))
    opaque = "L" if channels == 1 else "RGB"
    return image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else opaque)


def _reduce(image: Image.Image, factor: int, channels: int) -> Image.Image:
    """Return `_convert` of an image, smaller by a factor; this is done in bands, which saves a copy of the whole."""
    reduced = None
    for i, top in enumerate(range(0, image.height, BAND * factor)):
        box = (0, top, image.width, min(top + BAND * factor, image.height))
        band = _convert(image.crop(box), channels).reduce(factor)
        reduced = reduced or Image.new(band.mode, (band.width, math.ceil(image.height / factor)))
        reduced.paste(band, (0, i * BAND))
    return reduced or _convert(image, channels)


def _to_array(image: Image.Image, channels: int) -> np.ndarray:
    """Return what `_convert` gives as an array: float32 (H, W) for mode F, otherwise uint8 (H, W) or (H, W, 3)."""
    return on_paper(image, channels) if image.mode == "RGBA" else np.asarray(image)
