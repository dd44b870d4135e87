"""Drawings of the user's own, added to a raw folder of the same classes."""

import re
import time
import unicodedata
from pathlib import Path

import numpy as np
from PIL import Image

from common.errors import InputError
from common.files import locked, write_atomically, write_text
from readers.folder import FolderSource, parse_class_names
from readers.layout import natural_key
from readers.source import part_of


def add_drawing(folder: Path, classes: list[str], label: int, image: np.ndarray) -> Path:
    """Save a drawing in the folder of its class, and return its path.

    The folder is read as raw data with the same classes in the same order, whatever files these had before. If it
    holds such data of the user's own, the drawing joins the images of its class.

    Args:
        folder: raw data, or a folder to be made.
        classes: names of the C classes.
        label: index into these.
        image: uint8 (H, W).

    Raises:
        InputError: the folder holds images of other classes, or the classes have names that classes.txt cannot hold.
        StorageError: the folder cannot be written.
    """
    with locked(folder / "classes.txt"):
        path = folder / _class_folder(folder, classes, label) / f"drawn-{time.time_ns()}.png"
        write_atomically(path, lambda file: Image.fromarray(image).save(file, "PNG"))
        if _is_ours(folder, classes) and classes != class_folders(classes):
            names = dict(zip(class_folders(classes), classes, strict=True))
            present = [name for one, name in names.items() if (folder / one).is_dir()]
            write_text(folder / "classes.txt", "\n".join([*present, ""]))
    return path


def class_folders(classes: list[str]) -> list[str]:
    """Return the folders of classes in a folder of drawings: their names, or numbers from 1 if names are no folders'.

    Whichever of them are there, the folder reader gives the classes their order.
    """
    folded = {unicodedata.normalize("NFKC", name).casefold() for name in classes}  # disks may not tell these apart
    if len(folded) == len(classes) and all(map(_is_plain, classes)) and classes == sorted(classes, key=natural_key):
        return classes
    return [str(k + 1) for k in range(len(classes))]


def _is_plain(name: str) -> bool:
    """Return whether a folder of that name is possible everywhere and is read as the class of that name."""
    is_word = re.fullmatch(r"\w[\w-]*", name) is not None and len(name) <= 60
    return is_word and part_of(name) is None and unicodedata.is_normalized("NFC", name)


def _class_folder(folder: Path, classes: list[str], label: int) -> str:
    """Return the folder of a class, relative to `folder`. Raises InputError if it is not one of these classes."""
    if _is_ours(folder, classes):
        unfit = [name for name in classes if parse_class_names(name) != [name]]
        if unfit and classes != class_folders(classes):
            raise InputError(f"a class is named {unfit[0]!r}, which no line of a classes.txt can hold: rename it")
        return class_folders(classes)[label]
    remedy = "set drawn_path to another folder"
    try:
        source = FolderSource(folder)
    except InputError as error:
        raise InputError(f"{error} Or {remedy}.") from None
    if other := [name for name in source.classes if name not in classes]:
        raise InputError(f"{folder} holds images of other classes, such as {other[0]!r}: {remedy}")
    if classes[label] not in source.classes or source.container.path != folder:
        raise InputError(f"{folder} has no folder of the class {classes[label]!r}: make it, or {remedy}")
    return source.folders[source.classes.index(classes[label])]


def _is_ours(folder: Path, classes: list[str]) -> bool:
    """Return whether a folder holds nothing but what `add_drawing` puts there, perhaps without its last step."""
    if not folder.is_dir():
        return True
    names_file = folder / "classes.txt"
    names = dict(zip(class_folders(classes), classes, strict=True))
    found = {path.name for path in folder.iterdir() if not path.name.startswith(".") and path != names_file}
    text = names_file.read_text(encoding="utf-8-sig", errors="replace") if names_file.is_file() else ""
    named = parse_class_names(text)
    present = [name for one, name in names.items() if one in found]
    if not found <= names.keys() or (named and list(names) == classes):
        return False
    is_complete = list(names) == classes or len(named) >= len(present) - 1
    return is_complete and named == [name for name in present if name in named]
