"""Transparent images on paper."""

import numpy as np
from PIL import Image
from scipy import ndimage

from imaging.levels import to_uint8


def on_paper(image: Image.Image, channels: int) -> np.ndarray:
    """Return an RGBA image as uint8 (H, W) or, with 3 channels, (H, W, 3), on paper where it is transparent.

    An alpha channel that is 0 everywhere is ignored, if there is something to see without it.
    """
    opaque = image.convert("L" if channels == 1 else "RGB")
    pixels, alpha = np.asarray(opaque), np.asarray(image.getchannel("A"))
    if not alpha.any():
        return pixels if np.ptp(pixels) else np.full_like(pixels, 255)
    if alpha.min() == 255:
        return pixels
    alpha = to_uint8(alpha, alpha.max())
    paper = Image.new("L", image.size, _paper_grey(np.asarray(image.convert("L")), alpha > 127))
    return np.asarray(Image.composite(opaque, paper.convert(opaque.mode), Image.fromarray(alpha)))


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
