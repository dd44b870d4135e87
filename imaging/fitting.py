"""Images cropped to their ink and brought to a size."""

import numpy as np
from PIL import Image

MARGIN = 0.1  # of the longer side of the ink, on each side of a cropped image


def fit_image(image: np.ndarray, height: int, width: int, crop: bool = False) -> np.ndarray:
    """Bring an image uint8 (H, W) to uint8 (height, width), keeping its aspect and extending its background.

    The background is the median of the border, per channel of an image in colour, (H, W, 3). Without `crop`, an image
    that has the size already is returned as it is.

    Args:
        crop: whether to replace what is blank around the ink by MARGIN first.
    """
    if image.shape[:2] == (height, width) and not crop:
        return image
    paper = np.median(border(image), 0)
    if crop:
        image = image[_ink_box(image, paper)]
    h, w = image.shape[:2]
    factor = 1 + 2 * MARGIN if crop else 1
    tall, wide = round(factor * max(h, w * height / width)), round(factor * max(w, h * width / height))
    canvas = np.full((tall, wide, *image.shape[2:]), paper, np.uint8)
    top, left = (tall - h) // 2, (wide - w) // 2
    canvas[top : top + h, left : left + w] = image
    return np.asarray(Image.fromarray(canvas).resize((width, height), Image.Resampling.BILINEAR))  # antialiased


def _ink_box(image: np.ndarray, paper: np.ndarray) -> tuple[slice, slice]:
    """Return the rows and columns that hold the ink of an image; all of them if there is hardly any contrast."""
    contrast = np.abs(image - paper)
    if contrast.ndim == 3:
        contrast = contrast.max(2)
    ink = contrast > max(16, contrast.max() / 3)
    if not ink.any():
        return slice(None), slice(None)
    rows, columns = np.flatnonzero(ink.any(1)), np.flatnonzero(ink.any(0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def border(image: np.ndarray) -> np.ndarray:
    """Return the outermost pixels of an image, (n,) of (H, W) or (n, 3) of (H, W, 3), the corners twice."""
    return np.concatenate([image[0], image[-1], image[:, 0], image[:, -1]])
