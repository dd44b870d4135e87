"""Figures, of arrays and histories alone. Classes are labelled by an image of theirs, so that no font is needed."""

import io
import time
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, get_font
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.ticker import MaxNLocator, PercentFormatter

# Blue and orange of Okabe and Ito's palette: told apart by colour-blind readers, and in grey.
TRAIN, VALIDATION, NOTE = "#E69F00", "#0072B2", "#555555"
STYLE = {
    "figure.dpi": 100, "figure.constrained_layout.use": True, "font.size": 10, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": "#E5E5E5", "legend.frameon": False,
}  # fmt: skip


def _figure(width: float, height: float, rows: int = 1, columns: int = 1, **options) -> tuple[Figure, np.ndarray]:
    """Return a figure, inches wide and high, that pyplot forgets, and its axes (rows, columns)."""
    with plt.rc_context(STYLE):
        figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)
    plt.close(figure)
    return figure, axes


def _show(axis, image: np.ndarray, title: str = "") -> None:
    axis.imshow(image, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()


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


def samples(x: np.ndarray, y: np.ndarray, classes: Sequence[str], per_class: int = 20, seed: int = 0) -> Figure:
    """Draw a row of images for each class, chosen at random.

    Args:
        x: uint8 (N, H, W).
        y: int64 (N,).
        classes: names of the C classes; the row says the class's index and how many images it has.
    """
    rng = np.random.default_rng(seed)
    figure, axes = _figure(0.5 * per_class + 1.2, 0.5 * len(classes), len(classes), per_class)
    for k, row in enumerate(axes):
        own = np.flatnonzero(y == k)
        for axis in row:
            axis.set_axis_off()
        for axis, i in zip(row, rng.permutation(own)[:per_class], strict=False):
            _show(axis, x[i])
        row[0].text(
            -0.25, 0.5, f"{k}  (n = {len(own)})", transform=row[0].transAxes, ha="right", va="center", fontsize=9
        )
    return figure


def augmented(originals: np.ndarray, variants: np.ndarray) -> Figure:
    """Draw images beside what training makes of them.

    Args:
        originals: float (R, S, S), ink in [0, 1].
        variants: float (R, V, S, S).
    """
    rows, columns = variants.shape[:2]
    figure, axes = _figure(0.7 * (columns + 1), 0.75 * rows + 0.2, rows, columns + 1)
    for axis_row, original, row in zip(axes, originals, variants, strict=True):
        for axis, image in zip(axis_row, [original, *row], strict=True):
            _show(axis, 1 - image)
    axes[0, 0].set_title("as it is", fontsize=9)
    axes[0, 1].set_title("augmented …", fontsize=9, loc="left")
    return figure


def curves(history: Sequence[dict], epochs: int | None = None) -> Figure:
    """Draw loss, accuracy and learning rate over the epochs, the best validation epoch marked.

    Args:
        history: what `fit` returns: a dict an epoch.
        epochs: of the whole run, where it is still going on.
    """
    figure, axes = _figure(10, 4.6, 2, 2, sharex=True, height_ratios=[3, 1])
    epoch = [row["epoch"] for row in history]
    validated = history[0]["val_accuracy"] is not None
    for axis, key in ((axes[0, 0], "loss"), (axes[0, 1], "accuracy")):
        axis.plot(epoch, [row[f"train_{key}"] for row in history], color=TRAIN, label="training (augmented)")
        if validated:
            label = f"validation (n = {history[0]['val_n']})"
            axis.plot(epoch, [row[f"val_{key}"] for row in history], color=VALIDATION, label=label)
        axis.set_ylabel(key)
    if validated:
        low, high = ([row[f"val_{end}"] for row in history] for end in ("low", "high"))
        axes[0, 1].fill_between(epoch, low, high, color=VALIDATION, alpha=0.15, label="95 % interval")
    axes[0, 0].legend()
    axes[0, 1].legend(loc="lower right")
    axes[0, 0].set_ylim(bottom=0)
    axes[0, 1].yaxis.set_major_formatter(PercentFormatter(1))
    if validated:
        best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
        axes[0, 1].plot(best["epoch"], best["val_accuracy"], "o", color=VALIDATION)
        axes[0, 1].set_title(
            "best: {val_accuracy:.2%} ({val_low:.2%} to {val_high:.2%}) in epoch {epoch}".format(**best),
            fontsize=10,
            color=VALIDATION,
        )
    axes[1, 0].plot(epoch, [row["learning_rate"] for row in history], color=NOTE)
    axes[1, 0].set_ylabel("learning rate")
    axes[1, 1].bar(epoch, [row["seconds"] for row in history], color=NOTE)
    axes[1, 1].set_ylabel("seconds")
    done, seconds = len(history), sum(row["seconds"] for row in history)
    left = f", {seconds / done * (epochs - done):.0f} s left" if epochs and done < epochs else ""
    axes[0, 0].set_title(f"epoch {done} of {epochs or done}, {seconds:.0f} s{left}", fontsize=10, color=NOTE)
    for axis in axes[1]:
        axis.set_xlabel("epoch")
        axis.set_xlim(0.4, (epochs or done) + 0.6)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure


class LiveCurves:
    """A callback of `fit` that redraws the curves in place, in at most 5 % of the run's time, and saves the last.

    Args:
        epochs: of the whole run.
    """

    def __init__(self, epochs: int):
        self.epochs, self._display, self._next = epochs, None, 0.0

    def __call__(self, history: list[dict], folder: Path | None) -> None:
        last = len(history) == self.epochs
        start = time.perf_counter()
        if start < self._next and not last:
            return
        png = io.BytesIO()
        curves(history, self.epochs).savefig(png)
        if last and folder:
            (folder / "curves.png").write_bytes(png.getvalue())
        self._update(png.getvalue())
        self._next = time.perf_counter() + 30 * (time.perf_counter() - start)

    def _update(self, png: bytes) -> None:
        from IPython.display import Image, display

        if self._display:
            self._display.update(Image(png))
        else:
            self._display = display(Image(png), display_id=True)


def confusion(matrix: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw a confusion matrix, its diagonal left out, the classes shown by images.

    Args:
        matrix: int (C, C), rows the given class, columns the predicted one.
        labels: uint8 (C, H, W), an image of each class.
    """
    count = len(matrix)
    mistakes = matrix * (1 - np.eye(count, dtype=matrix.dtype))
    side = 0.42 * count + 1.6
    figure, ((axis,),) = _figure(side, side)
    axis.imshow(mistakes, cmap="Blues", vmin=0, vmax=max(1, mistakes.max()) * 1.4)
    for i, j in zip(*np.nonzero(mistakes), strict=True):
        axis.text(j, i, mistakes[i, j], ha="center", va="center")
    axis.set_xticks(range(count), [""] * count)
    axis.set_yticks(range(count), [""] * count)
    axis.grid(False)
    for k, image in enumerate(labels):
        for place, offset in (((k, count - 0.5), (0, -16)), ((-0.5, k), (-16, 0))):
            thumbnail = OffsetImage(image, zoom=26 / max(image.shape), cmap="gray", norm=plt.Normalize(0, 255))
            box = AnnotationBbox(
                thumbnail, place, offset, boxcoords="offset points", frameon=False, annotation_clip=False
            )
            axis.add_artist(box)
    axis.set_xlabel("predicted class", labelpad=24)
    axis.set_ylabel("given class", labelpad=24)
    axis.set_title(f"{mistakes.sum()} mistakes in {matrix.sum()} images (correct ones not shown)", fontsize=10)
    return figure


def mistakes(
    x: np.ndarray, y: np.ndarray, probabilities: np.ndarray, labels: np.ndarray, files: Sequence[str], chosen=None,
    most: int = 12,
) -> Figure:  # fmt: skip
    """Draw the misread images, the surest mistake first, each with an image of its given and its predicted class.

    Args:
        x: uint8 (N, H, W).
        y: int64 (N,), the given classes.
        probabilities: float (N, C).
        labels: uint8 (C, H, W), an image of each class.
        files: names of the N images.
        chosen: int (M,), the images to draw and their order, in place of the misread ones.
        most: how many to draw.
    """
    predicted, confidence = probabilities.argmax(1), probabilities.max(1)
    if chosen is None:
        chosen = np.flatnonzero(predicted != y)
        chosen = chosen[np.argsort(-confidence[chosen])]
    wrong = chosen[:most]
    rows = max(1, -(-len(wrong) // 3))
    figure, axes = _figure(10.5, 1.35 * rows, rows, 11, width_ratios=[3, 3, 3, 1] * 2 + [3, 3, 3])
    for axis in axes.flat:
        axis.set_axis_off()
    if not len(wrong):
        figure.suptitle(f"no mistake in {len(y)} images")
    for place, i in enumerate(wrong):
        row, column = place // 3, 4 * (place % 3)
        for offset, image, title in (
            (0, x[i], _readable(str(files[i]))),
            (1, labels[y[i]], f"given: {y[i]}"),
            (2, labels[predicted[i]], f"read: {predicted[i]}, {confidence[i]:.0%}"),
        ):
            _show(axes[row, column + offset], image, title)
    return figure


def findings(x: np.ndarray, found: Sequence[dict], most: int = 12) -> Figure | None:
    """Draw the images of an audit's first findings, a row each; None where no image is concerned.

    Args:
        x: uint8 (N, H, W), the images that were audited.
        found: what `audit.audit` returns.
        most: how many findings to draw.
    """
    found = [one for one in found if one["indices"]][:most]
    if not found:
        return None
    columns = min(6, max(len(one["indices"]) for one in found))
    figure, axes = _figure(1.5 * columns + 3, 1.2 * len(found), len(found), columns)
    for row, one in zip(axes, found, strict=True):
        for axis in row:
            axis.set_axis_off()
        for axis, i, file in zip(row, one["indices"], one["files"], strict=False):
            _show(axis, x[i], _readable(file))
        kind = one["kind"].replace(" in ", "\nin ")
        row[0].text(-0.15, 0.5, kind, transform=row[0].transAxes, ha="right", va="center", fontsize=9)
    return figure


@lru_cache
def _glyphs() -> frozenset[int]:
    """Return the code points that the font of the figures has."""
    return frozenset(get_font(findfont(FontProperties())).get_charmap())


def _readable(name: str) -> str:
    """Return a file's name as a title: its end, with ? for what the font does not have."""
    name = name if len(name) <= 18 else f"…{name[-17:]}"
    return "".join(letter if ord(letter) in _glyphs() else "?" for letter in name).replace("$", r"\$")


def prediction(image: np.ndarray, seen: np.ndarray, probabilities: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw an image, what the model sees of it, and its five likeliest classes.

    Args:
        image: uint8 (H, W).
        seen: float (S, S), ink in [0, 1].
        probabilities: float (C,).
        labels: uint8 (C, H, W), an image of each class.
    """
    top = np.argsort(-probabilities)[:5]
    figure, axes = _figure(9, 1.7, 1, 2 + len(top))
    _show(axes[0, 0], image, "the image")
    _show(axes[0, 1], 1 - seen, "as the model sees it")
    for axis, k in zip(axes[0, 2:], top, strict=True):
        _show(axis, labels[k], f"{k}: {probabilities[k]:.1%}")
    return figure
