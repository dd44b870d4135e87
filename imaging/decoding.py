"""Image files decoded to grey."""

import io
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from common.errors import InputError

MAX_PIXELS, MAX_SIDE = 25_000_000, 10_000  # more than a photograph has; a larger image is skipped, not decoded
IMAGE_SUFFIXES = {".bmp", ".png", ".jpg", ".jpeg", ".gif", ".tif", ".tiff", ".webp"}


def read_image(path: str | Path) -> np.ndarray:
    """Return an image file as grey uint8 (H, W), decoded as in data preparation. Raises InputError."""
    try:
        return decode(Path(path).read_bytes())[0]
    except Exception as error:  # Pillow's decoders raise nearly anything for damaged files
        raise InputError(f"{path} cannot be read as an image: {error}") from error


def decode(data: bytes) -> tuple[np.ndarray, str]:
    """Return an image file as grey uint8 (H, W), and the Pillow mode that it has in the file."""
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise ValueError("not an image, whatever its name") from None
    mode, (width, height) = image.mode, image.size
    if width * height > MAX_PIXELS or max(width, height) > MAX_SIDE:
        raise ValueError(f"{width}×{height} pixels: at most {MAX_PIXELS:,} pixels, and {MAX_SIDE:,} per side")
    image = ImageOps.exif_transpose(image)
    if mode.startswith("I") or mode == "F":  # 16-bit scans
        pixels = np.nan_to_num(np.asarray(image, np.float32))
        return np.clip(pixels / (257 if pixels.max() > 255 else 1), 0, 255).astype(np.uint8), mode
    if "A" in mode or "transparency" in image.info:
        return _on_paper(image.convert("RGBA")), mode
    return np.asarray(image.convert("L")), mode


def _on_paper(image: Image.Image) -> np.ndarray:
    """Return a transparent RGBA image as grey uint8 (H, W), on paper where it is transparent."""
    grey, alpha = np.asarray(image.convert("L")), image.getchannel("A")
    paper = Image.new("L", image.size, _paper_grey(grey[np.asarray(alpha) > 127]))
    return np.asarray(Image.composite(Image.fromarray(grey), paper, alpha))


def _paper_grey(opaque: np.ndarray) -> int:
    """Return the grey of the paper of a transparent image from its opaque pixels, uint8 (n,).

    If these differ, they are ink and paper, and most of the paper has one grey. Otherwise they are ink alone.
    """
    if not len(opaque):
        return 255
    if np.ptp(opaque) > 100:
        return int(np.bincount(opaque).argmax())
    return 0 if np.median(opaque) > 127 else 255


def image_to_grey(image: Image.Image) -> np.ndarray:
    """Return a PIL image of any mode as grey uint8 (H, W)."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG" if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA") else "TIFF")
    return decode(buffer.getvalue())[0]
