"""A data set larger than memory: a folder of .npy files, written in one pass and read by memory map.

It holds what a data.npz holds, under the same names, one file each. Texts are in two (`readers.names`), and all that is
no array in about.json.
"""

import io
import json
import logging
import os
import shutil
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Any

import numpy as np

from common.errors import InputError, StorageError
from common.files import fingerprint, mapped_file, storage_error, try_lock, write_json
from readers.chunks import Columns, Found, divide
from readers.names import Names, encode

SUFFIX, ABOUT, KEPT = ".arrays", "about.json", "fingerprints.json"
HEADER = 128  # bytes of an .npy file before its array
SAVE_SECONDS = 10.0  # between two states from which an interrupted writer continues
log = logging.getLogger("fit_char")


def folder_of(path: Path) -> Path:
    """Return the folder that takes the place of a data.npz."""
    return path.with_suffix(SUFFIX)


def find_data(path: str | Path) -> Path:
    """Return where the data of a path are: at the path, or in the folder that takes its place."""
    path = Path(path)
    return folder_of(path) if not path.exists() and folder_of(path).is_dir() else path


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
        self._folder = path.with_name(f".{path.name}.part")
        self._open_files, self._files = ExitStack(), dict[str, IO[bytes]]()
        self._kinds: dict[str, tuple[str, list[int]]] = {}  # file → dtype, and shape of a row
        self._groups: dict[str, int] = {}
        self.chunks, self.found = 0, Found()

    def __enter__(self) -> "FolderStore":
        lock = try_lock(self.path)
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
            about = about | {"groups": list(self._groups), "keys": list(self._files)}
            write_json(self._folder / ABOUT, about)
            summary = summarize(_read(self._folder, about))
            write_json(self._folder / ABOUT, about | {"summary": summary})
            (self._folder / "state.json").unlink()
            former = self.path.with_name(f".{self.path.name}.former")
            shutil.rmtree(former, ignore_errors=True)
            if self.path.exists():
                os.replace(self.path, former)
            os.replace(self._folder, self.path)
            shutil.rmtree(former, ignore_errors=True)
        except OSError as error:
            raise storage_error(self.path, error) from error
        return summary


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


def read_about(folder: Path) -> dict[str, Any]:
    """Return about.json. Raises InputError if this is no folder of ours."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        return about | {"summary": about["summary"], "keys": about["keys"], "groups": about["groups"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"it is no folder of arrays that this program has made ({error!s:.100})") from None


def read_store(folder: Path) -> dict[str, Any]:
    """Return the arrays of a folder under the names of a data.npz: memory maps, and texts as Names.

    Raises:
        InputError: damaged, or no folder of ours.
        ValueError, OSError: an array that is damaged or missing.
    """
    return _read(folder, read_about(folder))


def _read(folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    maps = {key: np.load(folder / f"{key}.npy", mmap_mode="r", allow_pickle=False) for key in about["keys"]}
    arrays: dict[str, Any] = {}
    groups = [encode(name) for name in about["groups"]]
    table = np.frombuffer(b"".join(groups), np.uint8), np.cumsum([len(name) for name in groups])
    for key, values in maps.items():
        if key.partition("_")[0] == "group":
            if about["groups"] != [""]:
                arrays[key] = Names(*table, _checked(key, values, len(groups)))
        elif f"{key}.text" in maps:
            arrays[key] = Names(maps[f"{key}.text"], _checked(key, values, len(maps[f"{key}.text"]) + 1))
        elif not key.endswith(".text"):
            arrays[key] = values
    plain = {key: np.array(about[key]) for key in ("classes", "source", "cropped", "photos")}
    return plain | arrays


def _checked(key: str, values: np.ndarray, limit: int) -> np.ndarray:
    """Return integers that must be 0 or more and below a limit. Raises InputError."""
    if len(values) and not (values.min() >= 0 and values.max() < limit):
        raise InputError(f"{key}.npy is damaged: prepare the data again")
    return values


def kept_hashes(array: np.ndarray) -> np.ndarray | None:
    """Return the hashes uint64 (M, 2) of a folder's images, given their memory map; None for any other array."""
    file = mapped_file(array)
    path = None if file is None else file.with_name("hashes" + file.name.removeprefix("x"))
    if path is None or not (path.with_name(ABOUT).exists() and path.exists()):
        return None
    hashes = np.load(path, mmap_mode="r", allow_pickle=False)
    return hashes if len(hashes) == len(array) else None


def remember(array: np.ndarray, key: tuple[np.ndarray, ...], compute: Callable[[], str]) -> str:
    """Return a text that depends on an array and a key alone; that of a folder's array is computed once and kept there.

    Args:
        array: perhaps a view of a memory map of a folder's file.
        key: further arrays.
        compute: makes the text, which takes a pass over the images.
    """
    file = mapped_file(array)
    if file is None or not (file.parent / ABOUT).exists():
        return compute()
    path, found = file.parent / KEPT, file.stat()
    some = array[:: len(array) // 64 + 1]  # in case that the file has just been replaced by another
    name = f"{file.name} {found.st_size} {found.st_mtime_ns} {fingerprint(some, *key)}"
    kept: dict[str, str] = {}
    with suppress(OSError, ValueError):  # there is none yet
        kept = json.loads(path.read_text(encoding="utf-8"))
    if name not in kept:
        kept[name] = compute()
        try:
            write_json(path, kept)
        except StorageError as error:  # the data may be somebody else's
            log.info("The images' fingerprint is not kept, and computed at every start. (%s)", error)
    return kept[name]
