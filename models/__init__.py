"""The models, by name. To add one: write its nn.Module in a file beside these and name it in MODELS.

A model takes (in_channels, number of classes) and turns images float (N, in_channels, S, S) into logits float
(N, classes). Further arguments with defaults are its options (`Config.model_options`); it raises ValueError for values
that it does not take. A method `advice` may return a sentence on the options that suit its number of classes.

Class attributes may say which S it is made for, in pixels (`input_size`, else 32), whether it takes other sizes
(`any_size`, else it does), and which submodules count as layers (`layers`, a dict of name → description; else those
without submodules of their own).
"""

import inspect
from collections.abc import Callable, Mapping
from difflib import get_close_matches

import torch
from torch import nn

from models.LeNet import LeNet
from models.lenet_cpu import lenet_cpu_forward
from models.ResNet import ResBlock, ResNet18

MODELS: dict[str, Callable[..., nn.Module]] = {"LeNet": LeNet, "ResNet18": ResNet18}
FUSED_FORWARD = {LeNet.forward: lenet_cpu_forward}  # a model's forward → the same function, faster in training

__all__ = [
    "FUSED_FORWARD", "MODELS", "LeNet", "ResBlock", "ResNet18", "advice", "build", "changed_options", "input_size",
    "layer_outputs", "layer_summary",
]  # fmt: skip


def build(name: str, in_channels: int, classes: int, **options: object) -> nn.Module:
    """Build the model of that name.

    Args:
        options: of the model; those that are left out have the paper's values.

    Raises:
        ValueError: no model has that name, or the model no option of a name; the message gives the nearest one. Or an
            option has a value that the model does not take, or that makes it too large for the memory.
    """
    model = _find(name)
    try:
        return model(in_channels, classes, **changed_options(name, options))
    except (RuntimeError, TypeError, MemoryError) as error:  # torch's, for a size that it cannot allocate or represent
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{name} cannot be built with {options}: {reason:.200}") from error


def changed_options(name: str, options: Mapping[str, object]) -> dict[str, object]:
    """Return those options of a model that differ from its defaults.

    Raises:
        ValueError: see `build`; values are only checked for their type.
    """
    defaults = {
        option.name: option.default for option in list(inspect.signature(_find(name)).parameters.values())[2:]
        if option.default is not option.empty
    }  # fmt: skip
    for option, value in options.items():
        if option not in defaults:
            close = get_close_matches(option, defaults, n=1, cutoff=0.0)
            nearest = f"did you mean {close[0]!r}?" if close else "it has none."
            raise ValueError(f"{name} has no option {option!r}: {nearest}")
        default = defaults[option]
        if default is not None and type(value) is not type(default):
            kind = type(default).__name__
            raise ValueError(f"{option} of {name} must be {kind}, not {value!r:.100} ({type(value).__name__})")
    return {option: value for option, value in options.items() if value != defaults[option]}


def advice(model: nn.Module) -> str:
    """Return the model's own advice on its options for its number of classes, or ""."""
    own = getattr(model, "advice", None)
    return own() if callable(own) else ""


def _find(name: str) -> Callable[..., nn.Module]:
    if name not in MODELS:
        close = get_close_matches(name, MODELS, n=1, cutoff=0.0)
        raise ValueError(f"unknown model {name!r}: did you mean {close[0]!r}? The models are {', '.join(MODELS)}.")
    return MODELS[name]


def input_size(name: str, requested: int | None = None, at_most: int | None = None) -> int:
    """Return the pixels per side that a model is to see: those requested, else its paper's, limited to `at_most`.

    Raises:
        ValueError: no model has that name, or the model does not take the requested size.
    """
    model = _find(name)
    own, any_size = getattr(model, "input_size", 32), getattr(model, "any_size", True)
    if requested not in (None, own) and not any_size:
        raise ValueError(
            f"{name} takes images of {own}×{own} pixels, not {requested}: leave input_size out, or use another model"
        )
    return requested or min(own, at_most or own)


def _layers(model: nn.Module) -> dict[str, str]:
    """Return the submodules that count as layers, name → description."""
    described = getattr(model, "layers", None)
    if isinstance(described, dict):
        return described
    lowest = {name: one for name, one in model.named_modules() if name and not list(one.children())}
    return {name: type(one).__name__ for name, one in lowest.items()}


@torch.inference_mode()
def layer_outputs(model: nn.Module, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the output of each layer for images float (N, in_channels, S, S): name → float (N, …), as they run.

    Of several outputs it is the first tensor; layers without one, and those that do not run, are left out.
    """
    outputs: dict[str, torch.Tensor] = {}
    training = model.training

    def keep(name: str) -> Callable:
        def hook(module, inputs, output) -> None:
            first = next(iter(output), None) if isinstance(output, tuple | list) else output
            if isinstance(first, torch.Tensor):
                outputs.pop(name, None)  # a layer that runs again moves to the end
                outputs[name] = first.clone()  # a later layer may work in place

        return hook

    hooks = [model.get_submodule(name).register_forward_hook(keep(name)) for name in _layers(model)]
    try:
        model.eval()(images)
    finally:
        model.train(training)
        for handle in hooks:
            handle.remove()
    return outputs


def layer_summary(model: nn.Module, input_size: int) -> list[tuple[str, tuple[int, ...], int, str]]:
    """Return (name, output shape of one image, number of parameters, description) per layer, in order of execution."""
    channels = next((layer.in_channels for layer in model.modules() if isinstance(layer, nn.Conv2d)), 1)
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    descriptions = _layers(model)
    rows = []
    for name, output in layer_outputs(model, torch.zeros(1, channels, input_size, input_size, device=device)).items():
        layer = model.get_submodule(name)
        parameters = sum(parameter.numel() for parameter in layer.parameters())
        rows.append((name, tuple(output.shape[1:]), parameters, descriptions[name]))
    return rows
