"""Figures of a model's interpretation, from the arrays that `analysis.interpretation` gives."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from plots.labels import class_labels, text_width
from plots.style import ERROR, MANY, NOTE, draw_image, new_figure, new_sheet, show, styled, thumbnail

COLUMNS = 16  # feature maps of a layer that are drawn
WIDTH, HEIGHT = 9, 7  # inches, of the embedding


@styled
def feature_maps(filters: np.ndarray | None, maps: dict[str, np.ndarray]) -> Figure:
    """Draw the filters of the first layer, and a row of feature maps per layer.

    Args:
        filters: float (F, h, w), of which blue is negative, red positive; (F, h, w, 3), where 0 is grey; or None.
        maps: name of a layer → float (M, H, W).
    """
    rows = {} if filters is None else {"filters": filters}
    rows |= {name: found for name, found in maps.items() if found.shape[1] > 1}
    cell, left = 0.66, 1.2
    figure, axis = new_sheet(left + cell * COLUMNS, cell * len(rows) + 0.1)
    for row, (name, images) in enumerate(rows.items()):
        top = cell * row + 0.05
        bound = np.abs(images).max()
        style = {"cmap": "RdBu_r", "vmin": -bound, "vmax": bound} if name == "filters" else {"cmap": "gray_r"}
        if images.ndim == 4:
            images = 0.5 + images / (2 * max(bound, 1e-9))
        for column, image in enumerate(images[:COLUMNS]):
            draw_image(axis, image, left + cell * column, top, 0.6, **style)
        count = len(images) if len(images) <= COLUMNS else f"{COLUMNS} of {len(images)}"
        text = f"{name}\n{count}: {images.shape[1]}×{images.shape[2]}"
        axis.text(left - 0.1, top + 0.3, text, ha="right", va="center", fontsize=8)
    return figure


@styled
def grad_cam(
    images: np.ndarray, heat: np.ndarray, y: np.ndarray, predicted: np.ndarray, classes: Sequence[str]
) -> Figure:
    """Draw images, each under its Grad-CAM heat map for the predicted class.

    Args:
        images: float (M, S, S) or (M, S, S, 3) in [0, 1], as the model sees them; colours are drawn grey, since the
            heat map, in orange, could not be told from them.
        heat: float (M, S, S) ≥ 0.
        y, predicted: int64 (M,), the labels and the predicted classes.
        classes: names of the C classes.
    """
    labels = class_labels(classes)
    figure, axis = new_sheet(2.4 * len(images), 2.7)
    for place, (image, one, label, k) in enumerate(zip(images, heat, y, predicted, strict=True)):
        left, top, side = 2.4 * place + 0.1, 0.4, 2.2
        if image.ndim == 3:
            image = np.broadcast_to(image.mean(2, keepdims=True), image.shape)
        show(axis, image, left, top, side, f"label: {labels[label]}\npredicted: {labels[k]}")
        draw_image(axis, one, left, top, side, cmap="Oranges", alpha=0.75 * one / max(one.max(), 1e-9))
    return figure


@styled
def plot_embedding(
    points: np.ndarray, y: np.ndarray, predicted: np.ndarray, exemplars: np.ndarray, classes: Sequence[str]
) -> Figure:
    """Draw images as points, an image and the name of each class near its median, and misclassified ones ringed.

    At most 30 classes are named, those with the most points, and none where its image would hide points.

    Args:
        points: float (N, 2).
        y, predicted: int64 (N,), the labels and the predicted classes.
        exemplars: uint8 (C, H, W), an image of each class.
        classes: names of the C classes.
    """
    figure, ((axis,),) = new_figure(WIDTH, HEIGHT)
    axis.scatter(*points.T, 12, y, cmap="viridis", alpha=0.7, linewidths=0)
    wrong = predicted != y
    axis.scatter(*points[wrong].T, 70, facecolors="none", edgecolors=ERROR, label=f"misclassified ({wrong.sum()})")
    labels = class_labels(classes)
    present = np.unique(y)
    by_size = present[np.argsort(-np.bincount(y)[present], kind="stable")][:MANY].tolist()
    medians = {k: np.median(points[y == k], 0) for k in by_size}
    places = _free_places(points, medians, max(text_width(labels[k], 8) for k in by_size))
    for k, place in places.items():
        axis.plot(*zip(medians[k], place, strict=True), color=NOTE, linewidth=0.7)
        thumbnail(axis, exemplars[k], place, zorder=4)
        name = axis.annotate(labels[k], place, (0, -14), textcoords="offset points", ha="center", va="top", fontsize=8)
        name.set_bbox({"facecolor": "white", "alpha": 0.8, "edgecolor": "none", "pad": 0.5})
    axis.set(xticks=[], yticks=[])
    axis.grid(False)
    axis.spines[:].set_visible(False)
    named = "" if len(places) == len(present) else f"; {len(places)} of {len(present):,} classes are named"
    axis.set_title(f"t-SNE of the penultimate layer (axes without unit){named}", fontsize=10)
    figure.legend(loc="outside lower right")
    return figure


def _free_places(points: np.ndarray, medians: dict[int, np.ndarray], width: float) -> dict[int, tuple]:
    """Return where to draw the image of each class: near its median, hiding no point; classes without room have none.

    Args:
        points: float (N, 2).
        medians: class → float (2,).
        width: of the longest name, in inches.
    """
    low, high = points.min(0), points.max(0)
    inch = np.maximum(high - low, 1e-9) / (WIDTH - 2, HEIGHT - 2)  # beside the points, there is room for names
    cell = inch * (max(0.4, width + 0.05), 0.5)  # holds an image and its name
    columns, rows = np.ceil((high - low) / cell).astype(int) + 1
    free = low + cell * np.mgrid[-1:columns, -1:rows].reshape(2, -1).T  # (cells, 2)
    hides = (np.abs(free[:, None] - points) < 0.55 * cell).all(2).any(1)
    free = free[~hides]
    places: dict[int, tuple] = {}
    for k, median in medians.items():
        distance = np.hypot(*((free - median) / inch).T)
        if len(free) and distance.min() < 1.5:  # inches; farther away, it would be taken for another class's
            places[k] = tuple(free[distance.argmin()])
            free = np.delete(free, distance.argmin(), 0)
    return places
