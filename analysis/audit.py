"""Issues of a data set that make results untrustworthy: duplicates, blank images, classes with few images."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from common.text import plural
from dataset import CharDataset
from imaging.ink import backgrounds, identical_groups, ink

NEAR_DUPLICATE = 0.97  # correlation; at 0.95 and below, different drawings of a simple character are found
NEIGHBOR, CLOSER, SAMPLE = 5, 10, 500  # see `_thresholds`
BLANK = 32  # grey levels of 255: ink with less contrast is none
MAX_PAIRS = 1000  # near-duplicates that are listed, those with the highest correlation


@dataclass(frozen=True)
class Issue:
    """One issue of a data set.

    Attributes:
        kind: "identical", "near-duplicate", "blank" or "few images".
        indices: of the images concerned; those of the test set count on after those of the training set.
        files, classes: of these images, or the class with few images.
        across_classes, across_parts: whether the images are in different classes, or in both train and test.
        note: figures, for a person.
    """

    kind: str
    indices: list[int]
    files: list[str]
    classes: list[str]
    across_classes: bool = False
    across_parts: bool = False
    note: str = ""

    @property
    def title(self) -> str:
        """What it is, for a person."""
        across_parts = " in train and test" if self.across_parts else ""
        across_classes = " in different classes" if self.across_classes else ""
        return self.kind + across_parts + across_classes + (f" ({self.note})" if self.note else "")


def audit(images: CharDataset, test: CharDataset | None = None) -> list[Issue]:
    """Look for what makes results untrustworthy, the worst first.

    Args:
        images: to train and validate on.
        test: kept apart, of the same size, or None.
    """
    parts = [images] if test is None or not len(test) else [images, test]
    y = np.concatenate([part.y for part in parts])
    files = np.concatenate([part.files for part in parts])

    def issue(kind: str, indices: list[int]) -> Issue:
        labels = [images.classes[k] for k in y[indices]]
        in_test = [i >= len(images) for i in indices]
        return Issue(kind, indices, files[indices].tolist(), labels, len(set(labels)) > 1, len(set(in_test)) > 1)

    identical = identical_groups(chain.from_iterable(part.images() for part in parts))
    issues = [issue("identical", group) for group in identical]
    issues += [issue("near-duplicate", pair) for pair in _near_duplicates(parts)]
    issues.sort(key=lambda one: (not one.across_classes, not one.across_parts))  # otherwise in the order found
    issues += [issue("blank", [i]) for i in np.flatnonzero(_contrast(parts) < BLANK).tolist()]
    return issues + _small_classes(images)


def _small_classes(images: CharDataset) -> list[Issue]:
    """Return the classes with fewer than half as many images as the median class."""
    counts = np.bincount(images.y, minlength=len(images.classes))
    median = np.median(counts)
    notes = {k: f"{counts[k]}, the median class has {median:.0f}" for k in np.flatnonzero(counts < median / 2)}
    return [Issue("few images", [], [], [images.classes[k]], note=note) for k, note in notes.items()]


def format_issues(issues: list[Issue], most: int = 5) -> str:
    """Return issues as text: how many of each kind, and the first of them."""
    by_title: dict[str, list[Issue]] = {}
    for issue in issues:
        by_title.setdefault(issue.title, []).append(issue)
    if not by_title:
        return "no issues found"
    lines = []
    for title, ones in by_title.items():
        count = len({i for issue in ones for i in issue.indices})
        lines.append(f"{title}: {len(ones)} ({plural(count, 'image')})" if count else title)
        lines += ["  " + (" = ".join(issue.files) or issue.classes[0]) for issue in ones[:most]]
    return "\n".join(lines)


def _ink_chunks(parts: list[CharDataset]) -> Iterator[torch.Tensor]:
    """Yield the ink of all images, uint8 (n, H, W), chunk by chunk."""
    for part in parts:
        for chunk in part.chunks():
            pixels = torch.from_numpy(chunk)
            yield ink(pixels, backgrounds(pixels))


def _contrast(parts: list[CharDataset]) -> np.ndarray:
    """Return the largest difference of each image from its background, uint8 (N,)."""
    return torch.cat([chunk.flatten(1).amax(1) for chunk in _ink_chunks(parts)]).numpy()


def _near_duplicates(parts: list[CharDataset]) -> list[list[int]]:
    """Return the pairs of near-duplicates that are not identical, the highest correlation first.

    They are nearer to each other than images of their classes usually are (`_thresholds`), and compared as 16×16
    thumbnails of their ink, all with all: 10,000 images take about 2 s, and k times as many k² times as long.
    """
    thumbnails = []
    for chunk in _ink_chunks(parts):
        small = functional.interpolate(chunk[:, None] / 255, (16, 16), mode="area").flatten(1)  # (n, 256)
        thumbnails.append(functional.normalize(small - small.mean(1, keepdim=True)))
    vectors = torch.cat(thumbnails)  # (N, 256)
    thresholds = _thresholds(vectors, torch.from_numpy(np.concatenate([part.y for part in parts])))

    def image(i: int) -> np.ndarray:
        first = parts[0]
        return first.array[first.indices[i]] if i < len(first) else parts[1].array[parts[1].indices[i - len(first)]]

    pairs = []
    for start in tqdm(range(0, len(vectors), 1024), "looking for near-duplicates", unit="block", delay=2):
        block = vectors[start : start + 1024] @ vectors[start:].T
        needed = torch.maximum(thresholds[start : start + 1024, None], thresholds[start:])
        rows, columns = torch.nonzero(block > needed, as_tuple=True)
        later = columns > rows
        rows, columns = rows[later], columns[later]
        for similarity, i, j in zip(block[rows, columns].tolist(), rows.tolist(), columns.tolist(), strict=True):
            if (image(start + i) != image(start + j)).any():
                pairs.append((similarity, start + i, start + j))
    return [[i, j] for _, i, j in sorted(pairs, reverse=True)[:MAX_PAIRS]]


def _thresholds(vectors: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the correlation above which the near-duplicates of each image lie, float (N,).

    Thin strokes all correlate, such as a 1 with every other 1. Near-duplicates are CLOSER times as near as images of
    the class usually are: as the NEIGHBOR-th nearest one is to half of a sample of them.

    Args:
        vectors: float (N, 256), normalized.
        y: int64 (N,).
    """
    thresholds = torch.full((len(y),), NEAR_DUPLICATE)
    for k in y.unique():
        own = (y == k).nonzero()[:, 0]
        if len(own) < 3:
            continue
        chosen = own[:: max(1, len(own) // SAMPLE)]
        nearest = (vectors[chosen] @ vectors[own].T).topk(min(NEIGHBOR + 1, len(own)), 1).values  # itself is the first
        usual = 1 - nearest[:, -1].median()
        thresholds[own] = max(NEAR_DUPLICATE, 1 - float(usual) / CLOSER)
    return thresholds
