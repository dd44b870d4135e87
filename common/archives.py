"""Zip archives whose list of members is limited before it is read."""

import io
import zipfile
from pathlib import Path

from common.errors import InputError

MAX_LIST = 2**24  # bytes of the list of members: some 250,000, of which each takes two kilobytes when it is read


class Archive(zipfile.ZipFile):
    """A zip to read.

    Attributes:
        head: the first four bytes of the file, which are those of a member unless something stands before it.

    Raises:
        InputError: it lists too many members.
        Exception: it is damaged, of which zipfile raises nearly anything.
    """

    def __init__(self, path: str | Path, most: int = MAX_LIST):
        file = _File(io.FileIO(path))
        file.path, file.most = path, most
        try:
            self.head = file.read(4)
            super().__init__(file)  # which reads the list at once
        except BaseException:
            file.close()
            raise
        file.most = None

    def close(self) -> None:
        """Close the file, too, which ZipFile leaves to those who have opened it."""
        file = self.fp
        super().close()
        if file is not None:
            file.close()


class _File(io.BufferedReader):
    """A file of which no more than `most` bytes are read at once, if that is set."""

    path: str | Path
    most: int | None

    def read(self, size: int | None = -1, /) -> bytes:
        if self.most is not None and size is not None and size > self.most:
            raise InputError(f"{self.path} lists too many files, {size / 2**20:,.0f} MiB of names: unpack it")
        return super().read(size)
