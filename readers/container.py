"""Files by name, in a folder or in a .zip."""

import copy
import errno
import os
import re
import stat
import zipfile
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO

from common.archives import Archive
from common.errors import InputError
from imaging.decoding import MAX_FILE

HIDDEN = re.compile(r"(^|/)(\.|__MACOSX|(?i:thumbs\.db|desktop\.ini)$)")  # what systems and editors leave in folders
ENCODINGS = ("utf-8", "gb18030", "cp437")  # of names; the last decodes any bytes, each to another character
FREE_EXPANSION = 2**28  # bytes to which any npz may expand, as a few hundred paintings do
MAX_EXPANSION = 200  # of a larger npz: no images compress that well
MAX_FOLDERS = 64  # above a file in a .zip; what a path tells is looked for level by level
METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)  # zipfile cannot limit what others expand to


@dataclass(frozen=True)
class Container:
    """Files by name.

    Attributes:
        path: the folder or the .zip.
        names: of the files and, with a trailing slash, of the folders, relative to the path; none that are hidden.
        stamp: (name, size, time or checksum) per file, sorted.
        open: from a name to a binary file to read.
        skipped: (name, reason) of what is not among the names: links that are not followed, names that occur twice …
        notes: sentences on how names were decoded.
    """

    path: Path
    names: list[str]
    stamp: list[tuple]
    open: Callable[[str], IO[bytes]]
    skipped: list[tuple[str, str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def read(self, name: str) -> bytes:
        """Return the content of a file. Raises InputError if it is longer than MAX_FILE bytes."""
        with self.open(name) as file:
            data = file.read(MAX_FILE + 1)
        if len(data) > MAX_FILE:
            raise InputError(f"{name}: more than {MAX_FILE // 2**20} MiB")
        return data


def open_container(path: Path) -> Container:
    """Return the files below a folder or in a .zip.

    Raises:
        InputError: a folder that may not be read, or not a readable .zip, or one that is refused (see `check_names`).
    """
    return _open_folder(path) if path.is_dir() else _open_zip(path)


def is_empty(path: Path) -> bool:
    """Return whether there is nothing at a path but folders and hidden files."""
    if not path.is_dir():
        return not os.path.lexists(path)
    return all(found.is_dir() and not reason for found, reason in _walk(path))


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield what is below a folder and not hidden, and the reason why a link is not followed, or "".

    A folder is read once, and under its own name rather than that of a link to it.
    """
    waiting, seen = deque([folder]), set()
    while waiting:
        here = waiting.popleft()
        found = here.stat()
        if (found.st_dev, found.st_ino) in seen:
            yield here, "a link to a folder that is read already"
            continue
        seen.add((found.st_dev, found.st_ino))
        if here != folder:
            yield here, ""
        for path in _children(here):
            if os.path.isdir(path):
                (waiting.append if path.is_symlink() else waiting.appendleft)(path)
            else:
                yield path, "" if os.path.isfile(path) else _why_no_file(path)


def _why_no_file(path: Path) -> str:
    try:
        path.stat()
    except OSError as error:
        return (
            "a link to nothing"
            if error.errno in (errno.ENOENT, errno.ELOOP)
            else f"{error.strerror}: move it elsewhere"
        )
    return "neither a file nor a folder"


def _children(folder: Path) -> list[Path]:
    """Return what is in a folder and not hidden, sorted."""
    try:
        os.stat(os.path.join(folder, "."))  # which needs the permission to read what the names stand for
        return sorted(path for path in folder.iterdir() if not HIDDEN.match(path.name))
    except OSError as error:
        raise InputError(
            f"{folder} cannot be read ({error.strerror}): allow reading it, or move it elsewhere"
        ) from None


def _open_folder(folder: Path) -> Container:
    found = list(_walk(folder))
    names, notes = _names_on_disk([os.fsencode(path.relative_to(folder).as_posix()) for path, _ in found], folder)
    paths: dict[str, Path] = {}
    stamp, skipped = [], []
    for name, (path, reason) in zip(names, found, strict=True):
        if not reason and name in paths:
            reason = "another file's name reads the same: rename it"
        if reason:
            skipped.append((name, reason))
        elif path.is_dir():
            paths[f"{name}/"] = path
        else:
            info = path.stat()
            stamp.append((name, info.st_size, info.st_mtime_ns))
            paths[name] = path
    return Container(folder, list(paths), sorted(stamp), lambda name: open(paths[name], "rb"), skipped, notes)


def _names_on_disk(names: list[bytes], folder: Path) -> tuple[list[str], list[str]]:
    """Return names as text, and a sentence that says which encoding they have if they are not all UTF-8."""
    try:
        return [name.decode("utf-8") for name in names], []
    except UnicodeDecodeError:
        return _decode_names([_certain_text(name) for name in names], folder)


def _certain_text(name: bytes) -> str | bytes:
    """Return a name as text if it can only be UTF-8. Two bytes may also be GB 18030, as those of 学 are."""
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return name
    return text if text.isascii() or max(text) >= "\u0800" else name


def _open_zip(path: Path) -> Container:
    try:
        archive = Archive(path)
    except InputError:
        raise
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        raise InputError(f"{path} is not a readable .zip ({error}): unpack it and give the folder") from None
    check_names(path, archive)
    entries = archive.infolist()
    names, notes = _decode_names([_name_in_zip(info) for info in entries], path)
    infos: dict[str, zipfile.ZipInfo] = {}
    skipped = []
    for name, info in zip((name.replace("\\", "/") for name in names), entries, strict=True):
        if HIDDEN.search(name):
            continue
        if info.compress_type not in METHODS:
            skipped.append((name, "compressed by an unusual method: pack it as an ordinary .zip"))
            continue
        if name.count("/") > MAX_FOLDERS:
            skipped.append((name[:200], f"in more than {MAX_FOLDERS} folders: move it up"))
            continue
        if name in infos and not name.endswith("/"):
            skipped.append((name, "another file of this name follows in the archive"))
        infos[name] = info
    stamp = sorted((name, info.file_size, info.CRC) for name, info in infos.items())
    reopened = _reopen(archive, path)
    return Container(path, list(infos), stamp, lambda name: reopened(os.getpid()).open(infos[name]), skipped, notes)


def _reopen(archive: zipfile.ZipFile, path: Path) -> Callable[[int], zipfile.ZipFile]:
    """Return a function that gives the archive of a process: forked ones would share one position in the file."""
    here = os.getpid()

    @cache
    def reopened(process: int) -> zipfile.ZipFile:
        if process == here:
            return archive
        other = copy.copy(archive)  # rather than read the names of perhaps a million files again
        other.fp = path.open("rb")
        return other

    return reopened


def _name_in_zip(info: zipfile.ZipInfo) -> str | bytes:
    """Return a name as text if the archive says how it is encoded, otherwise as bytes."""
    if info.flag_bits & 0x800:
        return info.orig_filename
    return info.orig_filename.encode("cp437")  # as which zipfile has decoded it


def _decode_names(names: list[str | bytes], path: Path) -> tuple[list[str], list[str]]:
    """Return names as text, all bytes in the first encoding that fits them, and the sentences that say which."""
    unstated = [name for name in names if isinstance(name, bytes) and not name.isascii()]
    for encoding in ENCODINGS:
        try:
            decoded = [name.decode(encoding) if isinstance(name, bytes) else name for name in names]
        except UnicodeDecodeError:
            continue
        break
    said = f"names in {path.name} whose encoding is not stated are read as {encoding.upper()}"
    return decoded, [f"{len(unstated)} {said}"] if unstated else []


def check_names(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise InputError for a .zip whose names point outside it, or that holds links."""
    for info in archive.infolist():
        name = info.filename.replace("\\", "/")
        if name.startswith("/") or ".." in name.split("/") or re.match("[A-Za-z]:", name):
            raise InputError(f"{path} holds a file named {info.filename!r:.100}, outside the archive: it is refused")
        if stat.S_ISLNK(info.external_attr >> 16):
            raise InputError(f"{path} holds a link, {info.filename!r:.100}: it is refused, pack the file itself")


def check_archive(path: Path, archive: zipfile.ZipFile) -> None:
    """Raise InputError for an npz that `check_names` refuses, or that expands beyond measure."""
    check_names(path, archive)
    size = sum(info.file_size for info in archive.infolist())
    if size > FREE_EXPANSION and size > MAX_EXPANSION * path.stat().st_size:
        raise InputError(
            f"{path} would expand to {size / 2**20:,.0f} MiB, more than {MAX_EXPANSION} times its size: it is refused"
        )
