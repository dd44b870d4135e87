"""Grey images as ink on a background of 0, and which images are identical."""

import hashlib
from collections.abc import Iterable

import numpy as np
import torch


def backgrounds(images: torch.Tensor) -> torch.Tensor:
    """Return the background of each image of uint8 (N, H, W), the median of its border, as uint8 (N,).

    On a CPU, because CUDA has no deterministic function for it.
    """
    middle = sum(images.shape[1:])  # of a border that contains the corners twice
    edges = torch.cat([images[:, 0], images[:, -1], images[:, :, 0], images[:, :, -1]], 1)  # (N, 2 (H + W))
    return edges.kthvalue(middle, 1).values


def ink(images: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Return images uint8 (N, H, W) as their absolute difference, uint8, from their background (N,).

    The background becomes 0, whether the ink is dark on light or light on dark.
    """
    background = background[:, None, None]
    return torch.maximum(images, background) - torch.minimum(images, background)


def identical_groups(images: Iterable[np.ndarray]) -> list[list[int]]:
    """Return the groups of two or more byte-identical images (H, W), as lists of indices."""
    groups: dict[bytes, list[int]] = {}
    for i, image in enumerate(images):
        digest = hashlib.blake2b(image.tobytes(), digest_size=16).digest()
        groups.setdefault(digest, []).append(i)
    return [group for group in groups.values() if len(group) > 1]
