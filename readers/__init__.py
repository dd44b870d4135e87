"""Raw data in. To add a format: write its Source in a file beside these and name it in READERS."""

from pathlib import Path

from common.errors import InputError
from readers.folder import FolderSource
from readers.npz import NpzSource
from readers.source import Source

READERS: list = [NpzSource, FolderSource]  # each has `accepts(path)`; the first that accepts a path reads it


def open_source(path: str | Path) -> Source:
    """Return the Source of a folder or .zip with one sub-folder per class, or of an .npz.

    Raises:
        InputError: no such path, or nothing that a reader can read.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(
            f"{path} does not exist: give a folder with one sub-folder per class, a .zip of one, or an .npz"
        )
    for reader in READERS:
        if reader.accepts(path):
            return reader(path)
    raise InputError(f"{path} is neither a folder nor a .zip or .npz file: unpack it and give the folder")
