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

    image_size, any_size = 32, False  # pixels a side; C5 takes no other
    layers = {
        "conv1": "C1: 6 maps, 5×5 convolutions", "pool2": "S2: 2×2 max-pooling, then ReLU",
        "conv3": "C3: 16 maps, 5×5, each of all of S2's", "pool4": "S4: 2×2 max-pooling, then ReLU",
        "conv5": "C5: 120 maps, 5×5, ReLU", "fc6": "F6: fully connected, ReLU", "fc7": "output: logits of the classes",
    }  # fmt: skip
    fused = False  # True: in training, C1 to C5 go the shorter way below; the same results, sooner on a CPU

    def __init__(self, in_channels: int, out_features: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5)
        self.pool2 = nn.MaxPool2d(2)
        self.conv3 = nn.Conv2d(6, 16, 5)  # every filter sees all six maps: no connection table
        self.pool4 = nn.MaxPool2d(2)
        self.conv5 = nn.Conv2d(16, 120, 5)
        self.fc6 = nn.Linear(120, 84)
        self.fc7 = nn.Linear(84, out_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return logits float (N, out_features) of images float (N, in_channels, 32, 32)."""
        if self.fused and self.training and not x.requires_grad:
            x = self._fused_features(x)  # (N, 120)
        else:
            x = self.pool2(self.conv1(x)).relu()  # (N, 6, 14, 14); ReLU after pooling: the same, on a quarter of it
            x = self.pool4(self.conv3(x)).relu()  # (N, 16, 5, 5)
            x = self.conv5(x).relu().flatten(1)  # (N, 120)
        x = self.fc6(x).relu()  # (N, 84)
        return self.fc7(x)  # (N, out_features)

    def _fused_features(self, x: torch.Tensor) -> torch.Tensor:
        """Return C5's output, in the memory formats that CPUs are fastest in; biases are added once pooled."""
        x = (pooled_convolution(x, self.conv1.weight) + self.conv1.bias[:, None, None]).relu()  # (N, 6, 14, 14)
        x = functional.conv2d(x, self.conv3.weight.contiguous()).contiguous(memory_format=torch.channels_last)
        x = (self.pool4(x) + self.conv3.bias[:, None, None]).relu()  # (N, 16, 5, 5)
        return functional.linear(x.flatten(1), self.conv5.weight.flatten(1), self.conv5.bias).relu()  # (N, 120)


def pooled_convolution(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return max_pool2d(conv2d(x, weight), 2) of images that need no gradient.

    The four values under each maximum come out of one convolution of stride 2, with four times the filters: a matrix
    product with the patches of the images, which the gradient of the weights is another one with.

    Args:
        x: float (N, I, H, W).
        weight: float (O, I, K, L), such that the output's height and width, H - K + 1 and W - L + 1, are even.
    """
    corners = torch.stack(
        [functional.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    )
    height, width = corners.shape[-2:]
    if torch.is_autocast_enabled(x.device.type):
        x, corners = (values.to(torch.get_autocast_dtype(x.device.type)) for values in (x, corners))
    windows = x.unfold(2, height, 2).unfold(3, width, 2)  # (N, I, H', W', K + 1, L + 1), a view
    n, _, *size = windows.shape[:4]
    patches = windows.permute(1, 4, 5, 0, 2, 3).flatten(3).flatten(0, 2)  # (I (K + 1) (L + 1), N H' W')
    pooled = _MaxOfFourProducts.apply(corners.flatten(0, 1).flatten(1), patches)
    return pooled.view(-1, n, *size).transpose(0, 1)


class _MaxOfFourProducts(torch.autograd.Function):
    """The maximum over the four quarters of the rows of corners (4 O, I) @ patches (I, P), as (O, P)."""

    @staticmethod
    def forward(ctx, corners, patches):
        a, b, c, d = (corners @ patches).chunk(4)
        first, second = torch.maximum(a, b), torch.maximum(c, d)
        ctx.save_for_backward(a - b, c - d, first - second, patches)
        return torch.maximum(first, second)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, gradient):
        """Give each gradient to the largest value; among equal ones, to the last."""
        a_over_b, c_over_d, first_over_second, patches = ctx.saved_tensors
        result = gradient.new_empty(4, *gradient.shape)
        a, b, c, d = result
        where_positive = torch.ops.aten.threshold_backward  # (gradient, x, 0): the gradient where x > 0, else 0
        first = where_positive(gradient, first_over_second, 0)
        second = gradient - first
        where_positive.grad_input(first, a_over_b, 0, grad_input=a)
        torch.sub(first, a, out=b)
        where_positive.grad_input(second, c_over_d, 0, grad_input=c)
        torch.sub(second, c, out=d)
        return result.flatten(0, 1) @ patches.t(), None
