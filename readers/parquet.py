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
from common.text import compose, first_names
from readers.arrays import assign_parts
from readers.columns import check_pages, is_binary, is_text, open_parquet, read_columns, stream
from readers.container import HIDDEN
from readers.images import ImageFiles
from readers.layout import natural_key
from readers.source import Sample, Source
from readers.table import NAMES, simplify

IMAGES = ("image", "img", "picture", "图像", "图片")  # columns that may hold files, rather than Hugging Face's pairs
PATTERN = "*.[pP][aA][rR][qQ][uU][eE][tT]"
FREE_ROWS = 2**15  # that any file may have
BYTES_PER_ROW = 16  # of a file with more: those without an image, or with one that is stored once, take nothing


@dataclass(frozen=True)
class ParquetFile:
    """What a parquet file says of itself.

    Attributes:
        path: of the file.
        image: name of the column.
        label: name of the column; None if there is none.
        starts: number of the first row of each row group.
        names: those of the classes, if the labels are their numbers.
        metadata: as pyarrow gives it.
    """

    path: Path
    image: str
    label: str | None
    starts: list[int]
    names: list[str] | None
    metadata: Any


class ParquetImages(Source):
    """The images of parquet files with a column of encoded images and one of labels.

    Args:
        path: a file, or a folder with such files, in itself or in a sub-folder, as `data/`. Their names tell the part,
            as test-00000-of-00001.parquet does.
        channels: see `Source`.

    Raises:
        InputError: a damaged file, no column of labels, a page that is too large, or more rows than it can have images.
    """

    def __init__(self, path: Path, channels: int = 1):
        super().__init__(channels)
        self.name, files = path.name, [file for file in map(_describe, _find(path)) if file]
        for file in files:
            with _reading(file.path):
                _check_rows(file)
                check_pages(file.path, file.image)
        if not any(file.label for file in files):
            raise InputError(f"{files[0].path} has images, but no column of labels: add a column 'label'")
        labels = {file.path: _read_labels(file) for file in files}
        names = next((file.names for file in files if file.names), None)
        found = {label for column in labels.values() for label in column if label}
        self.classes = [name for name in names if name in found] if names else sorted(found, key=natural_key)
        unused = sorted(set(names or []) - found, key=natural_key)
        self._decided = [f"classes that no image has are left out: {', '.join(unused):.200}"] if unused else []
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
        self.notes, self.counts = self._decided + self._images.notes, self._images.counts
        self.check_damaged(self._images.damaged)

    def _read(self, name: str) -> bytes:
        """Return the content of an image, fastest for one after the other."""
        file, row, _, _ = self._rows[name]
        group = bisect_right(file.starts, row) - 1
        row -= file.starts[group]
        if self._reading != (file.path, group) or row < self._row:
            self._reading, self._row, self._stream = (
                (file.path, group),
                0,
                stream(file.path, file.image, group, file.metadata),
            )
        content: Any = next(islice(self._stream, row - self._row, None), None)
        self._row = row + 1
        content = content["bytes"] if isinstance(content, dict) else content
        if content is None:
            raise ValueError("no image")
        return content  # type: ignore[no-any-return]


def _find(path: Path) -> list[Path]:
    """Return the parquet files at a path, and in its sub-folders; hidden ones, as macOS's ._train.parquet, are none."""
    if not path.is_dir():
        return [path] if path.suffix.lower() == ".parquet" else []
    found = sorted(file for pattern in (PATTERN, f"*/{PATTERN}") for file in path.glob(pattern) if file.is_file())
    return [file for file in found if not HIDDEN.search(file.relative_to(path).as_posix())]


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
        names = _class_names((schema.metadata or {}).get(b"huggingface", b"{}"))
    images = [
        field.name for field in schema if types.is_struct(field.type) and field.type.get_field_index("bytes") >= 0
    ]
    images += [field.name for field in schema if is_binary(field.type) and simplify(field.name) in IMAGES]
    if not images:
        return None
    texts = [field.name for field in schema if types.is_integer(field.type) or is_text(field.type)]
    numbers = [field.name for field in schema if types.is_floating(field.type) or types.is_boolean(field.type)]
    named = [name for word in NAMES["label"].split() for name in [*texts, *numbers] if simplify(name) == word]
    label = next(iter(named or texts), None)
    is_number = label is not None and not is_text(schema.field(schema.get_all_field_indices(label)[0]).type)
    return ParquetFile(path, images[0], label, starts[:-1], names.get(label) if is_number else None, about)


def _class_names(about: bytes) -> dict[str | None, list[str]]:
    """Return the names of the classes by the column of their numbers, from what Hugging Face adds to a file.

    What makes no sense tells nothing: it may be of other versions, and the images can be read without it.
    """
    try:
        features = dict(json.loads(about)["info"]["features"])
        found = {column: feature["names"] for column, feature in features.items() if "names" in feature}
    except (ValueError, LookupError, TypeError, RecursionError):
        return {}
    return {
        column: [compose(name) for name in names]
        for column, names in found.items()
        if isinstance(names, list) and names and all(isinstance(name, str) for name in names)
    }


def _check_rows(file: ParquetFile) -> None:
    """Raise InputError if a file has more rows than there can be images in its bytes."""
    rows, size = file.metadata.num_rows, file.path.stat().st_size
    if rows > max(FREE_ROWS, size / BYTES_PER_ROW):
        raise InputError(f"it has {rows:,} rows in {size:,} bytes, which cannot be as many images: correct the file")


def _read_labels(file: ParquetFile) -> list[str | None]:
    """Return the label of each row as text, or as the name of the class if it is a number; None if it is missing."""
    if file.label is None:
        return [None] * file.metadata.num_rows
    with _reading(file.path):
        (labels,) = read_columns(file.path, [file.label])
        if file.names is not None and len(set(file.names)) < len(file.names):
            raise InputError(f"its classes are not all different: {first_names(file.names)}")
    if file.names is None:  # pandas makes 1 to 1.0 if other rows have none
        labels = [int(label) if isinstance(label, float) and label.is_integer() else label for label in labels]
        return [None if label in (None, "") or label != label else compose(str(label)) for label in labels]
    names = dict(enumerate(file.names))
    return [names.get(label) for label in labels]
