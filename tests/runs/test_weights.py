"""Weights of a file that fit a model, or are refused with the reason."""

import pytest
import torch

from common.errors import InputError
from imaging.input_spec import InputSpec
from models import LeNet
from runs import weights


def test_weights_are_loaded():
    source, model = LeNet(1, 3), LeNet(1, 3)
    weights.load("a.ckpt", source.state_dict(), model, InputSpec(32, (28, 28)))
    images = torch.rand(2, 1, 32, 32)
    assert torch.equal(model(images), source(images))


def test_weights_of_another_model_are_refused():
    with pytest.raises(InputError, match="^a.ckpt does not hold the weights of a LeNet: "):
        weights.load("a.ckpt", LeNet(1, 4).state_dict(), LeNet(1, 3), InputSpec(32, (28, 28)))


def test_what_differs_from_the_run_is_named():
    content = {"model": "LeNet", "classes": ["a", "b"], "input_spec": {"input_size": 32}, "config": {}}
    ours = {"model": "LeNet", "classes": ["a", "b"], "input_size": 32}
    weights.check_same("a.ckpt", content, ours)
    with pytest.raises(InputError, match="^init_from a.ckpt has input_size 32, this run 64: they must be the same$"):
        weights.check_same("a.ckpt", content, ours | {"input_size": 64})
