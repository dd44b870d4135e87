"""A convolution and the 2×2 max-pooling after it as one matrix product: what a narrow layer costs least on a CPU."""

import torch
from torch import nn
from torch.nn import functional


def conv_pool(x: torch.Tensor, conv: nn.Conv2d) -> torch.Tensor:
    """Return max_pool2d(conv(x), 2) for images that lie along the last dimension.

    Args:
        x: float (C, H, W, N), H and W even.
        conv: of odd kernel size K, without stride or padding.

    Returns:
        float (out_channels, (H − K + 1) / 2, (W − K + 1) / 2, N).
    """
    return _ConvPool.apply(x, conv.weight) + conv.bias[:, None, None, None]


class _ConvPool(torch.autograd.Function):
    """Multiply windows of (K + 1)² pixels by the four places of the K×K kernels in them, and keep the largest."""

    @staticmethod
    def forward(ctx, x, weight):
        c, h, w, n = x.shape
        o, _, k, _ = weight.shape
        rows, columns = (h - k + 1) // 2, (w - k + 1) // 2
        windows = x.unfold(1, k + 1, 2).unfold(2, k + 1, 2).permute(0, 4, 5, 1, 2, 3)
        windows = windows.reshape(c * (k + 1) ** 2, rows * columns * n)
        places = [functional.pad(weight, (j, 1 - j, i, 1 - i)) for i in (0, 1) for j in (0, 1)]
        kernels = torch.stack(places).view(4 * o, -1)
        upper_left, upper_right, lower_left, lower_right = (kernels @ windows).view(4, o, -1)
        upper, lower = torch.maximum(upper_left, upper_right), torch.maximum(lower_left, lower_right)
        ctx.save_for_backward(windows, kernels, upper - lower, upper_left - upper_right, lower_left - lower_right)
        ctx.shapes = x.shape, weight.shape, rows, columns
        return torch.maximum(upper, lower).view(o, rows, columns, n)

    @staticmethod
    def backward(ctx, grad):
        windows, kernels, above, in_upper, in_lower = ctx.saved_tensors
        (c, h, w, n), (o, _, k, _), rows, columns = ctx.shapes
        where_positive = torch.ops.aten.threshold_backward  # as in ReLU's backward: many times faster than a mask
        grad = grad.reshape(o, -1)
        upper = where_positive(grad, above, 0)
        lower = grad - upper
        upper_left, lower_left = where_positive(upper, in_upper, 0), where_positive(lower, in_lower, 0)
        grad = torch.cat([upper_left, upper - upper_left, lower_left, lower - lower_left])  # (4 o, rows columns N)
        places = (grad @ windows.T).view(2, 2, o, c, k + 1, k + 1)
        grad_weight = sum(places[i, j, :, :, i : i + k, j : j + k] for i in (0, 1) for j in (0, 1))
        if not ctx.needs_input_grad[0]:
            return None, grad_weight
        half = (k + 1) // 2
        parts = (kernels.T @ grad).view(c, half, 2, half, 2, rows, columns, n)
        grad_x = grad.new_zeros(c, 2, 2, h // 2, w // 2, n)
        for i in range(half):  # the windows overlap: each adds to the pixels it covers
            for j in range(half):
                grad_x[:, :, :, i : i + rows, j : j + columns] += parts[:, i, :, j]
        return grad_x.permute(0, 3, 1, 4, 2, 5).reshape(c, h, w, n), grad_weight
