"""Photos, scans and drawings of one character, made like the images that a model was trained on."""

import numpy as np
from PIL import Image
from scipy import ndimage

from common.errors import InputError

LARGEST = 400  # pixels of a picture's longer side; a larger one is made smaller first
FINE = 8  # strokes are made thinner or thicker on a canvas so many times finer than the image that comes out
FAINT = 0.08  # of the paper's brightness: what stands out by less is no ink


def style_of(x: np.ndarray) -> dict:
    """Return how characters stand in images, the medians over (at most 2,000 of) them.

    Args:
        x: uint8 (N, H, W).

    Returns:
        Plain values: dark, whether the ink is darker than the paper; side, the longer side of the ink's box; row and
        column, the middle of that box; stroke, the width of the strokes. All are fractions of the image's own side.
    """
    x = x[np.linspace(0, len(x) - 1, min(len(x), 2000)).astype(int)]
    edges = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], 1)
    ink = x.astype(np.int16) - np.median(edges, 1).astype(np.int16)[:, None, None]
    strength = np.abs(ink)
    masks = strength > np.maximum(strength.max((1, 2)), 2)[:, None, None] / 2
    height, width = x.shape[1:]
    boxes = [ndimage.find_objects(mask, 1)[0] for mask in masks if mask.any()] or [(slice(0, height), slice(0, width))]
    (top, bottom), (left, right) = np.array([[(s.start, s.stop) for s in box] for box in boxes]).transpose(1, 2, 0)
    return {
        "dark": bool(ink[masks].mean() < 0) if masks.any() else True,
        "side": float(np.median(np.maximum((bottom - top) / height, (right - left) / width))),
        "row": float(np.median((top + bottom) / 2 / height)),
        "column": float(np.median((left + right) / 2 / width)),
        "stroke": float(np.median([_stroke(mask) for mask in masks if mask.any()] or [2]) / min(height, width)),
    }


def like_training(picture: np.ndarray, style: dict, shape: tuple[int, int]) -> np.ndarray:
    """Return the character of a picture as an image uint8 (H, W) like those that a model was trained on.

    Uneven light and the colour of the paper are taken away, specks and what sticks into the picture from its edge are
    dropped, and the ink is brought to the polarity, the size, the place and the width of stroke of the style.

    Args:
        picture: uint8 (h, w) of one character; any size, dark ink on light paper or light on dark.
        style: what `style_of` gives.
        shape: (H, W) of the training images, in pixels.

    Raises:
        InputError: no ink stands out from the paper, or a picture of another rank or dtype.
    """
    if picture.ndim != 2 or picture.dtype != np.uint8:
        raise InputError(f"a picture must be uint8 (h, w), not {picture.dtype} {picture.shape}: see init.read_image")
    ink = _character(_ink(picture))
    ink = ink[ndimage.find_objects(ink > 0.5, 1)[0]]
    height, width = (FINE * side for side in shape)
    target = style["stroke"] * min(height, width)
    # The size is that of the middle lines of the strokes, whose width will change; a dot's is half of its own.
    pen = min(_pen(ink > 0.5), max(ink.shape) / 2)
    scale = (style["side"] - style["stroke"]) / max((ink.shape[0] - pen) / height, (ink.shape[1] - pen) / width)
    size = [max(1, round(side * scale)) for side in ink.shape]
    small = Image.fromarray(ink.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
    canvas = np.zeros((height + 2 * size[0], width + 2 * size[1]), np.float32)  # room for what reaches over the edge
    row, column = size[0] + round(style["row"] * height), size[1] + round(style["column"] * width)
    row, column = row - size[0] // 2, column - size[1] // 2
    canvas[row : row + size[0], column : column + size[1]] = small
    fine = _as_wide(canvas > 0.5, target)[size[0] : size[0] + height, size[1] : size[1] + width]
    grey = fine.reshape(shape[0], FINE, shape[1], FINE).mean((1, 3))
    return np.rint(255 * (1 - grey if style["dark"] else grey)).astype(np.uint8)


def _ink(picture: np.ndarray) -> np.ndarray:
    """Return by what fraction of its brightness each pixel is away from its paper, float (h, w), ink only."""
    image = Image.fromarray(picture)
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    grey = ndimage.gaussian_filter(np.asarray(image, np.float32), 1e-3 + 0.002 * max(image.size))
    window = max(3, max(grey.shape) // 5)  # wider than a stroke
    flat = grey - ndimage.uniform_filter(grey, 2 * window)
    if (flat**3).mean() > 0:  # more paper than ink, so what is far from the mean is ink: it is light
        grey = 255 - grey
    # The paper behind a stroke is as bright as the paper around it, also at the edge of a shadow; and it goes on beyond
    # the picture as it gets darker or lighter towards its edge.
    window = max(1, min(window, min(grey.shape) - 1))
    around = np.minimum(np.pad(grey, window, "reflect", reflect_type="odd"), grey.max())
    paper = ndimage.grey_closing(around, (window, window))
    return 1 - grey / np.maximum(paper[window:-window, window:-window], 1)


def _character(ink: np.ndarray) -> np.ndarray:
    """Return the ink of the character alone, over 0.5 within its strokes, float (h, w).

    Specks are no part of it, nor is what reaches in from the edge, as shadows and tables do, and is broad, or small, or
    away from the rest.
    """
    strongest = np.quantile(ink, 0.998)
    if strongest < FAINT:
        raise InputError("no character stands out from the paper: take the picture nearer, or in better light")
    parts, count = ndimage.label(ink > strongest / 2, np.ones((3, 3)))
    numbers = np.arange(1, count + 1)
    sizes = ndimage.sum_labels(parts > 0, parts, numbers)
    width = ndimage.mean(ndimage.distance_transform_edt(parts), parts, numbers)  # a quarter of it
    at_edge = np.isin(numbers, np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    inner = ~at_edge & (sizes > 0.05 * sizes.max())
    if inner.any():
        places = np.isin(parts, numbers[inner])
        away = ndimage.minimum(ndimage.distance_transform_edt(~places), parts, numbers)
        away = (away > 0.2 * np.ptp(np.argwhere(places), 0).max()) & (sizes < sizes[inner].sum())
        strange = at_edge & (away | (width > 2 * width[inner].max()) | (sizes < 0.06 * sizes[inner].sum()))
        if strange.any():
            return _character(np.where(np.isin(parts, numbers[strange]), 0, ink))  # what is left may be weaker
    kept = np.isin(parts, [0, *numbers[sizes > 0.004 * sizes.sum()]])
    return np.where(kept, ink / strongest, 0)


def _stroke(mask: np.ndarray) -> float:
    """Return how wide the strokes of a mask (h, w) are, in pixels: twice their area by their outline."""
    padded = np.pad(mask, 1)
    outline = np.count_nonzero(padded[1:] ^ padded[:-1]) + np.count_nonzero(padded[:, 1:] ^ padded[:, :-1])
    return 2 * np.count_nonzero(mask) / outline


def _pen(mask: np.ndarray) -> float:
    """Return how wide the strokes of a mask (h, w) are whatever their direction, in pixels."""
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))
    return 4 * inside[inside > 0].mean()  # the mean way to the edge is a quarter of the width


def _as_wide(mask: np.ndarray, target: float) -> np.ndarray:
    """Return a mask (h, w) with its strokes made thinner or thicker, to the `_stroke` of the target."""
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    pen = _pen(mask)
    change = pen / 2 * (1 - target / _stroke(mask))  # on either side
    return inside - outside > min(change, 0.8 * pen / 2)  # strokes that are thinner than the others stay
