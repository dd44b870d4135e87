"""LeNet-5 (61,876 parameters for 12 classes) of LeCun et al., "Gradient-based learning applied to document
recognition", Proc. IEEE 86(11), 1998, in its modern form: ReLU, max-pooling, a full C3 layer, logits at the end."""

import torch
from torch import nn
from torch.nn import functional


class LeNet(nn.Module):
    """Classify 32×32 images.

    Args:
        in_channels: channels of the input image, 1 (grey) or 3 (RGB).
        out_features: number of classes.
    """

    image_size = 32  # pixels a side; what `forward` takes

    def __init__(self, in_channels: int, out_features: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.pool2 = MaxPool2()
        self.conv3 = nn.Conv2d(6, 16, 5)  # every filter sees all six maps: no connection table
        self.pool4 = MaxPool2()
        self.conv5 = WholeConv2d(16, 120, 5)
        self.fc6 = nn.Linear(120, 84)
        self.fc7 = nn.Linear(84, out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits float (N, out_features) of images float (N, in_channels, 32, 32)."""
        x = self.pool2(self.conv1(x)).relu()  # (N, 6, 14, 14); pooling before ReLU gives the same, sooner
        x = self.pool4(self.conv3(x)).relu()  # (N, 16, 5, 5)
        x = self.conv5(x).relu()  # (N, 120, 1, 1)
        x = self.fc6(x.flatten(1)).relu()  # (N, 84)
        return self.fc7(x)  # (N, out_features)


class MaxPool2(nn.MaxPool2d):
    """Halve the height and the width, both even: on a CPU several times faster than torch's own max-pooling."""

    def __init__(self):
        super().__init__(2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float (N, C, H / 2, W / 2) of float (N, C, H, W)."""
        return _Halve.apply(x) if x.device.type == "cpu" else super().forward(x)


class _Halve(torch.autograd.Function):
    """Take the larger of each two rows, then of each two columns."""

    @staticmethod
    def forward(ctx, x):
        above, below = x[:, :, 0::2], x[:, :, 1::2]
        rows = torch.maximum(above, below)
        left, right = rows[..., 0::2], rows[..., 1::2]
        ctx.save_for_backward(above - below, left - right)
        return torch.maximum(left, right)

    @staticmethod
    def backward(ctx, grad):
        above, left = ctx.saved_tensors  # positive where that one was the larger
        where_positive = torch.ops.aten.threshold_backward  # ReLU's: faster than any mask
        rows = torch.empty_like(above)
        torch.sub(grad, rows[..., 0::2].copy_(where_positive(grad, left, 0)), out=rows[..., 1::2])
        grad_x = above.new_empty(*above.shape[:2], 2 * above.shape[2], above.shape[3])
        torch.sub(rows, grad_x[:, :, 0::2].copy_(where_positive(rows, above, 0)), out=grad_x[:, :, 1::2])
        return grad_x


class WholeConv2d(nn.Conv2d):
    """Convolve with a kernel as large as the image, which is a matrix product, and cheaper as one."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return float (N, out_channels, 1, 1) of float (N, in_channels, K, K), K the kernel's size."""
        return functional.linear(x.flatten(1), self.weight.flatten(1), self.bias)[:, :, None, None]
