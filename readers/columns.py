"""Columns of parquet files, in memory that is bounded by what the file stores.

A file stores a value once, however many rows have it; in an array, each of them would have a copy.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common.errors import InputError
from readers.pages import page_sizes

MAX_BYTES = 2**26  # of columns that are read at once
MAX_VALUES = 3_000_000  # of them together, as in a table of text
MAX_PAGE = 2**26  # bytes of what is read one by one, of which a page is unpacked at once


def open_parquet(path: Path, **options) -> Any:
    """Return pyarrow's ParquetFile. Raises ImportError without pyarrow, and nearly anything for a damaged file."""
    from pyarrow import parquet  # optional, and slow to import

    return parquet.ParquetFile(path, **options)


def is_text(column: Any) -> bool:
    """Return whether a pyarrow type is one of texts, as pandas, polars and their categories are stored."""
    kind = column.value_type if hasattr(column, "index_type") else column
    return str(kind) in ("string", "large_string", "string_view")


def is_binary(column: Any) -> bool:
    """Return whether a pyarrow type is one of bytes."""
    return str(column) in ("binary", "large_binary", "binary_view")


def read_columns(path: Path, names: list[str]) -> list[list]:
    """Return the values of columns in their order in the file, texts without the spaces around them.

    Raises:
        InputError: too many, too large, or two of a name.
        Exception: the file is damaged.
    """
    file = open_parquet(path)
    schema, listed = file.schema_arrow, ", ".join(names)[:100]
    if file.metadata.num_rows * len(names) > MAX_VALUES:
        raise InputError(f"it has more than {MAX_VALUES:,} values in {listed}: save it as several files")
    if sum(sum(page_sizes(path, name)) for name in names) > MAX_BYTES:
        raise InputError(f"it has more than {MAX_BYTES // 2**20} MiB in {listed}: save paths and labels alone")
    if any(schema.names.count(name) > 1 for name in names):
        raise InputError("two of its columns have the same name: rename one")
    texts = [name for name in names if is_text(schema.field(name).type)]
    return [_values(column) for column in open_parquet(path, read_dictionary=texts).read(columns=names).columns]


def _values(column: Any) -> list:
    """Return the values of a column; those of a text that repeats are one object."""
    values: list = []
    for chunk in column.chunks:
        if not hasattr(chunk, "dictionary"):
            values += chunk.to_pylist()
            continue
        words = [word.strip() if isinstance(word, str) else word for word in chunk.dictionary.to_pylist()]
        values += [None if number is None else words[number] for number in chunk.indices.to_pylist()]
    return values


def check_pages(path: Path, name: str) -> None:
    """Raise InputError if a column is stored in pieces too large for `stream`; nearly anything if it is damaged."""
    if max(page_sizes(path, name), default=0) > MAX_PAGE:
        raise InputError(f"it has a page of more than {MAX_PAGE // 2**20} MiB in {name}: save it in smaller pages")


def stream(path: Path, name: str, group: int, metadata: Any = None) -> Iterator[Any]:
    """Yield the values of a column in a row group, with one of them in memory at a time.

    Args:
        metadata: of the file as pyarrow gives it, if it is known; to parse it per group takes a square of their number.
    """
    file = open_parquet(path, metadata=metadata, pre_buffer=False, buffer_size=2**16)
    for batch in file.iter_batches(batch_size=1, row_groups=[group], columns=[name]):
        yield batch.column(0)[0].as_py()
