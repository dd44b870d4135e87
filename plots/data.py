"""Figures of the data: samples, augmentation, issues of the audit."""

import math
import textwrap
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from common.text import plural
from plots.labels import class_labels, file_title, text_width
from plots.style import MANY, new_sheet, show, styled

CHUNK = 4096  # images that are reduced at once
MOST_EXEMPLARS = 150  # in one figure
MOST_ROWS, MOST_COLUMNS = 12, 12  # of augmented images and of issues


def exemplars(x: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """Return the most typical image of each class, uint8 (classes, H, W[, 3]); white without an image.

    It is the nearest to the class's mean at a coarse resolution, since strokes one pixel wide seldom overlap.
    """
    best = np.full((classes, *x.shape[1:]), 255, np.uint8)
    rows, columns = (np.linspace(0, side, 8).astype(int)[:-1] for side in x.shape[1:3])
    coarse = np.empty((len(x), 7 * 7 * math.prod(x.shape[3:])), np.float32)
    for start in range(0, len(x), CHUNK):
        chunk = x[start : start + CHUNK]
        sums = np.add.reduceat(np.add.reduceat(chunk, rows, 1, np.float32), columns, 2)
        coarse[start : start + CHUNK] = sums.reshape(len(chunk), -1)
    for k, own in enumerate(_indices_per_class(y, classes)):
        if len(own):
            best[k] = x[own[((coarse[own] - coarse[own].mean(0)) ** 2).sum(1).argmin()]]
    return best


def _indices_per_class(y: np.ndarray, classes: int) -> list[np.ndarray]:
    """Return the indices of each class's images, in their order, without a pass over y for each class."""
    return np.split(np.argsort(y, kind="stable"), np.cumsum(np.bincount(y, minlength=classes))[:-1])


@styled
def samples(x: np.ndarray, y: np.ndarray, classes: Sequence[str], per_class: int = 19) -> Figure:
    """Draw a row per class: the mean of its images, then some of them, chosen at random.

    Of more than 30 classes, one typical image each is drawn, and of more than 150, a selection of them.

    Args:
        x: uint8 (N, H, W[, 3]).
        y: int64 (N,).
        classes: names of the C classes.
        per_class: how many images to draw per class.
    """
    if len(classes) > MANY:
        return _class_mosaic(x, y, classes)
    rng = np.random.default_rng(0)
    cell = 0.5
    side = 0.46
    indices = _indices_per_class(y, len(classes))
    labels = [f"{name}  (n = {len(own)})" for name, own in zip(class_labels(classes), indices, strict=True)]
    left = max(map(text_width, labels)) + 0.3
    columns = min(per_class, max(map(len, indices)))
    figure, axis = new_sheet(left + cell * (columns + 1) + 0.2, cell * len(classes) + 0.4)
    for k, own in enumerate(indices):
        top = cell * k + 0.3
        axis.text(left - 0.1, top + side / 2, labels[k], ha="right", va="center", fontsize=9)
        if len(own):
            show(axis, x[own].mean(0).astype(np.uint8), left, top, side, "" if k else "mean")
        for column, i in enumerate(rng.permutation(own)[:columns], 1):
            show(axis, x[i], left + 0.1 + cell * column, top, side)
    return figure


def _class_mosaic(x: np.ndarray, y: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw a typical image of each class under its name, or of as many classes as are readable."""
    count = len(classes)
    shown = np.linspace(0, count - 1, min(count, MOST_EXEMPLARS)).round().astype(int)
    chosen = np.flatnonzero(np.isin(y, shown))
    typical = exemplars(x[chosen], y[chosen], count)
    labels = class_labels(classes)
    cell = max(0.65, max(text_width(labels[k], 8) for k in shown) + 0.05)
    columns = int(12 / cell)
    rows = -(-len(shown) // columns)
    figure, axis = new_sheet(columns * cell + 0.1, rows * 0.75 + 0.4)
    for place, k in enumerate(shown):
        row, column = divmod(place, columns)
        show(axis, typical[k], cell * column + (cell - 0.5) / 2 + 0.05, 0.75 * row + 0.6, 0.5, labels[k])
    per_class = np.bincount(y, minlength=count)
    which = f"{count} classes" if len(shown) == count else f"{len(shown)} of {count:,} classes, evenly spaced"
    numbers = plural(per_class.max(), "image")
    if per_class.min() < per_class.max():
        numbers = f"{per_class.min():,} to {numbers}"
    title = f"{which}: a typical image of each ({numbers} per class)"
    axis.text(0.1, 0.2, title, va="center", fontsize=10)
    return figure


@styled
def augmented(originals: np.ndarray, variants: np.ndarray) -> Figure:
    """Draw images beside their augmented variants, at most 12 rows and 12 variants.

    Args:
        originals: float (R, S, S) in [0, 1], as a model sees them.
        variants: float (R, V, S, S).
    """
    variants = variants[:MOST_ROWS, :MOST_COLUMNS]
    rows, columns = variants.shape[:2]
    figure, axis = new_sheet(0.75 * (columns + 1) + 0.3, 0.75 * rows + 0.4)
    for row in range(rows):
        top = 0.75 * row + 0.3
        show(axis, originals[row], 0.1, top, 0.7, "" if row else "original")
        for column in range(columns):
            show(axis, variants[row, column], 0.75 * column + 0.95, top, 0.7)
    axis.text(0.95, 0.25, "augmented", va="bottom", fontsize=8)
    return figure


@styled
def issues(x: np.ndarray | Mapping[int, np.ndarray], found: Sequence) -> Figure | None:
    """Draw the images of an audit's first 12 issues, one row per issue; None if no image is concerned.

    Args:
        x: uint8 (N, H, W), the images that were audited, or index → image of those that `found` names first.
        found: what `analysis.audit.audit` returns: title, indices and files of each.
    """
    shown = [issue for issue in found if issue.indices][:MOST_ROWS]
    if not shown:
        return None
    titles = [textwrap.fill(issue.title, 26) for issue in shown]
    left = max(text_width(line) for title in titles for line in title.split("\n")) + 0.3
    columns = min(6, max(len(issue.indices) for issue in shown))
    figure, axis = new_sheet(left + 1.4 * columns, 1.1 * len(shown) + 0.1)
    for row, (issue, title) in enumerate(zip(shown, titles, strict=True)):
        top = 1.1 * row + 0.3
        axis.text(left - 0.2, top + 0.4, title, ha="right", va="center", fontsize=9)
        for column, (i, file) in enumerate(zip(issue.indices[:columns], issue.files, strict=False)):
            show(axis, x[i], left + 1.4 * column + 0.3, top, 0.8, file_title(file))
    return figure
