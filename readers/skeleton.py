"""The skeleton of a character: the strokes of one way to write it, and the components that they belong to."""

from dataclasses import dataclass

import numpy as np

from common.errors import InputError

GRID = 100.0  # units per side of the square that a character is written in, y downwards
MOST_STROKES, MOST_POINTS = 100, 5000  # per character; the largest known has 64 strokes
FARTHEST, LONGEST = 2 * GRID, 100 * GRID  # coordinates and strokes, all together, beyond are damage


@dataclass(frozen=True)
class Skeleton:
    """One way to write a character.

    Attributes:
        strokes: each float64 (P, 2), P ≥ 2 control points x, y on the grid, in writing order.
        components: per stroke the numbers of the components that hold it, the largest first.
        share: how often it is written this way, relative to the other ways.
    """

    strokes: tuple[np.ndarray, ...]
    components: tuple[tuple[int, ...], ...]
    share: float = 1.0


def make_skeleton(strokes: list, components: list[tuple[int, ...]], share: float = 1.0) -> Skeleton:
    """Return a Skeleton of strokes in any dense or sparse form, simplified to the points that shape them.

    Raises:
        InputError: no strokes, too many, or coordinates that are no finite numbers near the grid.
    """
    if not 0 < len(strokes) <= MOST_STROKES or sum(map(len, strokes)) > MOST_POINTS:
        raise InputError(f"it has {len(strokes)} strokes of {sum(map(len, strokes))} points")
    simple, length = [], 0.0
    for stroke in strokes:
        points = np.array(stroke, dtype=np.float64)
        if points.ndim != 2 or points.shape[1] != 2 or not (abs(points) < FARTHEST).all():
            raise InputError("a stroke is not a list of points x, y near the grid")
        if len(points) == 1:  # a dot
            points = np.concatenate([points, points + 1.0])
        length += float(abs(points[1:] - points[:-1]).sum())
        if length > LONGEST:
            raise InputError("its strokes are too long")
        simple.append(simplify(points))
    return Skeleton(tuple(simple), tuple(components), share)


def simplify(points: np.ndarray, tolerance: float = 1.2) -> np.ndarray:
    """Return those of the points float64 (P, 2) that shape a polyline up to a tolerance (Douglas and Peucker, 1973)."""
    kept, spans = {0, len(points) - 1}, [(0, len(points) - 1)]
    while spans:
        first, last = spans.pop()
        if last - first < 2:
            continue
        chord, offset = points[last] - points[first], points[first + 1 : last] - points[first]
        length = max(np.sqrt(chord[0] * chord[0] + chord[1] * chord[1]), 1e-9)
        along = np.minimum(np.maximum((offset[:, 0] * chord[0] + offset[:, 1] * chord[1]) / length, 0), length)
        aside = offset - along[:, None] * (chord / length)
        distance = np.sqrt(aside[:, 0] * aside[:, 0] + aside[:, 1] * aside[:, 1])
        # Machines may round the last bit differently: it must not decide.
        worst = first + 1 + int(np.argmax(np.round(distance, 6)))
        if distance[worst - first - 1] > tolerance:
            kept.add(worst)
            spans += [(first, worst), (worst, last)]
    return points[sorted(kept)]
