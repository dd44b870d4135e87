"""The optimizer's schedule, one tensor of all parameters, and the average of the weights."""

import copy

import numpy as np
import pytest
import torch
from torch import nn

from config import Config
from models import LeNet
from training.optimizer import _flatten, flatten_parameters, learning_rate, make_ema, make_optimizer, one_cycle


@pytest.mark.parametrize("warmup", [0.0, 0.2, 0.9])
@pytest.mark.parametrize("steps", [1, 2, 5, 1000])
def test_one_cycle_rises_and_falls(steps, warmup):
    rates = [one_cycle(step, steps, warmup) for step in range(steps + 1)]
    assert all(0 <= rate <= 1 for rate in rates) and rates[-1] == pytest.approx(0)
    peak = int(np.argmax(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert abs(peak - warmup * steps) <= 1 and (steps < 10 or max(rates) > 0.999)
    assert rates[0] == pytest.approx(1 / 25 if warmup else 1)


def test_the_learning_rate_follows_the_schedule():
    cycle, constant = Config(learning_rate=0.5, warmup=0.3), Config(recipe="report", learning_rate=0.25)
    for step in range(11):
        assert learning_rate(cycle, step, 10) == 0.5 * one_cycle(step, 10, 0.3)
        assert learning_rate(constant, step, 10) == 0.25


@pytest.mark.parametrize("name, kind", [("adam", torch.optim.Adam), ("adamw", torch.optim.AdamW)])
def test_the_optimizer_is_the_configs(name, kind):
    weights = nn.Parameter(torch.zeros(3))
    optimizer = make_optimizer(Config(optimizer=name, learning_rate=0.5, weight_decay=0.25), weights)
    (group,) = optimizer.param_groups
    assert type(optimizer) is kind and group["params"][0] is weights
    assert (group["lr"], group["weight_decay"]) == (0.5, 0.25)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_flattened_parameters_train_as_they_would_alone(memory):
    flat = LeNet(1, 3).to(memory_format=memory)
    alone = copy.deepcopy(flat)
    weights = flatten_parameters(flat)
    optimizers = [torch.optim.AdamW(p, 0.01, weight_decay=0.1) for p in ([weights], alone.parameters())]
    x = torch.rand(4, 1, 32, 32)
    for _ in range(3):
        for model, optimizer in zip((flat, alone), optimizers, strict=True):
            optimizer.zero_grad(set_to_none=False)
            model(x).square().sum().backward()
            optimizer.step()
    for ours, theirs in zip(flat.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert weights.numel() == 61_111 and weights.grad.abs().sum() > 0


def test_flattened_tensors_are_views_of_one():
    a, b = torch.arange(6.0).view(2, 3), torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    before = a.clone(), b.clone()
    flat = _flatten([a, b])
    assert torch.equal(a, before[0]) and torch.equal(b, before[1]) and b.stride() == before[1].stride()
    flat.mul_(2)
    assert torch.equal(a, 2 * before[0]) and torch.equal(b, 2 * before[1])


def test_the_average_forgets_the_first_weights_and_includes_buffers():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    weights = flatten_parameters(model)
    averaged, update = make_ema(model, weights, 0.5)
    expected, buffer = weights.detach().clone(), 0.0
    for step, value in enumerate((3.0, -1.0, 2.0, 5.0, 4.0)):
        weights.data.fill_(value)
        model[1].running_mean.fill_(value)
        update(step)
        decay = min(0.5, (step + 1) / (step + 10))
        expected = decay * expected + (1 - decay) * value
        buffer = decay * buffer + (1 - decay) * value
    torch.testing.assert_close(averaged[0].weight.flatten(), expected[:1])
    assert averaged[1].running_mean.item() == pytest.approx(buffer)
    assert averaged[0].weight is not model[0].weight and not averaged[0].weight.requires_grad
    same, nothing = make_ema(model, weights, 0.0)
    assert same is model and nothing(3) is None
