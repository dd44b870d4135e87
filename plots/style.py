"""What all figures share: the style, the fonts, and images as labels."""

from collections.abc import Callable, Sequence
from functools import lru_cache, wraps

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, findfont, fontManager, get_font
from matplotlib.offsetbox import AnnotationBbox, OffsetImage

# Of Okabe and Ito's palette, which colour-blind readers can tell apart, also in grey.
TRAIN, VALIDATION, ERROR, NOTE = "#E69F00", "#0072B2", "#D55E00", "#555555"
STYLE = {
    "figure.dpi": 100, "figure.constrained_layout.use": True, "font.size": 10, "axes.spines.top": False,
    "axes.spines.right": False, "axes.grid": True, "grid.color": "#E5E5E5", "legend.frameon": False,
}  # fmt: skip
# Font families with Chinese characters of Linux, Windows and macOS; the first that is installed is used.
CJK = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei",
       "WenQuanYi Zen Hei", "Microsoft YaHei", "SimHei", "PingFang SC", "PingFang HK", "Hiragino Sans GB", "Heiti TC",
       "Arial Unicode MS", "Droid Sans Fallback")  # fmt: skip


@lru_cache
def _fonts() -> tuple[str, ...]:
    """Return the font families of text in figures, each for the glyphs that those before it lack."""
    installed = {font.name for font in fontManager.ttflist}
    return ("DejaVu Sans", *[name for name in CJK if name in installed][:1])


@lru_cache
def _glyphs() -> frozenset[int]:
    """Return the code points that these fonts have."""
    fonts = [get_font(findfont(FontProperties(family=name))) for name in _fonts()]
    return frozenset(code for font in fonts for code in font.get_charmap())


def styled(draw: Callable) -> Callable:
    """Let a function draw in the style of the project's figures."""

    @wraps(draw)
    def styled(*arguments, **options):
        with plt.rc_context(STYLE | {"font.family": list(_fonts())}):
            return draw(*arguments, **options)

    return styled


def new_figure(width: float, height: float, rows=1, columns=1, bare=False, **options) -> tuple[Figure, np.ndarray]:
    """Return a figure of a size in inches, which pyplot forgets, and its axes (rows, columns), bare for images."""
    figure, axes = plt.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)
    plt.close(figure)
    for axis in axes.flat if bare else ():
        axis.set_axis_off()
    return figure, axes


def class_name(k: int, classes: Sequence[str]) -> str:
    """Return the name of class k, or its index if the name is long or has a character that no font has."""
    readable = len(classes[k]) <= 12 and all(ord(letter) in _glyphs() for letter in classes[k])
    return classes[k].replace("$", r"\$") if readable else str(k)


def file_title(name: str) -> str:
    """Return the end of a file's name as a title, with ? for characters that no font has."""
    name = name if len(name) <= 18 else f"…{name[-17:]}"
    return "".join(letter if ord(letter) in _glyphs() else "?" for letter in name).replace("$", r"\$")


def thumbnail(axis, image: np.ndarray, place: tuple, offset: tuple = (0, 0), coordinates="data") -> None:
    """Draw a small image at a place of the axis, shifted by an offset in points."""
    small = OffsetImage(image, zoom=22 / max(image.shape), cmap="gray", norm=plt.Normalize(0, 255))
    axis.add_artist(
        AnnotationBbox(small, place, offset, coordinates, "offset points", frameon=False, annotation_clip=False)
    )


def show(axis, image: np.ndarray, title: str = "") -> None:
    """Draw an image (H, W): uint8 as it is; float in [0, 1], as a model sees it, as dark ink on white paper."""
    if image.dtype != np.uint8 and np.median([image[0], image[-1], image[:, 0], image[:, -1]]) < 0.5:
        image = 1 - image
    axis.imshow(image, cmap="gray", vmin=0, vmax=255 if image.dtype == np.uint8 else 1)
    axis.set_title(title, fontsize=9)
