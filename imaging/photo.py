"""Photos, scans and drawings of one character, brought to the style of a model's training images."""

import numpy as np
from PIL import Image
from scipy import ndimage

from common.errors import InputError
from imaging.fitting import border

LARGEST = 400  # pixels of a picture's longer side; a larger picture is reduced first
SAMPLE = 2000  # images whose style is measured
FINE = 8  # stroke width is changed on a canvas that is this many times finer than the resulting image
EVEN = 8  # grey levels by which the border of a drawing or a scan differs from its median
PHOTO_SIDE = 64  # pixels per side; a smaller image is no photo
# What characters in photos are brought to as training images: figures of the kind that `measure_style` gives.
HOUSE_STYLE = {"dark": True, "side": 0.75, "row": 0.5, "column": 0.5, "stroke": 0.09}
FAINT = 0.08  # fraction of the paper's brightness: what differs by less is no ink
NOISE = 9  # standard deviations of the paper's grain, by which ink differs from it
MOST_PARTS = 100  # of a character; what falls into more is the paper's grain
USUAL = (0.02, 0.98)  # quantiles of the training images between which a character is left as it is
NO_CHARACTER = "no character stands out from the paper: take the picture from closer, or in better light"


def is_photo(image: np.ndarray) -> bool:
    """Return whether a grey image uint8 (H, W) is a photo, on whose border light and noise vary.

    Within EVEN grey levels of the median lie 81 % or more of the border's pixels in 621 scans and drawings of three
    data sets, and at most 24 % in 24 photos of pen on paper.
    """
    return min(image.shape) >= PHOTO_SIDE and _is_uneven(image)


def _is_uneven(image: np.ndarray) -> bool:
    """Return whether light and noise vary on the border of an image (h, w)."""
    edge = border(image).astype(np.int16)
    return bool((np.abs(edge - np.median(edge)) <= EVEN).mean() < 0.6)


def measure_style(x: np.ndarray) -> dict:
    """Measure size, place, polarity and strokes of the characters in images.

    Args:
        x: uint8 (N, H, W).

    Returns:
        Plain values, medians unless said otherwise: dark, whether the ink is darker than the paper; side, the longer
        side of the ink's bounding box; row and column, the centre of that box; stroke, the stroke width; thickest, the
        upper quantile of USUAL of it; faintest and darkest, both quantiles of the strokes' mean strength; contrast, the
        strength of the ink in all but the tenth of the images where it is strongest. Lengths are fractions of the
        image's side, strengths of the largest that there can be.
    """
    signed = _signed_ink(x)
    masks = _ink_masks(signed)
    each = measure_each(x) if masks.any() else np.array([[1, 0.5, 0.5, 2 / min(x.shape[1:]), 1, 1]])
    side, row, column, stroke, strength, strongest = each.T
    (faintest, darkest), thickest = np.quantile(strength, USUAL), np.quantile(stroke, USUAL[1])
    values = {
        "side": np.median(side), "row": np.median(row), "column": np.median(column), "stroke": np.median(stroke),
        "thickest": min(thickest, 1.0), "faintest": faintest, "darkest": darkest,
        "contrast": np.quantile(strongest, 0.9),
    }  # fmt: skip
    is_dark = bool(signed[masks].mean() < 0) if masks.any() else True
    return {"dark": is_dark} | {name: float(value) for name, value in values.items()}


def measure_each(x: np.ndarray) -> np.ndarray:
    """Measure the characters in images uint8 (N, H, W) one by one.

    Returns:
        float64 (n, 6) of the n images that are not blank: side, row, column and stroke as in `measure_style`, and the
        mean and the largest strength of the ink.
    """
    signed, (height, width) = _signed_ink(x), x.shape[1:]
    each = []
    for ink, mask in zip(np.abs(signed) / 255, _ink_masks(signed), strict=True):
        if mask.any():
            rows, columns = ndimage.find_objects(mask, 1)[0]
            side = max((rows.stop - rows.start) / height, (columns.stop - columns.start) / width)
            middle = (rows.start + rows.stop) / 2 / height, (columns.start + columns.stop) / 2 / width
            each.append((side, *middle, *_strokes(ink), ink.max()))
    return np.array(each).reshape(-1, 6)


def _signed_ink(x: np.ndarray) -> np.ndarray:
    """Return by how much images uint8 (N, H, W) are lighter than their background, int16."""
    edges = np.concatenate([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], 1)
    return x.astype(np.int16) - np.median(edges, 1).astype(np.int16)[:, None, None]


def _ink_masks(signed: np.ndarray) -> np.ndarray:
    """Return where the ink of images (N, H, W) is, bool; nowhere if an image is blank."""
    strength = np.abs(signed)
    return strength > np.maximum(strength.max((1, 2)), 2)[:, None, None] / 2


def _strokes(ink: np.ndarray) -> tuple[float, float]:
    """Return stroke width, as a fraction of the shorter side, and mean strength of ink (H, W) that is not blank."""
    mask = ink > ink.max() / 2
    return _stroke_width(mask) / min(mask.shape), float(ink[mask].mean())


def match_style(picture: np.ndarray, style: dict, shape: tuple[int, int]) -> np.ndarray:
    """Return the character of a picture as an image uint8 (H, W) in the style of the training images.

    Uneven light and the colour of the paper are removed, specks and what reaches in from the edge and is unlike the
    strokes are dropped, and the ink is brought to the polarity, size, place and contrast of the style. Strokes that are
    thicker, or fainter because they are thin, than is usual there are drawn anew, in the style's stroke width.

    Args:
        picture: uint8 (h, w) of one character, of any size, dark ink on light paper or light on dark.
        style: what `measure_style` gives; without the strokes' usual range, all are drawn anew.
        shape: (H, W) of the training images, in pixels.

    Raises:
        InputError: no ink differs enough from the paper, or the picture has another rank or dtype.
    """
    if picture.ndim != 2 or picture.dtype != np.uint8:
        raise InputError(
            f"a picture must be uint8 (h, w), not {picture.dtype} {picture.shape}: see imaging.decoding.read_image"
        )
    photo = _is_uneven(picture)
    fine, window = _place(_character(_ink(picture, photo), photo), style, shape)
    grey = _reduce(fine[window]) * style.get("contrast", 1)
    if not _are_usual(grey, style):
        fine = _with_stroke_width(fine > 0.5, style["stroke"] * FINE * min(shape))
        grey = _reduce(fine[window]) * style.get("contrast", 1)
    return np.rint(255 * (1 - grey if style["dark"] else grey)).astype(np.uint8)


def _place(ink: np.ndarray, style: dict, shape: tuple[int, int]) -> tuple[np.ndarray, tuple[slice, slice]]:
    """Bring ink (h, w) to the style's size and place on a canvas that is FINE times finer than the resulting image.

    Returns:
        The canvas, float (h', w'), with room around it for what exceeds the edge, and the part that is the image.
    """
    ink = ink[ndimage.find_objects(ink > 0.5, 1)[0]]
    height, width = (FINE * side for side in shape)
    # The size is measured between the centre lines of the strokes, whose width will change; a dot's is half its own.
    pen = min(_pen_width(ink > 0.5), max(ink.shape) / 2)
    scale = (style["side"] - style["stroke"]) / max((ink.shape[0] - pen) / height, (ink.shape[1] - pen) / width)
    size = [max(1, round(side * scale)) for side in ink.shape]
    small = Image.fromarray(ink.astype(np.float32)).resize(size[::-1], Image.Resampling.BILINEAR)
    canvas = np.zeros((height + 2 * size[0], width + 2 * size[1]), np.float32)
    row, column = size[0] + round(style["row"] * height), size[1] + round(style["column"] * width)
    row, column = row - size[0] // 2, column - size[1] // 2
    canvas[row : row + size[0], column : column + size[1]] = small
    return canvas, (slice(size[0], size[0] + height), slice(size[1], size[1] + width))


def _reduce(fine: np.ndarray) -> np.ndarray:
    """Return a canvas (FINE·H, FINE·W) as an image, float (H, W)."""
    return fine.reshape(fine.shape[0] // FINE, FINE, -1, FINE).mean((1, 3))


def _are_usual(ink: np.ndarray, style: dict) -> bool:
    """Return whether strokes (H, W) are as dark as is usual in a style, which thin ones are not, and no wider."""
    if "thickest" not in style or not ink.any():
        return False
    width, strength = _strokes(ink)
    return width <= style["thickest"] and style["faintest"] <= strength <= style["darkest"]


def _ink(picture: np.ndarray, photo: bool) -> np.ndarray:
    """Return by what fraction of the paper's brightness each pixel is darker or lighter, float (h, w), ink only."""
    image = Image.fromarray(picture)
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.BOX)
    grey = ndimage.gaussian_filter(np.asarray(image, np.float32), 1e-3 + 0.002 * max(image.size))
    window = max(3, max(grey.shape) // 5)  # wider than a stroke
    flat = grey - ndimage.uniform_filter(grey, 2 * window)
    if (flat**3).mean() > 0:  # there is more paper than ink, so what is far from the mean is ink: light ink
        grey = 255 - grey
    # The paper behind a stroke is as bright as the paper around it, also at the edge of a shadow. Beyond a photo it
    # continues to get darker or lighter as it does towards the edge; a scan may end in a stroke, beyond which is paper.
    window = max(1, min(window, min(grey.shape) - 1))
    if photo:
        around = np.minimum(np.pad(grey, window, "reflect", reflect_type="odd"), grey.max())
    else:
        around = np.pad(grey, window, constant_values=np.quantile(grey, 0.9))
    paper = ndimage.grey_closing(around, (window, window))
    paper = np.maximum(paper[window:-window, window:-window], 1)
    return np.maximum(1 - grey / paper, 0) if paper.max() > 1 else np.zeros_like(grey)


def _character(ink: np.ndarray, photo: bool) -> np.ndarray:
    """Return the ink of the character alone, float (h, w) from 0 to 1, over 0.5 within its strokes.

    Specks do not belong to it, nor does what reaches in from the edge and is unlike its strokes: broad as a table or a
    shadow, or small and thin. In a photo that shows a whole character with a margin, what reaches in far from it is
    another.
    """
    grain = 1.05 * np.median(np.abs(np.diff(ink, axis=0))) if len(ink) > 1 else 0  # a standard deviation
    # If the paper is clean, the smallest dot is ink.
    strongest = np.quantile(ink, 0.998) if grain else np.quantile(ink[ink > FAINT], 0.99) if ink.max() > FAINT else 0
    ground = np.median(ink[ink <= strongest / 2]) if strongest > 0 else 0
    parts, count = ndimage.label(ink > strongest / 2, np.ones((3, 3)))
    if strongest - ground < max(FAINT, NOISE * grain) or count > MOST_PARTS:
        raise InputError(NO_CHARACTER)
    numbers = np.arange(1, count + 1)
    sizes = ndimage.sum_labels(parts > 0, parts, numbers)
    strange = _strangers(parts, numbers, sizes, photo)
    if strange.any():
        return _character(np.where(np.isin(parts, numbers[strange]), 0, ink), photo)  # the remaining ink may be weaker
    kept = np.isin(parts, [0, *numbers[sizes > 0.004 * sizes.sum()]])
    return np.where(kept, np.clip((ink - ground) / (strongest - ground), 0, 1), 0)


def _strangers(parts: np.ndarray, numbers: np.ndarray, sizes: np.ndarray, photo: bool) -> np.ndarray:
    """Return which parts (n,) of labelled ink (h, w) reach in from the edge and do not belong to the character."""
    at_edge = np.isin(numbers, np.concatenate([parts[0], parts[-1], parts[:, 0], parts[:, -1]]))
    inner = ~at_edge & (sizes > 0.05 * sizes.max())
    if not inner.any() or not at_edge.any():
        return np.zeros(len(numbers), bool)
    inside = ndimage.distance_transform_edt(np.pad(parts, 1))[1:-1, 1:-1]  # the edge cuts strokes off
    width = ndimage.mean(inside, parts, numbers)  # a quarter of the stroke width
    small = sizes < 0.06 * sizes[inner].sum()
    strange = at_edge & ((width > 2 * width[inner].max()) | (small & (width < np.median(width[inner]) / 2)))
    if not photo:
        return strange
    places = np.isin(parts, numbers[inner])
    away = ndimage.minimum(ndimage.distance_transform_edt(~places), parts, numbers)
    far = at_edge & (away > 0.2 * np.ptp(np.argwhere(places), 0).max()) & (sizes < sizes[inner].sum())
    rest = ndimage.find_objects(np.isin(parts, numbers[~(far | strange)]), 1)[0]
    margin = min(min(side.start, length - side.stop) for side, length in zip(rest, parts.shape, strict=True))
    return strange | (far & (margin > 0.02 * max(parts.shape)))


def _stroke_width(mask: np.ndarray) -> float:
    """Return the stroke width of a mask (h, w) in pixels: twice the area divided by the outline."""
    padded = np.pad(mask, 1)
    outline = np.count_nonzero(padded[1:] ^ padded[:-1]) + np.count_nonzero(padded[:, 1:] ^ padded[:, :-1])
    return 2 * np.count_nonzero(mask) / outline


def _pen_width(mask: np.ndarray) -> float:
    """Return the stroke width of a mask (h, w) in pixels, whatever the direction of the strokes."""
    inside = ndimage.distance_transform_edt(np.pad(mask, 1))
    return 4 * inside[inside > 0].mean()  # the mean distance to the edge is a quarter of the width


def _with_stroke_width(mask: np.ndarray, target: float) -> np.ndarray:
    """Return a mask (h, w) whose strokes are thinned or thickened to a `_stroke_width` of `target`."""
    inside, outside = ndimage.distance_transform_edt(mask), ndimage.distance_transform_edt(~mask)
    pen = _pen_width(mask)
    change = pen / 2 * (1 - target / _stroke_width(mask))  # on either side
    return inside - outside > min(change, 0.8 * pen / 2)  # strokes thinner than the others remain
