"""Figures of a model's interpretation, from the arrays that `analysis.interpretation` gives."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from plots.style import ERROR, class_name, new_figure, show, styled, thumbnail


@styled
def feature_maps(filters: np.ndarray, maps: dict[str, np.ndarray]) -> Figure:
    """Draw the filters of the first layer, and a row of feature maps per layer.

    Args:
        filters: float (F, h, w); blue is negative, red positive.
        maps: name of a layer → float (M, H, W).
    """
    rows = {"filters": filters} | {name: found for name, found in maps.items() if found.shape[1] > 1}
    figure, axes = new_figure(11.12, 0.66 * len(rows), len(rows), 16, bare=True)
    for axis_row, (name, images) in zip(axes, rows.items(), strict=True):
        bound = np.abs(images).max()
        for axis, image in zip(axis_row, images, strict=False):
            if name == "filters":
                axis.imshow(image, cmap="RdBu_r", vmin=-bound, vmax=bound)
            else:
                axis.imshow(image, cmap="gray_r")
        text = f"{name}\n{images.shape[0]} of {images.shape[1]}×{images.shape[2]}"
        axis_row[0].text(-0.2, 0.5, text, transform=axis_row[0].transAxes, ha="right", va="center", fontsize=8)
    return figure


@styled
def grad_cam(
    images: np.ndarray, heat: np.ndarray, y: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> Figure:
    """Draw images, each under its Grad-CAM heat map for the predicted class.

    Args:
        images: float (M, S, S) in [0, 1], as the model sees them.
        heat: float (M, S, S) ≥ 0.
        y, predicted: int64 (M,), the labels and the predicted classes.
        classes: names of the C classes.
    """
    figure, axes = new_figure(2.4 * len(images), 2.6, 1, len(images), bare=True)
    for axis, image, one, label, k in zip(axes[0], images, heat, y, predicted, strict=True):
        show(axis, image, f"label: {class_name(label, classes)}, predicted: {class_name(k, classes)}")
        axis.imshow(one, cmap="Oranges", alpha=0.75 * one / max(one.max(), 1e-9))
    return figure


@styled
def plot_embedding(points: np.ndarray, y: np.ndarray, predicted: np.ndarray, exemplars: np.ndarray) -> Figure:
    """Draw images as points, with an image of each class at its median and misclassified ones ringed.

    Args:
        points: float (N, 2).
        y, predicted: int64 (N,), the labels and the predicted classes.
        exemplars: uint8 (C, H, W), an image of each class.
    """
    figure, ((axis,),) = new_figure(7, 5.5)
    axis.scatter(*points.T, 12, y, cmap="viridis", alpha=0.7, linewidths=0)
    wrong = predicted != y
    label = f"misclassified ({wrong.sum()})"
    axis.scatter(*points[wrong].T, 70, facecolors="none", edgecolors=ERROR, label=label)
    for k in np.unique(y):
        thumbnail(axis, exemplars[k], tuple(np.median(points[y == k], 0)))
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.set_title("t-SNE of the penultimate layer (axes without unit)", fontsize=10)
    axis.legend(loc="lower right")
    return figure
