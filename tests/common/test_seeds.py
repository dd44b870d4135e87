import random

import numpy as np
import pytest
import torch

import init
from common.seeds import preserve_random_state, set_seed


def numbers() -> tuple[float, float, float]:
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_set_seed_seeds_all_three():
    def draw(seed):
        set_seed(seed)
        return numbers()

    assert draw(3) == draw(3)
    assert all(a != b for a, b in zip(draw(3), draw(4), strict=True))
    assert draw(2**40 + 1) == draw(2**40 + 1)  # more than NumPy takes


def test_random_state_is_preserved_also_by_an_error():
    set_seed(5)
    expected = numbers()
    set_seed(5)
    with preserve_random_state(torch.device("cpu")):
        set_seed(1)
        numbers()
    assert numbers() == expected
    set_seed(5)
    with pytest.raises(KeyError), preserve_random_state(torch.device("cpu")):
        numbers()
        raise KeyError
    assert numbers() == expected


def test_init_offers_both_too():
    assert init.set_seed is set_seed and init.preserve_random_state is preserve_random_state
