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


def hash_images(images: Iterable[np.ndarray]) -> np.ndarray:
    """Return a hash of 128 bits per image, uint64 (N, 2), the same for byte-identical images only."""
    digests = b"".join(hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images)
    return np.frombuffer(digests, np.uint64).reshape(-1, 2)


def identical_groups(hashes: np.ndarray) -> list[list[int]]:
    """Return the groups of two or more byte-identical images, as lists of indices, given their hashes uint64 (N, 2)."""
    order = np.lexsort(hashes.T)  # identical images one after the other, each in its place of the original order
    differs = (hashes[order[1:]] != hashes[order[:-1]]).any(1)
    starts = np.flatnonzero(np.concatenate([[True], differs, [True]]))  # also the end
    groups = [order[start : start + n] for start, n in zip(starts, np.diff(starts), strict=False) if n > 1]
    return sorted(group.tolist() for group in groups)
