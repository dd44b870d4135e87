"""Pixels: an image file decoded to grey, cropped to its ink, brought to a size; which images are identical."""

import io

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

MAX_PIXELS, MAX_SIDE = 25_000_000, 10_000  # a photograph has fewer; a larger image is skipped rather than decoded
MARGIN = 0.1  # of the longer side of the ink, on each side of images that are cropped to it


def decode(data: bytes) -> tuple[np.ndarray, str, tuple[int, int]]:
    """Return an image file as grey uint8 (H, W), and the mode and the size (W, H) it has in the file."""
    try:
        image = Image.open(io.BytesIO(data))
    except UnidentifiedImageError:
        raise ValueError("not an image, whatever its name") from None
    mode, size = image.mode, image.size
    if size[0] * size[1] > MAX_PIXELS or max(size) > MAX_SIDE:
        raise ValueError(f"{size[0]}×{size[1]} pixels: there may be {MAX_PIXELS:,}, and {MAX_SIDE:,} a side")
    image = ImageOps.exif_transpose(image)
    if mode.startswith("I") or mode == "F":  # 16-bit scans
        pixels = np.nan_to_num(np.asarray(image, np.float32))
        return np.clip(pixels / (257 if pixels.max() > 255 else 1), 0, 255).astype(np.uint8), mode, size
    if "A" in mode or "transparency" in image.info:
        image = image.convert("RGBA")
        grey, alpha = np.asarray(image.convert("L")), image.getchannel("A")
        paper = Image.new("L", image.size, _paper(grey[np.asarray(alpha) > 127]))
        return np.asarray(Image.composite(Image.fromarray(grey), paper, alpha)), mode, size
    return np.asarray(image.convert("L")), mode, size


def _paper(opaque: np.ndarray) -> int:
    """Return the grey of the paper where an image is transparent, from its opaque pixels, uint8 (n,).

    Where these differ, they are ink and paper, most of it of one grey; where they do not, they are ink alone.
    """
    if not len(opaque):
        return 255
    if np.ptp(opaque) > 100:
        return int(np.bincount(opaque).argmax())
    return 0 if np.median(opaque) > 127 else 255


def fit_image(image: np.ndarray, height: int, width: int, crop: bool = False) -> np.ndarray:
    """Bring a grey image uint8 (H, W) to uint8 (height, width), its aspect kept and its background continued.

    The background is the median of the border. Without `crop`, an image that has the size already is returned as it is.

    Args:
        crop: whether to cut off first what is blank around the ink, and put a MARGIN in its place.
    """
    if image.shape == (height, width) and not crop:
        return image
    paper = np.median(border(image))
    if crop:
        image = image[_ink_box(image, paper)]
    h, w = image.shape
    whole = 1 + 2 * MARGIN * crop
    tall, wide = round(whole * max(h, w * height / width)), round(whole * max(w, h * width / height))
    canvas = np.full((tall, wide), paper, np.uint8)
    top, left = (tall - h) // 2, (wide - w) // 2
    canvas[top : top + h, left : left + w] = image
    return np.asarray(Image.fromarray(canvas).resize((width, height), Image.Resampling.BILINEAR))  # with antialiasing


def _ink_box(image: np.ndarray, paper: float) -> tuple[slice, slice]:
    """Return the rows and the columns that hold the ink of an image (H, W); all, where there is hardly any contrast."""
    contrast = np.abs(image - paper)
    rows, columns = (np.flatnonzero((contrast > max(16, contrast.max() / 3)).any(axis)) for axis in (1, 0))
    return tuple(slice(ends[0], ends[-1] + 1) if len(ends) else slice(None) for ends in (rows, columns))


def border(image: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of an image (H, W), the corners twice."""
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])


def identical_groups(x: np.ndarray) -> list[list[int]]:
    """Return the groups of two or more byte-identical images of x (N, H, W), as lists of indices."""
    groups = {}
    for i, image in enumerate(x):
        groups.setdefault(image.tobytes(), []).append(i)
    return [group for group in groups.values() if len(group) > 1]
