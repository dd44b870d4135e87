"""Parquet files that hold the images themselves, as Hugging Face stores its datasets."""

import json
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from common.errors import InputError
from readers.arrays import assign_parts
from readers.cells import open_parquet
from readers.images import ImageFiles
from readers.layout import natural_key
from readers.source import Sample, Source
from readers.table import NAMES, simplify

IMAGES = ("image", "img", "picture", "图像", "图片")  # columns that may hold files, rather than Hugging Face's pairs
DAMAGED = "{} is not a readable parquet file ({!s:.200}): download it again"
MAX_GROUP = 2**28  # bytes of a row group, which is read at once


@dataclass(frozen=True)
class ParquetFile:
    """What a parquet file says of itself.

    Attributes:
        path: of the file.
        image, label: names of the columns.
        starts: number of the first row of each row group.
        largest: bytes of the largest row group.
        names: those of the classes, if the labels are their numbers.
    """

    path: Path
    image: str
    label: str
    starts: list[int]
    largest: int
    names: list[str] | None


class ParquetImages(Source):
    """The images of parquet files with a column of encoded images and one of labels.

    Args:
        path: a file, or a folder with such files, in itself or in a sub-folder, as `data/`. Their names tell the part,
            as test-00000-of-00001.parquet does.
        channels: see `Source`.

    Raises:
        InputError: a damaged file, no column of labels, or a row group that is too large.
    """

    def __init__(self, path: Path, channels: int = 1):
        super().__init__(channels)
        self.name, files = path.name, [file for file in map(_describe, _find(path)) if file]
        for file in files:
            if file.largest > MAX_GROUP:
                limit = f"more than {MAX_GROUP // 2**20} MiB"
                raise InputError(f"{file.path} has a row group of {limit}: save it in smaller ones")
        labels = {file.path: _read_labels(file) for file in files}
        names = next((file.names for file in files if file.names), None)
        found = {label for column in labels.values() for label in column if label}
        self.classes = names or sorted(found, key=natural_key)
        number = {name: label for label, name in enumerate(self.classes)}
        self._rows: dict[str, tuple[ParquetFile, int, int, str]] = {}  # file → where it is, label and part
        self._unlabelled: list[tuple[str, str]] = []
        for file, part in zip(files, assign_parts([file.path.stem for file in files]), strict=True):
            for row, label in enumerate(labels.pop(file.path)):
                if label in number:
                    self._rows[f"{file.path.stem}/{row}"] = (file, row, number[label], part)
                else:
                    self._unlabelled.append((f"{file.path.stem}/{row}", "no label"))
        self._paths = [file.path for file in files]
        self._group: tuple[Path, int, list] = Path(), -1, []  # the row group that was read last
        self._images = ImageFiles(self.name, list(self._rows), self._read, channels)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return any(map(_has_images, _find(path)))

    @property
    def where(self) -> Path:
        return self._paths[0]

    def stamp(self) -> object:
        return [(stat.st_size, stat.st_mtime_ns) for stat in (path.stat() for path in self._paths)]

    def sizes(self) -> Counter[tuple[int, int]]:
        return Counter()  # known when the images are decoded

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Sample]:
        for i, image in self._images:
            name = self._images.files[i]
            _, _, label, part = self._rows[name]
            yield Sample(image, label, name, part)
        self.skipped, self.modes = self._images.damaged + self._unlabelled, self._images.modes
        self.notes, self.counts = self._images.notes, self._images.counts
        self.check_damaged(self._images.damaged)

    def _read(self, name: str) -> bytes:
        """Return the content of an image; its row group is kept for the next."""
        file, row, _, _ = self._rows[name]
        group = bisect_right(file.starts, row) - 1
        if self._group[:2] != (file.path, group):
            table = open_parquet(file.path).read_row_group(group, columns=[file.image])
            self._group = file.path, group, table.column(0).to_pylist()
        content = self._group[2][row - file.starts[group]]
        content = content["bytes"] if isinstance(content, dict) else content
        if content is None:
            raise ValueError("no image")
        return content  # type: ignore[no-any-return]


def _find(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for pattern in ("*.parquet", "*/*.parquet") for file in path.glob(pattern))
    return [path] if path.suffix.lower() == ".parquet" else []


def _has_images(path: Path) -> bool:
    try:
        return _describe(path) is not None
    except (ImportError, InputError):  # the reader of tables will say so
        return False


def _describe(path: Path) -> ParquetFile | None:
    """Return what a parquet file says of itself, or None if it has no column of images.

    Raises:
        InputError: it is damaged.
        ImportError: pyarrow is missing.
    """
    from pyarrow import types  # as in `open_parquet`

    try:
        file = open_parquet(path)
        schema, about = file.schema_arrow, file.metadata
        groups = [about.row_group(k) for k in range(about.num_row_groups)]
        known = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    except Exception as error:  # pyarrow raises nearly anything for a damaged file
        raise InputError(DAMAGED.format(path, error)) from None
    images = [
        field.name for field in schema if types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
    ]
    images += [field.name for field in schema if types.is_binary(field.type) and simplify(field.name) in IMAGES]
    texts = [field.name for field in schema if types.is_integer(field.type) or types.is_string(field.type)]
    labels = [name for word in NAMES["label"].split() for name in texts if simplify(name) == word] or texts
    if not images or not labels:
        return None
    starts = [0, *accumulate(group.num_rows for group in groups)]
    feature = known.get(labels[0])
    names = feature.get("names") if isinstance(feature, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        names = None
    largest = max((group.total_byte_size for group in groups), default=0)
    return ParquetFile(path, images[0], labels[0], starts[:-1], largest, names)


def _read_labels(file: ParquetFile) -> list[str | None]:
    """Return the label of each row as text, or as the name of the class if it is a number; None if it is missing."""
    try:
        labels = open_parquet(file.path).read(columns=[file.label]).column(0).to_pylist()
    except Exception as error:  # as in `_describe`
        raise InputError(DAMAGED.format(file.path, error)) from None
    if file.names is None:
        return [None if label in (None, "") else str(label) for label in labels]
    names = dict(enumerate(file.names))
    return [names.get(label) for label in labels]
