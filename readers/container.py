"""Files by name, in a folder or in a .zip alike."""

import os
import re
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from common.errors import InputError

HIDDEN = re.compile(r"(^|/)(\.|__MACOSX)")  # .DS_Store, .ipynb_checkpoints and the like
MAX_EXPANSION = 200  # of an archive or npz of more than 64 MiB: no images compress that well


@dataclass(frozen=True)
class Container:
    """Files by name.

    Attributes:
        path: the folder or the .zip.
        names: of the files and, with a trailing slash, of the folders, relative to the path; none that are hidden.
        stamp: (name, size, time or checksum) per file, sorted.
        open: from a name to a binary file to read.
    """

    path: Path
    names: list[str]
    stamp: list[tuple]
    open: Callable[[str], IO[bytes]]

    def read(self, name: str) -> bytes:
        """Return the content of a file."""
        with self.open(name) as file:
            return file.read()


def open_container(path: Path) -> Container:
    """Return the files below a folder or in a .zip.

    Raises:
        InputError: not a readable .zip, or one that is refused (see `check_archive`).
    """
    return _open_folder(path) if path.is_dir() else _open_zip(path)


def _open_folder(folder: Path) -> Container:
    paths = {}
    for path in folder.rglob("*"):
        if path.is_dir():
            paths[f"{_text(path.relative_to(folder))}/"] = path
        elif path.is_file():
            paths[_text(path.relative_to(folder))] = path
    paths = {name: path for name, path in paths.items() if not HIDDEN.search(name)}
    stats = [(name, path.stat()) for name, path in paths.items() if not name.endswith("/")]
    stamp = sorted((name, found.st_size, found.st_mtime_ns) for name, found in stats)
    return Container(folder, list(paths), stamp, lambda name: open(paths[name], "rb"))


def _open_zip(path: Path) -> Container:
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} is not a readable .zip ({error}): unpack it and give the folder") from None
    check_archive(path, archive)
    infos = [info for info in archive.infolist() if not HIDDEN.search(info.filename)]
    stamp = sorted((info.filename, info.file_size, info.CRC) for info in infos)
    return Container(path, [info.filename for info in infos], stamp, archive.open)


def _text(path: Path) -> str:
    """Return a path as text that can be printed and stored, whatever bytes it consists of."""
    return os.fsencode(path.as_posix()).decode("utf-8", "replace")


def check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise InputError for a .zip whose names point outside it, that holds links, or that expands beyond measure."""
    infos = archive.infolist()
    for info in infos:
        name = info.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name):
            raise InputError(f"{path} holds a file named {info.filename!r:.100}, outside the archive: it is refused")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise InputError(f"{path} holds a link, {info.filename!r:.100}: it is refused, pack the file itself")
    size = sum(info.file_size for info in infos)
    if size > 64 * 2**20 and size > MAX_EXPANSION * path.stat().st_size:
        raise InputError(
            f"{path} would expand to {size / 2**20:,.0f} MiB, more than {MAX_EXPANSION} times its size: it is refused"
        )
