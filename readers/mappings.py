"""The files beside EMNIST's and Kuzushiji's images that name their classes."""

import re
import sys
from pathlib import Path

from common.errors import InputError

MAX_MAPPING = 2**20  # characters
MAPPINGS = ("-mapping.txt", "_classmap.csv")


def find_mapping(images: Path) -> Path | None:
    """Return the file beside EMNIST's or Kuzushiji's images that names their classes, if it is there."""
    set_name = re.split(r"[-_](?:train|test)", images.name)[0]
    candidates = [images.with_name(f"{set_name}{suffix}") for suffix in MAPPINGS]
    return next((path for path in candidates if path.is_file()), None)


def read_mapping(path: Path) -> dict[str, str]:
    """Return label → character, from lines that begin with a label and a code point, as `10 65` or `0,U+3042,あ`."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        text = file.read(MAX_MAPPING)
    rows = re.findall(r"^(\d+)[ ,\t]+(U\+[0-9A-Fa-f]+|\d+)", text, re.MULTILINE)
    codes = {label: int(code[2:], 16) if code.startswith("U") else int(code) for label, code in rows}
    names = {label: chr(code) for label, code in codes.items() if code <= sys.maxunicode and chr(code).isprintable()}
    if len(set(names.values())) < len(codes):
        raise InputError(f"{path} does not give each class a character of its own: correct or remove it")
    return names
