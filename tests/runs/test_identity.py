"""Code that determines a run is told apart, and the same code is the same in every process."""

import functools
import logging
import os
import subprocess
import sys
import types

import numpy as np
import torch
from conftest import ROOT
from torch import nn
from torchvision import transforms

from models import LeNet, ResBlock, ResNet18
from runs.identity import ADDED, code_fingerprint, identity

STRENGTH = 3


class Shift:
    """A transform of the user's."""

    def __init__(self, pixels):
        self.pixels = pixels

    def __call__(self, image):
        return helper(image, self.pixels)


def helper(image, pixels):
    return np.roll(image, pixels * STRENGTH)


def compose(*parts):
    return transforms.Compose([transforms.Resize(32), *parts, transforms.ToTensor()])


def test_what_changes_the_result_changes_the_fingerprint(monkeypatch):
    base = [compose(Shift(1)), None]
    former = code_fingerprint(base)
    assert code_fingerprint([compose(Shift(1)), None]) == former
    others = [
        [compose(Shift(2)), None], [None, compose(Shift(1))], [compose(), None], [transforms.Resize(28), None],
        [transforms.Resize(32), None], [transforms.Resize(32, transforms.InterpolationMode.NEAREST), None],
        [transforms.Lambda(lambda image: image + 1), None], [transforms.Lambda(lambda image: image + 2), None],
        [functools.partial(helper, pixels=1), None], [functools.partial(helper, pixels=2), None],
        [Shift(torch.zeros(2)), None], [Shift(torch.ones(2)), None], [Shift({1, 2}), None], [Shift({1, 3}), None],
        [Shift(1).__call__, None], [None, None],
    ]  # fmt: skip
    assert len({former, *map(code_fingerprint, others)}) == len(others) + 1
    monkeypatch.setattr(sys.modules[__name__], "helper", lambda image, pixels: np.roll(image, pixels))
    changed = code_fingerprint(base)
    assert changed != former, "a function that the transform calls"
    monkeypatch.undo()
    monkeypatch.setattr(sys.modules[__name__], "STRENGTH", 4)
    assert code_fingerprint(base) not in (former, changed), "a constant that it uses"


def compiled(source: str):
    module = types.ModuleType("a_notebook")
    exec(source, module.__dict__)
    return module.function


def test_comments_documentation_and_places_do_not_count():
    one = compiled("def function(x):\n    'what it does'\n    return x + 1")
    other = compiled("# a comment\n\ndef function(x):\n    'does this'\n    # again\n    return (x + 1)")
    assert code_fingerprint(one) == code_fingerprint(other)
    assert code_fingerprint(one) != code_fingerprint(compiled("def function(x):\n    return x + 2"))


def test_of_a_model_the_classes_of_its_modules_count(monkeypatch):
    cpu = torch.device("cpu")
    one = identity(LeNet(1, 12), [None, None], cpu)
    assert tuple(one) == ADDED and (one["threads"], one["torch"]) == (torch.get_num_threads(), str(torch.__version__))
    assert identity(LeNet(1, 9), [None, None], cpu) == one != identity(ResNet18(1, 12), [None, None], cpu)
    assert identity(LeNet(1, 12), [None, None], torch.device("meta"))["threads"] is None
    former = identity(ResNet18(1, 12), [None, None], cpu)["model code"]
    monkeypatch.setattr(ResBlock, "forward", lambda self, x: x)
    assert identity(ResNet18(1, 12), [None, None], cpu)["model code"] != former, "a module of a module"
    monkeypatch.setattr(LeNet, "forward", lambda self, x: x * 2)
    assert identity(LeNet(1, 12), [None, None], cpu)["model code"] != one["model code"]


def test_no_library_and_no_state_of_the_program_counts():
    before = code_fingerprint([nn.Conv2d, transforms.Resize, logging.getLogger, np.roll])
    nn.Conv2d.an_attribute = 1
    try:
        assert code_fingerprint([nn.Conv2d, transforms.Resize, logging.getLogger, np.roll]) == before
    finally:
        del nn.Conv2d.an_attribute


def test_the_fingerprint_is_the_same_in_every_process():
    code = (
        f"import sys; sys.path[:0] = [{str(ROOT / 'tests')!r}, {str(ROOT / 'tests/runs')!r}]; "
        "from test_identity import *; "
        "print(code_fingerprint([LeNet, ResNet18, compose(Shift({'a', 'b'})), lambda x: x in {'c', 'd'}]))"
    )
    found = {
        subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, env=os.environ | {"PYTHONHASHSEED": seed})
        for seed in "12"
    }
    assert len(found) == 1
