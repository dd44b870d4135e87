"""Figures of the data: samples, augmentation, findings of the audit."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from plots.style import class_name, new_figure, readable, show, styled


def exemplars(x: np.ndarray, y: np.ndarray, classes: int) -> np.ndarray:
    """Return for each class its most typical image, uint8 (classes, H, W), to serve as its label.

    It is the nearest to the class's mean, both seen coarsely: strokes a pixel wide seldom meet.
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
    """Draw for each class the mean of its images and a row of them, chosen at random.

    Args:
        x: uint8 (N, H, W).
        y: int64 (N,).
        classes: names of the C classes; the row says the name, where a font has it, and how many images there are.
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
    """Draw images beside what training makes of them.

    Args:
        originals: float (R, S, S) in [0, 1], as a model sees them.
        variants: float (R, V, S, S).
    """
    rows, columns = variants.shape[:2]
    figure, axes = new_figure(0.7 * (columns + 1), 0.75 * rows + 0.2, rows, columns + 1, bare=True)
    for axis_row, original, row in zip(axes, originals, variants, strict=True):
        for axis, image in zip(axis_row, [original, *row], strict=True):
            show(axis, image)
    axes[0, 0].set_title("as it is", fontsize=9)
    axes[0, 1].set_title("augmented …", fontsize=9, loc="left")
    return figure


@styled
def findings(x: np.ndarray, found: Sequence[dict]) -> Figure | None:
    """Draw the images of an audit's first findings, a row each; None where no image is concerned.

    Args:
        x: uint8 (N, H, W), the images that were audited.
        found: what `audit.audit` returns.
    """
    found = [one for one in found if one["indices"]][:12]
    if not found:
        return None
    columns = min(6, max(len(one["indices"]) for one in found))
    figure, axes = new_figure(1.5 * columns + 3, 1.2 * len(found), len(found), columns, bare=True)
    for row, one in zip(axes, found, strict=True):
        for axis, i, file in zip(row, one["indices"], one["files"], strict=False):
            show(axis, x[i], readable(file))
        kind = one["kind"].replace(" in ", "\nin ")
        row[0].text(-0.15, 0.5, kind, transform=row[0].transAxes, ha="right", va="center", fontsize=9)
    return figure
