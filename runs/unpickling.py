"""Files of torch.save, read without running anything in them.

The bytes that were inspected are those that are read. torch.load would parse the file again, with parsers of its own: a
file can be an old-style pickle and a zip at once, or a zip that two parsers read differently.
"""

import io
import math
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import torch

from common.archives import Archive
from common.errors import InputError

DTYPES = {
    "Float": torch.float32, "Double": torch.float64, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool,
}  # fmt: skip
MAX_LIST = 2**22  # bytes of the list of tensors
MAX_PICKLE = 2**25  # bytes of what is no tensor
MAX_VALUES = 2_000_000  # steps to build it: a history of 100,000 epochs
OPCODES = {
    "PROTO", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "BINUNICODE", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT",
    "SETITEM", "SETITEMS", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "GLOBAL", "REDUCE", "BUILD", "BINPERSID",
}  # fmt: skip


def load(path: str | Path, tensors: bool = True) -> Any:
    """Return the content of a file of torch.save.

    Args:
        tensors: whether to read the tensors, on the CPU; otherwise each is None, and a large file is read in no time.

    Raises:
        InputError: the file holds more than tensors and plain values, or claims to be larger than it is.
        Exception: it is damaged.
    """
    with Archive(path, MAX_LIST) as archive:
        if archive.head != b"PK\3\4":
            raise InputError(f"{path} is damaged or not a checkpoint: it does not begin as a zip does")
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > Path(path).stat().st_size:  # torch does not compress
            raise InputError(f"{path} is damaged or not a checkpoint: it claims to be larger than it is")
        (info,) = (info for info in infos if info.filename.endswith("data.pkl"))
        if info.file_size > MAX_PICKLE:
            raise InputError(f"{path} holds more than {MAX_PICKLE // 2**20} MiB of plain values: it is refused")
        name = info.filename
        data = archive.read(name)
        _check_pickle(path, data)
        return _Unpickler(archive, name.removesuffix("data.pkl"), data, tensors).load()


def _check_pickle(path: str | Path, data: bytes) -> None:
    """Raise InputError for a pickle with more than tensors and plain values, or whose memo would take much memory."""
    count = highest = 0
    for count, (code, value, _) in enumerate(pickletools.genops(data), 1):
        is_global = code.name == "GLOBAL"
        if code.name not in OPCODES or is_global and str(value) not in GLOBALS:
            what = f"more than tensors and plain values ({value if is_global else code.name!s:.100})"
            raise InputError(f"{path} holds {what}: it is refused, nothing in it was run")
        if code.name == "LONG_BINPUT":
            highest = max(highest, int(value or 0))
        if count > MAX_VALUES:
            raise InputError(f"{path} holds more than {MAX_VALUES:,} plain values: it is refused")
    if highest > count:
        raise InputError(f"{path} is damaged or not a checkpoint: its memo has gaps")


class _OrderedDict(OrderedDict):
    """An OrderedDict whose attributes a file cannot set."""

    def __setstate__(self, state: object) -> None:
        """Forget the attributes: the versions of modules, which torch adds to a state_dict."""

    def __reduce__(self) -> tuple:
        return OrderedDict, (), None, None, iter(self.items())


def _rebuild_tensor(storage: torch.Tensor | None, offset: int, size: tuple, stride: tuple, *ignored) -> Any:
    if storage is None:
        return None
    if math.prod(size) > len(storage):  # a stride of 0 makes any size of one number
        raise ValueError(f"a tensor of {size} in {len(storage)} numbers")
    return storage.as_strided(size, stride, offset)


GLOBALS: dict[str, Any] = {
    "collections OrderedDict": _OrderedDict,
    "torch._utils _rebuild_tensor_v2": _rebuild_tensor,
    **{f"torch {name}Storage": dtype for name, dtype in DTYPES.items()},
}


class _Unpickler(pickle.Unpickler):
    """Build tensors and plain values. The storages of tensors are members of the archive, `data/<key>`."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, data: bytes, tensors: bool):
        super().__init__(io.BytesIO(data))
        self._archive, self._folder, self._with_tensors = archive, folder, tensors
        self._storages: dict[str, torch.Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        return GLOBALS[f"{module} {name}"]

    def persistent_load(self, saved: Any) -> torch.Tensor | None:
        _, dtype, key, *_ = saved
        if not self._with_tensors:
            return None
        if str(key) not in self._storages:
            data = bytearray(self._archive.read(f"{self._folder}data/{key}"))
            self._storages[str(key)] = torch.frombuffer(data, dtype=dtype) if data else torch.empty(0, dtype=dtype)
        return self._storages[str(key)]
