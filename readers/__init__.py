"""Raw data in. To add a format: write its Source in a file beside these and name it in READERS."""

from pathlib import Path

from common.errors import InputError
from common.files import check_file
from readers.folder import FolderSource
from readers.gnt import GntSource
from readers.npz import NpzSource
from readers.pairs import PairSource
from readers.parquet import ParquetImages
from readers.pixels import PixelTable
from readers.remedies import find_remedy
from readers.source import Source
from readers.table import TableSource

# Each has `accepts(path)`; the first that accepts a path reads it.
READERS: list = [PairSource, NpzSource, GntSource, PixelTable, ParquetImages, TableSource, FolderSource]
KINDS = (
    "a folder with one sub-folder per class, a .zip of one, an .npz, IDX or .npy files of images and of labels, "
    ".gnt files, a CSV of labels and either paths or pixels, or parquet files"
)


def open_source(path: str | Path, labels_from: str | None = None, channels: int = 1) -> Source:
    """Return the Source of a path, which is one of KINDS; with `labels_from`, image files in a folder or a .zip.

    With 3 channels, images in colour stay so.

    Raises:
        InputError: no such path, or nothing that a reader can read.
    """
    if path == "":  # it is not the current folder
        raise InputError(f"the path of the raw data is empty: give {KINDS}")
    path = Path(path)
    try:
        path.stat()
    except PermissionError:
        raise InputError(f"{path} cannot be read (Permission denied): allow reading it, or move it elsewhere") from None
    except OSError:  # also a link to nothing or to itself
        if not PairSource.accepts(path):  # one of several sets in a .zip
            raise InputError(f"{path} does not exist: give {KINDS}") from None
    check_file(path)
    if labels_from is not None:
        if not FolderSource.accepts(path):
            raise InputError(f"labels_from is for image files in a folder or a .zip, which {path} is not: leave it out")
        return FolderSource(path, labels_from, channels)
    for reader in READERS:
        if reader.accepts(path):
            return reader(path, channels=channels)
    raise InputError(f"{path} is of no kind that is read: {find_remedy([path.name]) or f'give {KINDS}'}")
