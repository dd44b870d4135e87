"""Figures of what a model answers: its confusions, its mistakes, how far it can be believed.

In all of them, y are the given classes, int64 (N,); probabilities are float (N, C); labels are an image of each class,
uint8 (C, H, W); classes are the names of the C classes.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from metrics import accuracy, calibration_bins, in_words
from plots.style import NOTE, VALIDATION, class_name, new_figure, readable, show, styled, thumbnail


def surest_mistakes(y: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the indices int64 (M,) of misread images, the surest first."""
    wrong = np.flatnonzero(probabilities.argmax(1) != y)
    return wrong[np.argsort(-probabilities.max(1)[wrong], kind="stable")]


@styled
def mistakes(
    x: np.ndarray, y: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, files: Sequence[str],
    classes: Sequence[str], chosen=None, nearest: np.ndarray | None = None, most: int = 12,
) -> Figure:  # fmt: skip
    """Draw misread images, each with its given and its predicted class as images, and what it was taken for.

    Args:
        x: uint8 (N, H, W).
        files: names of the N images.
        chosen: int (M,), the images to draw, in their order; by default those of `surest_mistakes`.
        nearest: uint8 (M, H, W), for each chosen one the learnt image of the predicted class that is most like it.
        most: how many to draw.
    """
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    chosen = (surest_mistakes(y, probabilities) if chosen is None else chosen)[:most]
    rows, wide = max(1, -(-len(chosen) // 2)), 3 + (nearest is not None)
    figure, axes = new_figure(
        2.6 * wide + 0.8, 1.35 * rows, rows, 2 * wide + 1, True, width_ratios=[3] * wide + [1] + [3] * wide
    )
    if not len(chosen):
        figure.suptitle(f"no mistake in {len(y)} images")
    for place, i in enumerate(chosen):
        shown = [
            (x[i], readable(str(files[i]))),
            (labels[y[i]], f"given: {class_name(y[i], classes)}"),
            (labels[predicted[i]], f"read: {class_name(predicted[i], classes)}, {confidence[i]:.0%}"),
        ]
        if nearest is not None:
            shown.append((nearest[place], "nearest learnt"))
        row, column = place // 2, (wide + 1) * (place % 2)
        for axis, (image, title) in zip(axes[row, column:], shown, strict=False):
            show(axis, image, title)
    return figure


@styled
def confusion(matrix: np.ndarray, labels: np.ndarray, classes: Sequence[str], diagonal: bool = False) -> Figure:
    """Draw a confusion matrix, the classes shown by images and the largest confusions named.

    Args:
        matrix: int (C, C), rows the given class, columns the predicted one.
        diagonal: whether to show what was read rightly too, beside which single mistakes are pale.
    """
    count = len(matrix)
    wrong = matrix * (1 - np.eye(count, dtype=matrix.dtype))
    shown = matrix if diagonal else wrong
    side = 0.42 * count + 1.6
    figure, ((axis,),) = new_figure(side, side)
    axis.imshow(shown, cmap="Blues", vmin=0, vmax=max(1, shown.max()) * 1.4)
    for i, j in zip(*np.nonzero(shown), strict=True):
        axis.text(j, i, shown[i, j], ha="center", va="center")
    axis.set_xticks(range(count), [""] * count)
    axis.set_yticks(range(count), [""] * count)
    axis.grid(False)
    for k, image in enumerate(labels):
        thumbnail(axis, image, (k, count - 0.5), (0, -16))
        thumbnail(axis, image, (-0.5, k), (-16, 0))
    axis.set_xlabel("predicted class", labelpad=24)
    axis.set_ylabel("given class", labelpad=24)
    title = f"{wrong.sum()} mistakes in {matrix.sum()} images" + (" (correct ones not shown)" if not diagonal else "")
    for i, j in [divmod(k, count) for k in np.argsort(-wrong, axis=None, kind="stable")[:3].tolist()]:
        if wrong[i, j]:
            title += f"\n{class_name(i, classes)} read as {class_name(j, classes)}: {wrong[i, j]}"
    axis.set_title(title, fontsize=10)
    return figure


@styled
def reliability(y: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw the accuracy of each class with its 95 % interval, and how far the probabilities can be believed."""
    right, count = probabilities.argmax(1) == y, len(classes)
    figure, ((left, axis),) = new_figure(10, max(4.0, 0.3 * count + 1), 1, 2)
    left.set_yticks(range(count), [""] * count)
    left.set_ylim(count - 0.5, -0.5)
    for k in np.unique(y):
        found = accuracy(right[y == k].sum(), (y == k).sum())
        left.plot(found["interval"], (k, k), color=VALIDATION, linewidth=3, alpha=0.35)
        left.plot(found["accuracy"], k, "o", color=VALIDATION)
    for k, image in enumerate(labels):
        thumbnail(left, image, (0, k), (-14, 0), ("axes fraction", "data"))
    overall = accuracy(right.sum(), len(y))
    left.axvspan(*overall["interval"], color=NOTE, alpha=0.15, linewidth=0)
    left.set_title(f"all classes (grey): {in_words(overall)}", fontsize=10)
    left.xaxis.set_major_formatter(PercentFormatter(1))
    left.set_xlabel("accuracy, 95 % interval")
    left.set_ylabel("class", labelpad=24)
    confidence, share, counts = calibration_bins(probabilities, y)
    axis.plot((0, 1), (0, 1), "--", color=NOTE, label="as sure as right")
    axis.plot(confidence, share, color=VALIDATION)
    area = 20 + 280 * counts / counts.sum()
    axis.scatter(confidence, share, area, color=VALIDATION, alpha=0.6, label="images in a bin (area: how many)")
    for bound in (axis.xaxis, axis.yaxis):
        bound.set_major_formatter(PercentFormatter(1))
    axis.set_xlabel("probability of the predicted class")
    axis.set_ylabel("of those, rightly read")
    axis.legend(loc="lower right")
    return figure


@styled
def prediction(
    image: np.ndarray, seen: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> Figure:
    """Draw an image, what the model sees of it, and its five likeliest classes.

    Args:
        image: uint8 (H, W).
        seen: float (S, S) in [0, 1].
        probabilities: float (C,).
    """
    top = np.argsort(-probabilities, kind="stable")[:5]
    figure, axes = new_figure(9, 1.7, 1, 2 + len(top), bare=True)
    show(axes[0, 0], image, "the image")
    show(axes[0, 1], seen, "as the model sees it")
    for axis, k in zip(axes[0, 2:], top, strict=True):
        show(axis, labels[k], f"{class_name(k, classes)}: {probabilities[k]:.1%}")
    return figure
