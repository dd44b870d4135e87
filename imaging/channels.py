"""The axis of colours: the last one of an image in colour, (H, W, 3); a grey image, (H, W), has none."""

import numpy as np
from PIL import Image

from common.errors import InputError


def count_channels(shape: tuple[int, ...]) -> int:
    """Return 1 for the shape (H, W) of a grey image, 3 for (H, W, 3)."""
    return 1 if len(shape) == 2 else shape[2]


def check_channels(found: int, wanted: int) -> None:
    """Raise InputError unless prepared images have as many channels as the config."""
    if found != wanted:
        raise InputError(
            f"the prepared images have channels={found} and the config channels={wanted}: set channels={found}, or "
            f"prepare them again, with the raw images or this data.npz as raw_data_path and another data_path"
        )


def with_channels(image: np.ndarray, channels: int) -> np.ndarray:
    """Return an image uint8 (H, W) or (H, W, 3) with so many channels: colours as greys, or greys as colours."""
    if count_channels(image.shape) == channels:
        return image
    if channels == 1:
        return np.asarray(Image.fromarray(image).convert("L"))
    return np.repeat(image[..., None], 3, 2)
