"""Whatever a user calls an image, or several, as images uint8."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from common.errors import InputError
from imaging.decoding import image_to_array, read_image
from imaging.levels import full_range


def as_images(images, channels: int = 1) -> np.ndarray | list[np.ndarray]:
    """Return one or several images as uint8 (N, H, W), or as a list of N arrays uint8 (H, W) if sizes differ.

    With 3 channels, they are (N, H, W, 3) or (H, W, 3).

    Args:
        images: one of: an array or tensor of uint8 or bool, (H, W), (N, H, W), in colour (H, W, 3), (N, H, W, 3) or
            (N, 3, H, W), with 4 channels for transparency or 1 for grey; a PIL image of any mode; the path of an image
            file; a list or generator of such pictures, of any sizes.
        channels: 1 for grey images, 3 for colour.

    Raises:
        InputError: another rank or dtype, or a file that cannot be read.
    """
    if isinstance(images, torch.Tensor):
        images = (images.float() if images.is_floating_point() else images).numpy(force=True)  # NumPy has no bfloat16
    if isinstance(images, Sequence | Iterator) and not isinstance(images, str | bytes):
        return _stacked([one for image in images for one in as_images(image, channels)])
    if isinstance(images, str | Path):
        return read_image(images, channels)[None]
    if isinstance(images, Image.Image):
        return full_range(image_to_array(images, channels))[None]
    return _from_array(np.asarray(images), channels)


def _stacked(images: list[np.ndarray]) -> np.ndarray | list[np.ndarray]:
    """Return images (H, W) or (H, W, 3) as one array if they have one size."""
    if len({image.shape for image in images}) > 1:
        return images
    return np.stack(images) if images else np.zeros((0, 1, 1), np.uint8)


def _from_array(x: np.ndarray, channels: int) -> np.ndarray:
    """Return an array of one or several images as uint8 (N, H, W) or (N, H, W, 3)."""
    if x.dtype == bool:
        x = x.astype(np.uint8) * 255
    if x.dtype != np.uint8:
        raise InputError(f"images must be uint8, 0 to 255, not {x.dtype}: {_remedy(x)}")
    is_colour = x.ndim in (3, 4) and x.shape[-1] in (1, 3, 4)
    if x.ndim == 4 and not is_colour and x.shape[1] in (1, 3, 4):
        x = np.moveaxis(x, 1, -1)
        is_colour = True
    if x.ndim == (3 if is_colour else 2):
        x = x[None]
    if x.ndim != (4 if is_colour else 3) or 0 in x.shape[1:]:
        raise InputError(f"images must be (N, H, W) or (H, W), or in colour (N, H, W, 3) or (H, W, 3), not {x.shape}")
    return convert_channels(full_range(x if is_colour else x[..., None]), channels)


def convert_channels(x: np.ndarray, channels: int) -> np.ndarray:
    """Return images uint8 (N, H, W, 1, 3 or 4) as (N, H, W) or, with 3 channels, (N, H, W, 3).

    Where they are transparent, they are on paper.
    """
    if x.shape[3] == channels:
        return x[..., 0] if channels == 1 else x
    if x.shape[3] == 1:
        return np.repeat(x, channels, 3)
    converted = np.empty(x.shape[:3] if channels == 1 else (*x.shape[:3], channels), np.uint8)
    for i, image in enumerate(x):
        converted[i] = image_to_array(Image.fromarray(np.ascontiguousarray(image)), channels)
    return converted


def _remedy(x: np.ndarray) -> str:
    """Return how an array of another dtype becomes uint8."""
    if x.dtype.kind not in "iuf" or not x.size:
        return "give numbers, a PIL image, a path, or a list of these"
    low, high = x.min(), x.max()
    if low >= 0 and high <= 1 and x.dtype.kind == "f":
        return "convert values in [0, 1] with (x * 255).astype('uint8')"
    if low >= 0 and 1 < high <= 255:
        return "convert values in [0, 255] with x.astype('uint8')"
    return f"its values are from {low:g} to {high:g}; scale them to [0, 255], then use x.astype('uint8')"
