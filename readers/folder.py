"""A folder or a .zip with one sub-folder of images per class."""

import re
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from PIL import Image
from tqdm import tqdm

from common.errors import InputError
from imaging.decoding import IMAGE_SUFFIXES, decode
from readers.container import Container, open_container
from readers.source import Sample, Source


def natural_key(name: str) -> tuple:
    """Return a sort key that puts 2 before 10; no two names have the same."""
    parts = ((part, part.lstrip("0")) for part in re.split(r"(\d+)", name) if part)
    return [(0, len(digits), digits) if part.isdecimal() else (1, 0, part) for part, digits in parts], name


def is_image(name: str) -> bool:
    """Return whether a file's name is that of an image."""
    return Path(name).suffix.lower() in IMAGE_SUFFIXES


class FolderSource(Source):
    """A folder or a .zip with one sub-folder of images per class.

    One more level above the classes is fine. If it holds both `train` and `test`, images have these parts. A
    `classes.txt` beside or above the classes, one name per line in natural order, gives the classes their names.

    Raises:
        InputError: no image, no sub-folder per class, or a classes.txt that does not fit.
    """

    def __init__(self, path: Path):
        super().__init__()
        self.name = f"{path.name} (raw images)"
        self.container = open_container(path)
        self._prefix, self._test_prefix = _find_classes(path, self.container.names)
        below = [n[len(self._prefix) :] for n in self.container.names if n.startswith(self._prefix)]
        folders = sorted({name.split("/")[0] for name in below if "/" in name}, key=natural_key)
        self.folders = {folder: label for label, folder in enumerate(folders)}
        self._names_file = self._find_names_file()
        self.classes = _read_class_names(self.container, self._names_file, folders) if self._names_file else folders
        self._images, self._strays = self._sort_names()

    @classmethod
    def accepts(cls, path: Path) -> bool:
        return path.is_dir() or path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)

    def _find_names_file(self) -> str | None:
        """Return the classes.txt nearest above the classes."""
        above = self._prefix.split("/")[:-1]
        candidates = ["/".join([*above[:k], "classes.txt"]) for k in range(len(above), -1, -1)]
        return next((name for name in candidates if name in self.container.names), None)

    def _sort_names(self) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
        """Return (name, path below its part, part) per image, and (name, reason) per file that is none of a class."""
        images: list[tuple[str, str, str]] = []
        strays: list[tuple[str, str]] = []
        for name in sorted(self.container.names, key=natural_key):
            if name.endswith("/") or name == self._names_file:
                continue
            in_test = self._test_prefix is not None and name.startswith(self._test_prefix)
            start = self._test_prefix if in_test else self._prefix
            path = name[len(start or "") :]
            if not is_image(name):
                strays.append((name, "not an image's name"))
            elif not name.startswith(start or "") or path.count("/") != 1 or path.split("/")[0] not in self.folders:
                strays.append((name, "not in a class folder"))
            elif in_test:
                images.append((name, path, "test"))
            else:
                images.append((name, path, "train"))
        return images, strays

    def stamp(self) -> object:
        return self.container.stamp

    def sizes(self) -> Counter[tuple[int, int]]:
        sizes: Counter[tuple[int, int]] = Counter()
        for name, _, _ in self._images:
            try:
                with self.container.open(name) as file, Image.open(file) as image:
                    sizes[image.size] += 1
            except Exception:  # iteration will say why it cannot be read
                continue
        return sizes

    def __len__(self) -> int:
        return len(self._images)

    def __iter__(self) -> Iterator[Sample]:
        damaged: list[tuple[str, str]] = []
        self.modes.clear()
        for name, path, part in tqdm(self._images, desc=f"reading {self.container.path.name}", unit="file", delay=1):
            try:
                image, mode = decode(self.container.read(name))
            except Exception as error:  # Pillow's decoders raise nearly anything for damaged files
                damaged.append((name, f"{type(error).__name__}: {error}"))
                continue
            self.modes[mode] += 1
            file = f"test/{path}" if part == "test" else path  # the training part may have the same name
            yield Sample(image, self.folders[path.split("/")[0]], file, part)
        self.skipped = damaged + self._strays
        if len(damaged) > len(self) / 2:
            name, reason = damaged[0]
            raise InputError(
                f"{len(damaged)} of the {len(self)} images in {self.container.path} cannot be read, the first {name} "
                f"({reason})"
            )


def _find_classes(path: Path, names: list[str]) -> tuple[str, str | None]:
    """Return the prefixes of the classes' folder and of the test images' one: "", "train/", "test/" …"""
    images = [name for name in names if is_image(name)]
    if not images:
        suffixes = ", ".join(sorted(IMAGE_SUFFIXES))
        raise InputError(f"{path} holds no image: put one sub-folder per class in it, with {suffixes}")
    depths = {name.count("/") for name in images}
    first = {name.split("/")[0] + "/" for name in images}
    if min(depths) > 2 and len(first) == 1:  # train/ and test/, zipped in one folder
        (top,) = first
        train, test = _find_classes(path, [name[len(top) :] for name in images])
        return top + train, None if test is None else top + test
    if 1 in depths:
        return "", None
    tops = {name.split("/")[0].lower(): name.split("/")[0] + "/" for name in images if name.count("/") == 2}
    if len(tops) == 1:
        return next(iter(tops.values())), None
    if set(tops) == {"train", "test"}:
        return tops["train"], tops["test"]
    raise InputError(
        f"{path} does not have one sub-folder per class (or train/ and test/ above the classes): "
        f"it has images at depths {sorted(depths)} below {sorted(tops) or 'itself'}"
    )


def _read_class_names(container: Container, names_file: str, folders: list[str]) -> list[str]:
    """Return the names of the classes from classes.txt."""
    try:
        lines = container.read(names_file).decode("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise InputError(f"{container.path}: classes.txt is not UTF-8: save it again in that encoding") from None
    except Exception as error:  # nearly anything from a damaged archive
        raise InputError(f"{container.path}: classes.txt cannot be read: {error}") from None
    classes = [line.strip() for line in lines if line.strip()]
    if len(classes) != len(folders) or len(set(classes)) != len(classes):
        raise InputError(
            f"{container.path}: classes.txt names {len(set(classes))} different classes for {len(folders)} folders: "
            f"write one name per line, in the order {', '.join(folders[:20])}"
        )
    return classes
