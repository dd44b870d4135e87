"""Figures of predictions: confusions, errors, accuracy per class, calibration.

In all of them, y are the labels and predicted the predicted classes, int64 (N,); confidence are the probabilities of
the latter, float (N,); exemplars are an image of each class, uint8 (C, H, W); classes are the names of the C classes.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from common.text import plural
from metrics import accuracy, calibration_bins, format_accuracy, macro_averages
from plots.labels import class_labels, file_title, text_width
from plots.style import MANY, NOTE, VALIDATION, new_figure, new_sheet, show, styled, thumbnail

WORST = 20  # classes whose accuracy is drawn if there are many
MOST_PAIRS = 20  # of confused classes that are drawn if there are many


def most_confident_errors(y: np.ndarray, predicted: np.ndarray, confidence: np.ndarray) -> np.ndarray:
    """Return the indices int64 (M,) of misclassified images, the most confident prediction first."""
    wrong = np.flatnonzero(predicted != y)
    return wrong[np.argsort(-confidence[wrong], kind="stable")]


@styled
def errors(
    x: np.ndarray | Mapping[int, np.ndarray], y: np.ndarray, predicted: np.ndarray, confidence: np.ndarray,
    exemplars: np.ndarray, files: Sequence[str], classes: Sequence[str], chosen: np.ndarray | None = None,
    nearest: np.ndarray | None = None, most: int = 12,
) -> Figure:  # fmt: skip
    """Draw misclassified images, each beside an image of its label and of the predicted class.

    Args:
        x: uint8 (N, H, W), or index → uint8 (H, W) of the images to draw.
        files: names of the N images.
        chosen: int (M,), the images to draw, in their order; by default those of `most_confident_errors`.
        nearest: uint8 (M, H, W), for each chosen one the nearest training image of the predicted class.
        most: how many to draw.
    """
    labels = class_labels(classes)
    chosen = (most_confident_errors(y, predicted, confidence) if chosen is None else chosen)[:most]
    if not len(chosen):
        return _sentence("none is shown" if (predicted != y).any() else f"no errors in {plural(len(y), 'image')}")
    cell = 1.35
    wide = 3 if nearest is None else 4
    figure, axis = new_sheet(2 * cell * wide + 0.5, 1.35 * -(-len(chosen) // 2) + 0.1)
    for place, i in enumerate(chosen):
        images = [
            (x[i], f"image\n{file_title(str(files[i]))}"),
            (exemplars[y[i]], f"label\n{labels[y[i]]}"),
            (exemplars[predicted[i]], f"predicted, {confidence[i]:.0%}\n{labels[predicted[i]]}"),
        ]
        if nearest is not None:
            images.append((nearest[place], f"nearest in training\n{labels[predicted[i]]}"))
        left, top = (place % 2) * (cell * wide + 0.5), 1.35 * (place // 2) + 0.45
        for column, (image, title) in enumerate(images):
            show(axis, image, left + cell * column + (cell - 0.85) / 2, top, 0.85, title)
    return figure


def _sentence(text: str) -> Figure:
    """Return a figure that says why there is nothing to draw."""
    figure, axis = new_sheet(text_width(text, 10) + 0.4, 0.5)
    axis.text(0.2, 0.25, text, va="center")
    return figure


@styled
def confusion(
    y: np.ndarray, predicted: np.ndarray, exemplars: np.ndarray, classes: Sequence[str], diagonal: bool = False
) -> Figure:
    """Draw a confusion matrix, with an image and the name of each class; of more than 30, the most frequent confusions.

    Args:
        diagonal: whether to show correct predictions too, beside which single errors are pale. They are shown if there
            are no errors.
    """
    labels = class_labels(classes)
    wrong = predicted != y
    pairs = _most_frequent(y[wrong], predicted[wrong], len(labels))
    title = f"{plural(wrong.sum(), 'error')} in {plural(len(y), 'image')}"
    if len(labels) <= MANY:
        hidden = not diagonal and len(pairs) > 0
        lines = [f"{labels[i]} predicted as {labels[j]}: {count}" for i, j, count in pairs[:3]]
        title = "\n".join([title + (" (correct ones not shown)" if hidden else ""), *lines])
        matrix = np.zeros((len(labels), len(labels)), np.int64)
        np.add.at(matrix, (y[wrong], predicted[wrong]) if hidden else (y, predicted), 1)
        return _confusion_matrix(matrix, exemplars, labels, title)
    if not pairs:
        return _sentence(title)
    return _confused_pairs(pairs, np.bincount(y, minlength=len(labels)), exemplars, labels, title)


def _most_frequent(y: np.ndarray, predicted: np.ndarray, classes: int) -> list[tuple[int, int, int]]:
    """Return the most frequent (label, predicted class, how many images), without a matrix of all classes."""
    pairs, counts = np.unique(y * classes + predicted, return_counts=True)
    order = np.argsort(-counts, kind="stable")[:MOST_PAIRS]
    labels, others = np.divmod(pairs[order], classes)
    return list(zip(labels.tolist(), others.tolist(), counts[order].tolist(), strict=True))


def _confusion_matrix(shown: np.ndarray, exemplars: np.ndarray, labels: list[str], title: str) -> Figure:
    count = len(shown)
    top = max(1, shown.max())
    upright = max(map(len, labels)) <= 2
    side = 0.42 * count + 1.6 + max(map(text_width, labels))
    figure, ((axis,),) = new_figure(side, side)
    axis.imshow(shown, cmap="Blues", vmin=0, vmax=top * 1.4)
    for i, j in zip(*np.nonzero(shown), strict=True):
        axis.text(j, i, shown[i, j], ha="center", va="center", color="white" if shown[i, j] > 0.7 * top else "black")
    axis.set_xticks(range(count), labels, rotation=0 if upright else 90)
    axis.set_yticks(range(count), labels)
    axis.tick_params(length=0, pad=31)  # room for the images
    axis.spines[:].set(visible=True, color=NOTE)
    axis.grid(False)
    for k, image in enumerate(exemplars):
        thumbnail(axis, image, (k, count - 0.5), (0, -15))
        thumbnail(axis, image, (-0.5, k), (-15, 0))
    axis.set_xlabel("predicted class")
    axis.set_ylabel("label")
    axis.set_title(title, fontsize=10)
    return figure


def _confused_pairs(
    pairs: list[tuple[int, int, int]], counts: np.ndarray, exemplars: np.ndarray, labels: list[str], title: str
) -> Figure:
    """Draw an image of the label and of the predicted class of each pair, with how many images are concerned.

    Args:
        counts: int64 (C,), images per class.
    """
    rows = -(-len(pairs) // 2)
    cell = max(text_width(labels[k]) for pair in pairs for k in pair[:2]) + 2.6
    figure, axis = new_sheet(2 * cell + 0.1, 0.7 * rows + 0.5)
    axis.text(0.1, 0.2, f"{title}; the most frequent confusions, label → predicted class:", va="center")
    for place, (i, j, count) in enumerate(pairs):
        left, top = 0.1 + cell * (place // rows), 0.7 * (place % rows) + 0.45
        show(axis, exemplars[i], left, top, 0.6)
        show(axis, exemplars[j], left + 0.85, top, 0.6)
        axis.text(left + 0.725, top + 0.3, "→", ha="center", va="center")
        text = f"{labels[i]} → {labels[j]}\n{count} of {plural(counts[i], 'image')}"
        axis.text(left + 1.55, top + 0.3, text, va="center", fontsize=9)
    return figure


@styled
def reliability(
    y: np.ndarray, predicted: np.ndarray, confidence: np.ndarray, exemplars: np.ndarray, classes: Sequence[str]
) -> Figure:
    """Draw the accuracy per class with its 95 % interval, and a reliability diagram of the probabilities.

    Of more than 30 classes, the worst twenty and a histogram are drawn.
    """
    correct = predicted == y
    labels = class_labels(classes)
    counts = np.bincount(y, minlength=len(labels))
    hits = np.bincount(y[correct], minlength=len(labels))
    shown = np.arange(len(labels))
    if len(labels) <= MANY:
        figure, axes = new_figure(10, max(4.0, 0.36 * len(shown) + 1), 1, 2)
    else:
        rate = np.divide(hits, counts, out=np.full(len(labels), np.inf), where=counts > 0)
        shown = np.lexsort((-counts, rate))[:WORST]
        figure, axes = new_figure(13, 0.36 * len(shown) + 1, 1, 3)
        _draw_accuracy_histogram(axes[0, 1], rate[counts > 0])
    _draw_class_accuracy(axes[0, 0], hits, counts, shown, exemplars, labels)
    if averages := macro_averages(y, predicted):
        heading = "balanced accuracy {balanced_accuracy:.2%}, macro F1 {macro_f1:.2%}".format(**averages)
        axes[0, 0].set_title(f"{axes[0, 0].get_title()}\n{heading}", fontsize=10)
    _draw_calibration(axes[0, -1], confidence, correct)
    return figure


def _draw_class_accuracy(axis, hits, counts, shown, exemplars: np.ndarray, labels: list[str]) -> None:
    axis.set_yticks(range(len(shown)), [labels[k] for k in shown])
    axis.tick_params(axis="y", length=0, pad=31)  # room for the images
    axis.set_ylim(len(shown) - 0.5, -0.5)
    for row, k in enumerate(shown):
        thumbnail(axis, exemplars[k], (0, row), (-15, 0), ("axes fraction", "data"))
        if counts[k]:
            result = accuracy(hits[k], counts[k])
            axis.plot(result["interval"], (row, row), color=VALIDATION, linewidth=3, alpha=0.35)
            axis.plot(result["accuracy"], row, "o", color=VALIDATION)
    overall = accuracy(hits.sum(), counts.sum())
    axis.axvspan(*overall["interval"], color=NOTE, alpha=0.15, linewidth=0)
    worst = "" if len(shown) == len(labels) else f"the worst {len(shown)} of {len(labels):,} classes\n"
    axis.set_title(f"{worst}all classes (grey): {format_accuracy(overall)}", fontsize=10)
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.set_xlabel("accuracy, 95 % interval")


def _draw_accuracy_histogram(axis, rate: np.ndarray) -> None:
    axis.hist(rate, np.linspace(0, 1, 21), color=VALIDATION)
    axis.xaxis.set_major_formatter(PercentFormatter(1))
    axis.yaxis.set_major_locator(MaxNLocator(integer=True))
    axis.set_xlabel("accuracy of a class")
    axis.set_ylabel("classes")
    axis.set_title(f"{np.count_nonzero(rate == 1):,} of {len(rate):,} classes without errors", fontsize=10)


def _draw_calibration(axis, confidence: np.ndarray, correct: np.ndarray) -> None:
    """Draw the accuracy per bin of confidence, with its interval; of few images, in few bins."""
    bins = int(np.clip(len(correct) // 20, 2, 10))
    confidence, bin_accuracy, counts = calibration_bins(confidence, correct, bins)
    axis.plot((0, 1), (0, 1), "--", color=NOTE, label="perfectly calibrated")
    intervals = [
        accuracy(round(correct), n)["interval"] for correct, n in zip(bin_accuracy * counts, counts, strict=True)
    ]
    axis.vlines(confidence, *np.transpose(intervals), color=VALIDATION, linewidth=3, alpha=0.35, label="95 % interval")
    area = 20 + 180 * counts / counts.sum()
    axis.scatter(confidence, bin_accuracy, area, color=VALIDATION, label="images by confidence (area: how many)")
    for bound in (axis.xaxis, axis.yaxis):
        bound.set_major_formatter(PercentFormatter(1))
    axis.set_xlabel("confidence (probability of the predicted class)")
    axis.set_ylabel("accuracy")
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=8)


@styled
def prediction(
    image: np.ndarray, model_input: np.ndarray, probabilities: np.ndarray, exemplars: np.ndarray,
    classes: Sequence[str], photo: np.ndarray | None = None,
) -> Figure:  # fmt: skip
    """Draw an image, what the model sees of it, and its five most probable classes.

    Args:
        image: uint8 (H, W).
        model_input: float (S, S) in [0, 1].
        probabilities: float (C,).
        photo: uint8 (h, w) or (h, w, 3), of which the image was made, to be drawn beside it.
    """
    top = np.argsort(-probabilities, kind="stable")[:5]
    labels = class_labels(classes)
    inputs = [(image, "image"), (model_input, "model input")]
    if photo is not None:
        inputs = [(photo, "photo"), (image, "prepared"), inputs[1]]
    answers = [(exemplars[k], f"{labels[k]}\n{probabilities[k]:.1%}") for k in top]
    cell, gap = 1.3, 0.3
    figure, axis = new_sheet(cell * (len(inputs) + len(answers)) + gap, 1.7)
    for place, (picture, title) in enumerate([*inputs, *answers]):
        left = cell * place + (gap if place >= len(inputs) else 0)
        show(axis, picture, left + 0.1, 0.5, 1.1, title)
    return figure
