"""Figures of what goes on inside a model, of the arrays that the module `inside` gives."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from plots.style import class_name, new_figure, show, styled, thumbnail


@styled
def filters_and_maps(filters: np.ndarray, maps: dict[str, np.ndarray]) -> Figure:
    """Draw the filters of the first layer, and a row of the maps that each layer makes of an image.

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
def attention(images: np.ndarray, looks: np.ndarray, y: np.ndarray, read: np.ndarray, classes: Sequence[str]) -> Figure:
    """Draw images, and over each what speaks for the class that it is read as.

    Args:
        images: float (M, S, S) in [0, 1], as the model sees them.
        looks: float (M, S, S) ≥ 0, what `inside.where_it_looks` gives.
        y, read: int64 (M,), the given classes and those that the images are read as.
        classes: names of the C classes.
    """
    figure, axes = new_figure(2.4 * len(images), 2.6, 1, len(images), bare=True)
    for axis, image, look, given, k in zip(axes[0], images, looks, y, read, strict=True):
        show(axis, image, f"given: {class_name(given, classes)}, read: {class_name(k, classes)}")
        axis.imshow(look, cmap="Oranges", alpha=0.75 * look / max(look.max(), 1e-9))
    return figure


@styled
def plane(places: np.ndarray, y: np.ndarray, predicted: np.ndarray, labels: np.ndarray) -> Figure:
    """Draw images as points in the plane, their classes by an image in the middle of each, misread ones ringed.

    Args:
        places: float (N, 2).
        y, predicted: int64 (N,), the given and the predicted classes.
        labels: uint8 (C, H, W), an image of each class.
    """
    figure, ((axis,),) = new_figure(7, 5.5)
    axis.scatter(*places.T, 12, y, cmap="viridis", alpha=0.7, linewidths=0)
    wrong = predicted != y
    axis.scatter(*places[wrong].T, 70, facecolors="none", edgecolors="#D55E00", label=f"misread ({wrong.sum()})")
    for k in np.unique(y):
        thumbnail(axis, labels[k], tuple(np.median(places[y == k], 0)))
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_visible(False)
    axis.set_title("near each other: what the model finds alike (axes without a unit)", fontsize=10)
    axis.legend(loc="lower right")
    return figure
