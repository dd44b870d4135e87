"""Files that are written completely or not at all, locks, and fingerprints of arrays."""

import errno
import glob
import hashlib
import io
import json
import math
import mmap
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Literal

import numpy as np
from filelock import FileLock, Timeout

from common.errors import InputError, StorageError

ON_DISK = 2**28  # bytes; see `zeros`
COPIED = 2**20  # bytes at once
LOCK_SECONDS = 60.0  # that a process waits for another one to write a file
NO_SPACE, NOT_A_FOLDER = "free some space", "rename the file that stands where a folder should be"
NO_LOCKS = "mount the disk with support for file locks"
REMEDIES = {
    errno.ENOSPC: NO_SPACE, errno.EDQUOT: NO_SPACE, errno.EFBIG: NO_SPACE,
    errno.EACCES: "change the permissions", errno.EPERM: "change the permissions",
    errno.EROFS: "make the disk writable", errno.ENAMETOOLONG: "choose a shorter name",
    errno.EISDIR: "name a file in it", errno.ENOTDIR: NOT_A_FOLDER, errno.EEXIST: NOT_A_FOLDER,
    errno.ENOSYS: NO_LOCKS, errno.ENOLCK: NO_LOCKS, errno.EOPNOTSUPP: NO_LOCKS,
}  # fmt: skip


def write_atomically(path: str | Path, write: Callable[[io.BufferedIOBase], object]) -> None:
    """Let `write` fill a temporary file in the same folder, flush it to disk and move it into place.

    Whatever happens, `path` holds either its former content or the complete new one.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f"{_temporary_prefix(path)}{uuid.uuid4().hex}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(temporary, "xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with suppress(OSError):  # already moved if all went well
            temporary.unlink()


def _temporary_prefix(path: Path) -> str:
    """Return how the names of a file's temporary files begin, and those of no other file in its folder."""
    return f".{path.name[:40]}.{hashlib.sha256(path.name.encode()).hexdigest()[:16]}."


def remove_unfinished(path: Path) -> None:
    """Delete the temporary files that killed processes left of `path`, a file that no other process writes."""
    for temporary in path.parent.glob(f"{glob.escape(_temporary_prefix(path))}*.part"):
        temporary.unlink(missing_ok=True)


def append(path: Path, text: str) -> None:
    """Append text to a file and flush it to disk. Raises StorageError."""
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise storage_error(path, error) from error


def storage_error(path: Path, error: OSError) -> StorageError:
    """Return the error to raise if a path cannot be written, with the remedy."""
    remedy = REMEDIES.get(error.errno or 0, "check the disk")
    return StorageError(
        f"{path} cannot be written ({error.strerror or error}): {remedy} or choose another folder; "
        "its previous content is intact"
    )


def check_file(path: str | Path, most: int | None = None) -> None:
    """Raise InputError for what cannot be read: a pipe or device, a file that is too long or may not be read."""
    if not os.path.exists(path) or os.path.isdir(path):
        return  # opening it will say so
    if not os.path.isfile(path):
        raise InputError(f"{path} is neither a file nor a folder")
    try:
        open(path, "rb").close()
    except PermissionError:
        raise InputError(f"{path} cannot be read (Permission denied): allow reading it") from None
    if most is not None and os.path.getsize(path) > most:
        raise InputError(f"{path} has {os.path.getsize(path) / 2**20:,.0f} MiB: at most {most // 2**20} MiB are read")


def check_writable(folder: Path) -> None:
    """Raise StorageError if files cannot be made in a folder, or the folder itself cannot; nothing is left behind."""
    existing = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    try:
        tempfile.TemporaryFile(dir=existing).close()
    except OSError as error:
        raise storage_error(folder, error) from error


def try_lock(path: Path, seconds: float = 0.0) -> FileLock | None:
    """Return a lock that keeps other processes from a path until its `release`, or None if one of them has it.

    The lock is a file beside the path, whose name begins with a dot. The operating system releases it if the process
    dies.

    Args:
        path: need not exist.
        seconds: to wait for the process that has it.

    Raises:
        StorageError: the folder cannot be written, the lock is another user's, or the disk does not support locks.
    """
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(path, error) from error
    try:
        lock.acquire(timeout=seconds)
    except Timeout:
        return None
    except NotImplementedError:
        raise storage_error(path, OSError(errno.ENOSYS, "Function not implemented")) from None
    except OSError as error:
        raise storage_error(Path(lock.lock_file), error) from error
    return lock


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other processes from a path while active. Raises StorageError, see `try_lock`; also after LOCK_SECONDS."""
    lock = try_lock(path, LOCK_SECONDS)
    if lock is None:
        raise StorageError(
            f"{path} was locked by another process for {LOCK_SECONDS:.0f} s: end it or choose another folder"
        )
    try:
        yield
    finally:
        lock.release()


def write_bytes(path: str | Path, content: bytes) -> None:
    """Write a file, completely or not at all. Raises StorageError."""
    write_atomically(path, lambda file: file.write(content))


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8, completely or not at all. Raises StorageError."""
    write_bytes(path, text.encode())


def write_json(path: str | Path, values: object) -> None:
    """Write plain values as indented JSON, with non-ASCII characters as they are. Raises StorageError."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def fingerprint(*arrays: np.ndarray) -> str:
    """Return 16 hex digits of SHA-256 over the arrays' shapes, dtypes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        update_digest(digest, array.shape, array.dtype, [array])
    return digest.hexdigest()[:16]


def zeros(shape: tuple[int, ...], dtype: type = np.float32) -> np.ndarray:
    """Return an array of zeros; one of more than ON_DISK bytes is a temporary file, mapped into memory."""
    if math.prod(shape) * np.dtype(dtype).itemsize <= ON_DISK:
        return np.zeros(shape, dtype)
    with tempfile.TemporaryFile() as file:  # its space is free again when nothing refers to the array any more
        return np.memmap(file, dtype, "w+", shape=shape)


def copy_to_disk(
    file: IO[bytes] | io.BufferedIOBase, shape: tuple[int, ...], dtype: np.dtype, order: Literal["C", "F"] = "C"
) -> np.ndarray:
    """Return an array that comes next in a file as a read-only memory map of a temporary copy.

    Raises:
        InputError: the disk has no room for it.
        ValueError: the file ends before the array does.
    """
    left = math.prod(shape) * dtype.itemsize
    folder = tempfile.gettempdir()
    free = shutil.disk_usage(folder).free
    if left > free / 2:
        raise InputError(
            f"it needs {left / 2**20:,.0f} MiB in {folder}, which has {free / 2**20:,.0f}: free some, or set TMPDIR"
        )
    with tempfile.TemporaryFile() as copy:  # its space is free again when nothing refers to the array any more
        while left:
            piece = file.read(min(left, COPIED))
            if not piece:
                raise ValueError("it ends before its array does")
            copy.write(piece)
            left -= len(piece)
        copy.flush()
        return np.memmap(copy, dtype, "r", shape=shape, order=order)


def release(array: np.ndarray) -> None:
    """Let go of the memory that the pages of a memory map take, or of what an array is a view of; do nothing else."""
    base = _memory_map(array)
    if base is not None and hasattr(mmap.mmap, "madvise"):
        base._mmap.madvise(mmap.MADV_DONTNEED)  # type: ignore[attr-defined]


def mapped_file(array: np.ndarray) -> Path | None:
    """Return the file that an array, or what it is a view of, is a memory map of; None if it is in memory."""
    base = _memory_map(array)
    return None if base is None or base.filename is None else Path(base.filename)


def _memory_map(array: np.ndarray) -> np.memmap | None:
    base: object = array
    while base is not None and not isinstance(base, np.memmap):
        base = getattr(base, "base", None)
    return base


def update_digest(digest, shape: tuple[int, ...], dtype: np.dtype, chunks: Iterable[np.ndarray]) -> None:
    """Add an array, given chunk by chunk, to a hashlib digest."""
    digest.update(f"{shape}{dtype}".encode())
    for chunk in chunks:
        digest.update(np.ascontiguousarray(chunk).reshape(-1).view(np.uint8))
