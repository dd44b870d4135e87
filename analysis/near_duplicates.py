"""Near-duplicates: the pairs of images that are nearer to each other than images of their classes usually are.

Images are compared as thumbnails of their ink. Up to EXACT of them are compared all with all; more are divided into
small blocks, several times at random, and compared within these, so that the time grows with their number rather than
with its square.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from common.files import zeros

NEAR_DUPLICATE = 0.97  # correlation; at 0.95 and below, different drawings of a simple character are found
NEIGHBOR = 5  # rank of the neighbour whose distance is the usual one of a class: see `thresholds`
CLOSER = 10  # times nearer than usual
SAMPLE = 500  # images of a class whose neighbours are measured
SIDE = 16  # pixels of a thumbnail
MAX_PAIRS = 1000  # that are returned, those with the highest correlation
EXACT = 20_000  # images that are compared all with all
BLOCK = 256  # images per block: see `_blocks`
DIVISIONS = 12  # of the images into blocks
PENDING = 1_000_000  # pairs that are held before all but the nearest are dropped


def thumbnails(planes: torch.Tensor) -> torch.Tensor:
    """Return images as vectors float (n, SIDE²) or (n, 3 · SIDE²) whose products are their correlations.

    Args:
        planes: uint8 (n, 1, H, W), ink, or (n, 3, H, W), colours.
    """
    small = functional.interpolate(planes / 255, (SIDE, SIDE), mode="area").flatten(1)  # (n, SIDE²) or (n, 3 · SIDE²)
    return functional.normalize(small - small.mean(1, keepdim=True))


def collect(chunks: Iterable[torch.Tensor], count: int) -> torch.Tensor:
    """Return the vectors float (n, D) of `count` images, given chunk by chunk, as one array, on disk if it is large."""
    vectors = torch.empty(0, SIDE * SIDE)
    start = 0
    for chunk in chunks:
        if not start:
            vectors = torch.from_numpy(zeros((count, chunk.shape[1])))
        vectors[start : start + len(chunk)] = chunk
        start += len(chunk)
    return vectors


def near_duplicates(vectors: torch.Tensor, y: np.ndarray, chosen: np.ndarray, seed: int = 0) -> list[list[int]]:
    """Return the pairs of near-duplicates, the highest correlation first, at most MAX_PAIRS.

    Of more than EXACT images, some pairs are missed, rather those with the lowest correlation: 0.5 % among a million
    images (`benchmarks/large.py`).

    Args:
        vectors: float (N, SIDE²), see `thumbnails`.
        y: int64 (N,), the labels.
        chosen: int64 (n,), ascending, the images to compare, no two of which are identical.
        seed: of the blocks.
    """
    limits = thresholds(vectors, y)
    pending = [np.empty((0, 3))]  # each (pairs, 3): correlation, first and second image
    held = 0
    for rows, columns in _blocks(vectors, chosen, seed):
        products = vectors[rows] @ vectors[columns].T
        close = products > torch.maximum(limits[rows][:, None], limits[columns])
        i, j = torch.nonzero(close, as_tuple=True)
        pairs = np.stack([products[i, j].double().numpy(), rows[i].numpy(), columns[j].numpy()], 1)
        pairs = pairs[pairs[:, 1] < pairs[:, 2]]
        if len(pairs):
            pending.append(pairs)
            held += len(pairs)
        if held > PENDING:
            pending = [_nearest(np.concatenate(pending))]
            held = 0
    return _nearest(np.concatenate(pending))[:, 1:].astype(int).tolist()


def _nearest(pairs: np.ndarray) -> np.ndarray:
    """Return the MAX_PAIRS pairs with the highest correlation, each once, the highest first."""
    pairs = pairs[np.unique(pairs[:, 1:], axis=0, return_index=True)[1]]
    return pairs[np.lexsort(pairs.T[::-1])[::-1][:MAX_PAIRS]]


def _blocks(vectors: torch.Tensor, chosen: np.ndarray, seed: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield pairs of indices, int64 (rows,) and (columns,), of images to compare with each other.

    Of many images, these are the leaves of DIVISIONS random projection trees (Dasgupta and Freund, "Random projection
    trees and low dimensional manifolds", STOC 2008), halved at the median of a random projection per level.
    """
    count = len(chosen)
    every = torch.from_numpy(chosen)
    if count <= EXACT:
        for start in tqdm(range(0, count, 1024), "looking for near-duplicates", unit="block", delay=2):
            yield every[start : start + 1024], every[start:]
        return
    generator = torch.Generator().manual_seed(seed)
    levels = int(np.ceil(np.log2(count / BLOCK)))
    total = DIVISIONS << levels
    with tqdm(total=total, desc="looking for near-duplicates", unit="block", delay=2) as progress:
        for _ in range(DIVISIONS):
            directions = torch.randn(vectors.shape[1], levels, generator=generator)
            projections = torch.cat([chunk @ directions for chunk in vectors.split(65_536)]).numpy()  # (N, levels)
            leaves = [chosen]
            for level in range(levels):
                leaves = [half for leaf in leaves for half in _halves(leaf, projections[leaf, level])]
            for leaf in leaves:
                indices = torch.from_numpy(np.sort(leaf))
                yield indices, indices
                progress.update()


def _halves(indices: np.ndarray, values: np.ndarray) -> list[np.ndarray]:
    """Return the indices of the smaller and of the larger values."""
    return np.split(indices[np.argpartition(values, len(values) // 2)], [len(values) // 2])


def thresholds(vectors: torch.Tensor, y: np.ndarray) -> torch.Tensor:
    """Return the correlation above which the near-duplicates of each image lie, float (N,).

    Thin strokes all correlate, such as a 1 with every other 1. Near-duplicates are CLOSER times as near as images of
    the class usually are: as the NEIGHBOR-th nearest one is to half of a sample of them.

    Args:
        vectors: float (N, SIDE²), normalized.
        y: int64 (N,).
    """
    limits = torch.full((len(y),), NEAR_DUPLICATE)
    ordered = torch.from_numpy(np.argsort(y, kind="stable"))
    for own in ordered.split(np.bincount(y).tolist()):
        if len(own) < 3:
            continue
        chosen = own[:: max(1, len(own) // SAMPLE)]
        nearest = (vectors[chosen] @ vectors[own].T).topk(min(NEIGHBOR + 1, len(own)), 1).values  # itself is the first
        usual = 1 - nearest[:, -1].median()
        limits[own] = max(NEAR_DUPLICATE, 1 - float(usual) / CLOSER)
    return limits
