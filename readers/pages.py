"""How large the pages of a parquet file are, which are unpacked whole.

The list at the end of a file tells it, too, but need not be true: 28 kB can say 100 MB and unpack to a gigabyte. What a
page's own header says is what is unpacked. That list is not asked for through pyarrow, either, which ends the process
if its statistics make no sense (pyarrow 26). Both are structs of Thrift's compact protocol:
https://github.com/apache/parquet-format and https://github.com/apache/thrift (doc/specs/thrift-compact-protocol.md).
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

MAX_LIST, MAX_HEADER = 2**21, 2**16  # bytes, of which one can become a hundred
MAX_PAGES = 2**17  # of a column
ROW_GROUPS = 4  # fields of the list, then of a row group, of its columns, and of their description
COLUMNS = 1
DESCRIPTION = 3
NAMES, LENGTH, DATA, DICTIONARY = 3, 7, 9, 11
UNPACKED, PACKED = 2, 3  # fields of a page's header: bytes of the page, as it is unpacked and in the file
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, STRUCT = 1, 2, 3, 4, 5, 6, 7, 8, 9, 12  # types of values


def page_sizes(path: Path, name: str) -> list[int]:
    """Return the bytes of each page of a column and its fields, unpacked.

    Raises:
        ValueError, LookupError, OSError, RecursionError: what is written there makes no sense, or is too much.
    """
    sizes: list[int] = []
    with open(path, "rb") as file:
        for start, length in _chunks(file, name):
            position = start
            while position < start + length:
                file.seek(position)
                header = _Thrift(file.read(MAX_HEADER))
                fields = header.struct()
                if min(fields[UNPACKED], fields[PACKED]) < 0 or len(sizes) == MAX_PAGES:
                    raise ValueError("its pages make no sense")
                sizes.append(fields[UNPACKED])
                position += header.position + fields[PACKED]
    return sizes


def _chunks(file: Any, name: str) -> Iterator[tuple[int, int]]:
    """Yield where a column and its fields begin in the file, and how long they are there, for each row group."""
    end = file.seek(-8, os.SEEK_END)
    length = int.from_bytes(file.read(4), "little")
    if length > MAX_LIST:
        raise ValueError(f"its list of columns has more than {MAX_LIST // 2**20} MiB")
    file.seek(end - length)
    for group in _Thrift(file.read(length)).struct()[ROW_GROUPS]:
        for column in group[COLUMNS]:
            about = column[DESCRIPTION]
            if about[NAMES][0] == name.encode():
                yield min(filter(None, (about[DATA], about.get(DICTIONARY)))), about[LENGTH]


class _Thrift:
    """Values at the beginning of some bytes.

    Attributes:
        position: of the next byte to read.
    """

    def __init__(self, data: bytes):
        self._data = data
        self.position = 0

    def struct(self) -> dict[int, Any]:
        """Return number → value of the fields. Raises ValueError, or IndexError if the bytes end before."""
        fields: dict[int, Any] = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._integer()
            fields[number] = head & 15 == TRUE if head & 15 in (TRUE, FALSE) else self._value(head & 15)
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (I16, I32, I64):
            return self._integer()
        if kind == STRUCT:
            return self.struct()
        if kind == LIST:
            head = self._byte()
            count = self._length() if head >> 4 == 15 else head >> 4
            return [self._value(head & 15) for _ in range(count)]
        if kind not in (TRUE, FALSE, BYTE, DOUBLE, BINARY):
            raise ValueError(f"type {kind}")
        length = self._length() if kind == BINARY else 8 if kind == DOUBLE else 1
        self.position += length
        if self.position > len(self._data):
            raise IndexError("more than there is")
        return self._data[self.position - length : self.position]

    def _byte(self) -> int:
        self.position += 1
        return self._data[self.position - 1]

    def _length(self) -> int:
        length = 0
        for shift in range(0, 64, 7):
            byte = self._byte()
            length |= (byte & 127) << shift
            if byte < 128:
                return length
        raise ValueError("a number of more than 64 bits")

    def _integer(self) -> int:
        number = self._length()
        return number >> 1 ^ -(number & 1)
