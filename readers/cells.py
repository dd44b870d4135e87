"""The texts in a CSV, TSV or parquet file, whatever its encoding and delimiter."""

import codecs
import csv
import io
import re
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path

from common.errors import InputError
from readers.columns import is_binary, open_parquet, read_columns

DELIMITERS = ",;\t"
MAX_BYTES = 2**26
MAX_CELLS = 3_000_000  # which take 400 MB: a million rows of path, label and writer
MAX_LINE = 2**20  # characters
PIECE = 2**20  # bytes that are decoded at once
SNIFFED = 20  # lines from which the delimiter is known


def read_cells(path: Path) -> list[list[str]]:
    """Return the rows of a table, without empty ones; the first is the header if there is one.

    Raises:
        InputError: too large, neither UTF-8, UTF-16 nor GB 18030, not a table of two columns or more, or a parquet file
            without pyarrow.
    """
    if path.stat().st_size > MAX_BYTES:
        raise InputError(f"{path} is larger than {MAX_BYTES // 2**20} MiB: split it, or give a folder per class")
    try:
        rows = _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path.read_bytes())
        stripped = ([cell.strip() for cell in row] for row in rows)
        return [row for row in stripped if any(row)]
    except ImportError:
        raise InputError(f"{path} needs pyarrow: pip install pyarrow, or save it as CSV") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # pyarrow raises nearly anything for a damaged file
        raise InputError(f"{path} is not a readable table ({error!s:.200}): save it again as CSV in UTF-8") from None


def _read_csv(data: bytes) -> Iterator[list[str]]:
    """Yield the rows of a table, decoded line by line: as one text it takes up to four times its size."""
    if max(data.count(delimiter.encode()) for delimiter in DELIMITERS) + data.count(b"\n") > MAX_CELLS:
        raise InputError(f"it has more than {MAX_CELLS:,} cells: split it, or give a folder per class")
    encoding = find_encoding(data)
    lines = _lines(data, encoding)
    if told := re.fullmatch(r"sep=(.)\r?\n", next(lines, "")):  # as Excel writes it
        return csv.reader(lines, delimiter=told[1])
    return csv.reader(_lines(data, encoding), delimiter=_find_delimiter(list(islice(_lines(data, encoding), SNIFFED))))


def _lines(data: bytes, encoding: str) -> Iterator[str]:
    with io.TextIOWrapper(io.BytesIO(data), encoding, newline="") as file:
        for line in iter(lambda: file.readline(MAX_LINE), ""):
            if len(line) == MAX_LINE:
                raise InputError(f"it has a line of more than {MAX_LINE:,} characters: save it again as CSV")
            yield line


def _find_delimiter(head: list[str]) -> str:
    """Return the delimiter of a table's first lines. Raises InputError."""

    def agreement(delimiter: str) -> tuple[int, int]:
        """Return how many rows have as many cells as the first, if these are two or more, and how many cells."""
        rows = [row for row in csv.reader(head, delimiter=delimiter) if any(cell.strip() for cell in row)]
        width = len(rows[0]) if rows else 0
        return sum(len(row) == width for row in rows) if width > 1 else 0, width

    delimiter = max(DELIMITERS, key=agreement)
    if agreement(delimiter)[0] == 0:
        raise InputError("it has a single column: separate path and label by a comma, a semicolon or a tab")
    return delimiter


def decode_text(data: bytes) -> str:
    """Return text as spreadsheets save it. Raises InputError, or UnicodeDecodeError."""
    return data.decode(find_encoding(data))


def find_encoding(data: bytes) -> str:
    """Return the encoding of text as spreadsheets save it. Raises InputError."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in data[:100]:  # ASCII characters in UTF-16 without a mark
        return "utf-16-le" if data[1:100:2].count(0) > data[:100:2].count(0) else "utf-16-be"
    for encoding in ("utf-8-sig", "gb18030"):
        decoder = codecs.getincrementaldecoder(encoding)()
        try:
            for start in range(0, len(data), PIECE):
                decoder.decode(data[start : start + PIECE])
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            continue
        return encoding
    raise InputError("it is neither UTF-8, UTF-16 nor GB 18030: save it again as CSV in UTF-8")


def _read_parquet(path: Path) -> Iterator[list[str]]:
    """Yield the rows of a parquet file, without the columns that are no text or number; see `read_columns`."""
    schema = open_parquet(path).schema_arrow
    flat = [field.name for field in schema if not (field.type.num_fields or is_binary(field.type))]
    rows = zip(*read_columns(path, flat), strict=True)
    return chain([flat], (["" if value is None else str(value) for value in row] for row in rows))
