"""What to do with files of kinds that are not read."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

REMEDIES = {
    "unpack archives and give the folder": ".zip .tar .gz .tgz .bz2 .xz .zst .7z .rar",
    "save tables as CSV": ".xlsx .xls .ods .numbers",
    "list paths and labels in a CSV": ".json .jsonl .xml .yaml .yml .txt .db .sqlite",
    "save arrays with numpy.savez(file, x=images, y=labels)": (
        ".mat .h5 .hdf5 .pt .pth .pkl .pickle .tfrecord .tfrecords .lmdb .mdb .arrow"
    ),
    "save pages as PNG": ".pdf .djvu .svg .eps .psd .doc .docx .ppt .pptx",
}


def find_remedy(names: Iterable[str]) -> str | None:
    """Return what to do with files of these names, which are not read, or None if their suffixes tell nothing."""
    suffixes = {Path(name).suffix.lower() for name in names}
    if ".parquet" in suffixes and find_spec("pyarrow") is None:
        return "pip install pyarrow, which reads parquet"
    return next((remedy for remedy, kinds in REMEDIES.items() if suffixes & set(kinds.split())), None)
