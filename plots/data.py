"""Figures of the data: samples, augmentation, issues of the audit."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from plots.style import class_name, file_title, new_figure, show, styled


def exemplars(x: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """Return the most typical image of each class, uint8 (classes, H, W).

    It is the nearest to the class's mean at a coarse resolution, since strokes one pixel wide seldom overlap.
    """
    best = np.full((classes, *x.shape[1:]), 255, np.uint8)
    rows, columns = (np.linspace(0, side, 8).astype(int)[:-1] for side in x.shape[1:])
    coarse = np.add.reduceat(np.add.reduceat(x.astype(np.float32), rows, 1), columns, 2).reshape(len(x), -1)
    for k in np.unique(y):
        own = coarse[y == k]
        best[k] = x[y == k][((own - own.mean(0)) ** 2).sum(1).argmin()]
    return best


@styled
def samples(x: np.ndarray, y: np.ndarray, classes: Sequence[str], per_class: int = 19) -> Figure:
    """Draw a row per class: the mean of its images, then some of them, chosen at random.

    Args:
        x: uint8 (N, H, W).
        y: int64 (N,).
        classes: names of the C classes; the row shows the name and the number of images.
    """
    rng = np.random.default_rng(0)
    figure, axes = new_figure(0.5 * per_class + 1.8, 0.5 * len(classes) + 0.2, len(classes), per_class + 1, bare=True)
    axes[0, 0].set_title("mean", fontsize=9)
    for k, row in enumerate(axes):
        own = np.flatnonzero(y == k)
        if len(own):
            show(axes[k, 0], x[own].mean(0).astype(np.uint8), axes[k, 0].get_title())
        for axis, i in zip(row[1:], rng.permutation(own)[:per_class], strict=False):
            show(axis, x[i])
        label = f"{class_name(k, classes)}  (n = {len(own)})"
        row[0].text(-0.25, 0.5, label, transform=row[0].transAxes, ha="right", va="center", fontsize=9)
    return figure


@styled
def augmented(originals: np.ndarray, variants: np.ndarray) -> Figure:
    """Draw images beside their augmented variants.

    Args:
        originals: float (R, S, S) in [0, 1], as a model sees them.
        variants: float (R, V, S, S).
    """
    rows, columns = variants.shape[:2]
    figure, axes = new_figure(0.7 * (columns + 1), 0.75 * rows + 0.2, rows, columns + 1, bare=True)
    for axis_row, original, row in zip(axes, originals, variants, strict=True):
        for axis, image in zip(axis_row, [original, *row], strict=True):
            show(axis, image)
    axes[0, 0].set_title("original", fontsize=9)
    axes[0, 1].set_title("augmented …", fontsize=9, loc="left")
    return figure


@styled
def issues(x: np.ndarray, found: Sequence) -> Figure | None:
    """Draw the images of an audit's first issues, one row per issue; None if no image is concerned.

    Args:
        x: uint8 (N, H, W), the images that were audited.
        found: what `analysis.audit.audit` returns: title, indices and files of each.
    """
    shown = [issue for issue in found if issue.indices][:12]
    if not shown:
        return None
    columns = min(6, max(len(issue.indices) for issue in shown))
    figure, axes = new_figure(1.5 * columns + 3, 1.2 * len(shown), len(shown), columns, bare=True)
    for row, issue in zip(axes, shown, strict=True):
        for axis, i, file in zip(row, issue.indices, issue.files, strict=False):
            show(axis, x[i], file_title(file))
        title = issue.title.replace(" in ", "\nin ")
        row[0].text(-0.15, 0.5, title, transform=row[0].transAxes, ha="right", va="center", fontsize=9)
    return figure
