"""The models, by name. To add one: write its nn.Module in a file beside these and name it in MODELS.

A model takes (in_channels, number of classes), turns images float (N, in_channels, S, S) into logits float
(N, classes), and may say in class attributes which S it is made for, in pixels (`image_size`, else 32), whether it
takes others (`any_size`, else it does), and what its layers are (`layers`: name → words).
"""

from difflib import get_close_matches

import torch
from torch import nn

from models.LeNet import LeNet
from models.ResNet import ResBlock, ResNet18

MODELS = {"LeNet": LeNet, "ResNet18": ResNet18}

__all__ = ["MODELS", "LeNet", "ResBlock", "ResNet18", "build", "described", "image_size", "layer_outputs"]


def build(name: str, in_channels: int, classes: int) -> nn.Module:
    """Build the model of that name.

    Raises:
        ValueError: no model has that name; the message gives the nearest one.
    """
    if name not in MODELS:
        close = get_close_matches(name, MODELS, n=1, cutoff=0.0)
        raise ValueError(f"unknown model {name!r}: did you mean {close[0]!r}? The models are {', '.join(MODELS)}.")
    return MODELS[name](in_channels, classes)


def image_size(name: str, wanted: int | None = None, at_most: int | None = None) -> int:
    """Return the pixels a side that a model is to see: those that are wanted, else its paper's, or `at_most`.

    Raises:
        ValueError: it does not take what is wanted.
    """
    own, any_size = getattr(MODELS[name], "image_size", 32), getattr(MODELS[name], "any_size", True)
    if wanted not in (None, own) and not any_size:
        raise ValueError(
            f"{name} takes images of {own}×{own} pixels, not {wanted}: leave image_size out, or take another model"
        )
    return wanted or min(own, at_most or own)


@torch.inference_mode()
def layer_outputs(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return what each direct submodule makes of images float (N, in_channels, S, S): name → float (N, …)."""
    outputs, training = {}, model.training
    hooks = [
        layer.register_forward_hook(lambda module, given, made, name=name: outputs.update({name: made.clone()}))
        for name, layer in model.named_children()
    ]  # copies, since a layer may work in place
    try:
        model.eval()(images)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return outputs


def described(model: nn.Module, image_size: int) -> list[tuple[str, tuple[int, ...], int, str]]:
    """Return (name, output shape of one image, parameters, what the paper says) of each layer, as they run."""
    first, papers = next(model.parameters()), getattr(model, "layers", {})
    outputs = layer_outputs(model, torch.zeros(1, first.shape[1], image_size, image_size, device=first.device))
    return [
        (name, tuple(made.shape[1:]), sum(p.numel() for p in model.get_submodule(name).parameters()),
         papers.get(name, type(model.get_submodule(name)).__name__))
        for name, made in outputs.items()
    ]  # fmt: skip
