"""IDX files, in which MNIST, Fashion-MNIST, KMNIST and EMNIST come, gzipped or not."""

import gzip
import math
import struct
from pathlib import Path
from typing import IO

import numpy as np

from common.errors import InputError
from common.files import ON_DISK, copy_to_disk

DTYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
MAX_DEFLATION = 1040  # no gzip file expands further


def read_idx(path: Path) -> np.ndarray:
    """Return the array of an IDX file with the shape and dtype of its header; a large one as a memory map of a copy.

    Raises:
        InputError: not an IDX file, or not as long as its header says. A damaged file may raise nearly anything else.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        is_gzip = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        return _read(gzip.GzipFile(fileobj=file), size * MAX_DEFLATION) if is_gzip else _read(file, size)


def _read(file: IO[bytes] | gzip.GzipFile, limit: int) -> np.ndarray:
    """Return the array of an open file that cannot hold more than `limit` bytes."""
    zeros, code, rank = struct.unpack(">HBB", file.read(4))
    if zeros or code not in DTYPES or not 1 <= rank <= 4:
        raise InputError("it is no IDX file, though its name says so: download it again")
    shape, dtype = struct.unpack(f">{rank}I", file.read(4 * rank)), np.dtype(DTYPES[code])
    size = math.prod(shape) * dtype.itemsize
    array = None
    if ON_DISK < size <= limit:
        array = copy_to_disk(file, shape, dtype)
    elif size <= limit and len(data := file.read(size)) == size:
        array = np.frombuffer(data, dtype).reshape(shape)
    if array is None or file.read(1):
        raise InputError(f"it does not hold as much as it claims, {shape} of {dtype.name}: download it again")
    return array
