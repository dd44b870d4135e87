"""How large the pages of a parquet file are, which are unpacked whole.

The list at the end of a file tells it, too, but need not be true: 28 kB can say 100 MB and unpack to a gigabyte. What a
page's own header says is what is unpacked. Headers are structs of Thrift's compact protocol:
https://github.com/apache/parquet-format and https://github.com/apache/thrift (doc/specs/thrift-compact-protocol.md).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_HEADER = 2**16  # bytes
MAX_PAGES = 2**17  # of a column
UNPACKED, PACKED = 2, 3  # fields of a header: bytes of the page, as it is unpacked and in the file
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 12  # types of fields; no lists
SKIPPED = {TRUE: 0, FALSE: 0, BYTE: 1, DOUBLE: 8}  # bytes of a value


def page_sizes(path: Path, file: Any, name: str) -> list[int]:
    """Return the bytes of each page of a column and its fields, unpacked.

    Args:
        path, file: of a pyarrow ParquetFile.

    Raises:
        ValueError, LookupError, RecursionError: the headers make no sense, or are too many.
    """
    sizes: list[int] = []
    with open(path, "rb") as content:
        for start, length in _chunks(file, name):
            position = start
            while position < start + length:
                content.seek(position)
                header = _Header(content.read(MAX_HEADER))
                fields = header.read()
                if min(fields[UNPACKED], fields[PACKED]) < 0 or len(sizes) == MAX_PAGES:
                    raise ValueError("its pages make no sense")
                sizes.append(fields[UNPACKED])
                position += header.position + fields[PACKED]
    return sizes


def _chunks(file: Any, name: str) -> Iterator[tuple[int, int]]:
    """Yield where a column and its fields begin in the file, and how long they are there, for each row group."""
    for k in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(k)
        for column in map(group.column, range(group.num_columns)):
            if f"{column.path_in_schema}.".startswith(f"{name}."):
                starts = (column.dictionary_page_offset, column.data_page_offset)
                yield min(start for start in starts if start), column.total_compressed_size


class _Header:
    """A struct at the beginning of some bytes.

    Attributes:
        position: of the next byte to read.
    """

    def __init__(self, data: bytes):
        self._data, self.position = data, 0

    def read(self) -> dict[int, int]:
        """Return field → value of those that are integers. Raises IndexError if the bytes end before the struct."""
        fields, number = {}, 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            value = self._value(head & 15)
            if value is not None:
                fields[number] = value
        return fields

    def _byte(self) -> int:
        self.position += 1
        return self._data[self.position - 1]

    def _length(self) -> int:
        length = shift = 0
        while True:
            byte = self._byte()
            length |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return length

    def _integer(self) -> int:
        number = self._length()
        return number >> 1 ^ -(number & 1)

    def _value(self, kind: int) -> int | None:
        """Return an integer, or pass over any other value."""
        if kind in (I16, I32, I64):
            return self._integer()
        if kind == STRUCT:
            self.read()
        else:
            length = self._length() if kind == BINARY else SKIPPED[kind]
            self.position += length
        return None
