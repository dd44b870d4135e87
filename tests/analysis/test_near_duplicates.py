import numpy as np
import pytest
import torch

from analysis import near_duplicates
from analysis.near_duplicates import NEAR_DUPLICATE, collect, thresholds, thumbnails
from imaging.ink import ink


@pytest.fixture
def vectors(drawn) -> torch.Tensor:
    """480 different images of which the last 40 differ in one pixel from the first 40, as thumbnails."""
    x = np.array(drawn.x)
    x[440:] = x[:40]
    x[440:, 14, 14] ^= 255
    return thumbnails(ink(torch.from_numpy(x), torch.full((480,), 255, dtype=torch.uint8))[:, None])


def found(vectors: torch.Tensor, chosen=range(480)) -> list[list[int]]:
    return near_duplicates.near_duplicates(vectors, np.zeros(480, int), np.array(chosen))


def test_products_of_thumbnails_are_correlations(vectors):
    products = vectors[:5] @ vectors[:5].T
    assert products.diag().allclose(torch.ones(5)) and products.min() >= -1.001


def test_vectors_are_collected_in_order_also_on_disk(vectors, monkeypatch):
    for limit in (2**28, 0):
        monkeypatch.setattr("common.files.ON_DISK", limit)
        assert collect(vectors.split(100), 480).equal(vectors)
    assert collect([], 0).shape == (0, 256)


def test_many_images_are_compared_in_blocks_and_nearly_all_pairs_are_found(vectors, monkeypatch):
    expected = found(vectors)
    monkeypatch.setattr(near_duplicates, "EXACT", 10)
    monkeypatch.setattr(near_duplicates, "BLOCK", 60)
    pairs = found(vectors)
    assert len(expected) > 20 and {tuple(pair) for pair in pairs} <= {tuple(pair) for pair in expected}
    assert len(pairs) >= 0.95 * len(expected) and found(vectors) == pairs
    assert [pair for pair in expected if pair in pairs] == pairs, "the nearest first"


def test_only_the_chosen_images_are_compared(vectors, monkeypatch):
    chosen = np.delete(np.arange(480), np.arange(440, 460))
    for exact in (20_000, 10):
        monkeypatch.setattr(near_duplicates, "EXACT", exact)
        assert not {i for pair in found(vectors, chosen) for i in pair} & set(range(440, 460))


def test_no_more_pairs_than_may_be_are_held(vectors, monkeypatch):
    expected = found(vectors)
    monkeypatch.setattr(near_duplicates, "MAX_PAIRS", 5)
    monkeypatch.setattr(near_duplicates, "PENDING", 8)
    assert found(vectors) == expected[:5]


def test_the_threshold_of_a_class_of_two_images_is_the_general_one(vectors):
    y = np.repeat([0, 2, 1], [2, 238, 240])
    limits = thresholds(vectors, y)
    assert limits[:2].tolist() == pytest.approx([NEAR_DUPLICATE] * 2)
    assert limits[2:240].unique().numel() == limits[240:].unique().numel() == 1
