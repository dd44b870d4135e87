"""Writing the folder of a data set larger than memory (`readers.store`): in one pass, chunk by chunk."""

import io
import json
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from common.errors import StorageError
from common.files import storage_error, try_lock, write_json
from readers.chunks import Columns, Found, divide
from readers.names import encode
from readers.store import ABOUT, read_arrays

HEADER = 128  # bytes of an .npy file before its array
LOCK_SECONDS = 15.0  # to wait for the reading processes of a writer that was killed, which keep its lock for five
SAVE_SECONDS = 10.0  # between two states from which an interrupted writer continues


class FolderStore:
    """Write a folder of .npy files, chunk by chunk, under a temporary name until it is complete.

    A context manager, in which no other process writes this folder. If the former writer was interrupted, this one
    continues with its files.

    Args:
        path: the folder.
        key: what must be the same in a writer that continues another.

    Attributes:
        chunks: number of chunks written so far.
        found: what was found in them.

    Raises:
        StorageError: it cannot be written, or another process is writing it.
    """

    def __init__(self, path: Path, key: str):
        self.path, self._key = path, key
        self._folder = _beside(path, "part")
        self._open_files = ExitStack()
        self._files = dict[str, IO[bytes]]()
        self._kinds: dict[str, tuple[str, list[int]]] = {}  # file → dtype, and shape of a row
        self._groups: dict[str, int] = {}
        self.chunks, self.found = 0, Found()

    def __enter__(self) -> "FolderStore":
        lock = try_lock(self.path, LOCK_SECONDS)
        if lock is None:
            raise StorageError(f"{self.path} is being written by another process: wait for it, or end it")
        self._open_files.callback(lock.release)
        try:
            self._open()
        except BaseException:
            self._open_files.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._open_files.close()

    def _open(self) -> None:
        """Continue with the files of an interrupted writer, or begin."""
        state = None
        with suppress(OSError, ValueError):  # it was interrupted before its first state, or is another version's
            state = json.loads((self._folder / "state.json").read_text(encoding="utf-8"))
        try:
            if state is None or state["key"] != self._key:
                shutil.rmtree(self._folder, ignore_errors=True)
                self._folder.mkdir(parents=True)
                self._saved = time.monotonic()
                return
            self.chunks, self._kinds, self._groups = state["chunks"], state["kinds"], state["groups"]
            self.found = _found_from(state["found"])
            for name, size in state["sizes"].items():
                file = self._open_file(name, "r+b")
                file.truncate(size)
                file.seek(size)
        except OSError as error:
            raise storage_error(self.path, error) from error
        self._saved = time.monotonic()

    def _open_file(self, name: str, mode: str) -> IO[bytes]:
        path = self._folder / f"{name}.npy"
        self._files[name] = file = self._open_files.enter_context(path.open(mode))
        return file

    def add(self, columns: Columns, found: Found) -> None:
        """Append a chunk and what was found in it. Raises StorageError."""
        try:
            for part, rows in divide(columns).items():
                self._append(rows, "" if part == "train" else f"_{part}")
            self.chunks += 1
            self.found.add(found)
            if time.monotonic() - self._saved > SAVE_SECONDS:
                self._save()
        except OSError as error:
            raise storage_error(self.path, error) from error

    def _append(self, rows: Columns, suffix: str) -> None:
        """Append rows of one part."""
        texts = [encode(text) for text in rows.pop("files").tolist()]
        self._write(f"files{suffix}.text", np.frombuffer(b"".join(texts), np.uint8))
        before = self._rows(f"files{suffix}.text") - sum(map(len, texts))
        self._write(f"files{suffix}", before + np.cumsum([len(text) for text in texts]))
        codes = [self._groups.setdefault(name, len(self._groups)) for name in rows.pop("group").tolist()]
        for name, values in (rows | {"group": np.array(codes, np.int32)}).items():
            self._write(name + suffix, values)

    def _write(self, name: str, values: np.ndarray) -> None:
        """Append rows to one file."""
        if name not in self._files:
            self._open_file(name, "w+b").write(bytes(HEADER))
            self._kinds[name] = values.dtype.str, list(values.shape[1:])
        self._files[name].write(np.ascontiguousarray(values).data)

    def _rows(self, name: str) -> int:
        """Return how many rows a file has."""
        dtype, shape = self._kinds[name]
        return (self._files[name].tell() - HEADER) // int(np.dtype(dtype).itemsize * np.prod(shape, dtype=int))

    def _save(self) -> None:
        """Write the state, once the files that it speaks of are on disk."""
        for file in self._files.values():
            file.flush()
            os.fsync(file.fileno())
        state = {
            "key": self._key, "chunks": self.chunks, "kinds": self._kinds, "groups": self._groups,
            "sizes": {name: file.tell() for name, file in self._files.items()}, "found": _found_as_dict(self.found),
        }  # fmt: skip
        write_json(self._folder / "state.json", state)
        self._saved = time.monotonic()

    def finish(self, about: dict[str, Any], summarize: Callable[[dict], dict]) -> dict:
        """Complete the folder, move it into place and return its summary.

        Args:
            about: plain values under the names of a data.npz.
            summarize: makes the summary, a dict of plain values, of the arrays.

        Raises:
            StorageError: it cannot be written.
        """
        try:
            for name, file in self._files.items():
                dtype, shape = self._kinds[name]
                rows = self._rows(name)
                file.seek(0)
                file.write(_header(dtype, (rows, *shape)))
                file.seek(0, os.SEEK_END)
            self._save()
            for file in self._files.values():
                file.close()  # Windows moves no folder whose files are open
            about = about | {"groups": list(self._groups), "keys": list(self._files)}
            write_json(self._folder / ABOUT, about)
            summary = summarize(read_arrays(self._folder, about))
            write_json(self._folder / ABOUT, about | {"summary": summary})
            (self._folder / "state.json").unlink()
            former = _beside(self.path, "former")
            shutil.rmtree(former, ignore_errors=True)
            if self.path.exists():
                os.replace(self.path, former)
            os.replace(self._folder, self.path)
            shutil.rmtree(former, ignore_errors=True)
        except OSError as error:
            raise storage_error(self.path, error) from error
        return summary


def remove_store(path: Path) -> None:
    """Delete a folder, if there is one, and what an interrupted writer has left of it."""
    for folder in (path, _beside(path, "part"), _beside(path, "former")):
        shutil.rmtree(folder, ignore_errors=True)


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(f".{path.name}.{suffix}")


def _header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """Return what precedes an array in an .npy file, HEADER bytes."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": dtype, "fortran_order": False, "shape": shape})
    assert len(header.getvalue()) == HEADER
    return header.getvalue()


def _found_as_dict(found: Found) -> dict:
    return vars(found) | {"sizes": [[*size, count] for size, count in found.sizes.items()]}


def _found_from(values: dict) -> Found:
    """Return what `_found_as_dict` made plain values of."""
    counters: dict[str, Any] = {name: Counter(values[name]) for name in ("modes", "counts")}
    pairs = {name: [(file, reason) for file, reason in values[name]] for name in ("blank", "damaged")}
    sizes = Counter({(width, height): count for width, height, count in values["sizes"]})
    return Found(**values | counters | pairs | {"sizes": sizes})
