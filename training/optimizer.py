"""The optimizer, its learning rate, all parameters in one tensor, and the moving average of the weights."""

import copy
import math
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from config import Config


def make_optimizer(config: Config, weights: nn.Parameter) -> torch.optim.Optimizer:
    """Return the config's optimizer of one flat parameter."""
    optimizers: dict[str, Callable] = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    return optimizers[config.optimizer]([weights], config.learning_rate, weight_decay=config.weight_decay, fused=True)


def learning_rate(config: Config, step: int, steps: int) -> float:
    """Return the learning rate of a step, 0 ≤ step ≤ steps."""
    if config.schedule == "constant":
        return config.learning_rate
    return config.learning_rate * one_cycle(step, steps, config.warmup)


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate of a step, 0 ≤ step ≤ steps, as a fraction of its peak.

    Half a cosine rises from 1/25 over the first `warmup` of the steps, another falls to 0 over the rest: Smith and
    Topin, "Super-convergence", arXiv 1708.07120.
    """
    rise = warmup * steps
    if step < rise:
        start, end, progress = 0.04, 1.0, step / rise
    else:
        start, end, progress = 1.0, 0.0, (step - rise) / (steps - rise)
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def _flatten(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return one tensor float (n,) that holds them all, and make them views of it: one operation updates all."""
    tensors = list(tensors)
    flat = torch.cat([torch.as_strided(t.detach(), (t.numel(),), (1,)) for t in tensors])  # in memory order
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors]), strict=True):
        tensor.data = torch.as_strided(part, tensor.shape, tensor.stride())
    return flat


def flatten_parameters(model: nn.Module) -> nn.Parameter:
    """Return the model's parameters as one; they and their gradients become views of it and of its gradient."""
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    weights = nn.Parameter(_flatten(parameters))
    weights.grad = _flatten(gradients)
    return weights


def make_ema(model: nn.Module, weights: torch.Tensor, decay: float) -> tuple[nn.Module, Callable[[int], None]]:
    """Return a model of exponentially averaged weights, and the function that updates it after step 0, 1 …

    Polyak and Juditsky, SIAM J. Control Optim. 30(4), 1992. The decay starts low, so that the first weights are soon
    forgotten. Without decay, the model of averaged weights is the model itself.

    Args:
        weights: what `flatten_parameters` gave.
        decay: the fraction of the average that remains at each step, 0 ≤ decay < 1.
    """
    if not decay:
        return model, lambda step: None
    averaged = copy.deepcopy(model).requires_grad_(False)
    buffers, averaged_buffers = (
        [buffer for buffer in one.buffers() if buffer.is_floating_point()] for one in (model, averaged)
    )
    current, mean = [weights.detach(), *buffers], [_flatten(averaged.parameters()), *averaged_buffers]

    def update(step: int) -> None:
        get_ema_multi_avg_fn(min(decay, (step + 1) / (step + 10)))(mean, current, None)

    return averaged, update
