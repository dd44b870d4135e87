"""How a device computes sooner: what was measured to pay on each kind, memory that is kept, weights in one tensor."""

import copy
import ctypes
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import torch
from torch import nn
from torch.optim.swa_utils import get_ema_multi_avg_fn

from config import Config


def choose(config: Config, model: nn.Module, device: torch.device) -> dict[str, bool]:
    """Return what to use on a device: what the config forces or forbids, else what was measured to be fastest.

    Returns:
        bfloat16: autocast in training steps. channels_last: the memory format. fused: the model's own shorter way in
        training steps, where it has one. compile: torch.compile, which on a CPU takes longer than it saves.
    """
    if config.deterministic == "on":  # what cuBLAS reads at its first use, and never again
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    on_cpu, large = device.type == "cpu", sum(p.numel() for p in model.parameters()) > 1_000_000
    if device.type == "cuda":
        bfloat16 = large and torch.cuda.is_bf16_supported(including_emulation=False)
    else:  # only newer versions of torch tell; a CPU that would emulate bfloat16 is faster in float32
        bfloat16 = on_cpu and bool(getattr(torch.cpu, "get_capabilities", dict)().get("avx512_bf16"))
    best = {"precision": bfloat16, "channels_last": True, "fused": on_cpu, "compile": False}
    said = {"on": True, "bfloat16": True, "off": False, "float32": False}
    uses = {name: said.get(getattr(config, name), value) for name, value in best.items()}
    compiler = any(map(shutil.which, ("c++", "g++", "clang++", "cl")))
    if uses["compile"] and not (compiler and (on_cpu or find_spec("triton"))):
        print(
            "Not compiled: torch.compile needs a C++ compiler on the PATH (on Debian and Ubuntu: apt install g++)"
            + ("." if on_cpu else " and the package triton.")
        )
        uses["compile"] = False
    uses["fused"] = uses["fused"] and hasattr(model, "fused")
    return {"bfloat16": uses.pop("precision")} | uses


def place(model: nn.Module, device: torch.device, uses: dict[str, bool]) -> nn.Module:
    """Return the model on the device, in the memory format and with the forward pass that `choose` gave."""
    if hasattr(model, "fused"):
        model.fused = uses["fused"]
    return model.to(device, memory_format=torch.channels_last if uses["channels_last"] else torch.contiguous_format)


@contextmanager
def deterministic(on: bool) -> Iterator[None]:
    """Within it, if on, torch uses only operations that give the same bits again on the same device."""
    before = torch.are_deterministic_algorithms_enabled()
    if on:
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def keep_freed_memory() -> None:
    """Let the C library keep the memory that this process frees, for its next allocation (glibc; nothing elsewhere).

    Handed back to the system and asked for again at every step, it costs a third of LeNet's on a CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        trim_threshold, mmap_threshold = -1, -3  # M_… of malloc.h, in bytes
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**30)


def joined(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return one tensor that holds them all, float (n,), and make them views of it: one operation updates all."""
    tensors = list(tensors)
    whole = torch.cat([torch.as_strided(t.detach(), (t.numel(),), (1,)) for t in tensors])  # in memory order
    for tensor, part in zip(tensors, whole.split([t.numel() for t in tensors]), strict=True):
        tensor.data = torch.as_strided(part, tensor.shape, tensor.stride())
    return whole


def joined_parameters(model: nn.Module) -> nn.Parameter:
    """Return the model's parameters as one, of which they, and their gradients of its gradient, become views."""
    parameters = list(model.parameters())
    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    weights = nn.Parameter(joined(parameters))
    weights.grad = joined([parameter.grad for parameter in parameters])
    return weights


def averaging(model: nn.Module, weights: torch.Tensor, decay: float) -> tuple[nn.Module, Callable[[int], None]]:
    """Return a model of averaged weights, and the function that takes the present ones in after step 0, 1 …

    The average is exponential: Polyak and Juditsky, SIAM J. Control Optim. 30(4), 1992. The first ones are short, that
    the first weights are soon forgotten. Without decay it is the model itself.

    Args:
        weights: what `joined_parameters` gave.
        decay: the part of the average that stays at each step, 0 ≤ decay < 1.
    """
    if not decay:
        return model, lambda step: None
    averaged = copy.deepcopy(model).requires_grad_(False)
    live, mean = ([b for b in m.buffers() if b.is_floating_point()] for m in (model, averaged))
    live, mean = [weights.detach(), *live], [joined(averaged.parameters()), *mean]

    def average(step: int) -> None:
        get_ema_multi_avg_fn(min(decay, (step + 1) / (step + 10)))(mean, live, None)

    return averaged, average
