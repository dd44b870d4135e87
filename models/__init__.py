"""The models, by name. To add one: write its nn.Module in a file beside these and name it in MODELS.

A model takes (in_channels, number of classes), turns images float (N, in_channels, S, S) into logits float
(N, classes), and may say in a class attribute `image_size` which S, in pixels, it is made for (else 32).
"""

from difflib import get_close_matches

import torch
from torch import nn

from models.LeNet import LeNet
from models.ResNet import ResBlock, ResNet18

MODELS = {"LeNet": LeNet, "ResNet18": ResNet18}

__all__ = ["MODELS", "LeNet", "ResBlock", "ResNet18", "build", "output_shapes"]


def build(name: str, in_channels: int, classes: int) -> nn.Module:
    """Build the model of that name.

    Raises:
        ValueError: no model has that name; the message gives the nearest one.
    """
    if name not in MODELS:
        close = get_close_matches(name, MODELS, n=1, cutoff=0.0)
        raise ValueError(f"unknown model {name!r}: did you mean {close[0]!r}? The models are {', '.join(MODELS)}.")
    return MODELS[name](in_channels, classes)


@torch.inference_mode()
def output_shapes(model: nn.Module, image_size: int) -> list[tuple[str, str, tuple[int, ...], int]]:
    """Return (name, kind, output shape of one image, parameters) of each direct submodule, in the order they run."""
    rows, hooks = [], []
    for name, module in model.named_children():
        count = sum(p.numel() for p in module.parameters())
        row = (name, type(module).__name__)
        hooks.append(
            module.register_forward_hook(
                lambda m, i, out, row=row, n=count: rows.append((*row, tuple(out.shape[1:]), n))
            )
        )
    first = next(model.parameters())
    training = model.training
    try:
        model.eval()(torch.zeros(1, first.shape[1], image_size, image_size, device=first.device))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return rows
