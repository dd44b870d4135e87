"""The ways to write a character: our own of digits and letters, and those of public stroke data."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

from common.errors import InputError
from readers import hanzi, kanjivg
from readers.drawn import read_skeletons
from readers.skeleton import Skeleton, make_skeleton

VARIANTS = Path(__file__).with_name("variants.txt")
OURS = "fit_char's own"
# Chinese characters that Japan writes in another form have this share of Japanese ones.
JAPANESE_SHARE = 0.5
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
        self.folder, self.path = kanjivg.find_folder(), hanzi.find_path(hanzi_path)
        self.kanjivg = {one: kanjivg.read_files(self.folder, one) if self.folder else {} for one in characters}
        self.hanzi = hanzi.read_files(self.path, characters) if self.path else {}
        missing = [one for one in characters if not (one in self.ours or self.kanjivg[one] or one in self.hanzi)]
        if missing:
            raise InputError(self._explain(missing))

    def _explain(self, missing: list[str]) -> str:
        names = ", ".join(f"{one} (U+{ord(one):04X})" for one in missing[:20])
        if self.folder is None:
            remedy = "pip install kanjivg, which has kanji, kana, letters and digits"
        elif self.path is None:
            remedy = f"npm pack hanzi-writer-data, which has Chinese ones, and set {hanzi.VARIABLE} to the .tgz"
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
            make_skeleton(strokes, [()] * len(strokes), share)
            for component in self.ours.get(character, [])
            for share, strokes in component
        ]
        is_chinese = character in self.hanzi
        for variant, data in self.kanjivg[character].items():
            share = kanjivg.VARIANTS[variant] * (JAPANESE_SHARE if is_chinese else 1)
            ways.append(_parse(kanjivg.parse, data, share, f"{character}{variant} of {self.folder}"))
        if is_chinese:
            ways.append(_parse(hanzi.parse, self.hanzi[character], 1.0, f"{character} of {self.path}"))
        return ways


def _parse(parse: Parse, data: bytes, share: float, name: str) -> Skeleton:
    try:
        return parse(data, share)
    except InputError as error:
        raise InputError(f"{name}: {error}: install or download the data again") from None
