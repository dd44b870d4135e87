"""Image files decoded to grey."""

import io
import math
import os
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError
from scipy import ndimage

from common.errors import InputError
from imaging.jpeg import coefficient_bytes

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
# 48 megapixels are read in colour and 178 in grey. Python and one image take at most 300 MB, or 430 MB for a WebP.
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
WHITE_LEVELS = (1, 16, 255, 1023, 4095, 16_383, 65_535)


@dataclass(frozen=True)
class Picture:
    """An image file as it was stored.

    Attributes:
        pixels: grey, uint8 (H, W), or float32 (H, W) if the file has more than 8 bits per channel.
        mode: the Pillow mode that it has in the file.
        has_more_pages: whether the file holds other images behind this one.
    """

    pixels: np.ndarray
    mode: str
    has_more_pages: bool


def is_image(name: str) -> bool:
    """Return whether a file's name is that of an image, even one that must be converted first."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES | HEIC_SUFFIXES


def read_image(path: str | Path) -> np.ndarray:
    """Return an image file as grey uint8 (H, W), decoded as in data preparation. Raises InputError."""
    try:
        return decode(read_file(path))[0]
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


def decode(data: bytes) -> tuple[np.ndarray, str]:
    """Return an image file as grey uint8 (H, W), and the Pillow mode that it has in the file."""
    picture = decode_picture(data)
    return _of_its_own_depth(picture.pixels), picture.mode


def decode_picture(data: bytes) -> Picture:
    """Return the first page of an image file, with its longer side reduced to at most MAX_SIDE.

    Raises:
        ValueError: not an image, or too large; Pillow's decoders raise nearly anything for damaged files.
    """
    if len(data) > MAX_FILE:
        raise ValueError(too_large(len(data)))
    image = open_image(io.BytesIO(data))
    mode, has_more_pages = image.mode, getattr(image, "is_animated", False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        _load(image, data)
    turn = TURNS.get(image.getexif().get(ExifTags.Base.Orientation))
    factor = math.ceil(max(image.size) / MAX_SIDE)
    image = _reduce(image, factor) if factor > 1 else _convert(image)  # which frees the larger one
    return Picture(_to_grey(image if turn is None else image.transpose(turn)), mode, has_more_pages)


def _load(image: Image.Image, data: bytes) -> None:
    """Decode an image, a large one smaller if its format allows it. Raises ValueError for one that is too large.

    Args:
        data: the file that it is in.
    """
    width, height = image.size
    factor = math.ceil(max(width, height) / MAX_SIDE)
    pixels = width * height
    if image.format in ("JPEG", "MPO") and coefficient_bytes(data) > MAX_DECODED:
        raise ValueError(f"{width}×{height} pixels as progressive JPEG: save it smaller, or as baseline JPEG")
    if factor > 1 and image.format == "JPEG":
        image.draft("L", (max(1, width // factor), max(1, height // factor)))
        pixels = image.width * image.height
    elif factor > 1 and image.format == "JPEG2000":
        image.reduce = factor.bit_length() - 1  # type: ignore[method-assign,assignment]  # an exponent of 2
        pixels >>= 2 * (factor.bit_length() - 1)
    depth = DEPTHS.get(image.mode, 4) * SEVERAL_COPIES.get(str(image.format), 1)
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
    raise ValueError("not an image, whatever its name")


def too_large(size: int) -> str:
    """Return the reason why a file of that many bytes is not read."""
    return f"{size / 2**20:,.0f} MiB: at most {MAX_FILE // 2**20} MiB per file"


def image_to_grey(image: Image.Image) -> np.ndarray:
    """Return a PIL image of any mode as grey uint8 (H, W)."""
    return _of_its_own_depth(_to_grey(_convert(image)))


def _of_its_own_depth(pixels: np.ndarray) -> np.ndarray:
    """Return the grey levels of one image as uint8; 8 bits may be dark, but more bits need not all be used."""
    return pixels if pixels.dtype == np.uint8 else to_uint8(pixels, white_level(pixels.max(initial=0)))


def white_level(highest: float) -> float:
    """Return the level that is white where no higher level occurs: 1 for floats, 255, 4095 for 12 bits …"""
    return next((level for level in WHITE_LEVELS if highest <= 1.05 * level), float(highest))  # resampling overshoots


def to_uint8(pixels: np.ndarray, white: float) -> np.ndarray:
    """Return grey levels from 0 to `white`, (H, W) of any numeric dtype, as uint8 (H, W)."""
    if pixels.dtype == np.uint8 and white == 255:
        return pixels
    scaled = pixels * np.float32(255 / white)
    return np.rint(np.clip(scaled, 0, 255, out=scaled), out=scaled).astype(np.uint8)


def _convert(image: Image.Image) -> Image.Image:
    """Return an image in mode F if it has more than 8 bits per channel, RGBA if it is transparent, otherwise L."""
    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(np.nan_to_num(np.asarray(image, np.float32), nan=0, posinf=0, neginf=0))
    return image.convert("RGBA" if "A" in image.mode or "transparency" in image.info else "L")


def _reduce(image: Image.Image, factor: int) -> Image.Image:
    """Return `_convert` of an image, smaller by a factor; this is done in bands, which saves a copy of the whole."""
    reduced = None
    for i, top in enumerate(range(0, image.height, BAND * factor)):
        box = (0, top, image.width, min(top + BAND * factor, image.height))
        band = _convert(image.crop(box)).reduce(factor)
        reduced = reduced or Image.new(band.mode, (band.width, math.ceil(image.height / factor)))
        reduced.paste(band, (0, i * BAND))
    return reduced or _convert(image)


def _to_grey(image: Image.Image) -> np.ndarray:
    """Return an image of mode F as float32 (H, W), one of mode L or RGBA as grey uint8 (H, W)."""
    return _on_paper(image) if image.mode == "RGBA" else np.asarray(image)


def _on_paper(image: Image.Image) -> np.ndarray:
    """Return an RGBA image as grey uint8 (H, W), on paper where it is transparent.

    A channel that is 0 everywhere is ignored, if there is something to see without it.
    """
    grey, alpha = np.asarray(image.convert("L")), np.asarray(image.getchannel("A"))
    if not alpha.any():
        return grey if np.ptp(grey) else np.full_like(grey, 255)
    if alpha.min() == 255:
        return grey
    alpha = to_uint8(alpha, alpha.max())
    paper = Image.new("L", image.size, _paper_grey(grey, alpha > 127))
    return np.asarray(Image.composite(Image.fromarray(grey), paper, Image.fromarray(alpha)))


def _paper_grey(grey: np.ndarray, opaque: np.ndarray) -> int:
    """Return the grey of the paper of a transparent image, uint8 (H, W), from its opaque pixels, bool (H, W).

    A thick or rectangular opaque region is paper with ink on it, most of it of one grey. Strokes are ink alone, and the
    paper is what all of their greys differ more from. The outermost pixels of the ink may be a rim of another paper.
    """
    is_rectangle = opaque.sum() > 0.97 * opaque.any(0).sum() * opaque.any(1).sum()
    if (is_rectangle or _thickness(opaque) > 0.4) and np.ptp(grey[opaque]) > 30:
        return int(np.bincount(grey[opaque]).argmax())
    padded = np.pad(opaque, 1)
    core = opaque & padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    darkest, lightest = np.quantile(grey[core if core.any() else opaque], (0.1, 0.9))
    return 0 if darkest > 255 - lightest else 255


def _thickness(mask: np.ndarray) -> float:
    """Return the width of the thickest part of a mask (H, W), as a fraction of the longer side."""
    small = Image.fromarray(mask.astype(np.uint8) * 255)
    small.thumbnail((64, 64), Image.Resampling.BOX)
    inside = np.pad(np.asarray(small) > 127, 1)
    return 2 * ndimage.distance_transform_edt(inside).max() / max(small.size)
