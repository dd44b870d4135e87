"""A table with one image per row, its label and its pixels as numbers: Kaggle's MNIST, EMNIST and A-Z as CSV."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.text import plural
from imaging.decoding import is_image
from readers.arrays import ArraySource, assign_parts, make_parts
from readers.cells import DELIMITERS, decode_text
from readers.mappings import convert_emnist
from readers.table import NAMES, find_tables, simplify

MAX_BYTES = 3 * 2**28  # of a file, of which at most a half are pixels
MAX_LINE = 2**20  # characters
MAX_LABEL = 2**24  # beyond which float32 has not all whole numbers
FEWEST = 16  # pixels of an image
ROWS = 4096  # that are parsed at once
INDEX = ("", "id", "index", "unnamed:0")  # columns that number the rows


@dataclass(frozen=True)
class Columns:
    """What the columns of a table are.

    Attributes:
        delimiter: between the cells.
        has_header: whether the first line names the columns.
        pixels: numbers of the columns of pixels.
        label: number of the column of labels; None if it is one of the two ends, or there is none.
    """

    delimiter: str
    has_header: bool
    pixels: list[int]
    label: int | None


class PixelTable(ArraySource):
    """The images of a CSV or TSV file with one row per image, or of a folder of such files, one per part.

    The label is in the column that has such a name (`readers.table.NAMES`), or that holds text. Without either, it is
    in the first column, or in the last if nearly all values of the first are the same. All other columns are the pixels
    of a square image, row by row. A file without labels is skipped. EMNIST is transposed as in `PairSource`.

    Args:
        path: the file, or the folder.
        transposed: whether images are stored with rows and columns exchanged; by default if a file's name says EMNIST.
        channels: see `Source`.

    Raises:
        InputError: too large, no labels, or rows that differ in length or hold anything but numbers.
    """

    def __init__(self, path: Path, transposed: bool | None = None, channels: int = 1):
        files = [path] if path.is_file() else list(filter(_find_columns, find_tables(path)))
        images: dict[str, np.ndarray] = {}
        labels: dict[str, np.ndarray] = {}
        unlabelled, skipped = [], []
        for file, part in zip(files, assign_parts([file.stem for file in files]), strict=True):
            x, y, without_label = _read(file)
            if without_label:
                skipped.append((file.name, f"{plural(without_label, 'row')} without a label"))
            if y is None:
                unlabelled.append(file)
            elif part in images:
                raise InputError(f"{path} has several files of the part {part!r}: give one of them, as {file}")
            else:
                images[part], labels[part] = x, y
        if "train" not in images:
            raise InputError(f"{unlabelled[0] if unlabelled else path} has pixels but no labels: add a column 'label'")
        files = [file for file in files if file not in unlabelled]
        try:
            parts = make_parts(images, labels, path.name, channels=channels)
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        paths, parts = convert_emnist(files, parts, transposed)
        super().__init__(paths, parts, channels)
        self.transposed = transposed
        self.skipped = [*((file.name, "it has no labels") for file in unlabelled), *skipped]

    def stamp(self) -> object:
        return super().stamp(), self.transposed

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return any(map(_find_columns, find_tables(path) if path.is_dir() else [path]))


def _find_columns(path: Path) -> Columns | None:
    """Return what the columns of a table are, as its first lines tell; None if it is no table of pixels."""
    if path.suffix.lower() not in (".csv", ".tsv", ".tab") or not path.is_file():
        return None
    with open(path, "rb") as file:
        try:
            first, second = (decode_text(file.readline(MAX_LINE)) for _ in range(2))
        except ValueError:  # no text
            return None
    delimiter = max(DELIMITERS, key=first.count)
    cells, names = (
        [cell.strip().strip('"') for cell in line.strip("\r\n").split(delimiter)] for line in (second or first, first)
    )
    texts = [k for k, cell in enumerate(cells) if not _is_number(cell)]
    if len(cells) <= FEWEST or len(names) != len(cells) or len(texts) > 1 or any(is_image(cells[k]) for k in texts):
        return None
    has_header = sum(not _is_number(name) for name in names) > 1 or _is_counted(names)
    names = [simplify(name) for name in names] if has_header else ["-"] * len(names)
    label = next((k for name in NAMES["label"].split() for k, own in enumerate(names) if own == name), None)
    label = texts[0] if label is None and texts else label
    return Columns(
        delimiter, has_header, [k for k, name in enumerate(names) if k != label and name not in INDEX], label
    )


def _is_counted(names: list[str]) -> bool:
    """Return whether cells are 0, 1, 2 …, as pandas names columns, perhaps with a name before or behind them."""
    numbers = [name for name in names if name.isdecimal()]
    first = int(numbers[0] == "1") if numbers else 0
    return len(numbers) >= len(names) - 1 and numbers == [str(first + k) for k in range(len(numbers))]


def _is_number(cell: str) -> bool:
    try:
        return math.isfinite(float(cell))
    except ValueError:
        return False


def _read(path: Path) -> tuple[np.ndarray, np.ndarray | None, int]:
    """Return the pixels of a table, uint8 or float32 (N, side²), and its labels, str (N,), or None if it has none.

    Also return how many rows are left out because they have no label.
    """
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES // 2**20} MiB: save it as .npz, or split it into parts")
    columns = _find_columns(path)
    assert columns is not None
    names: dict[str, int] = {}
    try:
        chunks = list(_parse(path, columns, names, "utf-8-sig"))
    except UnicodeDecodeError:  # as Excel saves it in China
        names.clear()
        chunks = list(_parse(path, columns, names, "gb18030"))
    pixels, label = columns.pixels, columns.label
    if label is None and not _is_square(len(pixels)):
        first, last = (np.concatenate([rows[:, k] for rows in chunks]) for k in (pixels[0], pixels[-1]))
        label = pixels[-1] if _is_constant(first) and not _is_constant(last) else pixels[0]
        pixels = [k for k in pixels if k != label]
    if not _is_square(len(pixels)):
        raise InputError(f"{path} has {len(pixels)} columns of pixels: there must be side × side of them, and a label")
    rows_read, labels = sum(map(len, chunks)), None
    if "" in names:
        chunks = [rows[rows[:, label] != names[""]] for rows in chunks]
    if label is not None:
        codes = [int(code) if float(code).is_integer() else code for rows in chunks for code in rows[:, label].tolist()]
        if not all(abs(code) <= MAX_LABEL for code in codes):  # nor is NaN
            raise InputError(f"{path} has a label that is no number up to {MAX_LABEL:,}: name its column 'label'")
        labels = np.array([list(names)[code] for code in codes] if names else list(map(str, codes)))
    x = np.empty((sum(map(len, chunks)), len(pixels)), np.result_type(*chunks))
    without_label = rows_read - len(x)
    start = 0
    while chunks:  # each is freed when it is copied
        rows = chunks.pop(0)
        x[start : start + len(rows)] = rows[:, pixels]
        start += len(rows)
    return x, labels, without_label


def _is_constant(values: np.ndarray) -> bool:
    """Return whether nearly all values are the same, as those of an image's corner."""
    return bool(np.unique(values, return_counts=True)[1].max() > 0.9 * len(values))


def _is_square(count: int) -> bool:
    return count >= FEWEST and math.isqrt(count) ** 2 == count


def _parse(path: Path, columns: Columns, names: dict[str, int], encoding: str) -> Iterator[np.ndarray]:
    """Yield rows of a table, all columns, as uint8 or float32 (ROWS, columns); a label as its number in `names`."""
    label = columns.label
    converters: dict[int | str, Callable[[str], int]] = {}
    if label is not None:
        converters[label] = lambda text: names.setdefault(text.strip(), len(names))
    start = 2 if columns.has_header else 1
    with open(path, encoding=encoding) as file:
        lines = iter(lambda: file.readline(MAX_LINE), "")
        try:
            next(islice(lines, start - 1, start - 1), None)  # leaves out the header
            while chunk := list(islice(lines, ROWS)):
                if any(map(str.strip, chunk)):  # of blank lines alone, NumPy makes a row without columns
                    rows = np.loadtxt(
                        chunk, dtype=np.float32, comments=None, delimiter=columns.delimiter, converters=converters,
                        ndmin=2, encoding="utf-8", quotechar='"',
                    )  # fmt: skip
                    with np.errstate(invalid="ignore"):  # of what is no number from 0 to 255
                        whole = rows.astype(np.uint8)
                    yield whole if (whole == rows).all() else rows
                start += len(chunk)
        except ValueError as error:
            if isinstance(error, UnicodeDecodeError) and encoding != "gb18030":
                raise
            raise InputError(f"{path}: line {start} or one of the {ROWS} that follow: {error!s:.200}") from None
