"""Images and labels as arrays, whatever file they come from: their values made grey, their labels numbered."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError
from common.files import fingerprint, release, zeros
from imaging.pictures import convert_channels
from readers.labels import number_labels
from readers.names import Names
from readers.source import PARTS_BY_WORD, Sample, Source, check_arrays

RANGES = (1, 15, 16, 255, 1023, 4095, 16_383, 65_535)  # 1 and 4 bits, scikit-learn's digits, 8, 10, 12, 14, 16 bits
OVERSHOOT = 0.05  # of a range, by which resampling leaves it
CHUNK_BYTES = 2**24  # of images that are converted at once
MAX_IMAGES = 2**23  # in an array
MAX_PIXELS = 2**24  # of an image


def find_part(name: str) -> str | None:
    """Return the part of which a name speaks, as HWDB1.1tst_gnt, X_train or emnist-letters-test-images."""
    words = re.findall("t10k|[a-z]+|训练|验证|测试", name.lower())
    return next((PARTS_BY_WORD[word] for word in words if word in PARTS_BY_WORD), None)


def assign_parts(names: list[str]) -> list[str]:
    """Return the part of which each name speaks, else "train"; "train" for all if there would be none of it."""
    parts = [find_part(name) or "train" for name in names]
    return parts if "train" in parts else ["train"] * len(parts)


@dataclass(frozen=True)
class Arrays:
    """One part of a set of images.

    Attributes:
        x: uint8 (N, H, W) or (N, H, W, 3).
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

    def source_digests(self) -> np.ndarray:
        """Return the digests as str (N,); if they are unknown, those of the images as they are here."""
        if self.digests is None:
            return np.array([fingerprint(image) for image in self.x])
        return self.digests.astype(str)


def convert_images(parts: Mapping[str, np.ndarray], channels: int = 1) -> tuple[dict[str, np.ndarray], list[str]]:
    """Return images of any numeric dtype as uint8, scaled by the range of all parts together, and notes.

    Args:
        parts: each (N, H, W), with 1, 3 or 4 channels first or last, or flattened (N, side²).
        channels: 1 for (N, H, W), 3 for (N, H, W, 3).

    Raises:
        InputError: another shape, no numbers, or values that are negative, not finite or above 16 bits.
    """
    notes: list[str] = []
    shaped = {part: _channels_last(x) for part, x in parts.items()}
    ranges = {part: _range(x) for part, x in shaped.items() if x.size}
    low = min((low for low, _ in ranges.values()), default=0)
    high = max((high for _, high in ranges.values()), default=0)
    slack = OVERSHOOT if all(x.dtype.kind == "f" for x in shaped.values()) else 0
    white = next((top for top in RANGES if high <= top * (1 + slack)), 0) if high else 255
    if not white or low < (-slack * white if white in (1, 255) else 0):  # of normalized values, few end at 1 or 255
        raise InputError(
            f"x holds values from {low} to {high}: they must be 0 to 255, or 0 to 1 as floats, not normalized"
        )
    for part, (_, own) in ranges.items():  # of a single image of whole numbers it is not known
        if 0 < own <= 1 < white and (shaped[part].dtype.kind == "f" or len(shaped[part]) > 1):
            raise InputError(
                f"x holds values up to {own:g} in {part} and up to {high:g} elsewhere: scale all of it to 0 to 255"
            )
    if white not in (1, 255) or (white == 1 and any(x.dtype.kind in "ui" for x in parts.values())):
        notes.append(f"values from {low} to {high} are scaled so that {white} becomes 255")
    if channels == 1 and any(x.shape[3] >= 3 for x in shaped.values()):
        notes.append("colour images are made grey (channels=3 keeps their colours)")
    return {part: _convert(x, white, channels) for part, x in shaped.items()}, notes


def _chunks(x: np.ndarray) -> Iterator[slice]:
    """Yield slices of images, of some 16 MB each; the memory that a memory map takes is let go of after each."""
    step = max(1, CHUNK_BYTES // max(1, math.prod(x.shape[1:]) * x.dtype.itemsize))
    for start in range(0, len(x), step):
        yield slice(start, start + step)
        release(x)


def _range(x: np.ndarray) -> tuple[Any, Any]:
    """Return the lowest and the highest value of images of which there is one at least. Raises InputError."""
    found = []
    for chunk in (x[part] for part in _chunks(x)):
        if x.dtype.kind == "f" and not np.isfinite(chunk).all():
            raise InputError("x holds values that are not finite (NaN or infinity): correct or drop those images")
        found.append((chunk.min(), chunk.max()))
    return min(low for low, _ in found), max(high for _, high in found)


def _channels_last(x: np.ndarray) -> np.ndarray:
    """Return images as (N, H, W, channels). Raises InputError."""
    if x.dtype.kind not in "buif":
        raise InputError(f"x must be numbers, not {x.dtype}")
    shaped = _with_channels(x)
    height, width = shaped.shape[1:3]
    if height * width > MAX_PIXELS or len(x) > MAX_IMAGES:
        raise InputError(
            f"x holds {len(x):,} images of {height}×{width} pixels: there can be {MAX_IMAGES:,} at most, of "
            f"{MAX_PIXELS:,} pixels each"
        )
    return shaped


def _with_channels(x: np.ndarray) -> np.ndarray:
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


def _convert(x: np.ndarray, white: int, channels: int) -> np.ndarray:
    """Return images (N, H, W, 1, 3 or 4) with values from 0 to `white` as uint8 (N, H, W) or (N, H, W, 3)."""
    if x.shape[3] == channels and x.dtype == np.uint8 and white == 255:
        return convert_channels(x, channels)
    converted = zeros(x.shape[:3] if channels == 1 else (*x.shape[:3], channels), np.uint8)
    for part in _chunks(x):
        values = x[part]
        if values.dtype != np.uint8 or white != 255:
            values = np.rint((values * (255 / white)).clip(0, 255)).astype(np.uint8)
        converted[part] = convert_channels(values, channels)
        release(converted)
    return converted


def make_parts(
    images: Mapping[str, np.ndarray],
    labels: Mapping[str, np.ndarray],
    source: str,
    classes: list[str] | None = None,
    is_raw: bool = True,
    channels: int = 1,
) -> dict[str, Arrays]:
    """Return part → Arrays from its images and labels; see `convert_images` and `number_labels`.

    Args:
        images, labels: by part, as they are in files.
        source: where the images come from.
        classes: names of the classes, if known.
        is_raw: whether the images may need `convert_images`. Otherwise they must be uint8 (N, H, W) or (N, H, W, 3).
        channels: of images that do.
    """
    for part, given in labels.items():
        if given.ndim and images[part].ndim and len(given) != len(images[part]):
            raise InputError(f"x holds {len(images[part])} images and y {len(given)} labels: give one label per image")
    x, image_notes = convert_images(images, channels) if is_raw else (images, [])
    y, names, label_notes = number_labels(labels, classes)
    notes = image_notes + label_notes
    for part in x:
        check_arrays(x[part], y[part], len(names))
    return {p: Arrays(x[p], y[p], names, source, _numbers(len(x[p])), notes=notes) for p in x}


def _numbers(count: int) -> np.ndarray:
    """Return 0, 1, … as text, str (count,), in no more memory than that takes."""
    return np.arange(count).astype(f"U{len(str(count))}")


class ArraySource(Source):
    """Images that are in memory as arrays, by part."""

    def __init__(self, paths: list[Path], parts: dict[str, Arrays], channels: int = 1):
        super().__init__(channels)
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
        self.modes = Counter({"L" if next(iter(self._parts.values())).x.ndim == 3 else "RGB": len(self)})
        for part, arrays in self._parts.items():
            groups = np.full(len(arrays.x), "") if arrays.group is None else arrays.group
            for some in _chunks(arrays.x):
                columns = (column[some].tolist() for column in (arrays.y, arrays.files, groups))
                for image, label, file, group in zip(arrays.x[some], *columns, strict=True):
                    prefix = "" if part == "train" or file.startswith(f"{part}/") else f"{part}/"
                    yield Sample(image, label, prefix + file, part, group)
