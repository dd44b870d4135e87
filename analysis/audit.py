"""Issues of a data set that make results untrustworthy: duplicates, blank images, classes with few images."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from analysis.near_duplicates import collect, near_duplicates, thumbnails
from common.text import first_lines, plural
from dataset import CharDataset
from imaging.ink import backgrounds, identical_groups, ink
from imaging.planes import to_planes
from readers.names import number_names

DRAWN = 12  # issues that a figure draws at most, and images of each
BLANK = 32  # grey levels of 255: ink with less contrast is none


@dataclass(frozen=True)
class Issue:
    """One issue of a data set.

    Attributes:
        kind: "identical", "near-duplicate", "blank", "writer" or "few images".
        indices: of the images concerned; those of the test set count on after those of the training set.
        files, classes: of these images, or the class with few images, or the name of the writer.
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

    def file(i: int) -> str:
        return str(parts[0].files[i] if i < len(images) else parts[1].files[i - len(images)])

    def issue(kind: str, indices: list[int]) -> Issue:
        labels = [images.classes[k] for k in y[indices]]
        in_test = [i >= len(images) for i in indices]
        files = [file(i) for i in indices]
        return Issue(kind, indices, files, labels, len(set(labels)) > 1, len(set(in_test)) > 1)

    identical = identical_groups(np.concatenate([part.hashes() for part in parts]))
    contrast = torch.empty(len(y), dtype=torch.uint8)
    vectors = collect(_thumbnails(parts, contrast), len(y))
    issues = [issue("identical", group) for group in identical]
    others = np.delete(np.arange(len(y)), [i for group in identical for i in group[1:]])  # one of each group counts
    issues += [issue("near-duplicate", pair) for pair in near_duplicates(vectors, y, others)]
    issues.sort(key=lambda one: (not one.across_classes, not one.across_parts))  # otherwise in the order found
    issues += [issue("blank", [i]) for i in contrast.less(BLANK).nonzero()[:, 0].tolist()]
    return issues + _shared_writers(parts) + _small_classes(images)


def _shared_writers(parts: list[CharDataset]) -> list[Issue]:
    """Return the writers of whom there are images in every part, if there are several parts."""
    names = [set(number_names(part.group)[1]) - {""} for part in parts]
    shared = sorted(set.intersection(*names)) if len(parts) > 1 else []
    return [Issue("writer", [], [], [name], across_parts=True) for name in shared]


def images_of(issues: list[Issue], images: CharDataset, test: CharDataset | None = None) -> dict[int, np.ndarray]:
    """Return index → image uint8 (H, W[, 3]) of the images that a figure of these issues draws, rather than of all.

    Args:
        issues: what `audit` gave for `images` and `test`.
    """
    found = {}
    with_images = [issue for issue in issues if issue.indices]
    for issue in with_images[:DRAWN]:
        for i in issue.indices[:DRAWN]:
            part, k = (images, i) if i < len(images) or test is None else (test, i - len(images))
            found[i] = part.array[part.indices[k]]
    return found


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
        number = f": {len(ones)}" if len(ones) > 1 or count else ""
        lines.append(title + number + (f" ({plural(count, 'image')})" if count else ""))
        lines += first_lines([" = ".join(issue.files) or issue.classes[0] for issue in ones], most, "  ")
    return "\n".join(lines)


def _thumbnails(parts: list[CharDataset], contrast: torch.Tensor) -> Iterator[torch.Tensor]:
    """Yield the thumbnails of all images chunk by chunk.

    Args:
        contrast: uint8 (N,), filled with the images' largest differences from their background. Were it a list, its
            items would lie between the chunks' freed memory, which could not be used again.
    """
    start = 0
    for part in parts:
        for chunk in part.chunks():
            planes = to_planes(torch.from_numpy(chunk))  # (n, 1 or 3, H, W)
            single = planes.flatten(0, 1)
            strokes = ink(single, backgrounds(single)).view(planes.shape)
            contrast[start : start + len(chunk)] = strokes.flatten(1).amax(1)
            start += len(chunk)
            yield thumbnails(strokes if planes.shape[1] == 1 else planes)
