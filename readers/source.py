"""Source and Sample: where labelled images come from, whatever their format."""

import copy
import re
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError
from common.text import plural

PARTS = ("train", "val", "test")
PARTS_BY_WORD = {
    "train": "train", "training": "train", "trn": "train", "val": "val", "valid": "val", "validation": "val",
    "dev": "val", "test": "test", "testing": "test", "tst": "test", "t10k": "test", "训练": "train", "验证": "val",
    "测试": "test",
}  # fmt: skip
BESIDE = "(images?|imgs?|pics?|(data)?set|data|split|samples|(数据)?集|数据|图片|图像)"  # the name of a part
PART = re.compile(rf"({BESIDE}[ _-]*)?(?P<part>{'|'.join(PARTS_BY_WORD)})([ _-]*{BESIDE})?")


def part_of(name: str) -> str | None:
    """Return which part a folder of that name holds, as train, Test images or 验证集; or None."""
    found = PART.fullmatch(name.strip().casefold())
    return PARTS_BY_WORD[found["part"]] if found else None


@dataclass(frozen=True)
class Sample:
    """One labelled image.

    Attributes:
        image: uint8 (H, W), of any size, or (H, W, 3) from a source of 3 channels.
        label: index into the source's classes.
        file: its name, unique within the source.
        part: which of PARTS it belongs to; "train" if the source does not say.
        group: the writer, or whatever else must not stand on two sides of a split; "" if unknown.
    """

    image: np.ndarray
    label: int
    file: str
    part: str = "train"
    group: str = ""


class Source(ABC):
    """Labelled images to iterate over. What cannot be read is skipped and listed.

    Args:
        channels: 1 for grey images, 3 if those in colour are to stay so.

    Attributes:
        name: where the images come from, for summaries and records.
        classes: names of the classes, in label order.
        channels: see above.
        cropped, photos: whether `init.preprocess` has cropped the images, or found them in photos, before.
        skipped: (file, reason) of what the last iteration skipped.
        modes: how many images had which Pillow mode in the last iteration.
        notes: sentences on what was decided about the images, for the summary.
        counts: of how many images a sentence is true, such as "have several pages", in the last iteration.
    """

    name: str
    classes: list[str]
    cropped: bool = False
    photos: bool = False

    def __init__(self, channels: int = 1) -> None:
        self.channels = channels
        self.skipped: list[tuple[str, str]] = []
        self.modes: Counter[str] = Counter()
        self.notes: list[str] = []
        self.counts: Counter[str] = Counter()
        self._is_share = False

    def describe_class(self, label: int) -> str:
        """Return a class's name and where it is, for messages."""
        return f"class {self.classes[label]!r} of {self.name}"

    @property
    def where(self) -> str | Path:
        """Where the images are, for messages."""
        return self.name

    def check_damaged(self, damaged: list[tuple[str, str]]) -> None:
        """Raise InputError if more than half of the images are damaged, given (file, reason) of each."""
        if not self._is_share and len(damaged) > len(self) / 2:
            file, reason = damaged[0]
            raise InputError(
                f"{len(damaged)} of the {len(self)} images in {self.where} cannot be read, the first {file} ({reason})"
            )

    def share(self, start: int, stop: int) -> "Source | None":
        """Return a source of the images from `start` to `stop` alone, or None if this one can only be read whole.

        Shares are read by several processes. Their `skipped`, `modes`, `notes` and `counts` are of their images alone.
        """
        return None

    def _share(self, **changes: Any) -> "Source":
        """Return a copy with other attributes, as a share."""
        other = copy.copy(self)
        other.skipped, other.modes, other.notes, other.counts = [], Counter(), [], Counter()
        vars(other).update(changes, _is_share=True)
        return other

    @abstractmethod
    def stamp(self) -> object:
        """Return a value whose repr changes when the images do, without reading them."""

    def sizes(self) -> Counter[tuple[int, int]]:
        """Return how many images have which size (width, height) in pixels; none if only decoding tells."""
        return Counter()

    @abstractmethod
    def __len__(self) -> int:
        """Return how many images there are, readable or not."""

    @abstractmethod
    def __iter__(self) -> Iterator[Sample]:
        """Yield the images that can be read."""


def as_array(images) -> np.ndarray:
    """Return images as one array; raise InputError if they differ in size."""
    try:
        return np.asarray(images)
    except ValueError:
        raise InputError(
            "the images differ in size: CharDataset.from_dataset(list(zip(x, y)), size=28) fits them to one"
        ) from None


def check_arrays(x: np.ndarray, y: np.ndarray, classes: int | None = None) -> None:
    """Raise InputError unless x is uint8 (N, H, W) or (N, H, W, 3) and y integers (N,), 0 ≤ y < classes."""
    is_colour = x.ndim == 4 and x.shape[3] == 3
    if x.dtype != np.uint8 or not (x.ndim == 3 or is_colour) or 0 in x.shape[1:]:
        remedy = ": imaging.pictures.as_images(x) makes it so" if x.ndim == 4 else ""
        raise InputError(f"x must be uint8 (N, H, W), or in colour (N, H, W, 3), not {x.dtype} {x.shape}{remedy}")
    if y.ndim != 1 or not np.issubdtype(y.dtype, np.integer):
        raise InputError(f"y must be integers (N,), not {y.dtype} {y.shape}")
    if len(x) != len(y):
        raise InputError(f"x holds {len(x)} images and y {len(y)} labels: give one label per image")
    if classes is not None and len(y) and not (y.min() >= 0 and y.max() < classes):
        remedy = ", so give y - 1" if (y.min(), y.max()) == (1, classes) else ""
        wanted = f"with {plural(classes, 'class', 'classes')} they must be 0 to {classes - 1}"
        raise InputError(f"y has labels from {y.min()} to {y.max()}: {wanted}{remedy}")
