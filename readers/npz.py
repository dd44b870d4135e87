"""NumPy's .npz files: our data.npz and Keras's layout, checked before anything is read."""

import math
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from common.errors import InputError
from readers.container import check_archive
from readers.source import PARTS, Sample, Source, check_arrays

MAX_CLASSES = 65_536


@dataclass(frozen=True)
class Arrays:
    """One part of an .npz.

    Attributes:
        x: uint8 (N, H, W).
        y: integers (N,).
        classes: names of the classes.
        source: where the images come from.
        files: names of the images, str (N,).
        group: the writers, str (N,), or None if unknown.
        digests: `common.files.fingerprint` of the images as they were in the source, str (N,), or None if unknown.
        cropped: whether the images were cropped to their ink.
    """

    x: np.ndarray
    y: np.ndarray
    classes: list[str]
    source: str
    files: np.ndarray
    group: np.ndarray | None = None
    digests: np.ndarray | None = None
    cropped: bool = False


def read_npz(path: str | Path, part: str = "train") -> Arrays:
    """Read one part of data.npz, or of a file in Keras's layout (x_train, y_train, x_test, y_test).

    Args:
        path: the file; nothing in it is unpickled.
        part: one of `readers.source.PARTS`; all but "train" are empty if the file does not have them.

    Raises:
        InputError: no such file, damaged, a key is missing, arrays that do not fit; names the file and the remedy.
    """
    try:
        _check_npz(Path(path))
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as npz:
            return _read_part(npz, part, Path(path).name)
    except FileNotFoundError:
        raise InputError(f"{path} does not exist: make it with init.prepare") from None
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # NumPy and zipfile raise nearly anything for a damaged file
        raise InputError(f"{path} is not a readable npz of plain arrays: {error!s:.200}") from None


def _read_part(npz, part: str, name: str) -> Arrays:
    suffix = "_train" if "x_train" in npz.files else ""
    is_there = part == "train" or f"x_{part}" in npz.files
    if part != "train" and is_there:
        suffix = f"_{part}"
    for key in ("x" + suffix, "y" + suffix):
        if key not in npz.files:
            raise InputError(f"it has no {key!r}, only {', '.join(npz.files) or 'nothing'}")
    x, y, classes = _to_uint8(npz["x" + suffix]), npz["y" + suffix], _read_classes(npz)
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    check_arrays(x, y, len(classes))
    files = _read_names(npz, "files" + suffix, len(x))
    files, group, digests = (_read_names(npz, name + suffix, len(x)) for name in ("files", "group", "digests"))
    source = str(npz["source"]) if "source" in npz.files else name
    files = np.arange(len(x)).astype(str) if files is None else files
    arrays = Arrays(x, y, classes, source, files, group, digests, "cropped" in npz.files and bool(npz["cropped"]))
    return arrays if is_there else replace(arrays, x=x[:0], y=y[:0], files=arrays.files[:0], group=None, digests=None)


def _read_names(npz, key: str, count: int) -> np.ndarray | None:
    """Return texts, one per image, as str (N,); None if the file has none."""
    if key not in npz.files:
        return None
    names = npz[key]
    if names.shape != (count,):
        raise InputError(f"{key} must be names (N,), one per image, not {names.shape}")
    return np.char.decode(names, "utf-8") if names.dtype.kind == "S" else np.array(names.tolist()).astype(str)


def _read_classes(npz) -> list[str]:
    """Return the names of the classes, or else the labels of both parts, so that a label means the same in each."""
    if "classes" in npz.files:
        names = [str(name) for name in npz["classes"]]
        if len(set(names)) < len(names):
            raise InputError(f"its classes are not all different: {', '.join(names[:20])}")
        return names
    labels = [npz[key] for key in npz.files if key.startswith("y")]
    last = max((int(y.max(initial=0)) for y in labels if y.dtype.kind in "iu"), default=0)
    if last >= MAX_CLASSES:
        raise InputError(f"it has a label of {last}: there can be {MAX_CLASSES} classes at most")
    return [str(k) for k in range(last + 1)]


def _check_npz(path: Path) -> None:
    """Raise InputError for a file whose arrays are not what they claim to be, before any is read."""
    with zipfile.ZipFile(path) as archive:
        check_archive(path, archive)
        if len(archive.infolist()) > 100:
            raise InputError("it holds more than 100 arrays")
        for info in archive.infolist():
            with archive.open(info) as member:
                version = np.lib.format.read_magic(member)
                read = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
                shape, _, dtype = read(member)
                if dtype.hasobject:
                    raise InputError(f"{info.filename!r:.100} holds Python objects, which only pickle could read")
                if math.prod(shape) * dtype.itemsize != info.file_size - member.tell():
                    raise InputError(f"{info.filename!r:.100} does not hold as much as it claims: {shape} of {dtype}")


def _to_uint8(x: np.ndarray) -> np.ndarray:
    """Return images of any numeric dtype, (N, H, W) or with one channel, as uint8 (N, H, W)."""
    if x.ndim == 4 and 1 in (x.shape[1], x.shape[3]):
        x = x[:, 0] if x.shape[1] == 1 else x[..., 0]
    if x.dtype == np.uint8:
        return x
    if x.dtype == bool:
        return x.astype(np.uint8) * 255
    if x.dtype.kind not in "iuf":
        raise InputError(f"x must be numbers, not {x.dtype}")
    if not np.isfinite(x).all():
        raise InputError("x holds values that are not finite (NaN or infinity): correct or drop those images")
    low, high = x.min(initial=0), x.max(initial=0)
    if low < 0 or high > 255:
        raise InputError(f"x holds values from {low} to {high}: they must be 0 to 255, or 0 to 1 as floats")
    return np.rint(x * 255 if x.dtype.kind == "f" and high <= 1 else x).astype(np.uint8)


class NpzSource(Source):
    """The images of an .npz, ours or in Keras's layout, with its parts. See `read_npz` for what is raised."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self._parts = {part: read_npz(path, part) for part in PARTS}
        train = self._parts["train"]
        self.classes, self.name, self.cropped = train.classes, train.source, train.cropped

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return path.suffix.lower() == ".npz" and path.is_file()

    def stamp(self) -> object:
        found = self.path.stat()
        return found.st_size, found.st_mtime_ns

    def sizes(self) -> Counter[tuple[int, int]]:
        sizes: Counter[tuple[int, int]] = Counter()
        for arrays in self._parts.values():
            sizes[arrays.x.shape[2], arrays.x.shape[1]] += len(arrays.x)
        return sizes

    def __len__(self) -> int:
        return sum(len(arrays.x) for arrays in self._parts.values())

    def __iter__(self) -> Iterator[Sample]:
        self.modes = Counter({"L": len(self)})
        for part, arrays in self._parts.items():
            groups = np.full(len(arrays.x), "") if arrays.group is None else arrays.group
            rows = zip(arrays.x, arrays.y.tolist(), arrays.files.tolist(), groups.tolist(), strict=True)
            for image, label, file, group in rows:
                prefix = "" if part == "train" or file.startswith(f"{part}/") else f"{part}/"
                yield Sample(image, label, prefix + file, part, group)
