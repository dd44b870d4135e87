"""Levels of any depth as uint8."""

import numpy as np

WHITE_LEVELS = (1, 16, 255, 1023, 4095, 16_383, 65_535)


def white_level(highest: float) -> float:
    """Return the level that is white if no higher level occurs: 1 for floats, 255, 4095 for 12 bits …"""
    return next((level for level in WHITE_LEVELS if highest <= 1.05 * level), float(highest))  # resampling overshoots


def to_uint8(pixels: np.ndarray, white: float) -> np.ndarray:
    """Return levels from 0 to `white`, of any shape and numeric dtype, as uint8 of that shape."""
    if pixels.dtype == np.uint8 and white == 255:
        return pixels
    scaled = pixels * np.float32(255 / white)
    return np.rint(np.clip(scaled, 0, 255, out=scaled), out=scaled).astype(np.uint8)


def full_range(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 of one or several images, of any shape, with levels from 0 to 255 if none is higher than 1 or 16.

    Masks and images of 4 bits are stored so, and scaled when a set is prepared (`readers.images`). Of a single image it
    is not known which levels its set has: one that is so dark would otherwise look blank to the model.
    """
    white = white_level(pixels.max(initial=0))
    return to_uint8(pixels, white) if white < 255 else pixels
