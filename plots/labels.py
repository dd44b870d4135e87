"""Names in figures: fonts for them, and labels that differ from each other."""

import logging
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache

from matplotlib.font_manager import FontProperties, findfont, findSystemFonts, fontManager, get_font
from matplotlib.ft2font import FT2Font

log = logging.getLogger("fit_char")
LONGEST = 12  # letters of a label, unless it needs more to differ from the others
# Font families with Chinese characters of Linux, Windows and macOS.
CJK = ("Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei",
       "WenQuanYi Zen Hei", "Microsoft YaHei", "SimHei", "PingFang SC", "PingFang HK", "Hiragino Sans GB", "Heiti TC",
       "Arial Unicode MS", "Droid Sans Fallback")  # fmt: skip


@cache
def font_families() -> tuple[str, ...]:
    """Return the font families of text in figures, each for the glyphs that those before it lack."""
    logging.getLogger("matplotlib.font_manager").addFilter(_is_no_remark_on_weight)
    if not _installed_cjk():
        _add_new_fonts()
    return ("DejaVu Sans", *_installed_cjk())


def _is_no_remark_on_weight(record: logging.LogRecord) -> bool:
    """Return whether a line of matplotlib's does not say that a font has another weight, as WenQuanYi Zen Hei has."""
    return "find font weight" not in str(record.msg)


def _installed_cjk() -> list[str]:
    installed = {font.name for font in fontManager.ttflist}
    return [name for name in CJK if name in installed]


def _add_new_fonts() -> None:
    """Let matplotlib know the fonts that were installed after it made its cache."""
    for path in set(findSystemFonts()) - {font.fname for font in fontManager.ttflist}:
        try:
            fontManager.addfont(path)
        except Exception as error:  # a damaged font is none of the user's data: FreeType has errors of several types
            log.debug("%s is not used as a font: %s", path, error)


@cache
def _glyphs() -> dict[int, FT2Font]:
    """Return the code points that these fonts have, and the font that draws each."""
    fonts = [get_font(findfont(FontProperties(family=name))) for name in font_families()]
    return {code: font for font in reversed(fonts) for code in font.get_charmap()}


def is_drawable(letter: str) -> bool:
    """Return whether a character can be seen in a figure."""
    return letter.isprintable() and ord(letter) in _glyphs()


@cache
def _advise_on_fonts() -> None:
    """Say once which font to install."""
    log.warning(
        "No installed font has some characters of these names: figures show their code points, such as U+4E2D. For "
        "Chinese, Japanese and Korean, install Noto Sans CJK (Debian and Ubuntu: apt install fonts-noto-cjk; others: "
        "https://fonts.google.com/noto) and start Python again."
    )


def class_labels(classes: Sequence[str]) -> list[str]:
    """Return a label for each class that cannot be taken for another class's label or name.

    It is the name, if that is short and there are glyphs for it. Characters without a glyph become their code points;
    long names are shortened in the middle, at the start or at the end; what is still ambiguous gets the class's index.

    Args:
        classes: names of all C classes.
    """
    return list(_class_labels(tuple(classes)))


@lru_cache(maxsize=4)  # a canvas draws after every stroke
def _class_labels(classes: tuple[str, ...]) -> tuple[str, ...]:
    candidates = [_candidates(name, k) for k, name in enumerate(classes)]
    counts: Counter[tuple] = Counter()
    for labels in candidates:
        counts.update({_appearance(label) for label in labels})
    return tuple(next(label for label in labels if counts[_appearance(label)] == 1) for labels in candidates)


def _candidates(name: str, k: int) -> list[str]:
    """Return possible labels of class k, the best first; the last cannot be another class's."""
    missing = {letter for letter in name if not is_drawable(letter)}
    if any(letter.isprintable() for letter in missing):
        _advise_on_fonts()
    spelled = {ord(letter): f"U+{ord(letter):04X}" for letter in missing | {"…"}}  # … is for shortened names alone
    text = name.translate(spelled).strip()
    if len(text) > LONGEST:
        rest = LONGEST - 1
        labels = [f"{text[:head]}…{text[len(text) - rest + head :]}" for head in (rest // 2 + 1, 0, rest)]
    else:
        labels = [text] if text else []
    return [*labels, f"{text[:6] or 'no name'}… (class {k})"]


def _appearance(label: str) -> tuple:
    """Return what is seen of a label, so that the Latin, Greek and Cyrillic A are the same."""
    return tuple(_outline(letter) for letter in unicodedata.normalize("NFC", label))


@cache
def _outline(letter: str) -> bytes | str:
    font = _glyphs().get(ord(letter))
    if font is None or letter == " ":
        return letter
    font.set_size(12, 72)
    font.load_char(ord(letter))
    return font.get_path()[0].tobytes()


def file_title(name: str) -> str:
    """Return the end of a file's name as a title, with ? for characters that no font has."""
    name = name if len(name) <= 18 else f"…{name[-17:]}"
    return "".join(letter if is_drawable(letter) else "?" for letter in name)


def text_width(text: str, size: float = 9) -> float:
    """Return about how many inches a line of text takes at a font size in points."""
    return sum(1 if unicodedata.east_asian_width(letter) in "WF" else 0.6 for letter in text) * size / 72
