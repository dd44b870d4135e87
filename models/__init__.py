"""The models, by name. To add one: write its nn.Module in a file beside these and name it in MODELS.

A model takes (in_channels, number of classes) and turns images float (N, in_channels, S, S) into logits float
(N, classes). Class attributes may say which S it is made for, in pixels (`input_size`, else 32), whether it takes other
sizes (`any_size`, else it does), and what its layers are (`layers`: name → description).
"""

from collections.abc import Callable
from difflib import get_close_matches

import torch
from torch import nn

from models.LeNet import LeNet
from models.lenet_cpu import lenet_cpu_forward
from models.ResNet import ResBlock, ResNet18

MODELS: dict[str, Callable[[int, int], nn.Module]] = {"LeNet": LeNet, "ResNet18": ResNet18}
FUSED_FORWARD = {LeNet.forward: lenet_cpu_forward}  # a model's forward → the same function, faster in training

__all__ = [
    "FUSED_FORWARD", "MODELS", "LeNet", "ResBlock", "ResNet18", "build", "input_size", "layer_outputs", "layer_summary",
]  # fmt: skip


def build(name: str, in_channels: int, classes: int) -> nn.Module:
    """Build the model of that name.

    Raises:
        ValueError: no model has that name; the message gives the nearest one.
    """
    if name not in MODELS:
        close = get_close_matches(name, MODELS, n=1, cutoff=0.0)
        raise ValueError(f"unknown model {name!r}: did you mean {close[0]!r}? The models are {', '.join(MODELS)}.")
    return MODELS[name](in_channels, classes)


def input_size(name: str, requested: int | None = None, at_most: int | None = None) -> int:
    """Return the pixels per side that a model is to see: those requested, else its paper's, limited to `at_most`.

    Raises:
        ValueError: the model does not take the requested size.
    """
    own, any_size = getattr(MODELS[name], "input_size", 32), getattr(MODELS[name], "any_size", True)
    if requested not in (None, own) and not any_size:
        raise ValueError(
            f"{name} takes images of {own}×{own} pixels, not {requested}: leave input_size out, or use another model"
        )
    return requested or min(own, at_most or own)


@torch.inference_mode()
def layer_outputs(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the output of each direct submodule for images float (N, in_channels, S, S): name → float (N, …)."""
    outputs, training = {}, model.training

    def keep(name: str) -> Callable:
        return lambda module, inputs, output: outputs.update({name: output.clone()})  # a later layer may work in place

    hooks = [layer.register_forward_hook(keep(name)) for name, layer in model.named_children()]
    try:
        model.eval()(images)
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    return outputs


def layer_summary(model: nn.Module, input_size: int) -> list[tuple[str, tuple[int, ...], int, str]]:
    """Return (name, output shape of one image, number of parameters, description) per layer, in order of execution."""
    weight, descriptions = next(model.parameters()), getattr(model, "layers", {})
    outputs = layer_outputs(model, torch.zeros(1, weight.shape[1], input_size, input_size, device=weight.device))
    rows = []
    for name, output in outputs.items():
        layer = model.get_submodule(name)
        parameters = sum(parameter.numel() for parameter in layer.parameters())
        rows.append((name, tuple(output.shape[1:]), parameters, descriptions.get(name, type(layer).__name__)))
    return rows
