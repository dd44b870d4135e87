"""A folder or a .zip with one sub-folder of images per class."""

import io
import zipfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from common.errors import InputError
from common.text import compose, first_names
from imaging.decoding import MAX_FILE, is_image, open_image, too_large
from readers.container import Container, open_container
from readers.images import ImageFiles
from readers.labels_from import in_class_folders
from readers.layout import REMEDY, Layout, listed, natural_key
from readers.remedies import find_remedy
from readers.source import Sample, Source
from readers.table import find_tables


class FolderSource(Source):
    """A folder or a .zip with one sub-folder of images per class.

    Folders of training, validation and test images and of writers may be above or below the classes (see `Layout`). A
    `classes.txt` beside or above the classes, one name per line in natural order, gives the classes their names.

    Args:
        path: the folder or .zip.
        labels_from: a pattern of the files' names, as "{label}_*", if they name the classes rather than folders.
        channels: see `Source`.

    Attributes:
        container: the files.
        folders: a folder of each class, relative to the container's path.

    Raises:
        InputError: no image, no sub-folder per class, or a classes.txt that does not fit.
    """

    def __init__(self, path: Path, labels_from: str | None = None, channels: int = 1):
        super().__init__(channels)
        self.name = f"{path.name} (raw images)"
        self.container = _open_with_images(path)
        self.labels_from = labels_from
        names = sorted(self.container.names, key=natural_key)
        too_long = {name: too_large(size) for name, size, _ in self.container.stamp if size > MAX_FILE}
        images = [name for name in names if is_image(name) and name not in too_long]
        others = [name for name in names if not is_image(name)]
        if not images:
            raise InputError(_no_image(path, [*self.container.skipped, *too_long.items()], others))
        named, unnamed = in_class_folders(images, labels_from) if labels_from else ({name: name for name in images}, [])
        if not named:
            raise InputError(f"{path} has no image whose name fits labels_from={labels_from!r}, such as {images[0]}")
        beside = [name for name in others if not (labels_from and name.endswith("/"))]  # no folder is a class then
        layout = _find_layout(path, list(named), beside)
        self._places, self.folders = layout.places, layout.folders
        names_file = self._find_names_file()
        self.classes = _read_class_names(self.container, names_file, layout.classes) if names_file else layout.classes
        strays = [(name, "not an image's name") for name in others if not name.endswith("/") and name != names_file]
        strays += [*layout.skipped, *unnamed, *too_long.items(), *self.container.skipped]
        self._strays = sorted(strays, key=lambda stray: natural_key(stray[0]))
        self._decided = [*self.container.notes, *layout.notes]
        self.notes, self.skipped = self._decided, self._strays
        files = [named[place.name] for place in self._places]
        self._images = ImageFiles(path.name, files, self.container.read, channels)
        self.modes = self._images.modes

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return path.is_dir() or path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)

    def _find_names_file(self) -> str | None:
        """Return the classes.txt nearest above the first class."""
        above = self.folders[0].split("/")[:-1]
        candidates = ["/".join([*above[:k], "classes.txt"]) for k in range(len(above), -1, -1)]
        return next((name for name in candidates if name in self.container.names), None)

    @property
    def where(self) -> Path:
        return self.container.path

    def share(self, start: int, stop: int) -> Source:
        images = self._images.share(start, stop)
        return self._share(
            _images=images, modes=images.modes, _places=self._places[start:stop], _strays=[], _decided=[]
        )

    def describe_class(self, label: int) -> str:
        return f"{super().describe_class(label)}, in {self.container.path / self.folders[label]},"

    def stamp(self) -> object:
        return self.container.stamp, self.labels_from

    def sizes(self) -> Counter[tuple[int, int]]:
        sizes: Counter[tuple[int, int]] = Counter()
        for name in self._images.progress("sizes in"):
            try:
                sizes[open_image(io.BytesIO(self.container.read(name))).size] += 1
            except Exception:  # iteration will say why it cannot be read
                continue
        return sizes

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Sample]:
        for i, image in self._images:
            place = self._places[i]
            yield Sample(image, place.label, place.file, place.part, place.writer)
        self.skipped = self._images.damaged + self._strays
        self.notes, self.counts = self._decided + self._images.notes, self._images.counts
        self.check_damaged(self._images.damaged)


def _open_with_images(path: Path) -> Container:
    """Return the files of a folder or .zip, or of the only .zip in a folder that holds no images."""
    container = open_container(path)
    archives = [name for name in container.names if name.lower().endswith(".zip")]
    if not path.is_dir() or len(archives) != 1 or any(map(is_image, container.names)):
        return container
    inner = open_container(path / archives[0])
    return replace(inner, notes=[*inner.notes, f"the images are in {archives[0]}"])


def _find_layout(path: Path, images: list[str], others: list[str]) -> Layout:
    """Return the Layout of images; if they have none, but there are tables beside them, the error names these, too."""
    try:
        return Layout(path, images, others)
    except InputError as error:
        tables = find_tables(path) if path.is_dir() else []
        if not tables:
            raise
        raise InputError(
            f"{error}; or give the table that lists them, {listed(table.name for table in tables)}"
        ) from None


def _no_image(path: Path, skipped: list[tuple[str, str]], others: list[str]) -> str:
    """Return the message for a folder that holds no image which could be read."""
    found = [f"{name} ({reason})" for name, reason in skipped] + [name for name in others if not name.endswith("/")]
    remedy = find_remedy([path.name, *others])
    advice = f": {remedy}" if remedy else ""
    more = f" It holds {first_names(found, 5)}{advice}." if found else ""
    return f"{path} holds no image: {REMEDY}, as .png, .jpg, .bmp, .tif or the like.{more}"


def _read_class_names(container: Container, names_file: str, folders: list[str]) -> list[str]:
    """Return the names of the classes from classes.txt."""
    try:
        classes = parse_class_names(container.read(names_file).decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise InputError(f"{container.path}: classes.txt is not UTF-8: save it again in that encoding") from None
    except Exception as error:  # nearly anything from a damaged archive
        raise InputError(f"{container.path}: classes.txt cannot be read: {error}") from None
    if len(classes) != len(folders) or len(set(classes)) != len(classes):
        raise InputError(
            f"{container.path}: classes.txt names {len(set(classes))} different classes for {len(folders)} folders: "
            f"write one name per line, in the order {first_names(folders)}"
        )
    return classes


def parse_class_names(text: str) -> list[str]:
    """Return the names in a classes.txt, one per line."""
    return [compose(line.strip()) for line in text.splitlines() if line.strip()]
