"""Parquet files that hold the images themselves, as Hugging Face stores its datasets."""

import json
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path
from typing import Any

from common.errors import InputError
from readers.arrays import assign_parts
from readers.columns import check_pages, is_binary, is_text, open_parquet, read_columns, stream
from readers.images import ImageFiles
from readers.layout import natural_key
from readers.source import Sample, Source
from readers.table import NAMES, simplify

IMAGES = ("image", "img", "picture", "图像", "图片")  # columns that may hold files, rather than Hugging Face's pairs


@dataclass(frozen=True)
class ParquetFile:
    """What a parquet file says of itself.

    Attributes:
        path: of the file.
        image, label: names of the columns.
        starts: number of the first row of each row group.
        names: those of the classes, if the labels are their numbers.
    """

    path: Path
    image: str
    label: str
    starts: list[int]
    names: list[str] | None


class ParquetImages(Source):
    """The images of parquet files with a column of encoded images and one of labels.

    Args:
        path: a file, or a folder with such files, in itself or in a sub-folder, as `data/`. Their names tell the part,
            as test-00000-of-00001.parquet does.
        channels: see `Source`.

    Raises:
        InputError: a damaged file, no column of labels, or a page that is too large.
    """

    def __init__(self, path: Path, channels: int = 1):
        super().__init__(channels)
        self.name, files = path.name, [file for file in map(_describe, _find(path)) if file]
        for file in files:
            with _reading(file.path):
                check_pages(file.path, file.image)
        labels = {file.path: _read_labels(file) for file in files}
        names = next((file.names for file in files if file.names), None)
        found = {label for column in labels.values() for label in column if label}
        self.classes = names or sorted(found, key=natural_key)
        number = {name: label for label, name in enumerate(self.classes)}
        self._rows: dict[str, tuple[ParquetFile, int, int, str]] = {}  # file → where it is, label and part
        self._unlabelled: list[tuple[str, str]] = []
        folder = path if path.is_dir() else path.parent
        stems = [file.path.relative_to(folder).with_suffix("").as_posix() for file in files]
        for file, stem, part in zip(files, stems, assign_parts(stems), strict=True):
            for row, label in enumerate(labels.pop(file.path)):
                if label in number:
                    self._rows[f"{stem}/{row}"] = (file, row, number[label], part)
                else:
                    self._unlabelled.append((f"{stem}/{row}", "no label"))
        self._paths = [file.path for file in files]
        self._reading: tuple[Path, int] = Path(), -1  # file and row group
        self._row, self._stream = 0, iter(())  # the next row of that group, and its images
        self._images = ImageFiles(self.name, list(self._rows), self._read, channels)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return any(map(_has_images, _find(path)))

    @property
    def where(self) -> Path:
        return self._paths[0]

    def stamp(self) -> object:
        return [(stat.st_size, stat.st_mtime_ns) for stat in (path.stat() for path in self._paths)]

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
        """Return the content of an image, fastest for one after the other."""
        file, row, _, _ = self._rows[name]
        group = bisect_right(file.starts, row) - 1
        row -= file.starts[group]
        if self._reading != (file.path, group) or row < self._row:
            self._reading, self._row, self._stream = (file.path, group), 0, stream(file.path, file.image, group)
        content: Any = next(islice(self._stream, row - self._row, None), None)
        self._row = row + 1
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


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Name the file in what is raised while it is read."""
    try:
        yield
    except ImportError:
        raise
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # pyarrow raises nearly anything for a damaged file
        raise InputError(f"{path} is not a readable parquet file ({error!s:.200}): download it again") from None


def _describe(path: Path) -> ParquetFile | None:
    """Return what a parquet file says of itself, or None if it has no column of images.

    Raises:
        InputError: it is damaged.
        ImportError: pyarrow is missing.
    """
    from pyarrow import types  # as in `open_parquet`

    with _reading(path):
        file = open_parquet(path)
        schema, about = file.schema_arrow, file.metadata
        starts = [0, *accumulate(about.row_group(k).num_rows for k in range(about.num_row_groups))]
        known = json.loads((schema.metadata or {}).get(b"huggingface", b"{}")).get("info", {}).get("features", {})
    images = [
        field.name for field in schema if types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
    ]
    images += [field.name for field in schema if is_binary(field.type) and simplify(field.name) in IMAGES]
    texts = [field.name for field in schema if types.is_integer(field.type) or is_text(field.type)]
    labels = [name for word in NAMES["label"].split() for name in texts if simplify(name) == word] or texts
    if not images or not labels:
        return None
    feature = known.get(labels[0])
    names = feature.get("names") if isinstance(feature, dict) else None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        names = None
    return ParquetFile(path, images[0], labels[0], starts[:-1], names)


def _read_labels(file: ParquetFile) -> list[str | None]:
    """Return the label of each row as text, or as the name of the class if it is a number; None if it is missing."""
    with _reading(file.path):
        (labels,) = read_columns(file.path, [file.label])
    if file.names is None:
        return [None if label in (None, "") else str(label) for label in labels]
    names = dict(enumerate(file.names))
    return [names.get(label) for label in labels]
