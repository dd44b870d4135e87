"""Images in one file and their labels in another: MNIST's IDX files, NumPy's .npy, Kuzushiji's .npz; also in a .zip."""

import re
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from common.archives import Archive
from common.errors import InputError, did_you_mean
from common.files import ON_DISK
from readers.arrays import Arrays, ArraySource, find_part, make_parts
from readers.container import HIDDEN, METHODS, check_archive
from readers.idx import read_idx
from readers.mappings import MAPPINGS, convert_emnist
from readers.npz import check_npy, read_arrays
from readers.source import PARTS, PARTS_BY_WORD

WORDS = {"x": "images", "img": "images", "imgs": "images", "image": "images", "images": "images",
         "y": "labels", "label": "labels", "labels": "labels", "target": "labels", "targets": "labels"}  # fmt: skip
CONTENTS = ("images", "labels")
IDX_SUFFIX = re.compile(r"[-._](idx\d([-._]ubyte)?|ubyte)(\.gz)?$")
Parts = dict[str, dict[str, Path]]  # part → "images" and "labels" → file


def _read_npy(path: Path) -> np.ndarray:
    with open(path, "rb") as file:
        check_npy(file, path.stat().st_size, "the file")
        file.seek(0)
        if path.stat().st_size > ON_DISK:
            return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
        return np.load(file, allow_pickle=False)  # type: ignore[no-any-return]


def _read_single_npz(path: Path) -> np.ndarray:
    arrays = list(read_arrays(path).values())
    if len(arrays) != 1:
        raise InputError(f"it holds {len(arrays)} arrays, not one")
    return arrays[0]


FORMATS: dict[str, Callable[[Path], np.ndarray]] = {"idx": read_idx, "npy": _read_npy, "npz": _read_single_npz}


@dataclass(frozen=True)
class Half:
    """What the name of a file says: its format, its folder and other words, its part, and whether it holds labels."""

    path: Path
    set: tuple
    part: str
    content: str


def parse_name(path: Path) -> Half | None:
    """Return what a name like emnist-letters-train-images-idx3-ubyte.gz says; None if it is not half of a pair."""
    stem, is_idx = IDX_SUFFIX.subn("", path.name.lower())
    suffix = path.suffix.lower()
    stem, kind = (stem, "idx") if is_idx else (stem.removesuffix(suffix), suffix[1:])
    if kind not in FORMATS:
        return None
    words = re.findall(r"[a-z0-9]+", stem)
    contents = {WORDS[word] for word in words if word in WORDS}
    if len(contents) != 1:
        return None
    rest = [word for word in words if word not in WORDS and word not in PARTS_BY_WORD]
    own_folder = path.parent.name in (path.name, path.stem)  # as in Kaggle's MNIST
    folder = path.parent.parent if own_folder else path.parent
    return Half(path, (kind, folder, *rest), find_part(stem) or "train", contents.pop())


def find_pairs(path: Path) -> dict[tuple, Parts]:
    """Return set → part → the files of its images and labels, of those parts that have both.

    Args:
        path: a folder, in which and in whose sub-folders files are looked for, or a file, whose set it is.
    """
    if path.is_dir():
        return _pair(file for file in [*path.glob("*"), *path.glob("*/*")] if file.is_file())
    given = parse_name(path) if path.is_file() else None
    if given is None:
        return {}
    return {key: parts for key, parts in _pair(path.parent.iterdir()).items() if key == given.set}


def _pair(files: Iterable[Path]) -> dict[tuple, Parts]:
    """Return set → part → the files of its images and labels, of those parts that have both."""
    found: dict[tuple, Parts] = {}
    for half in filter(None, map(parse_name, sorted(files))):
        pair = found.setdefault(half.set, {}).setdefault(half.part, {})
        pair.setdefault(half.content, half.path)  # unpacked files sort before their .gz
    complete = {
        key: {part: parts[part] for part in PARTS if len(parts.get(part, ())) == 2} for key, parts in found.items()
    }
    return {key: parts for key, parts in complete.items() if parts}


class PairSource(ArraySource):
    """Images in one file and their labels in another, for each part: IDX, gzipped or not, .npy, .npz with one array.

    A mapping of EMNIST's or a class map of Kuzushiji's beside them gives the classes their names.

    Args:
        path: a folder or a .zip with the files of one set, or one of these files; of a .zip with several sets, one of
            them, such as gzip.zip/emnist-balanced.
        transposed: whether images are stored with rows and columns exchanged; by default if a file's name says EMNIST.
        channels: see `Source`.

    Raises:
        InputError: several sets in a folder, or files that are damaged or do not fit each other.
    """

    def __init__(self, path: Path, transposed: bool | None = None, channels: int = 1):
        archive = None if find_pairs(path) else _find_zip(path)
        with _unpacked(archive, path) if archive else nullcontext(path) as folder:
            try:
                paths, parts = _read_set(folder, path.name, transposed, channels)
            except InputError as error:
                raise InputError(str(error).replace(str(folder), str(path))) from None
        super().__init__(paths if archive is None else [archive], parts, channels)
        self.transposed = transposed

    def stamp(self) -> object:
        return super().stamp(), self.transposed

    @classmethod
    def accepts(cls, path: Path) -> bool:
        archive = _find_zip(path)
        return bool(find_pairs(path) or (archive and _pair(map(Path, _names_in_zip(archive)))))


def _find_zip(path: Path) -> Path | None:
    """Return a .zip, the only one in a folder, or the one in which a path such as gzip.zip/emnist-balanced would be."""
    archives = sorted(path.glob("*.[zZ][iI][pP]")) if path.is_dir() else [path, *path.parents]
    archives = [one for one in archives if one.suffix.lower() == ".zip" and one.is_file()]
    return archives[0] if len(archives) == 1 else None


def _names_in_zip(path: Path) -> dict[str, zipfile.ZipInfo]:
    """Return the names of the files in a .zip that can be read and are not hidden; none if it is no .zip."""
    try:
        with Archive(path) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):  # the reader of folders will say so
        return {}
    readable = [info for info in entries if not info.filename.endswith("/") and info.compress_type in METHODS]
    names = {info.filename.replace("\\", "/"): info for info in readable}
    return {name: info for name, info in names.items() if not HIDDEN.search(name)}


@contextmanager
def _unpacked(path: Path, given: Path) -> Iterator[Path]:
    """Give the files of a set in a .zip, and what names its classes, as a temporary folder.

    Args:
        path: the .zip.
        given: what the user gave: that, the folder that it is in, or one of its sets.

    Raises:
        InputError: an archive that is refused (see `check_archive`), or damaged, or of several sets.
    """
    with TemporaryDirectory(ignore_cleanup_errors=True) as temporary, Archive(path) as archive:
        check_archive(path, archive)
        names = _names_in_zip(path)
        chosen = _choose_in_zip(path, given, _pair(map(Path, names)))
        for name, info in names.items():
            if Path(name) in chosen or name.endswith(MAPPINGS):
                file = Path(temporary, name)
                file.parent.mkdir(parents=True, exist_ok=True)
                try:
                    with archive.open(info) as source, open(file, "wb") as target:
                        shutil.copyfileobj(source, target)
                except Exception as error:  # zipfile raises nearly anything for a damaged archive
                    raise InputError(f"{path}: {name} cannot be unpacked ({error!s:.200}): download it again") from None
        yield Path(temporary)


def _choose_in_zip(path: Path, given: Path, sets: dict[tuple, Parts]) -> set[Path]:
    """Return the files of the set that is given, or of the only one in a .zip; for the arguments see `_unpacked`."""
    names = [Path(folder, "-".join(words)).as_posix() for _, folder, *words in sets]
    wanted = given.relative_to(path).as_posix() if path in given.parents else None
    found = [i for i, name in enumerate(names) if wanted in (None, name, Path(name).name)]
    if not found:
        raise InputError(f"{path} holds no set {wanted!r} of images: {did_you_mean(wanted, names)}")
    if len(found) > 1:
        listed = ", ".join(names[i] for i in found)
        first = path / names[found[0]]
        raise InputError(f"{path} holds {len(found)} sets of images: give one of them, as {first}: {listed:.500}")
    return {file for pair in list(sets.values())[found[0]].values() for file in pair.values()}


def _read_set(path: Path, name: str, transposed: bool | None, channels: int) -> tuple[list[Path], dict[str, Arrays]]:
    """Return the files of the only set at a path and its parts; for the arguments see PairSource."""
    kind, files, notes = _choose_set(path, find_pairs(path) or _pair(path.rglob("*")))
    paths = [file for pair in files.values() for file in pair.values()]
    images, labels = ({part: _read(pair[content], kind) for part, pair in files.items()} for content in CONTENTS)
    try:
        parts = make_parts(images, labels, name, channels=channels)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    parts = {part: replace(arrays, notes=arrays.notes + notes) for part, arrays in parts.items()}
    return convert_emnist(paths, parts, transposed)


def _read(path: Path, kind: str) -> np.ndarray:
    try:
        return FORMATS[kind](path)
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # NumPy, zipfile and gzip raise nearly anything for a damaged file
        raise InputError(f"{path} is not a readable {kind} file ({error!s:.200}): download it again") from None


def _choose_set(path: Path, sets: dict[tuple, Parts]) -> tuple[str, Parts, list[str]]:
    """Return format, files and notes of the only set of images that there is."""
    if len(sets) > 1:
        images = sorted(str(pair["images"].relative_to(path)) for parts in sets.values() for pair in parts.values())
        raise InputError(f"{path} holds {len(sets)} sets of images: give one of the files {', '.join(images):.500}")
    (((kind, *_), parts),) = sets.items()
    if "train" in parts:
        return kind, parts, []
    if len(parts) > 1:
        raise InputError(f"{path} has images to validate and to test, but none to train on: add these")
    ((part, pair),) = parts.items()
    return kind, {"train": pair}, [f"the only part, {part}, is used for training"]
