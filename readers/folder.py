"""A folder or a .zip with one sub-folder of images per class."""

import io
import unicodedata
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.errors import InputError
from imaging.decoding import MAX_FILE, Picture, decode_picture, is_image, open_image, to_uint8, too_large, white_level
from readers.container import Container, open_container
from readers.layout import REMEDY, Layout, Place, natural_key
from readers.source import Sample, Source

FULL = {"I;16": 65_535, "I;16B": 65_535, "I;16L": 65_535}  # the levels of modes that cannot hold higher ones


class FolderSource(Source):
    """A folder or a .zip with one sub-folder of images per class.

    Folders of training, validation and test images and of writers may be above or below the classes (see `Layout`). A
    `classes.txt` beside or above the classes, one name per line in natural order, gives the classes their names.

    Attributes:
        container: the files.
        folders: a folder of each class, relative to the container's path.

    Raises:
        InputError: no image, no sub-folder per class, or a classes.txt that does not fit.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.name = f"{path.name} (raw images)"
        self.container = _open_with_images(path)
        names = sorted(self.container.names, key=natural_key)
        too_long = {name: too_large(size) for name, size, _ in self.container.stamp if size > MAX_FILE}
        images = [name for name in names if is_image(name) and name not in too_long]
        others = [name for name in names if not is_image(name)]
        if not images:
            raise InputError(_no_image(path, [*self.container.skipped, *too_long.items()], others))
        layout = Layout(path, images, others)
        self._places, self.folders = layout.places, layout.folders
        names_file = self._find_names_file()
        self.classes = _read_class_names(self.container, names_file, layout.classes) if names_file else layout.classes
        strays = [(name, "not an image's name") for name in others if not name.endswith("/") and name != names_file]
        strays += [*layout.skipped, *too_long.items(), *self.container.skipped]
        self._strays = sorted(strays, key=lambda stray: natural_key(stray[0]))
        self._decided = [*self.container.notes, *layout.notes]
        self.notes = self._decided
        self._white: dict[np.dtype, float] = {}

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return path.is_dir() or path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)

    def _find_names_file(self) -> str | None:
        """Return the classes.txt nearest above the first class."""
        above = self.folders[0].split("/")[:-1]
        candidates = ["/".join([*above[:k], "classes.txt"]) for k in range(len(above), -1, -1)]
        return next((name for name in candidates if name in self.container.names), None)

    def describe_class(self, label: int) -> str:
        return f"{super().describe_class(label)}, in {self.container.path / self.folders[label]},"

    def stamp(self) -> object:
        return self.container.stamp

    def sizes(self) -> Counter[tuple[int, int]]:
        sizes: Counter[tuple[int, int]] = Counter()
        for place in self._progress("sizes in"):
            try:
                sizes[open_image(io.BytesIO(self.container.read(place.name))).size] += 1
            except Exception:  # iteration will say why it cannot be read
                continue
        return sizes

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[Sample]:
        damaged: list[tuple[str, str]] = []
        self.modes.clear()
        several_pages = 0
        for place in self._progress("reading"):
            try:
                picture = decode_picture(self.container.read(place.name))
            except Exception as error:  # Pillow's decoders raise nearly anything for damaged files
                damaged.append((place.name, f"{type(error).__name__}: {error}"))
                continue
            self.modes[picture.mode] += 1
            several_pages += picture.has_more_pages
            image = to_uint8(picture.pixels, self._white_level(picture))
            yield Sample(image, place.label, place.file, place.part, place.writer)
        self.skipped = damaged + self._strays
        self.notes = [*self._decided, *self._scaling_notes()]
        if several_pages:
            self.notes.append(f"{several_pages} files have several pages or frames, of which the first is read")
        self._check_damaged(damaged, self.container.path)

    def _progress(self, doing: str) -> Iterable[Place]:
        return tqdm(self._places, desc=f"{doing} {self.container.path.name}", unit="file", delay=1)

    def _white_level(self, picture: Picture) -> float:
        """Return which level is white in all images with as many bits as this one; this takes a pass over them.

        Most images of 8 bits tell at once that their levels go up to 255.
        """
        kind = picture.pixels.dtype
        if kind not in self._white and kind == np.uint8 and white_level(picture.pixels.max()) == 255:
            self._white[kind] = 255
        if kind not in self._white:
            self._white[kind] = white_level(self._highest(kind))
        return self._white[kind]

    def _highest(self, kind: np.dtype) -> float:
        """Return the highest level in the images whose pixels are of that dtype."""
        highest = 0.0
        for place in self._progress("levels in"):
            try:
                picture = decode_picture(self.container.read(place.name))
            except Exception:  # iteration will say why it cannot be read
                continue
            if picture.pixels.dtype == kind:
                highest = max(highest, float(picture.pixels.max()))
                if white_level(highest) == FULL.get(picture.mode, 255 if kind == np.uint8 else None):
                    break
        return highest

    def _scaling_notes(self) -> list[str]:
        names = {np.dtype(np.uint8): "8 bits", np.dtype(np.float32): "more than 8 bits"}
        return [
            f"images of {names[kind]} are scaled: their level {white:g} becomes 255"
            for kind, white in self._white.items()
            if (kind, white) != (np.uint8, 255)
        ]


def _open_with_images(path: Path) -> Container:
    """Return the files of a folder or .zip, or of the only .zip in a folder that holds no images."""
    container = open_container(path)
    archives = [name for name in container.names if name.lower().endswith(".zip")]
    if not path.is_dir() or len(archives) != 1 or any(map(is_image, container.names)):
        return container
    inner = open_container(path / archives[0])
    return replace(inner, notes=[*inner.notes, f"the images are in {archives[0]}"])


def _no_image(path: Path, skipped: list[tuple[str, str]], others: list[str]) -> str:
    """Return the message for a folder that holds no image which could be read."""
    found = [f"{name} ({reason})" for name, reason in skipped] + [name for name in others if not name.endswith("/")]
    more = f" It holds {', '.join(found[:5])}{' …' if len(found) > 5 else ''}." if found else ""
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
            f"write one name per line, in the order {', '.join(folders[:20])}"
        )
    return classes


def parse_class_names(text: str) -> list[str]:
    """Return the names in a classes.txt, one per line."""
    return [unicodedata.normalize("NFC", line.strip()) for line in text.splitlines() if line.strip()]
