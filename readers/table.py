"""A table of image files and their labels: CSV, TSV or parquet."""

import os
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from common.errors import InputError
from common.text import compose
from imaging.decoding import is_image, read_file
from readers.arrays import assign_parts, find_part
from readers.cells import read_cells
from readers.images import ImageFiles
from readers.layout import natural_key
from readers.source import Sample, Source

SUFFIXES = {".csv", ".tsv", ".tab", ".parquet"}
NAMES = {  # of columns, in lower case without spaces, "-" and "_"
    "path": "path file filename filepath image imagepath imagefile imagename img imgpath 文件 文件名 路径 图像 图片",
    "label": "label labels class classname character char target y category text 标签 类别 字 字符 汉字",
    "group": "group writer writerid author subject user userid 书写者 作者",
    "part": "part split fold set subset partition usage",
}
MAX_FOLDERS = 50  # beside the table, in which its paths are looked for
TRIED = 50  # rows by which the column of paths is known, and files by which their suffixes are
MAX_DROPPED = 12  # folders at the beginning of a path that are not here


@dataclass(frozen=True)
class Spelling:
    """How the paths in a table differ from those of the files: folders of another machine before them, no suffix.

    Attributes:
        dropped: number of folders at the beginning that are not here.
        suffix: that the files have in addition.
    """

    dropped: int = 0
    suffix: str = ""

    def apply(self, path: str) -> str:
        """Return a path as the file's, with / also if Windows wrote it; "" if nothing is left of it."""
        parts = path.replace("\\", "/").removeprefix("./").split("/")
        below = "/".join(parts[self.dropped :])
        return below and below + self.suffix

    def notes(self) -> list[str]:
        """Return a sentence on what was decided, if anything."""
        if self.dropped:
            first = "folder" if self.dropped == 1 else f"{self.dropped} folders"
            return [f"the files are found without the first {first} of their paths"]
        return [f"the files are named without their suffix, {self.suffix}"] if self.suffix else []


@dataclass(frozen=True, slots=True)
class Row:
    """An image as the table describes it: its path, label, writer and part; the last two may be empty."""

    file: str
    label: str
    group: str = ""
    part: str = ""


class TableSource(Source):
    """The images that a CSV, TSV or parquet file names, with their labels, which are text: "01" is not "1".

    The column of paths is the one whose files exist, relative to the table, to a folder beside it or to the folder
    above; or would, without the first folders, which are another machine's, or with a suffix. The others have one of
    NAMES; without such a name, the only other column has the labels.

    Args:
        path: the table, or a folder of images with one table in it.
        channels: see `Source`.

    Raises:
        InputError: the table cannot be read, no column has paths or labels, or most of the images cannot be read.
    """

    def __init__(self, path: Path, channels: int = 1):
        super().__init__(channels)
        self.path = path if path.is_file() else find_tables(path)[0]
        self.name = self.path.name
        cells = read_cells(self.path)
        path_column, self._root, spelling = self._find_paths(cells)
        has_header = not any(is_image(cell) or _is_file(self._root, spelling.apply(cell)) for cell in cells[0])
        rows = cells[1:] if has_header else cells
        width = max(map(len, cells), default=0)
        names = [simplify(name) for name in cells[0]] if has_header else []
        names += [""] * (width - len(names))
        columns = {"path": path_column} | self._find_columns(names, path_column)
        if "part" in columns and not any(find_part(row[columns["part"]]) for row in rows if len(row) == width):
            self.notes.append(f"column {cells[0][columns.pop('part')]!r} names no part such as train or test: not used")
        self._rows, self._strays = _sort_rows(rows, columns, spelling)
        self.notes += spelling.notes()
        self.skipped = list(self._strays)
        self._decided = self.notes
        files = [row.file for row in self._rows]
        self._images = ImageFiles(self.name, files, lambda file: read_file(_join(self._root, file)), channels)
        self.modes = self._images.modes
        labels = sorted({row.label for row in self._rows})  # 01 and 1 have the same natural key
        self.classes = sorted(labels, key=natural_key)
        self._parts = assign_parts([row.part for row in self._rows])

    @classmethod
    def accepts(cls, path: Path) -> bool:
        if not path.is_dir():
            return path.suffix.lower() in SUFFIXES
        if len(find_tables(path)) != 1:
            return False
        folders = {file.parent.name for file in path.glob("*/*") if is_image(file.name)}
        return len(folders) < 2 or all(map(find_part, folders))

    def _find_paths(self, cells: list[list[str]]) -> tuple[int, Path, Spelling]:
        """Return the column whose cells name the most files, the folder that they are relative to, and how they do."""
        tried = cells[:: len(cells) // TRIED + 1] + cells[1:2]  # also the first row below the header
        folder = self.path.parent
        beside = sorted(entry for entry in folder.iterdir() if entry.is_dir())[:MAX_FOLDERS]
        roots = (folder, *beside, folder.parent)
        for spelling in _spellings([folder, *beside]):
            hits = {}  # root → the column with the most files, and how many that are
            for root in roots:
                found = Counter(
                    k for row in tried for k, cell in enumerate(row) if cell and _is_file(root, spelling.apply(cell))
                )
                if found and (spelling == Spelling() or _may_be_paths(cells, found.most_common(1)[0][0], spelling)):
                    hits[root] = found.most_common(1)[0]
            if hits:
                root = self._choose_root([root for root in hits if hits[root][1] == max(n for _, n in hits.values())])
                return hits[root][0], root, spelling
        example = ", ".join(cells[1]) if len(cells) > 1 else "no row"
        raise InputError(f"{self.path} has no column of files that are in {folder}: the first row is {example:.200}")

    def _choose_root(self, roots: list[Path]) -> Path:
        """Return the one of several folders, with files of the same names, of whose files the table speaks."""
        part = find_part(self.path.stem)
        own = [root for root in roots if part and find_part(root.name) == part]
        nearest = [root for root in roots if root == self.path.parent] or own or roots
        if len(nearest) > 1:
            names = " and ".join(f"{root.name}/" for root in nearest[:3])
            raise InputError(
                f"{self.path} does not tell whose files it lists, as {names} have files of the same names: begin each "
                "path with the folder, or move the table into it"
            )
        return nearest[0]

    def _find_columns(self, names: list[str], path_column: int) -> dict[str, int]:
        """Return "label" and, if they are there, "group" and "part" → the number of the column."""
        columns: dict[str, int] = {}
        free = [k for k in range(len(names)) if k != path_column]
        for kind in ("label", "group", "part"):
            known = [k for name in NAMES[kind].split() for k in free if names[k] == name]
            columns |= {kind: known[0]} if known else {}
        if "label" not in columns:
            free = [k for k in free if k not in columns.values() and names[k] not in NAMES["path"].split()]
            if len(free) != 1:
                raise InputError(f"{self.path} has {len(free)} columns that may hold labels: name one of them 'label'")
            columns["label"] = free[0]
        return columns

    @property
    def where(self) -> Path:
        return self.path

    def share(self, start: int, stop: int) -> Source:
        images = self._images.share(start, stop)
        rows = self._rows[start:stop]
        parts = self._parts[start:stop]
        return self._share(_images=images, modes=images.modes, _rows=rows, _parts=parts, _strays=[], _decided=[])

    def stamp(self) -> object:
        paths = [str(self.path), *(_join(self._root, row.file) for row in self._rows)]
        found = [os.stat(path) for path in paths if os.path.isfile(path)]
        return [(stat.st_size, stat.st_mtime_ns) for stat in found]

    def __len__(self) -> int:
        return len(self._rows)

    def __iter__(self) -> Iterator[Sample]:
        labels = {name: label for label, name in enumerate(self.classes)}
        for i, image in self._images:
            row = self._rows[i]
            yield Sample(image, labels[row.label], row.file, self._parts[i], row.group)
        self.skipped = self._images.damaged + self._strays
        self.notes, self.counts = self._decided + self._images.notes, self._images.counts
        self.check_damaged(self._images.damaged)


def find_tables(folder: Path) -> list[Path]:
    """Return the tables in a folder, sorted."""
    files = (file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES and not file.name.startswith("."))
    return sorted(file for file in files if file.is_file())


def simplify(name: str) -> str:
    """Return the name of a column as it is compared with those in NAMES."""
    return re.sub(r"[\s_-]", "", name.lower())


def _spellings(folders: list[Path]) -> Iterator[Spelling]:
    """Yield the ways in which paths may be spelled, given the folders that the files may be in; as they are first."""
    yield Spelling()
    yield from (Spelling(dropped) for dropped in range(1, MAX_DROPPED + 1))
    names = (entry.name for folder in folders for entry in islice(os.scandir(folder), TRIED))
    yield from (Spelling(0, suffix) for suffix in sorted({Path(name).suffix for name in names if is_image(name)}))


def _may_be_paths(cells: list[list[str]], column: int, spelling: Spelling) -> bool:
    """Return whether a column may have paths of another spelling: they differ, also as ours, and are no labels."""
    paths = [row[column] for row in cells if len(row) > column]
    differ = len(set(map(spelling.apply, paths))) == len(paths)
    return differ and simplify(paths[0]) not in NAMES["label"].split()


def _join(root: Path, path: str) -> str:
    return os.path.join(root, path)


def _is_file(root: Path, path: str) -> bool:
    return bool(path) and os.path.isfile(_join(root, path))


def _sort_rows(
    cells: list[list[str]], columns: dict[str, int], spelling: Spelling
) -> tuple[list[Row], list[tuple[str, str]]]:
    """Return the rows that describe an image, each file once, and (file, reason) per other row."""
    rows: dict[str, Row] = {}
    strays = []
    labels = {line[columns["label"]] for line in cells if len(line) > columns["label"]} - {""}
    are_whole = all(
        re.fullmatch(r"-?\d+(\.0+)?", label) for label in labels
    )  # pandas writes 1 as 1.0 if one is missing
    for number, line in enumerate(cells, 1):
        values = {kind: line[k] if k < len(line) else "" for kind, k in columns.items()}
        file = spelling.apply(values.pop("path"))
        if not file or not values["label"]:
            strays.append((file or f"row {number}", "no label" if file else "no path"))
        elif values.get("part") and find_part(values["part"]) is None:
            strays.append((file, f"its part, {values['part']!r:.100}, is neither train, val nor test"))
        elif file in rows:
            again, first = (f"{name!r:.100}" for name in (values["label"], rows[file].label))
            strays.append((file, f"listed again with the label {again}, first with {first}"))
        else:
            label = values["label"].partition(".")[0] if are_whole else compose(values["label"])
            rows[file] = Row(file, **values | {"label": label})
    return list(rows.values()), strays
