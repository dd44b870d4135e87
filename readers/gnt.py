"""CASIA-HWDB's .gnt files: the characters of one writer per file."""

import struct
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import accumulate
from pathlib import Path, PurePosixPath
from typing import IO

import numpy as np

from common.errors import InputError
from imaging.decoding import MAX_PIXELS, is_image
from readers.arrays import assign_parts
from readers.container import Container, open_container
from readers.layout import natural_key
from readers.source import Sample, Source

HEADER = struct.Struct("<I2sHH")  # bytes of the record, character in GB 18030, width, height


@dataclass(frozen=True, slots=True)  # there are millions
class Record:
    """A character in a .gnt file, and its width and height in pixels."""

    character: str
    width: int
    height: int

    @property
    def size(self) -> int:
        """Bytes in the file."""
        return HEADER.size + self.width * self.height


class GntSource(Source):
    """The characters in a .gnt file, or in those of a folder or a .zip; each file is one writer's.

    Record headers are read at the beginning, images one by one. A file ends before its first damaged record, and
    `skipped` says where.

    Args:
        path: see above.
        channels: see `Source`; the images are grey.

    Raises:
        InputError: not one record can be read.
    """

    def __init__(self, path: Path, channels: int = 1):
        super().__init__(channels)
        self.name = path.name
        self._container = _open_file(path) if path.suffix.lower() == ".gnt" and path.is_file() else open_container(path)
        self._stamp = [row for row in self._container.stamp if _is_gnt(row[0])]
        self._records: dict[str, list[Record]] = {}
        self._damaged: list[tuple[str, str]] = []
        for name, size, _ in self._stamp:
            records: list[Record] = []
            try:
                with self._container.open(name) as file:
                    records.extend(_read_records(file, size))
            except Exception as error:  # nearly anything from a damaged archive
                self._damaged.append((name, f"the rest, from character {len(records) + 1} on: {error}"))
            if records:
                self._records[name] = records
        self.skipped = list(self._damaged)
        classes = {record.character for records in self._records.values() for record in records}
        if not classes:
            reason = self.skipped[0][1] if self.skipped else "its files are empty"
            raise InputError(f"{path} holds no character that can be read ({reason}): download it again")
        self.classes = sorted(classes, key=natural_key)
        self._parts = assign_parts([str(PurePosixPath(name).parent) for name in self._records])
        self._starts = [0, *accumulate(map(len, self._records.values()))]
        self._range = range(self._starts[-1])

    @classmethod
    def accepts(cls, path: Path) -> bool:
        if path.suffix.lower() == ".gnt":
            return path.is_file() or any(path.rglob("*.gnt"))
        if not path.is_dir() and path.suffix.lower() != ".zip":
            return False
        names = open_container(path).names
        return any(map(_is_gnt, names)) and not any(map(is_image, names))

    def stamp(self) -> object:
        return self._stamp

    def sizes(self) -> Counter[tuple[int, int]]:
        return Counter((record.width, record.height) for records in self._records.values() for record in records)

    def __len__(self) -> int:
        return len(self._range)

    def share(self, start: int, stop: int) -> Source:
        return self._share(_range=self._range[start:stop], _damaged=[])

    def __iter__(self) -> Iterator[Sample]:
        labels = {character: label for label, character in enumerate(self.classes)}
        self.skipped = list(self._damaged)
        self.modes = Counter({"L": len(self)})
        first = bisect_right(self._starts, self._range.start) - 1
        files = list(zip(self._starts, self._records.items(), self._parts, strict=False))[first:]
        for start, (name, records), part in files:
            places = range(max(self._range.start - start, 0), min(self._range.stop - start, len(records)))
            writer = PurePosixPath(name).stem
            for i, image in self._read_images(name, records, places):
                yield Sample(image, labels[records[i].character], f"{name}/{i}", part, writer)

    def _read_images(self, name: str, records: list[Record], places: range) -> Iterator[tuple[int, np.ndarray]]:
        """Yield those of a file's images, place and uint8 (H, W), up to one that cannot be read."""
        if not places:
            return
        i = places.start
        try:
            with self._container.open(name) as file:
                file.seek(sum(record.size for record in records[:i]))
                for i in places:
                    file.seek(HEADER.size, 1)
                    height, width = records[i].height, records[i].width
                    yield i, np.frombuffer(file.read(width * height), np.uint8).reshape(height, width)
        except Exception as error:  # nearly anything from a damaged archive
            self.skipped.append((name, f"the rest, from character {i + 1} on: {error}"))


def _open_file(path: Path) -> Container:
    found = path.stat()
    return Container(path, [path.name], [(path.name, found.st_size, found.st_mtime_ns)], lambda name: open(path, "rb"))


def _is_gnt(name: str) -> bool:
    return name.lower().endswith(".gnt")


def _read_records(file: IO[bytes], size: int) -> Iterator[Record]:
    """Yield the records of a file of `size` bytes without their images. Raises ValueError for a damaged one."""
    position = 0
    while position < size:
        header = file.read(HEADER.size)
        if len(header) < HEADER.size:
            raise ValueError("the file ends within a header")
        length, tag, width, height = HEADER.unpack(header)
        position += length
        if length != HEADER.size + width * height or not 0 < width * height <= MAX_PIXELS:
            raise ValueError(f"{length} bytes for {width}×{height} pixels")
        if position > size:
            raise ValueError("the file ends within an image")
        file.seek(width * height, 1)
        yield Record(_decode_tag(tag), width, height)


@cache
def _decode_tag(tag: bytes) -> str:
    """Return the character of a two-byte code, of which a one-byte code leaves the second 0. Raises ValueError."""
    character = tag.rstrip(b"\0").decode("gb18030")
    if not character.isprintable() or not character.strip():
        raise ValueError(f"the code {tag.hex()} is no character")
    return character
