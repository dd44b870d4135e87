"""LeNet's training step on a CPU: the same function as `LeNet.forward`, in fewer and faster operations."""

import torch
from torch.nn import functional

from models.LeNet import LeNet


def lenet_cpu_forward(model: LeNet, x: torch.Tensor) -> torch.Tensor:
    """Return what `model` returns, in the memory formats that are fastest on CPUs; biases are added after pooling.

    Args:
        model: its weights; gradients reach them, but not the images.
        x: float (N, in_channels, 32, 32).
    """
    x = (pooled_convolution(x, model.conv1.weight) + model.conv1.bias[:, None, None]).relu()  # (N, 6, 14, 14)
    x = functional.conv2d(x, model.conv3.weight.contiguous()).contiguous(memory_format=torch.channels_last)
    x = (model.pool4(x) + model.conv3.bias[:, None, None]).relu()  # (N, 16, 5, 5)
    x = functional.linear(x.flatten(1), model.conv5.weight.flatten(1), model.conv5.bias).relu()  # (N, 120)
    x = model.fc6(x).relu()  # (N, hidden)
    return model.fc7(x)  # (N, out_features)


def pooled_convolution(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Return max_pool2d(conv2d(x, weight), 2) of images that need no gradient.

    The four values under each maximum come from one convolution of stride 2 with four times the filters. It is a matrix
    product with the patches of the images, which the gradient of the weights uses again.

    Args:
        x: float (N, I, H, W).
        weight: float (O, I, K, L), such that the output's height and width, H - K + 1 and W - L + 1, are even.
    """
    corners = torch.stack(
        [functional.pad(weight, (right, 1 - right, down, 1 - down)) for down in (0, 1) for right in (0, 1)]
    )  # (4, O, I, K + 1, L + 1)
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
        """Give each gradient to the largest value; to the last of equal ones."""
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
