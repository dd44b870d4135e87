"""Images as a model has them: with their channels before height and width, for grey images too."""

import torch


def to_planes(images: torch.Tensor) -> torch.Tensor:
    """Return images (N, H, W) or (N, H, W, 3) as (N, 1, H, W) or (N, 3, H, W)."""
    return images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)


def from_planes(planes: torch.Tensor) -> torch.Tensor:
    """Return (N, 1, H, W) or (N, 3, H, W) as images (N, H, W) or (N, H, W, 3)."""
    return planes[:, 0] if planes.shape[1] == 1 else planes.permute(0, 2, 3, 1)
