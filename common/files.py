"""Files that are written completely or not at all, and fingerprints of arrays."""

import glob
import hashlib
import io
import json
import os
import uuid
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

import numpy as np

from common.errors import StorageError


def write_atomically(path: str | Path, write: Callable[[io.BufferedIOBase], object]) -> None:
    """Let `write` fill a temporary file in the same folder, flush it to disk and move it into place.

    Whatever happens, `path` holds either its former content or the complete new one.

    Raises:
        StorageError: the disk is full, or the folder cannot be written.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name[:40]}.{uuid.uuid4().hex}.part")
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
    """Return the error to raise if a path cannot be written."""
    return StorageError(
        f"{path} cannot be written ({error.strerror or error}): free some space or choose another folder; its previous "
        "content is intact"
    )


def remove_unfinished(path: Path) -> None:
    """Delete the temporary files that killed processes left of `path`, a file that no other process writes."""
    for temporary in path.parent.glob(f".{glob.escape(path.name[:40])}.*.part"):
        temporary.unlink()


def write_text(path: str | Path, text: str) -> None:
    """Write text as UTF-8, completely or not at all. Raises StorageError."""
    write_atomically(path, lambda file: file.write(text.encode()))


def write_json(path: str | Path, values: object) -> None:
    """Write plain values as indented JSON, with non-ASCII characters as they are. Raises StorageError."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False) + "\n")


def fingerprint(*arrays: np.ndarray) -> str:
    """Return 16 hex digits of SHA-256 over the arrays' shapes, dtypes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        update_digest(digest, array.shape, array.dtype, [array])
    return digest.hexdigest()[:16]


def update_digest(digest, shape: tuple[int, ...], dtype: np.dtype, chunks: Iterable[np.ndarray]) -> None:
    """Add an array, given chunk by chunk, to a hashlib digest."""
    digest.update(f"{shape}{dtype}".encode())
    for chunk in chunks:
        digest.update(np.ascontiguousarray(chunk).reshape(-1).view(np.uint8))
