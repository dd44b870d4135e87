"""LeNet-5 (61,876 parameters for 12 classes): LeCun et al., "Gradient-based learning applied to document recognition",
Proc. IEEE 86(11), 1998, in its modern form: ReLU, max-pooling, a full C3 layer, logits at the end."""

import torch
from torch import nn

WIDE = 512  # units of F6 that suit thousands of classes


class LeNet(nn.Module):
    """Classify 32×32 images.

    Args:
        in_channels: channels of the input image, 1 (grey) or 3 (RGB).
        out_features: number of classes.
        hidden: units of F6, 84 in the paper; many classes need more.

    Raises:
        ValueError: hidden < 1.
    """

    input_size, any_size = 32, False  # pixels per side; C5 takes no other size
    layers = {
        "conv1": "C1: 6 feature maps, 5×5 convolutions", "pool2": "S2: 2×2 max-pooling, then ReLU",
        "conv3": "C3: 16 feature maps, 5×5, each sees all of S2", "pool4": "S4: 2×2 max-pooling, then ReLU",
        "conv5": "C5: 120 feature maps, 5×5, ReLU", "fc6": "F6: fully connected, ReLU",
        "fc7": "output: logits of the classes",
    }  # fmt: skip

    def __init__(self, in_channels: int, out_features: int, hidden: int = 84):
        super().__init__()
        if hidden < 1:
            raise ValueError(f"hidden must be 1 or more units, not {hidden}")
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(6, 16, 5)  # every filter sees all six feature maps: no connection table
        self.pool4 = nn.MaxPool2d(2)
        self.conv5 = nn.Conv2d(16, 120, 5)
        self.fc6 = nn.Linear(120, hidden)
        self.fc7 = nn.Linear(hidden, out_features)

    def advice(self) -> str:
        """Return what to do about an F6 that is narrow for the number of classes, or ""."""
        classes, hidden = self.fc7.out_features, self.fc6.out_features
        if hidden >= WIDE or classes <= 2 * hidden:
            return ""
        return (
            f"F6 has {hidden} units, few for {classes:,} classes: model_options = {{'hidden': {WIDE}}} makes it wider"
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits float (N, out_features) of images float (N, in_channels, 32, 32)."""
        x = self.pool2(self.conv1(x)).relu()  # (N, 6, 14, 14); ReLU after pooling: same result, a quarter of the work
        x = self.pool4(self.conv3(x)).relu()  # (N, 16, 5, 5)
        x = self.conv5(x).relu().flatten(1)  # (N, 120)
        x = self.fc6(x).relu()  # (N, hidden)
        return self.fc7(x)  # (N, out_features)
