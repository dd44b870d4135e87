"""Files: written whole or not at all, and flushed to disk; the fingerprint of what is in them."""

import glob
import hashlib
import io
import json
import os
import uuid
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from common.errors import StorageError


def write_atomically(path: str | Path, write: Callable[[io.BufferedIOBase], None]) -> None:
    """Let `write` fill a temporary file in the same folder, flush it to disk and move it into place.

    Whatever happens, `path` holds either its former content or the new one, whole. Raises StorageError.
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
        with suppress(OSError):  # moved away, where all went well
            temporary.unlink()


def append(path: Path, text: str) -> None:
    """Append text to a file; it is on disk when this returns. Raises StorageError."""
    try:
        with open(path, "a", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise storage_error(path, error) from error


def storage_error(path: Path, error: OSError) -> StorageError:
    """Return what to raise where a path cannot be written."""
    return StorageError(
        f"{path} cannot be written ({error.strerror or error}): free some space, or name another folder; what it held "
        "before is still whole"
    )


def remove_unfinished(path: Path) -> None:
    """Remove what killed processes have left half written of a file that no other process writes to."""
    for temporary in path.parent.glob(f".{glob.escape(path.name[:40])}.*.part"):
        temporary.unlink()


def write_json(path: str | Path, values: dict) -> None:
    """Write a dict as indented JSON, non-ASCII characters as they are."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def fingerprint(*arrays: np.ndarray) -> str:
    """Return 16 hex digits of SHA-256 over the arrays' shapes, dtypes and bytes."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.shape}{array.dtype}".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8))  # not a copy of them
    return digest.hexdigest()[:16]
