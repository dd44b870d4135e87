"""Images and labels as arrays, whatever file they come from: their values made grey, their labels numbered."""

import re
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from common.errors import InputError
from imaging.pictures import colour_to_grey
from readers.layout import natural_key
from readers.names import Names
from readers.source import PARTS_BY_WORD, Sample, Source, check_arrays

MAX_CLASSES = 65_536
RANGES = (1, 15, 16, 255, 1023, 4095, 16_383, 65_535)  # 1 and 4 bits, scikit-learn's digits, 8, 10, 12, 14, 16 bits
CHUNK = 4096  # images that are converted at once


def find_part(name: str) -> str | None:
    """Return the part of which a name speaks, as HWDB1.1tst_gnt, X_train or emnist-letters-test-images."""
    return next((PARTS_BY_WORD[w] for w in re.findall("t10k|[a-z]+", name.lower()) if w in PARTS_BY_WORD), None)


def assign_parts(names: list[str]) -> list[str]:
    """Return the part of which each name speaks, else "train"; "train" for all if there would be none of it."""
    parts = [find_part(name) or "train" for name in names]
    return parts if "train" in parts else ["train"] * len(parts)


@dataclass(frozen=True)
class Arrays:
    """One part of a set of images.

    Attributes:
        x: uint8 (N, H, W).
        y: integers (N,).
        classes: names of the classes.
        source: where the images come from.
        files: names of the images, str (N,), or Names.
        group: the writers, str (N,) or Names, or None if unknown.
        digests: `common.files.fingerprint` of the images as they were in the source, str (N,) or ASCII
            bytes (N,), or None if unknown.
        cropped: whether the images were cropped to their ink.
        photos: whether they are characters found in photos.
        notes: sentences on how images and labels were converted.
    """

    x: np.ndarray
    y: np.ndarray
    classes: list[str]
    source: str
    files: np.ndarray | Names
    group: np.ndarray | Names | None = None
    digests: np.ndarray | None = None
    cropped: bool = False
    photos: bool = False
    notes: list[str] = field(default_factory=list)


def to_grey(parts: Mapping[str, np.ndarray]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return images of any numeric dtype as uint8 (N, H, W), scaled by the range of all parts together, and notes.

    Args:
        parts: each (N, H, W), with 1, 3 or 4 channels first or last, or flattened (N, side²).

    Raises:
        InputError: another shape, no numbers, or values that are negative, not finite or above 16 bits.
    """
    notes: list[str] = []
    for x in parts.values():
        if x.dtype.kind not in "buif":
            raise InputError(f"x must be numbers, not {x.dtype}")
        if x.dtype.kind == "f" and not np.isfinite(x).all():
            raise InputError("x holds values that are not finite (NaN or infinity): correct or drop those images")
    low = min((x.min() for x in parts.values() if x.size), default=0)
    high = max((x.max() for x in parts.values() if x.size), default=0)
    if low < 0 or high > RANGES[-1]:
        raise InputError(f"x holds values from {low} to {high}: they must be 0 to 255, or 0 to 1 as floats")
    white = next(top for top in RANGES if high <= top) if high else 255
    if white not in (1, 255) or (white == 1 and any(x.dtype.kind in "ui" for x in parts.values())):
        notes.append(f"values from {low} to {high} are scaled so that {white} becomes 255")
    shaped = {part: _channels_last(x) for part, x in parts.items()}
    if any(x.shape[3] >= 3 for x in shaped.values()):
        notes.append("colour images are made grey")
    return {part: _convert(x, white) for part, x in shaped.items()}, notes


def _channels_last(x: np.ndarray) -> np.ndarray:
    """Return images as (N, H, W, channels)."""
    if x.ndim == 3:
        return x[..., None]
    if x.ndim == 4 and x.shape[3] in (1, 3, 4):
        return x
    if x.ndim == 4 and x.shape[1] in (1, 3, 4):
        return np.moveaxis(x, 1, 3)
    side = round(x.shape[1] ** 0.5) if x.ndim == 2 else 0
    if side > 1 and side * side == x.shape[1]:
        return x.reshape(len(x), side, side, 1)
    raise InputError(f"x must be images (N, H, W), or with 1, 3 or 4 channels, not {x.shape}")


def _convert(x: np.ndarray, white: int) -> np.ndarray:
    """Return images (N, H, W, channels) with values from 0 to `white` as grey uint8 (N, H, W)."""
    if x.shape[3] == 1 and x.dtype == np.uint8 and white == 255:
        return x[..., 0]
    grey = np.empty(x.shape[:3], np.uint8)
    for start in range(0, len(x), CHUNK):
        values = x[start : start + CHUNK]
        if values.dtype != np.uint8 or white != 255:
            values = np.rint(values * (255 / white)).astype(np.uint8)
        grey[start : start + CHUNK] = colour_to_grey(values) if x.shape[3] >= 3 else values[..., 0]
    return grey


def number_labels(
    parts: Mapping[str, np.ndarray], classes: list[str] | None = None
) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
    """Return labels as int64 (N,) from 0 without gaps, the names of the classes, and notes.

    Args:
        parts: whole numbers or text, each (N,) or (N, 1). A label means the same in each.
        classes: names of the classes; by default the labels that occur, as text.

    Raises:
        InputError: neither numbers nor text, too many classes, or a label that is none of the classes.
    """
    labels = {part: _flat_labels(y) for part, y in parts.items()}
    if len({y.dtype.kind for y in labels.values()}) > 1:
        raise InputError("y holds numbers in one part and text in another: use the same in all")
    found = np.unique(np.concatenate(list(labels.values()))).tolist()
    if len(found) > MAX_CLASSES:
        raise InputError(f"it has {len(found)} different labels: there can be {MAX_CLASSES} classes at most")
    if found and isinstance(found[0], str):
        names = sorted(found, key=natural_key) if classes is None else classes
        if missing := set(found) - set(names):
            raise InputError(f"the label {min(missing)!r:.100} is none of its classes: {', '.join(names)[:200]}")
        number = {name: k for k, name in enumerate(names)}
        labels = {part: np.array([number[name] for name in y.tolist()], np.int64) for part, y in labels.items()}
        return labels, names, []
    names = [str(label) for label in found] if classes is None else classes
    if classes is not None and found != list(range(1, len(classes) + 1)):
        return labels, names, []  # `check_arrays` compares them with the classes
    if found == list(range(len(found))):
        return labels, names, []
    note = f"labels are {_abbreviate(found)}: they are renumbered from 0"
    return {part: np.searchsorted(found, y) for part, y in labels.items()}, names, [note]


def _flat_labels(y: np.ndarray) -> np.ndarray:
    """Return labels (N,) or (N, 1) as int64 or text (N,)."""
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.ndim == 1 and y.dtype.kind == "U":
        if y.size and y.dtype.itemsize and y.astype(y.dtype.newbyteorder("=")).view(np.uint32).max() > sys.maxunicode:
            raise InputError("y holds text that is damaged: save it again")
        return y
    if y.ndim == 1 and y.dtype.kind == "S":
        return np.char.decode(y, "utf-8")
    whole = y.dtype.kind in "bui" or (y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.rint(y)).all())
    if y.ndim != 1 or not whole or (len(y) and not (y.min() > -(2**62) and y.max() < 2**62)):
        raise InputError(f"y must be integers or text (N,), not {y.dtype} {y.shape}")
    return y.astype(np.int64)


def _abbreviate(values: list) -> str:
    shown = values if len(values) <= 6 else [*values[:3], "…", values[-1]]
    return ", ".join(map(str, shown))


def make_parts(
    images: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    source: str,
    classes: list[str] | None = None,
    is_raw: bool = True,
) -> dict[str, Arrays]:
    """Return part → Arrays from its images and labels; see `to_grey` and `number_labels`.

    Args:
        images, labels: by part, as they are in files.
        source: where the images come from.
        classes: names of the classes, if known.
        is_raw: whether the images may need `to_grey`. Otherwise they must be uint8 (N, H, W).
    """
    x, image_notes = to_grey(images) if is_raw else (images, [])
    y, names, label_notes = number_labels(labels, classes)
    notes = image_notes + label_notes
    for part in x:
        check_arrays(x[part], y[part], len(names))
    return {p: Arrays(x[p], y[p], names, source, np.arange(len(x[p])).astype(str), notes=notes) for p in x}


class ArraySource(Source):
    """Images that are in memory as arrays, by part."""

    def __init__(self, paths: list[Path], parts: dict[str, Arrays]):
        super().__init__()
        self._paths, self._parts = paths, parts
        first = next(iter(parts.values()))
        self.classes, self.name, self.notes = first.classes, first.source, first.notes
        self.cropped, self.photos = first.cropped, first.photos

    def stamp(self) -> object:
        found = [path.stat() for path in self._paths]
        return [(path.st_size, path.st_mtime_ns) for path in found]

    def sizes(self) -> Counter[tuple[int, int]]:
        sizes: Counter[tuple[int, int]] = Counter()
        for arrays in self._parts.values():
            sizes[arrays.x.shape[2], arrays.x.shape[1]] += len(arrays.x)
        return sizes

    def __len__(self) -> int:
        return sum(len(arrays.x) for arrays in self._parts.values())

    def __iter__(self) -> Iterator[Sample]:
        self.modes = Counter({"L": len(self)})
        for part, arrays in self._parts.items():
            groups = np.full(len(arrays.x), "") if arrays.group is None else arrays.group
            rows = zip(arrays.x, arrays.y.tolist(), arrays.files.tolist(), groups.tolist(), strict=True)
            for image, label, file, group in rows:
                prefix = "" if part == "train" or file.startswith(f"{part}/") else f"{part}/"
                yield Sample(image, label, prefix + file, part, group)
