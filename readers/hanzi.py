"""Read the medians of Make Me a Hanzi, Chinese characters (npm's hanzi-writer-data, Arphic Public License)."""

import gzip
import json
import os
import tarfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from common.errors import InputError
from readers.skeleton import GRID, Skeleton, make_skeleton

LICENCE = "Make Me a Hanzi (hanzi-writer-data, Arphic Public License)"
VARIABLE = "FIT_CHAR_HANZI"  # the environment variable that names the tarball or the folder
REMEDY = "make it with npm pack hanzi-writer-data"
SIDE, TOP = 1024.0, 900.0  # units per side of its drawings, and the height of the upper edge; y is upwards
MOST_BYTES = 2**18  # of a character's file; the largest has 9 kB
MOST_IN_ALL = 2**27  # of the tarball, unpacked; it has 60 MB


def find_path(path: str | Path | None = None) -> Path | None:
    """Return the tarball or the folder: `path`, or the one that VARIABLE names; None if neither is given.

    Raises:
        InputError: it does not exist.
    """
    chosen = path or os.environ.get(VARIABLE)
    if not chosen:
        return None
    if not Path(chosen).exists():
        raise InputError(f"{chosen} does not exist: {REMEDY}, and set hanzi_path to it")
    return Path(chosen)


def read_files(path: Path, characters: Iterable[str]) -> dict[str, bytes]:
    """Return character → content of its file, of those that a tarball (.tgz) or an unpacked folder holds.

    Raises:
        InputError: the tarball is damaged, or a file is too large.
    """
    wanted = {f"{character}.json": character for character in characters}
    if path.is_dir():
        folder = path / "package" if (path / "package").is_dir() else path
        paths = {character: folder / name for name, character in wanted.items()}
        for one in paths.values():
            if one.is_file() and one.stat().st_size > MOST_BYTES:
                raise InputError(f"{one} is no file of hanzi-writer-data: it is larger than {MOST_BYTES} bytes")
        return {character: one.read_bytes() for character, one in paths.items() if one.is_file()}
    files = {}
    try:
        # A stream, so that what unpacks without end is noticed before it fills the memory.
        with gzip.open(path) as file, tarfile.open(fileobj=_Limited(file), mode="r|") as archive:  # type: ignore[call-overload]
            for member in archive:
                if not 0 <= member.size <= MOST_IN_ALL:  # would be skipped block by block
                    raise tarfile.ReadError(f"{member.name!r:.60} claims {member.size} bytes")
                character = wanted.get(Path(member.name).name)
                if character and member.isfile() and member.size <= MOST_BYTES:
                    content = archive.extractfile(member)
                    files[character] = content.read() if content else b""
    except (tarfile.TarError, EOFError, zlib.error, OSError, ValueError) as error:
        raise InputError(f"{path} is not a tarball of hanzi-writer-data ({error!s:.100}): {REMEDY}") from None
    return files


class _Limited:
    """A file of at most MOST_IN_ALL bytes."""

    def __init__(self, file: gzip.GzipFile):
        self.file, self.left = file, MOST_IN_ALL

    def read(self, size: int) -> bytes:
        data = self.file.read(size)
        self.left -= len(data)
        if self.left < 0:
            raise tarfile.ReadError(f"it unpacks to more than {MOST_IN_ALL} bytes")
        return data


def parse(data: bytes, share: float = 1.0) -> Skeleton:
    """Return the skeleton in a JSON file of Make Me a Hanzi.

    Raises:
        InputError: it is damaged.
    """
    try:
        content = json.loads(data)
        medians = [[(float(x), float(y)) for x, y in stroke] for stroke in content["medians"]]
        radical = set(content.get("radStrokes") or ())
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as error:
        raise InputError(f"it is damaged ({error!s:.100})") from None
    if not all(medians):
        raise InputError("a stroke has no points")
    strokes = [(np.array(stroke) * (1, -1) + (0, TOP)) * (GRID / SIDE) for stroke in medians]
    return make_skeleton(strokes, _components(strokes, radical), share)


def _components(strokes: list[np.ndarray], radical: set) -> list[tuple[int, ...]]:
    """Return the components of strokes: the radical and the rest, and in each what stands apart."""
    components: list[tuple[int, ...]] = []
    cluster = 0
    for k, stroke in enumerate(strokes):
        begins = k and ((k in radical) != (k - 1 in radical) or not _touches(stroke, strokes[k - 1]))
        if begins:
            cluster += 1
        components.append((1 if k in radical else 0, 2 + cluster))
    return components


def _touches(one: np.ndarray, other: np.ndarray) -> bool:
    """Return whether the boxes around two strokes overlap."""
    return bool((one.min(0) <= other.max(0)).all() and (other.min(0) <= one.max(0)).all())
