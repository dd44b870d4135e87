"""The ways to write a character: our own of digits and letters, and those of public stroke data."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.text import first_names
from readers import hanzi, kanjivg
from readers.drawn import read_skeletons
from readers.skeleton import GRID, Skeleton, make_skeleton

VARIANTS = Path(__file__).with_name("variants.txt")
OURS = "fit_char's own"
# Chinese characters that Japan writes in another form have this share of Japanese ones.
JAPANESE_SHARE = 0.5
# Characters that no data holds: one part above the other, each of them in the data.
ABOVE = {"宬": "宀成"}
Parse = Callable[[bytes, float], Skeleton]


class StrokeData:
    """The files of the characters in the stroke data that are at hand.

    Args:
        characters: those to write.
        hanzi_path: the tarball or folder of hanzi-writer-data; None: what the environment variable names, if any.

    Raises:
        InputError: a character that no data holds, with the remedy; a tarball that cannot be read.
    """

    def __init__(self, characters: Sequence[str], hanzi_path: str | Path | None = None):
        self.ours = read_skeletons(VARIANTS)
        self.characters = list(characters)
        characters = list(dict.fromkeys(part for one in characters for part in (one, *ABOVE.get(one, ""))))
        self.folder, self.path = kanjivg.find_folder(), hanzi.find_path(hanzi_path)
        self.kanjivg = {one: kanjivg.read_files(self.folder, one) if self.folder else {} for one in characters}
        self.hanzi = hanzi.read_files(self.path, characters) if self.path else {}
        missing = [one for one in self.characters if not self._holds(one)]
        if missing:
            raise InputError(self._explain(missing))

    def _holds(self, character: str) -> bool:
        if character in self.ours or self.kanjivg[character] or character in self.hanzi:
            return True
        return character in ABOVE and all(map(self._holds, ABOVE[character]))

    def _explain(self, missing: list[str]) -> str:
        names = first_names([f"{one} (U+{ord(one):04X})" for one in missing])
        if self.path is not None and not self.hanzi:
            remedy = f"{self.path} has no file of any: give hanzi-writer-data's .tgz, or the folder of its .json files"
        elif self.folder is None:
            remedy = "pip install kanjivg, which has kanji, kana, letters and digits"
        elif self.path is None:
            remedy = "npm pack hanzi-writer-data, which has Chinese ones, and set hanzi_path to the .tgz"
        else:
            remedy = "leave them out of `characters`"
        return f"no strokes are known of {len(missing)} of the characters: {names}: {remedy}"

    @property
    def licences(self) -> list[str]:
        """The names and licences of the data that the characters are drawn from."""
        used = {kanjivg.LICENCE: any(self.kanjivg.values()), hanzi.LICENCE: bool(self.hanzi)}
        return [name for name, is_used in used.items() if is_used] or [OURS]

    def digest(self) -> str:
        """Return a hash of all files of these characters."""
        digest = hashlib.sha256(VARIANTS.read_bytes())
        for character, files in self.kanjivg.items():
            for data in (*files.values(), self.hanzi.get(character, b"")):
                digest.update(b"%d " % len(data) + data)
        return digest.hexdigest()

    def ways(self, character: str) -> list[Skeleton]:
        """Return the ways to write a character.

        Raises:
            InputError: a file is damaged.
        """
        ways = [
            make_skeleton([_curve(stroke) for stroke in strokes], [()] * len(strokes), share)
            for component in self.ours.get(character, [])
            for share, strokes in component
        ]
        is_chinese = character in self.hanzi
        for variant, data in self.kanjivg[character].items():
            share = kanjivg.VARIANTS[variant] * (JAPANESE_SHARE if is_chinese else 1)
            ways.append(_parse(kanjivg.parse, data, share, f"{character}{variant} of {self.folder}"))
        if is_chinese:
            ways.append(_parse(hanzi.parse, self.hanzi[character], 1.0, f"{character} of {self.path}"))
        if not ways:
            upper, lower = (self.ways(part) for part in ABOVE[character])
            ways = [_stack(one, other) for one in upper for other in lower]
        return ways


def _curve(points: np.ndarray) -> np.ndarray:
    """Return points with the blunt corners cut twice, so that those of a circle make one (Chaikin 1974)."""
    for _ in range(2):
        before, after = points[1:-1] - points[:-2], points[2:] - points[1:-1]
        along = (before * after).sum(1)
        blunt = along > 0.35 * np.sqrt((before * before).sum(1) * (after * after).sum(1))
        pieces = [points[:1]]
        for k, is_blunt in enumerate(blunt, 1):
            corner = points[k : k + 1]
            pieces.append(
                np.concatenate([corner - before[k - 1] / 4, corner + after[k - 1] / 4]) if is_blunt else corner
            )
        points = np.concatenate([*pieces, points[-1:]])
    return points


def _stack(upper: Skeleton, lower: Skeleton) -> Skeleton:
    """Return one skeleton above another, which share the square as their numbers of strokes suggest."""
    share = min(max(0.5 * len(upper.strokes) / len(lower.strokes) + 0.15, 0.25), 0.6)
    strokes: list[np.ndarray] = []
    for part, top, height in ((upper, 0.0, share), (lower, share, 1 - share)):
        points = np.concatenate(part.strokes)
        low, high = points.min(0), points.max(0)
        scale = np.minimum(0.86 * GRID * np.array([1.0, height]) / np.maximum(high - low, 1.0), 2.0)
        corner = GRID * np.array([0.07, top + 0.07 * height])
        strokes += [corner + (stroke - low) * scale for stroke in part.strokes]
    components = [(number, *names) for number, part in ((-1, upper), (-2, lower)) for names in part.components]
    return make_skeleton(strokes, components, upper.share * lower.share)


def _parse(parse: Parse, data: bytes, share: float, name: str) -> Skeleton:
    try:
        return parse(data, share)
    except InputError as error:
        raise InputError(f"{name}: {error}: install or download the data again") from None
