"""Images as a model sees them: resize and augmentation in one resampling, on the device."""

import math
from functools import lru_cache

import torch
from torch.nn import functional

from config import Config

ALL = slice(None)


def resample(
    images: torch.Tensor, size: int, augmentation: Config | None = None, batch: int | None = None, part: slice = ALL
) -> torch.Tensor:
    """Resample ink uint8 (N, H, W), or colours (N, 3, H, W), to float (N, 1 or 3, size, size) in [0, 1].

    Args:
        augmentation: the strengths, with random numbers from torch's global generator; None: only resize.
        batch: images in the batch of which these are a part, for all of which numbers are drawn; None: these are all.
        part: which of the batch these images are.
    """
    height, width = images.shape[-2:]
    images = images / 255
    # Sampling larger images directly would lose strokes between the sampling points.
    if augmentation is None or max(height, width) > size:
        rows, columns = (resize_matrix(side, size, images.device) for side in (height, width))
        images = rows @ (images @ columns.T)  # (N, size, size)
    is_ink = images.ndim == 3
    images = images[:, None] if is_ink else images
    if augmentation is None:
        return images
    grid = _random_grid(len(images) if batch is None else batch, size, augmentation, images.device, part)
    beyond = "zeros" if is_ink else "border"  # 0 is no ink; colours go on
    return functional.grid_sample(images, grid, padding_mode=beyond, align_corners=False)


def _random_grid(n: int, size: int, augmentation: Config, device: torch.device, part: slice) -> torch.Tensor:
    """Draw n random sampling grids, and return a part of them, float (n, size, size, 2)."""
    strength = torch.rand(n, device=device)  # some images hardly change, so that real ones are learned too
    turn, sx, sy, shear, dx, dy = torch.empty(6, n, device=device).uniform_(-1, 1) * strength
    turn = turn * math.radians(augmentation.rotation)
    sx, sy, shear = 1 + sx * augmentation.scale, 1 + sy * augmentation.scale, shear * augmentation.shear
    cos, sin = turn.cos(), turn.sin()
    rows = [cos * sx, (cos * shear - sin) * sy, 2 * dx * augmentation.shift]
    rows += [sin * sx, (sin * shear + cos) * sy, 2 * dy * augmentation.shift]
    affine = torch.stack(rows, 1).view(n, 2, 3)
    elastic = torch.randn(n, 2, 25, device=device) * (augmentation.elastic * strength[:, None, None])
    weights = torch.cat([affine, elastic], 2)[part]  # (n, 2, 28)
    grid = weights.flatten(0, 1) @ _grid_basis(size, device)
    return grid.view(-1, 2, size, size).permute(0, 2, 3, 1)


@lru_cache
def resize_matrix(length: int, size: int, device: torch.device) -> torch.Tensor:
    """Return float (size, length): bilinear resampling with antialiasing; an image needs one per side."""
    unit = torch.eye(length)[None, None]
    return functional.interpolate(unit, (size, length), mode="bilinear", antialias=True)[0, 0].to(device)


@lru_cache
def _grid_basis(size: int, device: torch.device) -> torch.Tensor:
    """Return float (28, size²), of which every sampling grid is a weighted sum.

    The rows are x, y and 1, for the affine part, and the bicubic weights of a 5×5 grid of displacements.
    """
    affine = functional.affine_grid(torch.eye(2, 3)[None], [1, 1, size, size], align_corners=False)
    elastic = functional.interpolate(torch.eye(25).view(25, 1, 5, 5), (size, size), mode="bicubic", align_corners=True)
    return torch.cat([affine.view(-1, 2).T, torch.ones(1, size * size), elastic.view(25, -1)]).to(device)
