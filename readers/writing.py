"""Write a skeleton by hand: the habits of writers, and the paths that their pens take."""

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np

from readers.drawn import bell
from readers.scripts import LETTERS, Script
from readers.skeleton import GRID, Skeleton

STEP = 2.5  # grid units from point to point of a path
LINK = 4  # points of a path between two strokes
PASSES = 40  # of smoothing; a corner becomes an arc of about 10 units


Rows = TypeVar("Rows", bound="PerWriter")


class PerWriter:
    """A dataclass whose fields are arrays with one row per writer."""

    def of(self: Rows, chosen: np.ndarray) -> Rows:
        """Return the rows of some of the writers, integers (n,)."""
        return type(self)(*(getattr(self, one.name)[chosen] for one in fields(self)))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Habits(PerWriter):
    """What n writers keep in all characters, each float64 (n, 1).

    Attributes:
        speed: 0 for one who writes stroke by stroke to 1 for one who hardly lifts the pen.
        roundness: 0 for sharp corners to 1 for round ones.
        slips: how far the pen strays, about 1.
        hooks: what becomes of the hooks of strokes, 0 if they are lost, 1 as they should be.
        evenness: from 0, where strokes are as long as in print, to 1, where a stroke four times as long as another
            becomes twice as long; most hands shorten the long ones and lengthen the dots.
        turn, shear: of the characters, radians and x per unit of y.
        rise: of what should be level, y per unit of x.
        width: of the characters, relative to their height.
    """

    speed: np.ndarray
    roundness: np.ndarray
    slips: np.ndarray
    hooks: np.ndarray
    evenness: np.ndarray
    turn: np.ndarray
    shear: np.ndarray
    rise: np.ndarray
    width: np.ndarray


def make_habits(rng: np.random.RandomState, n: int, script: Script = LETTERS) -> Habits:
    """Return the habits of n writers in a script, drawn at random; of the same rng, they are the same writers."""
    (least, most), (rise, spread) = script.hooks, script.rise
    speed = rng.random_sample((n, 1))
    speed = speed * np.sqrt(speed)
    return Habits(
        speed=speed,
        roundness=rng.random_sample((n, 1)) * (0.4 + 0.6 * speed),
        slips=0.4 + 0.9 * rng.random_sample((n, 1)) + 0.3 * speed,
        hooks=least + (most - least) * rng.random_sample((n, 1)),
        evenness=script.evenness * rng.random_sample((n, 1)),
        turn=0.05 * bell(rng, n, 1),
        shear=0.05 + 0.12 * bell(rng, n, 1),
        rise=rise + spread * bell(rng, n, 1),
        width=script.width + 0.13 * bell(rng, n, 1),
    )


@dataclass(frozen=True)
class Track:
    """The paths of n pens through one character.

    Attributes:
        path: float64 (n, T, 2), points x, y in writing order, links between strokes included.
        down: bool (n, T - 1), whether the pen writes from each point to the next.
        starts, ends: int64 (S,), the first and the last point of each stroke; from an end to the next start is a link.
    """

    path: np.ndarray
    down: np.ndarray
    starts: np.ndarray
    ends: np.ndarray


def write(rng: np.random.RandomState, skeleton: Skeleton, habits: Habits, script: Script = LETTERS) -> Track:
    """Let each of n writers write a character once."""
    n, strokes = len(habits.speed), skeleton.strokes
    points = _misplace(rng, skeleton, habits, script)
    joined = _join(rng, strokes, habits)
    dots = [(stroke.max(0) - stroke.min(0)).max() < 20 for stroke in strokes]
    forgotten = 0.003 if len(strokes) > 3 else 0.0  # without one of its two strokes, 5 is a mere line
    kept = rng.random_sample((n, len(strokes))) >= np.where(dots, 0.015, forgotten)
    kept[:, 0] |= ~kept.any(1)
    index, fraction, starts, ends = _layout(strokes)
    path = points[:, index] * (1 - fraction) + points[:, index + 1] * fraction  # (n, T, 2)
    down, free = (np.ones((n, length), bool) for length in (len(index) - 1, len(index)))
    for k, (start, end) in enumerate(zip(starts, ends, strict=True)):
        down[:, start:end] = kept[:, k : k + 1]
        if k < len(strokes) - 1:
            down[:, end : starts[k + 1]] = joined[:, k : k + 1]
            free[:, end : starts[k + 1] + 1] = joined[:, k : k + 1]
    free[:, 0] = free[:, -1] = False
    path = _round(path, free, habits)
    _bow(rng, path, starts, ends, script.bow * habits.slips)
    return Track(_bend(rng, path, habits, script.bend), down, starts, ends)


def _misplace(rng, skeleton: Skeleton, habits: Habits, script: Script) -> np.ndarray:
    """Return the control points float64 (n, P, 2) where a hand puts them.

    Components lose their proportion and place, then strokes, then points.
    """
    n, slips = len(habits.speed), habits.slips[..., None]
    skeleton_points = np.concatenate(skeleton.strokes)
    points = np.repeat(skeleton_points[None], n, 0)
    owner = np.repeat(np.arange(len(skeleton.strokes)), [len(stroke) for stroke in skeleton.strokes])
    _even_out(points, owner, skeleton.strokes, habits)
    _change_hooks(rng, points, owner, habits, script.longest_hook)
    (stretch, shift), (stroke_stretch, stroke_shift) = script.component, script.stroke
    for name in sorted({name for names in skeleton.components for name in names}):
        held = np.flatnonzero([name in skeleton.components[k] for k in owner])
        if len(held) < len(owner):
            _move(rng, points, held, stretch * slips, shift * slips)
    for k in range(len(skeleton.strokes)):
        _move(rng, points, np.flatnonzero(owner == k), stroke_stretch * slips, stroke_shift * slips)
    # Points that are near to each other are moved less, otherwise a curve would become a zigzag.
    step = skeleton_points[1:] - skeleton_points[:-1]
    near = np.sqrt(step[:, 0] * step[:, 0] + step[:, 1] * step[:, 1])
    near = np.minimum(np.concatenate([near, [99.0]]), np.concatenate([[99.0], near]))
    return points + script.point * slips * np.minimum(1, near / 12)[:, None] * bell(rng, *points.shape)


def _even_out(points: np.ndarray, owner: np.ndarray, strokes: tuple[np.ndarray, ...], habits: Habits) -> None:
    """Bring the lengths of the strokes nearer to their mean, in place; a stroke keeps its middle."""
    steps = [stroke[1:] - stroke[:-1] for stroke in strokes]
    # Of the longest straight part, since strokes that turn make a box together with straight ones. Without logarithms.
    squares = np.array([max(one[:, 0] * one[:, 0] + one[:, 1] * one[:, 1]) for one in steps])
    roots = np.maximum(np.sqrt(np.sqrt(squares)), 2.0)
    for k, factor in enumerate(roots.mean() / roots):
        held = np.flatnonzero(owner == k)
        middle = points[:, held].mean(1, keepdims=True)
        points[:, held] = middle + (points[:, held] - middle) * (1 + habits.evenness * (factor - 1))[..., None]


def _move(rng, points: np.ndarray, held: np.ndarray, stretch: np.ndarray, shift: np.ndarray) -> None:
    """Stretch, turn and shift some of the points (n, P, 2) in place, about their middle."""
    n, some = len(points), points[:, held]
    middle = (some.min(1, keepdims=True) + some.max(1, keepdims=True)) / 2
    away = (some - middle) * (1 + stretch * bell(rng, n, 1, 2))
    turn = 0.6 * stretch * bell(rng, n, 1, 1)
    away = away + turn * np.concatenate([-away[..., 1:], away[..., :1]], 2)
    points[:, held] = middle + away + shift * bell(rng, n, 1, 2)


def _change_hooks(rng, points: np.ndarray, owner: np.ndarray, habits: Habits, longest: float) -> None:
    """Shorten or lengthen, in place, what is short and turns at either end of a stroke: hooks, and heads of brushes."""
    for k in range(int(owner[-1]) + 1):
        held = np.flatnonzero(owner == k)
        if len(held) < 3:
            continue
        for (tip, corner, before), share in ((held[-1:-4:-1], 1.0), (held[:3], 0.4)):
            hook, stem = points[0, tip] - points[0, corner], points[0, corner] - points[0, before]
            length, reach = (np.sqrt(one[0] * one[0] + one[1] * one[1]) for one in (hook, stem))
            if length < 18 and hook[0] * stem[0] + hook[1] * stem[1] < 0.85 * length * reach:
                keep = share * np.minimum(longest, np.maximum(0, habits.hooks + 0.25 * bell(rng, len(points), 1)))
                points[:, tip] = points[:, corner] + (points[:, tip] - points[:, corner]) * keep


def _join(rng, strokes: tuple[np.ndarray, ...], habits: Habits) -> np.ndarray:
    """Choose which strokes are joined to the next, near ones first: bool (n, S - 1)."""
    gaps = np.array([after[0] - one[-1] for one, after in zip(strokes[:-1], strokes[1:], strict=True)]).reshape(-1, 2)
    gap = np.sqrt(gaps[:, 0] * gaps[:, 0] + gaps[:, 1] * gaps[:, 1]) / GRID
    ease = np.minimum(1.0, np.maximum(0.05, 1.1 - 1.6 * gap))
    return rng.random_sample((len(habits.speed), len(gap))) < habits.speed * ease


def _layout(strokes: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return how a path of T points interpolates the P control points of all strokes.

    Returns:
        index, int64 (T,), of the control point before; fraction, float64 (T, 1), of the way to the next; the first and
        the last point of each stroke, int64 (S,).
    """
    index: list[int] = []
    fraction: list[float] = []
    starts, ends, control = [], [], 0
    for points in strokes:
        starts.append(len(index))
        steps = points[1:] - points[:-1]
        parts = [max(2, int(one / STEP)) for one in np.sqrt(steps[:, 0] * steps[:, 0] + steps[:, 1] * steps[:, 1])]
        for i, count in enumerate([*parts, LINK]):  # the last are the end of the stroke and the link
            index += [control + i] * count
            fraction += [j / count for j in range(count)]
        ends.append(len(index) - LINK)
        control += len(points)
    index, fraction = index[: 1 - LINK], fraction[: 1 - LINK]  # after the last stroke there is no link
    index[-1], fraction[-1] = control - 2, 1.0
    return np.array(index), np.array(fraction)[:, None], np.array(starts), np.array(ends)


def _round(path: np.ndarray, free: np.ndarray, habits: Habits) -> np.ndarray:
    """Return the paths with rounded corners, also where strokes are joined; points that are not free (n, T) stay."""
    weight = np.where(free[:, 1:-1, None], 0.25, 0.0)
    smooth = path.copy()
    for _ in range(PASSES):
        smooth[:, 1:-1] += weight * (smooth[:, :-2] - 2 * smooth[:, 1:-1] + smooth[:, 2:])
    return path + (smooth - path) * habits.roundness[..., None]


def _bow(rng, path: np.ndarray, starts: np.ndarray, ends: np.ndarray, amount: np.ndarray) -> None:
    """Let the middle of each stroke leave the chord sideways, in place."""
    for start, end in zip(starts, ends, strict=True):
        chord = path[:, end : end + 1] - path[:, start : start + 1]
        side = np.concatenate([-chord[..., 1:], chord[..., :1]], 2)
        at = (np.arange(end + 1 - start) / (end - start))[:, None]
        bow = amount * bell(rng, len(path), 1)
        path[:, start : end + 1] += side * bow[..., None] * (4 * at * (1 - at))


def _bend(rng, path: np.ndarray, habits: Habits, bend: float) -> np.ndarray:
    """Return the paths bent, slanted and turned: what a hand does to a character as a whole."""
    a, b, c, d, e, f = bend * bell(rng, 6, len(path), 1)
    x, y = path[..., 0] - GRID / 2, path[..., 1] - GRID / 2
    turn = habits.turn + 0.03 * bell(rng, len(path), 1)
    right = x * habits.width - (turn + habits.shear) * y + a * x * x + b * x * y + c * y * y
    lower = y + (turn - habits.rise) * x + d * x * x + e * x * y + f * y * y
    return np.stack([right, lower], 2)
