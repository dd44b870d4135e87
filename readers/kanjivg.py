"""Read KanjiVG, strokes of Japanese characters, kana, letters and digits as SVG paths (Ulrich Apel, CC BY-SA 3.0)."""

import io
import re
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from common.errors import InputError
from readers.skeleton import GRID, MOST_POINTS, MOST_STROKES, Skeleton, make_skeleton

LICENCE = "KanjiVG (Ulrich Apel, CC BY-SA 3.0)"
SIDE = 109.0  # units per side of its drawings
MOST_BYTES = 2**18  # of a file; the largest has 8 kB
VARIANTS = {"": 1.0, "-Kaisho": 1.0}  # ending of a file's name → share; Kaisho is written, not printed
TOKEN = re.compile(r"([MmLlHhVvCcSsZz])|([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|[\s,]+|(.)", re.DOTALL)
TAKES = {"m": 2, "l": 2, "h": 1, "v": 1, "c": 6, "s": 4, "z": 0}  # numbers per command


def find_folder() -> Path | None:
    """Return the folder of the installed package's drawings, or None if it is not installed."""
    try:
        folder = Path(str(metadata.distribution("kanjivg").locate_file("kanji")))
    except metadata.PackageNotFoundError:
        return None
    return folder if folder.is_dir() else None


def read_files(folder: Path, character: str) -> dict[str, bytes]:
    """Return ending of the name → content of the files of a character, none if the folder does not hold it.

    Raises:
        InputError: a file is too large.
    """
    files = {}
    for variant in VARIANTS:
        path = folder / f"{ord(character):05x}{variant}.svg"
        if path.is_file():
            if path.stat().st_size > MOST_BYTES:
                raise InputError(f"{path} is no drawing of KanjiVG: it is larger than {MOST_BYTES} bytes")
            files[variant] = path.read_bytes()
    return files


def parse(data: bytes, share: float = 1.0) -> Skeleton:
    """Return the skeleton in an SVG file of KanjiVG.

    Raises:
        InputError: it is damaged, or declares entities.
    """
    try:
        text = data.decode()
        if len(data) > MOST_BYTES or "<!ENTITY" in text:
            raise InputError("it is too large, or declares entities")
        strokes, components = [], []
        inside: list[int] = []
        for number, (event, element) in enumerate(ElementTree.iterparse(io.StringIO(text), ("start", "end"))):
            name = element.tag.rpartition("}")[2]
            if event == "start" and name == "g":
                inside.append(number)
            elif event == "end" and name == "g":
                inside.pop()
            elif event == "start" and name == "path":
                strokes.append(flatten(element.get("d", "")) * (GRID / SIDE))
                components.append(tuple(inside[2:]))  # the first two hold all strokes
            if len(strokes) > MOST_STROKES or len(inside) > MOST_STROKES:
                raise InputError("it has too many strokes or groups")
    except (ElementTree.ParseError, UnicodeDecodeError) as error:
        raise InputError(f"it is damaged ({error})") from None
    return make_skeleton(strokes, components, share)


def flatten(path: str, parts: int = 8) -> np.ndarray:
    """Return the points float64 (P, 2) of an SVG path of lines and cubic curves, `parts` per curve.

    Raises:
        InputError: another command, or a number that is missing.
    """
    points: list[np.ndarray] = []
    at = handle = np.zeros(2)
    for command, numbers in _commands(path):
        kind = command.lower()
        base = at if command.islower() else np.zeros(2)
        if kind in "hv":
            other = at.copy()
            other["hv".index(kind)] = base["hv".index(kind)] + numbers[0]
            curve = other[None]
        else:
            curve = base + np.array(numbers, dtype=np.float64).reshape(-1, 2)
        if kind in "cs":
            first = curve[0] if kind == "c" else 2 * at - handle
            handle, end = curve[-2], curve[-1]
            t = (np.arange(1, parts + 1) / parts)[:, None]
            u = 1 - t
            points.append(u * u * u * at + 3 * (u * u * t * first + u * t * t * handle) + t * t * t * end)
        else:
            points.append(curve)
            handle = curve[-1]
        at = curve[-1]
    if not points:
        raise InputError("a stroke has no points")
    return np.concatenate(points)


def _commands(path: str) -> list[tuple[str, list[float]]]:
    """Return the commands of an SVG path, each with the numbers that it takes."""
    commands: list[tuple[str, list[float]]] = []
    command = ""
    numbers: list[float] = []
    for letter, number, other in TOKEN.findall(path[: 20 * MOST_POINTS]):
        if other or (letter and numbers) or (number and TAKES.get(command.lower(), 0) == 0):
            raise InputError(f"a path cannot be read: {path!r:.60}")
        if letter:
            command = letter
        elif number:
            numbers.append(float(number))
            if len(numbers) == TAKES[command.lower()]:
                commands.append((command, numbers))
                numbers = []
                command = {"m": "l", "M": "L"}.get(command, command)  # further points of a move are lines
    if numbers:
        raise InputError(f"a path ends within a command: {path!r:.60}")
    return commands
