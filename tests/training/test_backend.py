"""The backend is what the config says, and otherwise what is fastest on the device."""

import dataclasses
import os

import pytest
import torch
from torch.nn import functional

import training.backend
from classifier import CNNClassifier
from config import Config
from models import LeNet, ResNet18
from training.backend import Backend, deterministic, keep_freed_memory, request_deterministic_cublas, select_backend

CPU = torch.device("cpu")


class Renamed(LeNet):
    """Computes what LeNet does."""


class Doubled(LeNet):
    def forward(self, x):
        return 2 * super().forward(x)


def test_what_the_config_says_is_used_whatever_is_fastest():
    model = LeNet(1, 3)
    for said in (True, False):
        word = "on" if said else "off"
        config = Config(precision="bfloat16" if said else "float32", channels_last=word, fused=word)
        backend = select_backend(config, model, CPU)
        assert backend == Backend(bfloat16=said, channels_last=said, fused=said, compile=False)
        assert backend.place(model, CPU) is model
        assert model.conv3.weight.is_contiguous() != said
    assert not select_backend(Config(fused="on"), ResNet18(1, 3), CPU).fused  # it has no faster forward pass


def test_the_fastest_is_chosen_if_the_config_leaves_it(monkeypatch):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True}, raising=False)
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")
    assert select_backend(Config(), LeNet(1, 3), CPU) == Backend(
        bfloat16=True, channels_last=True, fused=True, compile=False
    )
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")  # ATEN_CPU_CAPABILITY=avx2
    assert not select_backend(Config(), LeNet(1, 3), CPU).bfloat16
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict, raising=False)
    assert not select_backend(Config(), LeNet(1, 3), CPU).bfloat16
    assert select_backend(Config(recipe="report"), LeNet(1, 3), CPU) == Backend()


def test_selecting_changes_nothing(monkeypatch):
    before, model = dict(os.environ), LeNet(1, 3)
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    for changes in ({}, {"deterministic": "on"}, {"compile": "on"}, {"recipe": "report"}):
        backend = select_backend(Config(**changes), model, CPU)
    assert dict(os.environ) == before and not torch.are_deterministic_algorithms_enabled()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in model.state_dict().items())
    with pytest.raises(dataclasses.FrozenInstanceError):
        backend.fused = True


def test_without_a_compiler_it_runs_uncompiled_and_says_so(monkeypatch, capsys):
    monkeypatch.setattr(training.backend.shutil, "which", lambda name: None)
    assert not select_backend(Config(compile="on"), LeNet(1, 3), CPU).compile
    assert capsys.readouterr().out == (
        "Not compiled: torch.compile needs a C++ compiler on the PATH (on Debian and Ubuntu: apt install g++).\n"
    )
    monkeypatch.setattr(training.backend.shutil, "which", lambda name: name)
    assert select_backend(Config(compile="on"), LeNet(1, 3), CPU).compile
    assert not select_backend(Config(compile="auto"), LeNet(1, 3), CPU).compile
    monkeypatch.setattr(training.backend, "find_spec", lambda name: None)
    assert not select_backend(Config(compile="on", precision="float32"), LeNet(1, 3), torch.device("cuda")).compile
    assert "apt install g++) and the package triton.\n" in capsys.readouterr().out


def test_a_subclass_has_the_fused_forward_unless_it_overrides_forward():
    for kind, fused in ((LeNet, True), (Renamed, True), (Doubled, False)):
        for said in ("auto", "on"):
            assert select_backend(Config(fused=said), kind(1, 3), CPU).fused == fused
        assert not select_backend(Config(fused="off"), kind(1, 3), CPU).fused


@pytest.mark.parametrize("kind", [LeNet, Renamed, Doubled])
def test_training_steps_compute_what_the_model_does(kind):
    torch.manual_seed(0)
    model, x, y = kind(1, 7), torch.rand(9, 1, 32, 32), torch.arange(9) % 7
    backend = dataclasses.replace(select_backend(Config(), model, CPU), bfloat16=False)
    forward = backend.training_forward(backend.place(model, CPU), CPU)
    assert (forward is model) == (kind is Doubled)
    results = []
    for function in (forward, model):
        logits = function(x)
        gradients = torch.autograd.grad(functional.cross_entropy(logits, y), list(model.parameters()))
        results.append([logits, *gradients])
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_compiling_takes_the_mode_of_the_device(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda forward, **options: (forward, options))
    model = LeNet(1, 3)
    assert Backend(compile=True).training_forward(model, CPU) == (model, {"mode": None, "dynamic": False})
    forward, options = Backend(fused=True, compile=True).training_forward(model, torch.device("cuda"))
    assert forward is not model and options == {"mode": "reduce-overhead", "dynamic": False}


def test_deterministic_is_switched_on_and_off_again():
    with deterministic(False):
        assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(KeyboardInterrupt), deterministic(True):
        assert torch.are_deterministic_algorithms_enabled()
        raise KeyboardInterrupt
    assert not torch.are_deterministic_algorithms_enabled()


def test_what_cublas_reads_is_set_before_its_first_use(drawn, quick, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "")
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    CNNClassifier(quick(), drawn.classes)
    assert "CUBLAS_WORKSPACE_CONFIG" not in os.environ
    CNNClassifier(quick(deterministic="on"), drawn.classes)
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    request_deterministic_cublas()
    assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":16:8", "the user's choice stays"


@pytest.mark.parametrize("platform, calls", [("linux", [(-1, 2**31 - 1), (-3, 2**30)]), ("darwin", []), ("win32", [])])
def test_freed_memory_is_kept_where_glibc_is(monkeypatch, platform, calls):
    class Library:
        def __init__(self, name):
            self.mallopt = lambda option, value: found.append((option, value))

    found = []
    monkeypatch.setattr(training.backend.sys, "platform", platform)
    monkeypatch.setattr(training.backend.ctypes, "CDLL", Library)
    keep_freed_memory()
    assert found == calls
    monkeypatch.setattr(training.backend.ctypes, "CDLL", lambda name: object())  # as musl is, without mallopt
    keep_freed_memory()
    assert found == calls
