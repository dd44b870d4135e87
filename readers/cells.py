"""The texts in a CSV, TSV or parquet file, whatever its encoding and delimiter."""

import codecs
import csv
import io
import re
from pathlib import Path

from common.errors import InputError

DELIMITERS = ",;\t"
MAX_BYTES = 2**28
MAX_CELLS = 20_000_000  # which take 1.5 GB; a row for each of the four million characters of HWDB has three
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
        return _read_parquet(path) if path.suffix.lower() == ".parquet" else _read_csv(path.read_bytes())
    except ImportError:
        raise InputError(f"{path} needs pyarrow: pip install pyarrow, or save it as CSV") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # pyarrow raises nearly anything for a damaged file
        raise InputError(f"{path} is not a readable table ({error!s:.200}): save it again as CSV in UTF-8") from None


def _read_csv(data: bytes) -> list[list[str]]:
    text = decode_text(data)
    if told := re.match(r"sep=(.)\r?\n", text):  # as Excel writes it
        return _split(text[told.end() :], told[1])
    if max(map(text.count, DELIMITERS)) + text.count("\n") > MAX_CELLS:
        raise InputError(f"it has more than {MAX_CELLS:,} cells: split it, or give a folder per class")
    head = "\n".join(text[: 2**20].splitlines()[:SNIFFED])

    def agreement(delimiter: str) -> tuple[int, int]:
        """Return how many rows have as many cells as the first, if these are two or more, and how many cells."""
        rows = _split(head, delimiter)
        width = len(rows[0]) if rows else 0
        return sum(len(row) == width for row in rows) if width > 1 else 0, width

    delimiter = max(DELIMITERS, key=agreement)
    if agreement(delimiter)[0] == 0:
        raise InputError("it has a single column: separate path and label by a comma, a semicolon or a tab")
    return _split(text, delimiter)


def _split(text: str, delimiter: str) -> list[list[str]]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [row for row in ([cell.strip() for cell in row] for row in rows) if any(row)]


def decode_text(data: bytes) -> str:
    """Return text as spreadsheets save it. Raises InputError."""
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16")
    if b"\0" in data[:100]:  # ASCII characters in UTF-16 without a mark
        return data.decode("utf-16-le" if data[1:100:2].count(0) > data[:100:2].count(0) else "utf-16-be")
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise InputError("it is neither UTF-8, UTF-16 nor GB 18030: save it again as CSV in UTF-8")


def _read_parquet(path: Path) -> list[list[str]]:
    from pyarrow import parquet, types  # optional, and slow to import

    file = parquet.ParquetFile(path)
    size = sum(file.metadata.row_group(k).total_byte_size for k in range(file.metadata.num_row_groups))
    if size > MAX_BYTES:
        raise InputError(f"it expands to more than {MAX_BYTES // 2**20} MiB: save paths and labels alone")
    flat = [
        field.name for field in file.schema_arrow if not (types.is_nested(field.type) or types.is_binary(field.type))
    ]
    columns = file.read(columns=flat).to_pydict()
    rows = zip(*columns.values(), strict=True)
    return [flat, *(["" if value is None else str(value).strip() for value in row] for row in rows)]
