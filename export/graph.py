"""A model together with its preparation, as one nn.Module of operations that ONNX has."""

import numpy as np
import torch
from PIL import Image
from torch import nn

from export.trained import Trained
from imaging.ink import ink
from imaging.planes import to_planes
from training.augmentation import resize_matrix

PIL_PRECISION = 22  # bits of the weights with which Pillow resizes uint8 images


class ImageClassifier(nn.Module):
    """Turn images uint8 (N, H, W) or (N, H, W, 3) into probabilities float32 (N, C).

    The result is that of `CNNClassifier.predict_proba`, and a test holds it to that.
    """

    def __init__(self, trained: Trained):
        super().__init__()
        height, width = trained.spec.source_shape[:2]
        resident = Ink if trained.spec.channels == 1 else Colours
        prepare = Pictures if trained.config.pipeline == "per_image" else resident
        self.prepare, self.model = prepare(height, width, trained.spec.input_size), trained.model
        self.temperature = trained.temperature

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (self.model(self.prepare(images)) / self.temperature).softmax(1)


class Colours(nn.Module):
    """Prepare images uint8 (N, H, W, 3) as `ResidentLoader` does: resized, float (N, 3, size, size)."""

    def __init__(self, height: int, width: int, size: int):
        super().__init__()
        self.register_buffer("rows", resize_matrix(height, size, torch.device("cpu")))  # (size, H)
        self.register_buffer("columns", resize_matrix(width, size, torch.device("cpu")).T)  # (W, size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.rows @ (to_planes(images).float() / 255 @ self.columns)


class Ink(Colours):
    """Prepare images uint8 (N, H, W) as `ResidentLoader` does: ink on 0, resized, float (N, 1, size, size)."""

    def __init__(self, height: int, width: int, size: int):
        super().__init__(height, width, size)
        self.middle = height + width  # of the 2 (H + W) pixels of the border

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = images.float()
        border = torch.cat([pixels[:, 0], pixels[:, -1], pixels[:, :, 0], pixels[:, :, -1]], 1)  # (N, 2 (H + W))
        background = border.topk(self.middle + 1).values[:, -1]  # the lower median; ONNX has no kthvalue
        return (self.rows @ (ink(pixels, background) / 255 @ self.columns))[:, None]


class Pictures(nn.Module):
    """Prepare images uint8 (N, H, W[, 3]) as `PerImageLoader` does, to the bit: Pillow's resize, float (N, C, S, S).

    Pillow rounds its weights to 22 bits, and the pixels to whole grey levels after the columns and after the rows.
    """

    def __init__(self, height: int, width: int, size: int):
        super().__init__()
        self.register_buffer("rows", _pil_matrix(height, size))  # (size, H)
        self.register_buffer("columns", _pil_matrix(width, size).T)  # (W, size)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        pixels = (to_planes(images).double() @ self.columns + 0.5).floor()  # (N, C, H, size); sums are exact in 53 bits
        pixels = (self.rows @ pixels + 0.5).floor()  # (N, C, size, size)
        return pixels.float() / 255


def _pil_matrix(length: int, size: int) -> torch.Tensor:
    """Return float64 (size, length): the weights of Pillow's bilinear resize, with antialiasing, of uint8 images."""
    unit = Image.fromarray(np.eye(length, dtype=np.int32) << PIL_PRECISION)  # as whole numbers Pillow keeps all bits
    weights = np.asarray(unit.resize((size, length), Image.Resampling.BILINEAR))  # int32 (length, size)
    return torch.from_numpy(weights.T / 2.0**PIL_PRECISION)
