"""The global random generators of Python, NumPy and torch."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def set_seed(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global random generators."""
    random.seed(seed)
    np.random.seed(seed % 2**32)  # NumPy takes no larger seeds
    torch.manual_seed(seed)  # also CUDA's and MPS's generators


@contextmanager
def preserve_random_state(device: torch.device) -> Iterator[None]:
    """On exit, restore the generators that `set_seed` seeds to their state on entry."""
    python_state, numpy_state = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            yield
    finally:
        random.setstate(python_state)
        np.random.set_state(numpy_state)
