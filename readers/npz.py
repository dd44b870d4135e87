"""NumPy's .npz files, our data.npz and others' layouts, checked before anything is read."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import IO, Any

import numpy as np

from common.archives import Archive
from common.errors import InputError
from common.files import check_file, copy_to_disk, locked, remove_unfinished, write_atomically
from readers.arrays import Arrays, ArraySource, make_parts
from readers.chunks import Columns, Found, divide
from readers.container import check_archive
from readers.labels import as_text
from readers.names import Names
from readers.source import PARTS, PARTS_BY_WORD
from readers.store import find_data, read_store

MAX_LIST = 2**20  # bytes of the list of arrays
MAX_TEXT = 2**14  # bytes of a name, 4 per character: the longest path
ON_DISK = 2**26  # bytes of all arrays together that are held in memory
LAYOUTS = (  # keys of images and labels: in the training part, in the others
    ("x", "y", "x_{}", "y_{}"),  # ours
    ("x_train", "y_train", "x_{}", "y_{}"),  # Keras
    ("X_train", "y_train", "X_{}", "y_{}"),
    ("train_images", "train_labels", "{}_images", "{}_labels"),  # MedMNIST
    ("images", "labels", "images_{}", "labels_{}"),
    ("X", "y", "X_{}", "y_{}"),
    ("data", "target", "data_{}", "target_{}"),  # scikit-learn
    ("arr_0", "arr_1", "", ""),  # np.savez(file, x, y)
)


def read_npz(path: str | Path, part: str = "train") -> Arrays:
    """Read one part of data.npz, of the folder of a large set, or of a file in another of LAYOUTS.

    Args:
        path: the file, or where it would be if the set were smaller; nothing in it is unpickled.
        part: one of `readers.source.PARTS`; all but "train" are empty if the file does not have them.

    Raises:
        InputError: no such file, damaged, a key is missing, arrays that do not fit; names the file and the remedy.
    """
    return one_part(read_parts(path), part)


def one_part(parts: dict[str, Arrays], part: str) -> Arrays:
    """Return a part of those that `read_parts` gives, an empty one if it is not among them."""
    if part in parts:
        return parts[part]
    train = parts["train"]
    return replace(train, x=train.x[:0], y=train.y[:0], files=train.files[:0], group=None, digests=None)


def read_parts(path: str | Path, channels: int = 1) -> dict[str, Arrays]:
    """Return part → Arrays of an .npz or folder, all from one. Raises InputError as `read_npz` does.

    Args:
        path: see `read_npz`.
        channels: of images that are not prepared yet: 3 if those in colour are to stay so.
    """
    path = find_data(path)
    check_file(path)
    try:
        return _make_parts(read_store(path) if path.is_dir() else read_arrays(path), path.name, channels)
    except Exception as error:  # NumPy and zipfile raise nearly anything for a damaged file
        if path.is_dir():
            raise InputError(f"{path} is damaged ({error!s:.200}): delete it and prepare the data again") from None
        if isinstance(error, FileNotFoundError):
            raise InputError(f"{path} does not exist: make it with init.prepare") from None
        if isinstance(error, InputError):
            raise InputError(f"{path}: {error}") from None
        raise InputError(f"{path} is not a readable npz of plain arrays: {error!s:.200}") from None


def read_arrays(path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz by key, those beyond ON_DISK bytes in all as memory maps of temporary copies.

    All are checked before one is read. Raises nearly anything for a damaged file.
    """
    arrays = {}
    left = ON_DISK
    with Archive(path, MAX_LIST) as archive:
        check_archive(path, archive)
        infos = archive.infolist()
        if len(infos) > 100:
            raise InputError("it holds more than 100 arrays")
        for info in infos:
            with archive.open(info) as member:
                check_npy(member, info.file_size, f"{info.filename!r:.100}")
        for info in infos:
            with archive.open(info) as member:
                arrays[info.filename.removesuffix(".npy")] = array = _read_array(member, info.file_size, left)
            left -= 0 if isinstance(array, np.memmap) else info.file_size
    return arrays


def _read_array(file: IO[bytes], size: int, most: int) -> np.ndarray:
    """Return the array of an .npy file of `size` bytes, a memory map if these are more than `most`."""
    shape, in_fortran_order, dtype = check_npy(file, size, "it")
    if size > most:
        return copy_to_disk(file, shape, dtype, "F" if in_fortran_order else "C")
    file.seek(0)
    return np.lib.format.read_array(file, allow_pickle=False)  # type: ignore[no-any-return]


def check_npy(file: IO[bytes], size: int, name: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Return what the header of an .npy file of `size` bytes says: shape, whether in Fortran order, dtype.

    Raises:
        InputError: the array is not what it claims to be.
    """
    version = np.lib.format.read_magic(file)  # type: ignore[arg-type]
    read = {(1, 0): np.lib.format.read_array_header_1_0}.get(version, np.lib.format.read_array_header_2_0)
    shape, in_fortran_order, dtype = read(file)  # type: ignore[arg-type]
    if dtype.hasobject:
        raise InputError(f"{name} holds Python objects, which only pickle could read")
    if math.prod(shape) * dtype.itemsize != size - file.tell():
        raise InputError(f"{name} does not hold as much as it claims: {shape} of {dtype}")
    return shape, in_fortran_order, dtype


def _make_parts(npz: dict[str, Any], name: str, channels: int) -> dict[str, Arrays]:
    keys = _find_keys(npz)
    for key in chain(*keys.values()):
        if key not in npz:
            raise InputError(f"it has no {key!r}, only {', '.join(npz) or 'nothing'}")
    source = str(npz["source"]) if "source" in npz else name
    images, labels = ({part: npz[pair[k]] for part, pair in keys.items()} for k in (0, 1))
    parts = make_parts(images, labels, source, _read_classes(npz), "source" not in npz, channels)
    for part, arrays in parts.items():
        files, group, digests = (_read_names(npz, f, part, len(arrays.x)) for f in ("files", "group", "digests"))
        assert not isinstance(digests, Names)
        files = arrays.files if files is None else files
        cropped, photos = (flag in npz and bool(npz[flag]) for flag in ("cropped", "photos"))
        parts[part] = replace(arrays, files=files, group=group, digests=digests, cropped=cropped, photos=photos)
    return parts


def _find_keys(npz: dict[str, np.ndarray]) -> dict[str, tuple[str, str]]:
    """Return part → the keys of its images and labels; those of our own layout if there are no images."""
    layout = next((layout for layout in LAYOUTS if layout[0] in npz), LAYOUTS[0])
    keys = {"train": layout[:2]}
    for word, part in PARTS_BY_WORD.items():
        x, y = (key.format(word) for key in layout[2:])
        if part != "train" and x in npz:
            keys.setdefault(part, (x, y))
    return keys


def _read_names(npz: dict[str, Any], field: str, part: str, count: int) -> np.ndarray | Names | None:
    """Return texts, one per image of a part, as str (N,), or as a folder holds them; None if there are none."""
    key = field if part == "train" and field in npz else f"{field}_{part}"
    if key not in npz:
        return None
    names = npz[key]
    _check_length(key, names)
    if names.shape != (count,):
        raise InputError(f"{key} must be names (N,), one per image, not {names.shape}")
    if isinstance(names, Names | np.memmap):
        return names
    return as_text(names) if names.dtype.kind in "SU" else np.array(names.tolist()).astype(str)


def _read_classes(npz: dict[str, np.ndarray]) -> list[str] | None:
    if "classes" not in npz:
        return None
    _check_length("classes", npz["classes"])
    return [str(name) for name in npz["classes"]]


def _check_length(key: str, names: np.ndarray | Names) -> None:
    """Raise InputError for texts as long as no path is: each takes the memory of the longest."""
    if isinstance(names, np.ndarray) and names.dtype.kind in "SU" and names.dtype.itemsize > MAX_TEXT:
        raise InputError(f"{key} holds texts of more than {MAX_TEXT // 4:,} characters: give shorter names")


class NpzStore:
    """Collect chunks of images in memory and write them to a data.npz; see `readers.store_writer.FolderStore`.

    Args:
        path: the file.
        key: not used, as nothing is continued.
    """

    chunks = 0

    def __init__(self, path: Path, key: str):
        self.path = path
        self.found = Found()
        self._parts: dict[str, list[Columns]] = {part: [] for part in PARTS}

    def __enter__(self) -> "NpzStore":
        return self

    def __exit__(self, *error: object) -> None:
        self._parts.clear()

    def add(self, columns: Columns, found: Found) -> None:
        """Append a chunk and what was found in it."""
        for part, rows in divide(columns).items():
            self._parts[part].append(rows)
        self.found.add(found)

    def finish(self, about: dict[str, Any], summarize: Callable[[dict], dict]) -> dict:
        """Write the file and return its summary. Raises StorageError; see `FolderStore.finish`."""
        arrays = {key: np.array(value) for key, value in about.items()}
        for part, chunks in self._parts.items():
            for name in list(chunks[0]) if chunks else ():
                arrays[_key(name, part)] = _concatenate([columns.pop(name) for columns in chunks])
        groups = [_key("group", part) for part in PARTS if _key("group", part) in arrays]
        if not any((arrays[key] != "").any() for key in groups):
            arrays = {key: values for key, values in arrays.items() if key not in groups}
        summary = summarize(arrays)
        arrays = {key: values for key, values in arrays.items() if key.partition("_")[0] != "hashes"}
        arrays["summary"] = np.array(json.dumps(summary, ensure_ascii=False))
        with locked(self.path):
            remove_unfinished(self.path)  # what a process that was killed has left may be large
            write_atomically(self.path, lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]
        return summary


def _concatenate(parts: list[np.ndarray]) -> np.ndarray:
    """Return arrays as one; each is freed as soon as it is copied, so that both do not take memory."""
    whole = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), np.result_type(*(part.dtype for part in parts)))
    start = 0
    while parts:
        part = parts.pop(0)
        whole[start : start + len(part)] = part
        start += len(part)
    return whole


def _key(name: str, part: str) -> str:
    return name if part == "train" else f"{name}_{part}"


class NpzSource(ArraySource):
    """The images of an .npz, in one of LAYOUTS, with its parts. See `read_npz` for what is raised."""

    def __init__(self, path: Path, channels: int = 1):
        super().__init__([path], read_parts(path, channels), channels)

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return path.suffix.lower() == ".npz" and path.is_file()
