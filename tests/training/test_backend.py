import copy

import pytest
import torch
from torch import nn

from config import Config
from models import LeNet, ResNet18
from training import backend as compute
from training.backend import averaging, choose, deterministic, joined, joined_parameters, place

CPU = torch.device("cpu")


def test_what_the_config_says_is_used_whatever_is_best():
    model = LeNet(1, 3)
    for said in (True, False):
        word = "on" if said else "off"
        config = Config(precision="bfloat16" if said else "float32", channels_last=word, fused=word)
        uses = choose(config, model, CPU)
        assert uses == {"bfloat16": said, "channels_last": said, "fused": said, "compile": False}
        place(model, CPU, uses)
        assert model.fused == said and model.conv3.weight.is_contiguous() != said
    assert not choose(Config(fused="on"), ResNet18(1, 3), CPU)["fused"]  # it has no shorter way


def test_the_best_is_chosen_where_the_config_leaves_it(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    assert choose(Config(), LeNet(1, 3), CPU) == {
        "bfloat16": True, "channels_last": True, "fused": True, "compile": False,
    }  # fmt: skip
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert not choose(Config(), LeNet(1, 3), CPU)["bfloat16"]
    assert not any(choose(Config(recipe="report"), LeNet(1, 3), CPU).values())


def test_without_a_compiler_it_runs_uncompiled_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(compute.shutil, "which", lambda name: None)
    assert not choose(Config(compile="on"), LeNet(1, 3), CPU)["compile"]
    assert "needs a C++ compiler on the PATH" in capsys.readouterr().out
    monkeypatch.setattr(compute.shutil, "which", lambda name: name)
    assert choose(Config(compile="on"), LeNet(1, 3), CPU)["compile"]


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
def test_joined_parameters_train_as_they_would_alone(memory):
    joint = LeNet(1, 3).to(memory_format=memory)
    alone = copy.deepcopy(joint)
    weights = joined_parameters(joint)
    optimizers = [torch.optim.AdamW(p, 0.01, weight_decay=0.1) for p in ([weights], alone.parameters())]
    x = torch.rand(4, 1, 32, 32)
    for _ in range(3):
        for model, optimizer in zip((joint, alone), optimizers, strict=True):
            optimizer.zero_grad(set_to_none=False)
            model(x).square().sum().backward()
            optimizer.step()
    for ours, theirs in zip(joint.parameters(), alone.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs)
    assert weights.numel() == 61_111 and weights.grad.abs().sum() > 0


def test_joined_tensors_are_views_of_one():
    a, b = torch.arange(6.0).view(2, 3), torch.rand(2, 3, 4, 5).to(memory_format=torch.channels_last)
    before = a.clone(), b.clone()
    whole = joined([a, b])
    assert torch.equal(a, before[0]) and torch.equal(b, before[1]) and b.stride() == before[1].stride()
    whole.mul_(2)
    assert torch.equal(a, 2 * before[0]) and torch.equal(b, 2 * before[1])


def test_averaging_forgets_the_first_weights_and_takes_in_buffers():
    model = nn.Sequential(nn.Linear(1, 1, bias=False), nn.BatchNorm1d(1))
    weights = joined_parameters(model)
    averaged, average = averaging(model, weights, 0.5)
    expected = weights.detach().clone()
    for number, value in enumerate((3.0, -1.0, 2.0, 5.0, 4.0)):
        weights.data.fill_(value)
        model[1].running_mean.fill_(value)
        average(number)
        decay = min(0.5, (number + 1) / (number + 10))
        expected = decay * expected + (1 - decay) * value
    torch.testing.assert_close(averaged[0].weight.flatten(), expected[:1])
    assert averaged[1].running_mean.item() == pytest.approx(3.9, abs=0.8) and averaged[0].weight is not model[0].weight
    same, nothing = averaging(model, weights, 0.0)
    assert same is model and nothing(3) is None


def test_deterministic_is_switched_on_and_off_again():
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(KeyboardInterrupt), deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        raise KeyboardInterrupt
    assert not torch.are_deterministic_algorithms_enabled()
