"""Which folders are classes, which writers, and which the parts of the user's own split, from the files' names."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

from common.errors import InputError
from common.text import compose, first_names
from readers.source import part_of

WRITER = re.compile(
    r"(w|wr|s|p)[ _-]?\d+|(writer|student|subject|person|participant|user|author)[ _-]*\w+|\d+-\w", re.I
)
MOST = 0.95  # of a part's images: a folder that holds as many tells nothing about them, and what is beside it is stray
RECURS = 1.5  # writers per class, and classes per writer, on average: otherwise the folders are not writers and classes
REMEDY = "put the images of each class into one sub-folder, named after the class"
FLAT = f"{REMEDY}, list them in a CSV of path and label, or set labels_from='{{label}}_*' if the files are named so"


@dataclass(frozen=True)
class Place:
    """Where an image belongs.

    Attributes:
        name: the file's name in the container.
        folders: those above it that tell something, without that of the part.
        part: "train", "val", "test", or "" for an image beside these.
        label: index of its class.
        writer: "" if unknown.
    """

    name: str
    folders: tuple[str, ...]
    part: str = "train"
    label: int = -1
    writer: str = ""

    @property
    def file(self) -> str:
        """The name that it has within the source: that in the container, without the folders that tell nothing."""
        below = "/".join([*self.folders, self.name.rsplit("/", 1)[-1]])
        return below if self.part == "train" else f"{self.part}/{below}"


class Layout:
    """What the folders above images are, decided by the majority of the images.

    Folders of the user's own split (train, val, test) may be at any level. What is left is a class, or a writer above
    or below a class; a folder that holds all images tells nothing. Images that lie elsewhere are skipped.

    Args:
        path: the folder or .zip, for messages.
        images: names of the image files in it.
        others: names of its other files and, with a trailing slash, of its folders: an empty one is a class, too.

    Attributes:
        places: of the images.
        classes: the names of their folders, in label order.
        folders: a folder of each class, relative to the path.
        skipped: (name, reason) of the images that have no class.
        notes: sentences on what was decided.

    Raises:
        InputError: most images are in no class folder, no training part, or folders that cannot be told apart.
    """

    def __init__(self, path: Path, images: list[str], others: list[str]):
        self.path = path
        self.skipped: list[tuple[str, str]] = []
        self.notes: list[str] = []
        self._part_level = self._find_parts([_folders(name) for name in images])
        self.places = [self._place(name) for name in images]
        self._keep(lambda place: place.part != "", "beside the folders of the training, validation and test images")
        self._depth = self._find_depth()
        self._keep(lambda place: len(place.folders) == self._depth, "in no class folder: move it into one")
        self._usual = self._find_usual()
        self._keep(self._is_usual, "not where the other images are")
        self._class_level, self._writer_level = self._find_writers()
        self.classes, self.folders = self._find_classes(_without_images(images, others))
        self._finish()

    def _keep(self, fits: Callable[[Place], bool], reason: str) -> None:
        self.skipped += [(place.name, reason) for place in self.places if not fits(place)]
        self.places = [place for place in self.places if fits(place)]

    def _find_parts(self, above: list[tuple[str, ...]]) -> int | None:
        """Return the level at which most images are in folders named after parts, given the folders above each."""
        for level in range(max(map(len, above), default=0)):
            names = Counter(folders[level] for folders in above if len(folders) > level and part_of(folders[level]))
            parts = {part_of(name) for name in names}
            if 2 * names.total() <= len(above):
                continue
            if "train" in parts:
                return level
            if len(parts) == 2:
                raise InputError(f"{self.path} has {listed(names)} images, but no train/: add the training images")
            if names.total() == len(above):
                self.notes.append(f"the images in {listed(names)} are used for training, as there are no others")
        return None

    def _place(self, name: str) -> Place:
        folders = _folders(name)
        level = self._part_level
        if level is None:
            return Place(name, folders)
        if len(folders) <= level:
            return Place(name, folders, part="")
        return Place(name, folders[:level] + folders[level + 1 :], part=part_of(folders[level]) or "")

    def _find_depth(self) -> int:
        """Return how many folders are above most training images."""
        train = [place for place in self.places if place.part == "train"]
        depths = Counter(len(place.folders) for place in train)
        depth = max(depths, key=lambda depth: (depths[depth], depth))
        if depth == 0:
            raise InputError(f"{self.path} has images that are in no class folder, such as {train[0].name}: {FLAT}")
        return depth

    def _find_usual(self) -> dict[int, dict[str, str]]:
        """Return the levels whose folders tell nothing, with the one that holds nearly all images of each part."""
        names: dict[int, dict[str, Counter]] = {level: defaultdict(Counter) for level in range(self._depth)}
        for place in self.places:
            for level, folder in enumerate(place.folders):
                names[level][place.part][folder] += 1
        shares = {
            level: min(max(counts.values()) / counts.total() for counts in parts.values())
            for level, parts in names.items()
        }
        kept = max(level for level in shares if shares[level] == min(shares.values()))  # there are classes in any case
        return {
            level: {part: counts.most_common(1)[0][0] for part, counts in names[level].items()}
            for level, share in shares.items()
            if share >= MOST and level != kept
        }

    def _is_usual(self, place: Place) -> bool:
        above = dict(enumerate(place.folders))
        return all(above.get(level, usual[place.part]) == usual[place.part] for level, usual in self._usual.items())

    def _find_writers(self) -> tuple[int, int | None]:
        """Return the level of the classes and that of the writers, if there is one."""
        levels = [level for level in range(self._depth) if level not in self._usual]
        if len(levels) == 1:
            return levels[0], None
        pairs = {tuple(place.folders[level] for level in levels) for place in self.places}
        names = [sorted({pair[i] for pair in pairs}, key=natural_key) for i in range(len(levels))]
        by_name = [sum(WRITER.fullmatch(name) is not None for name in level) > len(level) / 2 for level in names]
        lengths = [median(map(len, level)) for level in names]
        writers = 0 if (by_name[0], lengths[0]) >= (by_name[1], lengths[1]) else 1
        recurring = len(pairs) >= RECURS * len(names[1 - writers])
        if len(levels) > 2 or not recurring or not (by_name[writers] or len(pairs) >= RECURS * len(names[writers])):
            shown = " and ".join(f"{'/'.join(pair)}/" for pair in sorted(pairs)[:2])
            raise InputError(f"{self.path} does not tell which folders are the classes, as in {shown}: {REMEDY}")
        if not by_name[writers] and _count_on(pairs):
            shown = " and ".join(f"{'/'.join(pair)}/" for pair in sorted(pairs, key=lambda pair: pair[::-1])[:2])
            raise InputError(
                f"{self.path} does not tell whether {shown} are of one class: if so, name the folders of the writers "
                f"writer_…; if not, {REMEDY}, or set labels_from='{{label}}_*' if the files are named so"
            )
        where = "above" if writers == 0 else "below"
        self.notes.append(
            f"the folders {where} the classes are writers, as the classes recur with them: {listed(names[writers])}"
        )
        return levels[1 - writers], levels[writers]

    def _find_classes(self, others: Iterable[str]) -> tuple[list[str], list[str]]:
        """Return names and folders of the classes; skip the images of those that have no training folder.

        Folders whose names are equal after Unicode normalization are of one class.
        """
        level = self._class_level
        train = [place for place in self.places if place.part == "train"]
        for place in map(self._place, others):
            if place.part == "train" and level < len(place.folders) <= self._depth and self._is_usual(place):
                train.append(place)
        folder_of = {compose(place.folders[level]): self._class_folder(place) for place in reversed(train)}
        classes = sorted(folder_of, key=natural_key)
        if len(classes) == 1:
            raise InputError(f"{self.path} has images of one class only, in {folder_of[classes[0]]}/: {REMEDY}")
        spellings = {place.folders[level] for place in [*self.places, *train]}
        for name, count in Counter(map(compose, spellings)).items():
            if count > 1:
                self.notes.append(f"{count} folders named {name}, differently encoded in Unicode, are one class")
        unknown = {compose(name) for name in spellings} - folder_of.keys()
        if unknown:
            self.notes.append(f"classes without a training folder are skipped: {listed(unknown)}")
        self._keep(lambda place: compose(place.folders[level]) in folder_of, "its class has no training folder")
        return classes, [folder_of[name] for name in classes]

    def _class_folder(self, place: Place) -> str:
        depth = self._class_level + 1
        if self._part_level is not None and self._part_level < depth:  # the part's folder is above the class
            depth += 1
        return "/".join(_folders(place.name)[:depth])

    def _finish(self) -> None:
        """Give the places their labels, writers and files."""
        labels = {name: label for label, name in enumerate(self.classes)}
        names: dict[str, str] = {}
        for i, place in enumerate(self.places):
            folders = place.folders
            self.places[i] = replace(
                place,
                folders=tuple(folder for level, folder in enumerate(folders) if level not in self._usual),
                label=labels[compose(folders[self._class_level])],
                writer="" if self._writer_level is None else folders[self._writer_level],
            )
            other = names.setdefault(self.places[i].file, place.name)
            if other != place.name:
                raise InputError(f"{self.path}: {other} and {place.name} are in the same part: rename one of the files")


def _count_on(pairs: Iterable[tuple[str, ...]]) -> bool:
    """Return whether the lower of two folders counts what is in the upper one, as character01, 02 … of Omniglot.

    Then most have another number of them than the others, which writers of the same characters do not.
    """
    below: dict[str, set[str]] = defaultdict(set)
    for upper, lower in pairs:
        below[upper].add(lower)
    names = sorted(set.union(*below.values()), key=natural_key)
    are_numbered = len({re.sub(r"\d+$", "", name) for name in names if name[-1].isdecimal()}) == 1
    from_first = all(own == set(names[: len(own)]) for own in below.values())
    return are_numbered and from_first and max(Counter(map(len, below.values())).values()) <= len(below) / 2


def natural_key(name: str) -> tuple:
    """Return a sort key that puts 2 before 10; no two names have the same."""
    parts = ((part, part.lstrip("0")) for part in re.split(r"(\d+)", name) if part)
    return [(0, len(digits), digits) if part.isdecimal() else (1, 0, part) for part, digits in parts], name


def _folders(name: str) -> tuple[str, ...]:
    """Return the folders above a file, or those that a folder's name with its trailing slash consists of."""
    return tuple(name.split("/")[:-1])


def _without_images(images: Iterable[str], others: Iterable[str]) -> Iterable[str]:
    """Return the names of files that are no images and of empty folders."""
    full = {
        "/".join(name.split("/")[:k]) + "/"
        for name in [*images, *others]
        for k in range(1, name.count("/") + 1)
        if not name.endswith("/")
    }
    return [name for name in others if name not in full]


def listed(names: Iterable[str]) -> str:
    """Return names in natural order, the first ten of them."""
    return first_names(sorted(names, key=natural_key), 10)
