"""Backend: how a device computes fastest, as measured per kind of device."""

import ctypes
import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from torch import nn

from config import Config
from models import FUSED_FORWARD, input_size

log = logging.getLogger("fit_char")
FORCED = {"on": True, "bfloat16": True, "off": False, "float32": False}  # what a config may say instead of "auto"


@dataclass(frozen=True)
class Backend:
    """How a device computes.

    Attributes:
        bfloat16: whether training steps use autocast.
        channels_last: whether tensors have this memory format.
        fused: whether training steps use the model's own faster forward pass.
        compile: whether training steps use torch.compile.
    """

    bfloat16: bool = False
    channels_last: bool = False
    fused: bool = False
    compile: bool = False

    def place(self, model: nn.Module, device: torch.device) -> nn.Module:
        """Return the model on the device, in the memory format."""
        return model.to(device, memory_format=torch.channels_last if self.channels_last else torch.contiguous_format)

    def training_forward(self, model: nn.Module, device: torch.device) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return the function from images to logits that training steps use."""
        forward: Callable[[torch.Tensor], torch.Tensor] = model
        if self.fused:
            fused = FUSED_FORWARD[type(model).forward]
            forward = lambda images: fused(model, images)  # noqa: E731
        if not self.compile:
            return forward
        mode = "reduce-overhead" if device.type == "cuda" else None  # CUDA graphs: all kernels are launched at once
        return torch.compile(forward, mode=mode, dynamic=False)


def select_backend(config: Config, model: nn.Module, device: torch.device) -> Backend:
    """Return what the config forces or forbids, and otherwise what was measured to be fastest on this kind of device.

    On a CPU, torch.compile takes longer than it saves.
    """
    on_cpu = device.type == "cpu"
    large = sum(parameter.numel() for parameter in model.parameters()) > 1_000_000
    wants_compile = FORCED.get(config.compile, False)
    return Backend(
        bfloat16=FORCED.get(config.precision, _bfloat16_is_faster(device, large)),
        channels_last=FORCED.get(config.channels_last, True),
        fused=FORCED.get(config.fused, on_cpu) and type(model).forward in FUSED_FORWARD,
        compile=wants_compile and _can_compile(on_cpu),
    )


def default_input_size(config: Config, device: torch.device) -> int:
    """Return the pixels per side that the model sees: the config's, else its paper's, on a CPU 64 at most.

    Raises:
        ValueError: see `models.input_size`.
    """
    limit = 64 if device.type == "cpu" and config.pipeline == "resident" else None
    return input_size(config.model, config.input_size, limit)


def smallest_input_size(stored_size: int) -> int:
    """Return the pixels per side to which a slow device may reduce the input size of images of a stored size.

    Whoever stores 64 pixels or more has characters that need them: they are not reduced below 64. Figures are in
    RESULTS.md.
    """
    return 64 if stored_size >= 64 else 32


def _bfloat16_is_faster(device: torch.device, large: bool) -> bool:
    if device.type == "cuda":
        return large and torch.cuda.is_bf16_supported(including_emulation=False)
    # Only newer versions of torch tell. A CPU that would emulate bfloat16 is faster in float32, also one whose AVX-512
    # is switched off (ATEN_CPU_CAPABILITY).
    capabilities: dict = getattr(torch.cpu, "get_capabilities", dict)()
    enabled = torch.backends.cpu.get_cpu_capability() == "AVX512"
    return device.type == "cpu" and enabled and bool(capabilities.get("avx512_bf16"))


def _can_compile(on_cpu: bool) -> bool:
    """Return whether torch.compile has what it needs; log what is missing."""
    compiler = any(shutil.which(name) for name in ("c++", "g++", "clang++", "cl"))
    if compiler and (on_cpu or find_spec("triton")):
        return True
    and_triton = "" if on_cpu else " and the package triton"
    needs = f"torch.compile needs a C++ compiler on the PATH (on Debian and Ubuntu: apt install g++){and_triton}"
    log.warning("Not compiled: %s.", needs)
    return False


def request_deterministic_cublas() -> None:
    """Set the variable that cuBLAS reads at its first use, and never again, if it is to be deterministic."""
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


@contextmanager
def deterministic(on: bool) -> Iterator[None]:
    """While active and `on`, torch only uses operations that give the same bits again on the same device."""
    before = torch.are_deterministic_algorithms_enabled()
    if on:
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)


def keep_freed_memory() -> None:
    """Let glibc keep the memory that this process frees; do nothing elsewhere.

    Otherwise glibc returns freed memory to the OS every step, which costs up to a third of LeNet's step time on a CPU.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:
        trim_threshold, mmap_threshold = -1, -3  # M_… of malloc.h, in bytes
        mallopt(trim_threshold, 2**31 - 1)
        mallopt(mmap_threshold, 2**30)
