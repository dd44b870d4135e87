"""What all figures share: the style, sheets of images, and images as labels."""

from collections.abc import Callable
from functools import wraps

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Rectangle

from plots.labels import font_families

# Of Okabe and Ito's palette, which colour-blind readers can tell apart, also in grey.
TRAIN, VALIDATION, ERROR, NOTE = "#E69F00", "#0072B2", "#D55E00", "#555555"
FRAME = "#C8C8C8"
STYLE = {
    "figure.dpi": 100, "figure.constrained_layout.use": True, "font.size": 10, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "axes.axisbelow": True, "grid.color": "#E5E5E5",
    "legend.frameon": False, "text.parse_math": False,
}  # fmt: skip
MANY = 30  # classes, beyond which a figure shows a selection


def styled(draw: Callable) -> Callable:
    """Let a function draw in the style of the project's figures."""

    @wraps(draw)
    def styled(*arguments, **options):
        with plt.rc_context(STYLE | {"font.family": list(font_families())}):
            return draw(*arguments, **options)

    return styled


def new_figure(width: float, height: float, rows=1, columns=1, **options) -> tuple[Figure, np.ndarray]:
    """Return a figure of a size in inches, which pyplot forgets, and its axes (rows, columns)."""
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)
    plt.close(figure)
    return figure, axes


def new_sheet(width: float, height: float):
    """Return a figure and its one axis for many images, whose coordinates are inches from the upper left corner."""
    figure, ((axis,),) = new_figure(width, height, layout="none")
    axis.set_axis_off()
    axis.set(position=(0, 0, 1, 1), xlim=(0, width), ylim=(height, 0))
    return figure, axis


def draw_image(axis, image: np.ndarray, x: float, y: float, side: float, **options) -> None:
    """Draw an image (H, W) in a thin frame on a sheet, centred in a square whose upper left corner is (x, y).

    Args:
        side: of the square, in inches.
        options: of `imshow`.
    """
    height, width = (side * length / max(image.shape[:2]) for length in image.shape[:2])
    left, top = x + (side - width) / 2, y + (side - height) / 2
    axis.imshow(image, extent=(left, left + width, top + height, top), aspect="auto", **options)
    axis.add_patch(Rectangle((left, top), width, height, fill=False, edgecolor=FRAME, linewidth=0.6))


def show(axis, image: np.ndarray, x: float, y: float, side: float, title: str = "") -> None:
    """Draw an image and its title above it on a sheet; see `draw_image`.

    Args:
        image: uint8 (H, W) or (H, W, 3), as it is; floats in [0, 1] as a model sees it, of which (H, W) is drawn as
            dark ink on white paper.
    """
    is_ink = image.dtype != np.uint8 and image.ndim == 2
    if is_ink and np.median([image[0], image[-1], image[:, 0], image[:, -1]]) < 0.5:
        image = 1 - image
    draw_image(axis, image, x, y, side, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
    axis.text(x + side / 2, y - 0.05, title, ha="center", va="bottom", fontsize=8)


def thumbnail(axis, image: np.ndarray, place: tuple, offset: tuple = (0, 0), coordinates="data", **options) -> None:
    """Draw a small image at a place of the axis, shifted by an offset in points."""
    small = OffsetImage(image, zoom=22 / max(image.shape), cmap="gray", norm=plt.Normalize(0, 255))
    frame = {"edgecolor": FRAME, "linewidth": 0.6}
    axis.add_artist(
        AnnotationBbox(
            small,
            place,
            offset,
            coordinates,
            "offset points",
            pad=0.15,
            bboxprops=frame,
            annotation_clip=False,
            **options,
        )
    )
