"""Figures of predictions: confusions, errors, accuracy per class, calibration.

In all of them, y are the labels, int64 (N,); probabilities are float (N, C); exemplars are an image of each class,
uint8 (C, H, W); classes are the names of the C classes.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from metrics import accuracy, calibration_bins, format_accuracy
from plots.style import NOTE, VALIDATION, class_name, file_title, new_figure, show, styled, thumbnail


def most_confident_errors(y: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Return the indices int64 (M,) of misclassified images, the most confident prediction first."""
    wrong = np.flatnonzero(probabilities.argmax(1) != y)
    return wrong[np.argsort(-probabilities.max(1)[wrong], kind="stable")]


@styled
def errors(
    x: np.ndarray, y: np.ndarray, probabilities: np.ndarray, exemplars: np.ndarray, files: Sequence[str],
    classes: Sequence[str], chosen: np.ndarray | None = None, nearest: np.ndarray | None = None, most: int = 12,
) -> Figure:  # fmt: skip
    """Draw misclassified images, each beside an image of its label and of the predicted class.

    Args:
        x: uint8 (N, H, W).
        files: names of the N images.
        chosen: int (M,), the images to draw, in their order; by default those of `most_confident_errors`.
        nearest: uint8 (M, H, W), for each chosen one the nearest training image of the predicted class.
        most: how many to draw.
    """
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    chosen = (most_confident_errors(y, probabilities) if chosen is None else chosen)[:most]
    rows, wide = max(1, -(-len(chosen) // 2)), 3 if nearest is None else 4
    figure, axes = new_figure(
        2.6 * wide + 0.8, 1.35 * rows, rows, 2 * wide + 1, True, width_ratios=[3] * wide + [1] + [3] * wide
    )
    if not len(chosen):
        figure.suptitle(f"no errors in {len(y)} images")
    for place, i in enumerate(chosen):
        shown = [
            (x[i], file_title(str(files[i]))),
            (exemplars[y[i]], f"label: {class_name(y[i], classes)}"),
            (exemplars[predicted[i]], f"predicted: {class_name(predicted[i], classes)}, {confidence[i]:.0%}"),
        ]
        if nearest is not None:
            shown.append((nearest[place], "nearest in training"))
        row, column = place // 2, (wide + 1) * (place % 2)
        for axis, (image, title) in zip(axes[row, column:], shown, strict=False):
            show(axis, image, title)
    return figure


@styled
def confusion(matrix: np.ndarray, exemplars: np.ndarray, classes: Sequence[str], diagonal: bool = False) -> Figure:
    """Draw a confusion matrix, with the classes shown by images and the most frequent confusions named.

    Args:
        matrix: int (C, C), rows the label, columns the predicted class.
        diagonal: whether to show correct predictions too, beside which single errors are pale.
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
    for k, image in enumerate(exemplars):
        thumbnail(axis, image, (k, count - 0.5), (0, -16))
        thumbnail(axis, image, (-0.5, k), (-16, 0))
    axis.set_xlabel("predicted class", labelpad=24)
    axis.set_ylabel("label", labelpad=24)
    title = f"{wrong.sum()} errors in {matrix.sum()} images" + ("" if diagonal else " (correct ones not shown)")
    for i, j in [divmod(k, count) for k in np.argsort(-wrong, axis=None, kind="stable")[:3].tolist()]:
        if wrong[i, j]:
            title += f"\n{class_name(i, classes)} predicted as {class_name(j, classes)}: {wrong[i, j]}"
    axis.set_title(title, fontsize=10)
    return figure


@styled
def reliability(y: np.ndarray, probabilities: np.ndarray, exemplars: np.ndarray) -> Figure:
    """Draw the accuracy per class with its 95 % interval, and a reliability diagram of the probabilities."""
    correct, count = probabilities.argmax(1) == y, len(exemplars)
    figure, ((left, right),) = new_figure(10, max(4.0, 0.3 * count + 1), 1, 2)
    _draw_class_accuracy(left, y, correct, exemplars)
    _draw_calibration(right, y, probabilities)
    return figure


def _draw_class_accuracy(axis, y: np.ndarray, correct: np.ndarray, exemplars: np.ndarray) -> None:
    count = len(exemplars)
    axis.set_yticks(range(count), [""] * count)
    axis.set_ylim(count - 0.5, -0.5)
    for k in np.unique(y):
        result = accuracy(correct[y == k].sum(), (y == k).sum())
        axis.plot(result["interval"], (k, k), color=VALIDATION, linewidth=3, alpha=0.35)
        axis.plot(result["accuracy"], k, "o", color=VALIDATION)
    for k, image in enumerate(exemplars):
        thumbnail(axis, image, (0, k), (-14, 0), ("axes fraction", "data"))
    overall = accuracy(correct.sum(), len(y))
    axis.axvspan(*overall["interval"], color=NOTE, alpha=0.15, linewidth=0)
    axis.set_title(f"all classes (grey): {format_accuracy(overall)}", fontsize=10)
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.set_xlabel("accuracy, 95 % interval")
    axis.set_ylabel("class", labelpad=24)


def _draw_calibration(axis, y: np.ndarray, probabilities: np.ndarray) -> None:
    confidence, bin_accuracy, counts = calibration_bins(probabilities, y)
    axis.plot((0, 1), (0, 1), "--", color=NOTE, label="perfectly calibrated")
    axis.plot(confidence, bin_accuracy, color=VALIDATION)
    area = 20 + 280 * counts / counts.sum()
    axis.scatter(confidence, bin_accuracy, area, color=VALIDATION, alpha=0.6, label="bins (area: number of images)")
    for bound in (axis.xaxis, axis.yaxis):
        bound.set_major_formatter(PercentFormatter(1))
    axis.set_xlabel("confidence (probability of the predicted class)")
    axis.set_ylabel("accuracy")
    axis.legend(loc="lower right")


@styled
def prediction(
    image: np.ndarray, model_input: np.ndarray, probabilities: np.ndarray, exemplars: np.ndarray, classes: Sequence[str]
) -> Figure:
    """Draw an image, what the model sees of it, and its five most probable classes.

    Args:
        image: uint8 (H, W).
        model_input: float (S, S) in [0, 1].
        probabilities: float (C,).
    """
    top = np.argsort(-probabilities, kind="stable")[:5]
    figure, axes = new_figure(9, 1.7, 1, 2 + len(top), bare=True)
    show(axes[0, 0], image, "the image")
    show(axes[0, 1], model_input, "model input")
    for axis, k in zip(axes[0, 2:], top, strict=True):
        show(axis, exemplars[k], f"{class_name(k, classes)}: {probabilities[k]:.1%}")
    return figure
