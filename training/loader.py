"""Batches: images as a model sees them, resized and augmented in one resampling on the device."""

import math
from collections.abc import Iterator
from functools import lru_cache

import torch
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from config import Config


def backgrounds(images: torch.Tensor) -> torch.Tensor:
    """Return the background of each image of uint8 (N, H, W), the median of its border, as uint8 (N,).

    On a CPU, since no such function of CUDA's is deterministic.
    """
    middle = sum(images.shape[1:])  # of a border that holds the corners twice
    parts = [torch.cat([x[:, 0], x[:, -1], x[:, :, 0], x[:, :, -1]], 1) for x in images.split(4096)]
    return torch.cat([part.kthvalue(middle, 1).values for part in parts])


def ink(images: torch.Tensor, background: torch.Tensor) -> torch.Tensor:
    """Return images uint8 (N, H, W) as their distance, uint8, from their background (N,).

    So the background is 0, whether the ink is dark on light or light on dark.
    """
    background = background[:, None, None]
    return torch.maximum(images, background) - torch.minimum(images, background)


def warp(images: torch.Tensor, size: int, config: Config | None = None) -> torch.Tensor:
    """Resample ink uint8 (N, H, W) to float (N, 1, size, size) in [0, 1], once: resize and augmentation together.

    Args:
        config: how strongly to augment, with numbers from torch's global generator; None: not at all.
    """
    images, (height, width) = images / 255, images.shape[1:]
    # Sampled as they are, larger images would lose strokes between the points.
    if config is None or max(height, width) > size:
        rows, columns = (_resampling(side, size, images.device) for side in (height, width))
        images = rows @ (images @ columns.T)
    images = images[:, None]
    if config is None:
        return images
    n, device = len(images), images.device
    strength = torch.rand(n, device=device)  # some images hardly change: what is learnt is of real ones too
    turn, sx, sy, shear, dx, dy = torch.empty(6, n, device=device).uniform_(-1, 1) * strength
    turn = turn * math.radians(config.rotation)
    sx, sy, shear = 1 + sx * config.scale, 1 + sy * config.scale, shear * config.shear
    cos, sin = turn.cos(), turn.sin()
    rows = [cos * sx, (cos * shear - sin) * sy, 2 * dx * config.shift]
    rows += [sin * sx, (sin * shear + cos) * sy, 2 * dy * config.shift]
    moves = torch.stack(rows, 1).view(n, 2, 3)
    bend = torch.randn(n, 2, 25, device=device) * (config.elastic * strength[:, None, None])
    grid = torch.cat([moves, bend], 2).view(2 * n, 28) @ _grid_basis(size, device)
    grid = grid.view(n, 2, size, size).permute(0, 2, 3, 1)
    return functional.grid_sample(images, grid, align_corners=False)  # 0, no ink, beyond the border


@lru_cache
def _resampling(length: int, size: int, device: torch.device) -> torch.Tensor:
    """Return float (size, length): bilinear resampling with antialiasing, of which an image needs one a side."""
    unit = torch.eye(length)[None, None]
    return functional.interpolate(unit, (size, length), mode="bilinear", antialias=True)[0, 0].to(device)


@lru_cache
def _grid_basis(size: int, device: torch.device) -> torch.Tensor:
    """Return float (28, size²), of which every sampling grid is a weighted sum.

    The rows are x, y and 1, for the affine part, and the bicubic weights of a 5×5 grid of displacements.
    """
    affine = functional.affine_grid(torch.eye(2, 3)[None], (1, 1, size, size), align_corners=False)
    bend = functional.interpolate(torch.eye(25).view(25, 1, 5, 5), (size, size), mode="bicubic", align_corners=True)
    return torch.cat([affine.view(-1, 2).T, torch.ones(1, size * size), bend.view(25, -1)]).to(device)


def leaves_one(count: int, batch_size: int) -> bool:
    """Return whether the last batch would hold one image, in which batch normalization has nothing to learn from."""
    return count > 1 and count % batch_size == 1


def steps(count: int, batch_size: int) -> int:
    """Return how many batches an epoch of training has."""
    return math.ceil(count / batch_size) - leaves_one(count, batch_size)


def prepared(
    images: torch.Tensor, background: torch.Tensor, labels: torch.Tensor, batch_size: int, size: int,
    device: torch.device, augment: Config | None = None, shuffle: bool = False,
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:  # fmt: skip
    """Yield (float (B, 1, size, size), int64 (B,)) on the device, of images uint8 (N, H, W) there or in host memory."""
    order = torch.randperm(len(images)) if shuffle else torch.arange(len(images))  # on the CPU: the same on any device
    if shuffle and leaves_one(len(images), batch_size):
        order = order[:-1]
    for indices in order.to(images.device).split(batch_size):
        x, fills, y = (values.index_select(0, indices) for values in (images, background, labels))
        yield warp(ink(x, fills).to(device), size, augment), y.to(device)


def loaded(
    dataset: Dataset, batch_size: int, size: int, device: torch.device, shuffle: bool = False
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield (float (B, …), int64 (B,)) of a dataset whose transform, or the report's, is applied to image by image."""
    if dataset.transform is None:
        dataset = dataset.with_transform(transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()]))
    for images, labels in DataLoader(
        dataset, batch_size, shuffle, drop_last=shuffle and leaves_one(len(dataset), batch_size)
    ):
        yield images.to(device), labels.to(device)
