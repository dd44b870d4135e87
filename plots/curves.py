"""Training curves: of one run, and of several runs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from metrics import kept_epoch
from plots.style import ERROR, NOTE, TRAIN, VALIDATION, new_figure, styled


@styled
def curves(history: Sequence[dict], epochs: int | None = None, augmented: bool = True) -> Figure:
    """Draw loss, accuracy and learning rate per epoch, with the epoch that is kept marked.

    Args:
        history: what `fit` returns: a dict per epoch.
        epochs: of the whole run, if it has not ended.
        augmented: whether the training images were, which is why their accuracy may be lower than validation accuracy.
    """
    figure, axes = new_figure(10, 5, 2, 2, sharex=True, height_ratios=[3, 1])
    epoch = [row["epoch"] for row in history]
    marker = "." if len(history) < 10 else None  # a line through one epoch cannot be seen
    for axis, key in ((axes[0, 0], "loss"), (axes[0, 1], "accuracy")):
        if _validated(history):
            label = f"validation (n = {history[0]['val_n']})"
            axis.plot(epoch, [row[f"val_{key}"] for row in history], color=VALIDATION, label=label, marker=marker)
        label = "training (augmented)" if augmented else "training"
        axis.plot(epoch, [row[f"train_{key}"] for row in history], color=TRAIN, label=label, marker=marker)
        axis.set_ylabel(key)
    if _validated(history):
        _mark_kept(axes[0, 1], history)
    _fit_limits(axes[0, 0], axes[0, 1])
    figure.legend(*axes[0, 1].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    axes[0, 1].yaxis.set_major_formatter(PercentFormatter(1))
    axes[1, 0].plot(epoch, [row["learning_rate"] for row in history], color=NOTE, marker=marker)
    axes[1, 0].set_ylabel("learning rate")
    axes[1, 1].bar(epoch, [row["seconds"] for row in history], color=NOTE)
    axes[1, 1].set_ylabel("seconds")
    done = len(history)
    seconds = sum(row["seconds"] for row in history)
    left = f", {seconds / done * (epochs - done):.0f} s left" if epochs and done < epochs else ""
    axes[0, 0].set_title(f"epoch {done} of {epochs or done}, {seconds:.0f} s{left}", fontsize=10, color=NOTE)
    margin = max(0.6, 0.02 * (epochs or done))  # from the frame
    for axis in axes[1]:
        axis.set_xlabel("epoch")
        axis.set_xlim(1 - margin, (epochs or done) + margin)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    return figure


def _fit_limits(loss, accuracy) -> None:
    """Let the y axes of loss and accuracy hold the lines with a margin, and no more of an interval than that."""
    for axis in (loss, accuracy):
        values = np.concatenate([line.get_ydata() for line in axis.lines])
        low, high = (0 if axis is loss else values.min()), values.max()
        margin = max(0.05 * (high - low), 0.01)
        axis.set_ylim(max(low - margin, 0) if axis is accuracy else -margin, high + margin)


def _validated(history: Sequence[dict]) -> bool:
    return history[0]["val_accuracy"] is not None


def _mark_kept(axis, history: Sequence[dict]) -> None:
    """Draw the interval of the validation accuracy, and mark the epoch that is kept."""
    epoch = [row["epoch"] for row in history]
    low, high = ([row[f"val_{end}"] for row in history] for end in ("low", "high"))
    axis.fill_between(epoch, low, high, color=VALIDATION, alpha=0.15, label="95 % interval")
    kept, reason = kept_epoch(history)
    axis.plot(kept["epoch"], kept["val_accuracy"], "o", color=VALIDATION)
    title = "epoch {epoch} is kept: {val_accuracy:.2%} ({val_low:.2%} to {val_high:.2%})".format(**kept)
    axis.set_title(f"{title}\n{reason}", fontsize=10, color=VALIDATION)


@styled
def compared_curves(histories: dict[str, Sequence[dict]]) -> Figure:
    """Draw loss and accuracy of several runs per epoch, of the validation set if there is one.

    Args:
        histories: name of a run → its history, a dict per epoch; up to seven.
    """
    figure, ((left, right),) = new_figure(10, 4.2, 1, 2)
    colours = (VALIDATION, TRAIN, "#009E73", "#CC79A7", "#56B4E9", ERROR, "#000000")  # of Okabe and Ito's palette
    for (name, history), colour in zip(histories.items(), colours, strict=False):
        part, word = ("val", "validation") if _validated(history) else ("train", "training")
        epoch = [row["epoch"] for row in history]
        for axis, key in ((left, "loss"), (right, "accuracy")):
            axis.plot(epoch, [row[f"{part}_{key}"] for row in history], color=colour, label=f"{name} ({word})")
    for axis, key in ((left, "loss"), (right, "accuracy")):
        axis.set_xlabel("epoch")
        axis.set_ylabel(key)
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    _fit_limits(left, right)
    right.yaxis.set_major_formatter(PercentFormatter(1))
    figure.legend(*right.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=8)
    return figure
