"""What is special about EMNIST's and Kuzushiji's files: images stored transposed, classes named in another file."""

import re
import sys
from dataclasses import replace
from pathlib import Path

from common.errors import InputError
from readers.arrays import Arrays

MAX_MAPPING = 2**20  # characters
MAPPINGS = ("-mapping.txt", "_classmap.csv")
TRANSPOSED = (
    "rows and columns are exchanged, since EMNIST stores images transposed; the reader's argument transposed=False "
    "leaves them"
)


def convert_emnist(
    paths: list[Path], parts: dict[str, Arrays], transposed: bool | None
) -> tuple[list[Path], dict[str, Arrays]]:
    """Return the files of a set and its parts, with EMNIST's images transposed and classes named.

    Args:
        paths: the files of the set; one that names its classes is added.
        parts: part → images and labels, as they are in the files.
        transposed: whether images are stored with rows and columns exchanged; None: if a file's name says EMNIST.
    """
    is_emnist = any("emnist" in file.name.lower() for file in paths)
    notes = [TRANSPOSED] if transposed is None and is_emnist else []
    mapping = _find_mapping(paths[0])
    names = {} if mapping is None else _read_mapping(mapping)
    converted = {}
    for part, arrays in parts.items():
        x = arrays.x.swapaxes(1, 2) if transposed or notes else arrays.x
        classes = [names.get(label, label) for label in arrays.classes]
        if len(set(classes)) < len(classes):  # a label without a name is the name of another one
            raise InputError(f"{mapping} names some of the classes only: correct or remove it")
        converted[part] = replace(arrays, x=x, classes=classes, notes=arrays.notes + notes)
    return paths if mapping is None else [*paths, mapping], converted


def _find_mapping(images: Path) -> Path | None:
    """Return the file beside EMNIST's or Kuzushiji's images that names their classes, if it is there."""
    set_name = re.split(r"[-_](?:train|test)", images.name)[0]
    candidates = [images.with_name(f"{set_name}{suffix}") for suffix in MAPPINGS]
    return next((path for path in candidates if path.is_file()), None)


def _read_mapping(path: Path) -> dict[str, str]:
    """Return label → character, from lines that begin with a label and a code point, as `10 65` or `0,U+3042,あ`."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        text = file.read(MAX_MAPPING)
    rows = re.findall(r"^([0-9]+)[ ,\t]+(U\+[0-9A-Fa-f]{1,8}|[0-9]{1,8})\b", text, re.MULTILINE)
    codes = {label: int(code[2:], 16) if code.startswith("U") else int(code) for label, code in rows}
    names = {label: chr(code) for label, code in codes.items() if code <= sys.maxunicode and chr(code).isprintable()}
    if len(set(names.values())) < len(codes):
        raise InputError(f"{path} does not give each class a character of its own: correct or remove it")
    return names
