"""The image files of one set, decoded, all of them scaled by the same level."""

import copy
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from tqdm import tqdm

from imaging.decoding import Picture, decode_picture
from imaging.levels import to_uint8, white_level

SEVERAL_PAGES = "files have several pages or frames, of which the first is read"
FULL = {"I;16": 65_535, "I;16B": 65_535, "I;16L": 65_535}  # the levels of modes that cannot hold higher ones
EIGHT, MORE, FLOATS = "8 bits", "more than 8 bits", "floating-point numbers"  # kinds of levels, each with a white one


class ImageFiles:
    """Decode image files, scaled by the highest level of the whole set, however dark one of them is.

    Args:
        name: of the set, for the progress bar.
        files: their names.
        read: returns the content of the file of a name.
        channels: 1 to decode to grey, 3 to colour.

    Attributes:
        damaged: (file, reason) of what the last iteration skipped.
        modes: how many images had which Pillow mode in the last iteration.
        notes: sentences on how the levels were scaled in the last iteration.
        counts: of how many files a sentence on what was not read is true, from the last iteration.
    """

    def __init__(self, name: str, files: Sequence[str], read: Callable[[str], bytes], channels: int = 1):
        self.name, self.files, self._read, self._channels = name, files, read, channels
        self.damaged: list[tuple[str, str]] = []
        self.modes: Counter[str] = Counter()
        self.notes: list[str] = []
        self.counts: Counter[str] = Counter()
        self._all = files
        self._is_share = False
        self._white: dict[str, float] = {}

    def share(self, start: int, stop: int) -> "ImageFiles":
        """Return the files from `start` to `stop` alone, scaled like all; see `Source.share`."""
        other = copy.copy(self)
        other.files, other._is_share = self.files[start:stop], True
        other.damaged, other.modes, other.notes, other.counts = [], Counter(), [], Counter()
        return other

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Yield (index of the file, uint8 (H, W) or (H, W, 3)) per file that can be read."""
        self.damaged, self.notes = [], []
        self.modes.clear()
        self.counts.clear()
        for i, file in enumerate(self.progress("reading")):
            try:
                picture = decode_picture(self._read(file), self._channels)
            except Exception as error:  # Pillow's decoders raise nearly anything for damaged files
                self.damaged.append((file, f"{type(error).__name__}: {error}"))
                continue
            self.modes[picture.mode] += 1
            if picture.has_more_pages:
                self.counts[SEVERAL_PAGES] += 1
            yield i, to_uint8(picture.pixels, self._white_level(picture))
        self.notes = self._scaling_notes()

    def progress(self, doing: str, files: Sequence[str] | None = None) -> Iterable[str]:
        """Return the files, or others, behind a progress bar, which a share does not show."""
        files = self.files if files is None else files
        return files if self._is_share else tqdm(files, desc=f"{doing} {self.name}", unit="file", delay=1)

    def _white_level(self, picture: Picture) -> float:
        """Return which level is white in all images of this one's kind; this takes a pass over them.

        Most images of 8 bits tell at once that their levels go up to 255.
        """
        kind = _kind(picture)
        if kind not in self._white and kind == EIGHT and white_level(picture.pixels.max()) == 255:
            self._white[kind] = 255
        if kind not in self._white:
            self._white[kind] = white_level(self._highest(kind))
        return self._white[kind]

    def _highest(self, kind: str) -> float:
        """Return the highest level in the images of a kind."""
        highest = 0.0
        for file in self.progress("levels in", self._all):
            try:
                picture = decode_picture(self._read(file), self._channels)
            except Exception:  # iteration will say why it cannot be read
                continue
            if _kind(picture) == kind:
                highest = max(highest, float(picture.pixels.max()))
                if white_level(highest) == FULL.get(picture.mode, 255 if kind == EIGHT else None):
                    break
        return highest

    def _scaling_notes(self) -> list[str]:
        return [
            f"images of {kind} are scaled: their level {white:g} becomes 255"
            for kind, white in self._white.items()
            if (kind, white) != (EIGHT, 255)
        ]


def _kind(picture: Picture) -> str:
    """Return the kind of a picture's levels: 1.0 is white among numbers from 0 to 1, also beside files of 16 bits."""
    if picture.pixels.dtype == np.uint8:
        return EIGHT
    return FLOATS if picture.mode == "F" else MORE
