"""A data set larger than memory: a folder of .npy files, written in one pass and read by memory map.

It holds what a data.npz holds, under the same names, one file each. Texts are in two (`readers.names`), and all that is
no array in about.json.
"""

import json
import logging
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from common.errors import InputError, StorageError
from common.files import fingerprint, mapped_file, write_json
from readers.names import Names, encode

SUFFIX, ABOUT, KEPT = ".arrays", "about.json", "fingerprints.json"
KEY = re.compile(r"[a-z]+(_[a-z]+)?(\.text)?")  # the name of a file, without its suffix
log = logging.getLogger("fit_char")


def folder_of(path: Path) -> Path:
    """Return the folder that takes the place of a data.npz."""
    return path.with_suffix(SUFFIX)


def find_data(path: str | Path) -> Path:
    """Return where the data of a path are: at the path, or in the folder that takes its place."""
    path = Path(path)
    return folder_of(path) if not path.exists() and folder_of(path).is_dir() else path


def drawn_path(path: str | Path) -> Path:
    """Return where the characters are that were drawn in addition to the images at a path."""
    return Path(path).with_suffix(".drawn.npz")


def read_about(folder: Path) -> dict[str, Any]:
    """Return about.json. Raises InputError if this is no folder of ours."""
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        names = [*about["keys"], *about["groups"], *about["classes"]]
        if not all(isinstance(name, str) for name in names) or not all(map(KEY.fullmatch, about["keys"])):
            raise ValueError("names that make no sense")
        return about | {"summary": dict(about["summary"])}
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise InputError(f"it is no folder of arrays that this program has made ({error!s:.100})") from None


def read_store(folder: Path) -> dict[str, Any]:
    """Return the arrays of a folder under the names of a data.npz: memory maps, and texts as Names.

    Raises:
        InputError: damaged, or no folder of ours.
        ValueError, OSError: an array that is damaged or missing.
    """
    about = read_about(folder)
    arrays = read_arrays(folder, about)
    return arrays if read_about(folder) == about else read_store(folder)  # it was replaced at that moment


def read_arrays(folder: Path, about: dict[str, Any]) -> dict[str, Any]:
    """Return the arrays of a folder, given its about.json; see `read_store`."""
    maps = {key: np.load(folder / f"{key}.npy", mmap_mode="r", allow_pickle=False) for key in about["keys"]}
    arrays: dict[str, Any] = {}
    groups = [encode(name) for name in about["groups"]]
    table = np.frombuffer(b"".join(groups), np.uint8), np.cumsum([len(name) for name in groups])
    for key, values in maps.items():
        if key.partition("_")[0] == "hashes" and (values.dtype != np.uint64 or values.shape[1:] != (2,)):
            raise InputError(f"{key}.npy is damaged: prepare the data again")
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
    """Return integers (N,) that must be 0 or more and below a limit. Raises InputError."""
    is_whole = values.ndim == 1 and values.dtype.kind == "i"
    if not is_whole or len(values) and not (values.min() >= 0 and values.max() < limit):
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
    path = file.parent / KEPT
    found = file.stat()
    some = array[:: len(array) // 64 + 1]  # in case that the file has just been replaced by another
    name = f"{file.name} {found.st_size} {found.st_mtime_ns} {fingerprint(some, *key)}"
    kept: dict[str, str] = {}
    with suppress(OSError, ValueError, TypeError):  # there is none yet, or it is damaged
        kept = dict(json.loads(path.read_text(encoding="utf-8")))
    if name not in kept:
        kept[name] = compute()
        try:
            write_json(path, kept)
        except StorageError as error:  # the data may be somebody else's
            log.info("The images' fingerprint is not kept, and computed at every start. (%s)", error)
    return kept[name]
