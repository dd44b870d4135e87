"""The weights of a checkpoint, put into a model that they fit."""

from pathlib import Path

import torch
from torch import nn

from common.errors import InputError
from imaging.input_spec import InputSpec
from runs import checkpoint


def check_same(path: str | Path, content: dict, ours: dict) -> None:
    """Raise InputError if a checkpoint that a run starts from differs from this run.

    Args:
        path: of the checkpoint, for the message.
        content: what `checkpoint.read` gives.
        ours: the run's model, model_options, classes, input_size, in_channels and pipeline.
    """
    theirs = content | content["input_spec"] | {"pipeline": content["config"].get("pipeline")}
    theirs |= {"model_options": checkpoint.model_options(content)}
    for key, value in ours.items():
        if theirs[key] != value:
            raise InputError(f"init_from {path} has {key} {theirs[key]}, this run {value}: they must be the same")


def load(path: str | Path, state_dict: dict[str, torch.Tensor], model: nn.Module, spec: InputSpec) -> None:
    """Load the weights of a file into a model, and see that it can classify an image of its own input size.

    Args:
        path: of the file, for the message.
        state_dict: the weights.
        model: takes images float (N, C, S, S).
        spec: says which C and S.

    Raises:
        InputError: weights of another model, or that are not finite; a size that the model does not take.
    """
    try:
        model.load_state_dict(state_dict)
    except (RuntimeError, AttributeError, TypeError) as error:
        raise InputError(f"{path} does not hold the weights of a {type(model).__name__}: {error}") from None
    try:
        with torch.inference_mode():
            image = next(model.parameters()).new_zeros(1, spec.channels, spec.input_size, spec.input_size)
            logits = model.eval()(image)  # (1, C)
    except RuntimeError as error:
        size = f"{spec.input_size}×{spec.input_size}"
        raise InputError(f"{path}: its model takes no images of {size} pixels: {error}") from None
    tensors = [tensor for tensor in model.state_dict().values() if tensor.is_floating_point()]
    if not all(tensor.isfinite().all() for tensor in (*tensors, logits)):
        raise InputError(f"{path} holds weights that are not finite: train again, with a lower learning_rate")
