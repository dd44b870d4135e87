"""Draw the paths of pens into images: with a mouse one pixel wide, or with a pen or a brush of any width."""

from dataclasses import dataclass, replace

import numpy as np

from readers.drawn import bell, ink_lines
from readers.scripts import LETTERS, Script
from readers.skeleton import GRID
from readers.writing import PerWriter, Track

OUTLINE = 1.45  # width of a pen, relative to the stroke width measured: twice the area divided by the outline in pixels


@dataclass(frozen=True)
class Pens(PerWriter):
    """The pens of n writers, each array (n,).

    Attributes:
        mouse: bool, whether lines are one pixel wide, black or white.
        stride: int64, a fast mouse is sampled at every stride-th point only.
        width: float64, of a line, as a fraction of the side.
        adapts: bool, whether the pen is thinner for many strokes or a small character, which would run together.
        swell: float64, how much the width changes along a stroke, 0 to 1.
        dark: float64, 0 to 1, of the ink.
        grain: float64, 0 to 1, how much paper shows through.
        soft: float64, of the edge of a line from ink to paper, as a fraction of the side.
        fill: float64, the longer side of a character, as a fraction of the side.
        middle: float64 (n, 2), x and y of the middle of a character, as fractions of the side.
    """

    mouse: np.ndarray
    stride: np.ndarray
    width: np.ndarray
    adapts: np.ndarray
    swell: np.ndarray
    dark: np.ndarray
    grain: np.ndarray
    soft: np.ndarray
    fill: np.ndarray
    middle: np.ndarray


def make_pens(rng: np.random.RandomState, n: int, size: int, script: Script = LETTERS) -> Pens:
    """Return the pens of n writers for images of `size` pixels per side, drawn at random."""
    u = rng.random_sample((8, n))
    fill = 0.95 - script.sizes * u[7] * u[7]
    return Pens(
        mouse=u[0] < 10 / size,  # large images are seldom drawn with a mouse
        stride=np.array([1, 1, 1, 2, 4])[(5 * u[1]).astype(np.int64)],
        width=0.025 + 0.085 * u[2] * np.sqrt(u[2]),
        adapts=np.ones(n, bool),
        swell=0.7 * u[3],
        dark=1 - 0.5 * u[4] * u[4],
        grain=np.maximum(0, 0.8 * u[5] - 0.2),
        soft=0.06 * u[6] * u[6],
        fill=fill,
        middle=0.5 + 0.25 * (1 - fill)[:, None] * bell(rng, n, 2),
    )


def match_pens(rng: np.random.RandomState, pens: Pens, characters: np.ndarray, size: int) -> Pens:
    """Return pens of which each draws like one of the user's images, chosen at random.

    Args:
        characters: float64 (m, 6), what `imaging.photo.measure_each` found in the images.
        size: pixels per side.
    """
    chosen = characters[(len(characters) * rng.random_sample(len(pens.fill))).astype(np.int64)]
    side, row, column, stroke, strength, strongest = chosen.T
    return replace(
        pens,
        mouse=(stroke * size < 1.5) & (strength == strongest),  # thin lines without any grey
        width=stroke * OUTLINE,
        adapts=np.zeros(len(side), bool),
        dark=strongest,
        fill=side,
        middle=np.stack([column, row], 1),
    )


def draw_track(rng: np.random.RandomState, track: Track, pens: Pens, size: int) -> np.ndarray:
    """Draw each writer's path with the writer's pen: uint8 (n, size, size), ink dark on paper 255."""
    thinner = pens.fill * 2 / (1 + len(track.starts) / 8)
    pens = replace(pens, width=pens.width * np.where(pens.adapts, thinner, 1))
    path = _place(track, pens, size)
    images = np.empty((len(path), size, size), np.uint8)
    for chosen, trace in ((pens.mouse, _trace_mouse), (~pens.mouse, _trace_pen)):
        which = np.flatnonzero(chosen)
        if len(which):
            part = Track(path[which], track.down[which], track.starts, track.ends)
            images[which] = trace(rng, part, pens.of(which), size)
    return images


def _place(track: Track, pens: Pens, size: int) -> np.ndarray:
    """Return the paths in pixels, each of a size and at a place in the frame, float64 (n, T, 2)."""
    touched = np.zeros(track.path.shape[:2], bool)
    touched[:, :-1] |= track.down
    touched[:, 1:] |= track.down
    low = np.where(touched[..., None], track.path, np.inf).min(1)
    high = np.where(touched[..., None], track.path, -np.inf).max(1)
    side = np.maximum((high - low).max(1, keepdims=True), 0.3 * GRID)  # a dot stays small
    line = np.where(pens.mouse, 1, pens.width * size)[:, None]
    scale = (pens.fill[:, None] * size - line) / side
    extent = (high - low) * scale
    corner = np.minimum(np.maximum(pens.middle * size - extent / 2, line / 2), size - line / 2 - extent)
    path = track.path * scale[:, None] + (corner - low * scale)[:, None]
    # Machines may round the last bit differently: it is removed before it can move a pixel.
    return np.round(path * 1024) / 1024


def _trace_mouse(rng, track: Track, pens: Pens, size: int) -> np.ndarray:
    """Draw as a mouse in Paint does: lines one pixel wide between the points at which it is sampled."""
    n, length = track.path.shape[:2]
    canvas = np.full((n, size, size), 255, np.uint8)
    pixels = np.floor(track.path).astype(np.int64)
    seen = np.repeat(np.arange(length)[None], n, 0)
    for begin, stop in zip(track.starts, track.ends, strict=True):  # every stride-th point of a stroke, and its end
        seen[:, begin:stop] -= np.arange(stop - begin) % pens.stride[:, None]
    pixels = np.take_along_axis(pixels, seen[..., None], 1)
    images, at = np.nonzero(track.down & (rng.random_sample(track.down.shape) >= 0.002))
    start, end = pixels[images, at], pixels[images, at + 1]
    ink_lines(canvas, images, start, end)
    # A slow mouse enters the next column and the next row one after the other.
    stairs = (pens.stride[images] == 1) & (abs(end - start).min(1) == 1)
    corner = np.stack([end[stairs, 0], start[stairs, 1]], 1)
    ink_lines(canvas, images[stairs], corner, corner)
    return canvas


def _trace_pen(rng, track: Track, pens: Pens, size: int) -> np.ndarray:
    """Draw lines of the pens' width, anti-aliased, with its pressure, darkness and grain."""
    n = len(track.path)
    radius = np.repeat((pens.width * size / 2)[:, None], track.path.shape[1], 1) * _pressure(rng, track, pens)
    radius = np.maximum(radius, 0.5)
    soft = np.maximum(1.0, np.round(pens.soft * size, 3))
    margin = int(radius.max() + soft.max() / 2) + 2
    canvas = np.zeros((n, size + 2 * margin, size + 2 * margin), np.uint8)
    images, at = np.nonzero(track.down)
    start, end = track.path[images, at], track.path[images, at + 1]
    r = np.round((radius[images, at] + radius[images, at + 1]) / 2, 3)
    step = end - start
    length = np.sqrt(step[:, 0] * step[:, 0] + step[:, 1] * step[:, 1])
    parts = np.maximum(1, np.ceil(length / np.maximum(0.5, r / 3)).astype(np.int64))
    # Several points on each part of a path, so near to each other that their discs make a line.
    part = np.repeat(np.arange(len(parts)), parts)
    number = np.arange(len(part)) - np.repeat(np.cumsum(parts) - parts, parts)
    points = start[part] + step[part] * (number / parts[part])[:, None] + margin
    _stamp(canvas, images[part], points, r[part], soft[images[part]])
    ink = canvas[:, margin : margin + size, margin : margin + size] / 255.0
    grain = 1 - pens.grain[:, None, None] * rng.random_sample(ink.shape)
    return (255 - np.floor(255 * ink * pens.dark[:, None, None] * grain)).astype(np.uint8)


def _pressure(rng, track: Track, pens: Pens) -> np.ndarray:
    """Return the width of the line at each point, float64 (n, T), relative to the pen's: it swells and fades."""
    n, length = track.path.shape[:2]
    pressure = np.ones((n, length))
    for k, (start, end) in enumerate(zip(track.starts, track.ends, strict=True)):
        at = np.arange(end + 1 - start) / (end - start)
        a, b = 1 - pens.swell * rng.random_sample((2, n))
        middle = 1 + 0.3 * pens.swell * bell(rng, n)
        curve = a[:, None] * (1 - at) + b[:, None] * at + (middle - (a + b) / 2)[:, None] * 4 * at * (1 - at)
        pressure[:, start : end + 1] = curve
        if k:
            former = track.ends[k - 1]
            pressure[:, former + 1 : start] = (0.7 * np.minimum(pressure[:, former], pressure[:, start]))[:, None]
    return np.maximum(pressure, 0.25)


def _stamp(canvas: np.ndarray, images: np.ndarray, points: np.ndarray, radius: np.ndarray, soft: np.ndarray) -> None:
    """Put discs at points float64 (m, 2), x and y in pixels, on a canvas uint8 (n, H, W).

    Ink fades to paper over `soft` ≥ 1 pixels, half of them within the radius, each float64 (m,).
    """
    height, width = canvas.shape[1:]
    flat = canvas.reshape(-1)
    outside = radius + soft / 2
    order = np.argsort(outside, kind="stable")
    images, points, outside, soft = images[order], points[order], outside[order], soft[order]
    pixel = np.floor(points).astype(np.int64)
    base = (images * height + pixel[:, 1]) * width + pixel[:, 0]
    inside = (pixel >= 0).all(1) & (pixel[:, 0] < width) & (pixel[:, 1] < height)
    away = points - pixel - 0.5
    reach = int(outside.max(initial=0)) + 1
    for dy in range(-reach, reach + 1):
        for dx in range(-reach, reach + 1):
            nearest = np.sqrt(float(dx * dx + dy * dy)) - 0.71
            first = int(np.searchsorted(outside, nearest))  # smaller discs do not reach this pixel
            x, y = away[first:, 0] - dx, away[first:, 1] - dy
            cover = np.minimum(1, (outside[first:] - np.sqrt(x * x + y * y)) / soft[first:])
            px, py = pixel[first:, 0] + dx, pixel[first:, 1] + dy
            hit = inside[first:] & (cover > 0) & (px >= 0) & (px < width) & (py >= 0) & (py < height)
            place = base[first:][hit] + dy * width + dx
            np.maximum.at(flat, place, np.floor(255 * cover[hit]).astype(np.uint8))
