"""Which characters are asked for: a named set, a text file, or the characters themselves."""

import os
import re
import string
import unicodedata
from difflib import get_close_matches
from pathlib import Path

from common.errors import InputError
from common.text import compose, plural

MOST_CHARACTERS = 30_000
MOST_BYTES = 2**20  # of a text file


def _rows(encoding: str, first: int, last: int) -> str:
    """Return the characters in these rows of a character set of 94 by 94, in its order."""
    cells = (bytes([0xA0 + row, 0xA0 + cell]) for row in range(first, last + 1) for cell in range(1, 95))
    return "".join(cell.decode(encoding, "ignore") for cell in cells)


def _kana(first: str, last: str, without: str) -> str:
    return "".join(chr(code) for code in range(ord(first), ord(last) + 1) if chr(code) not in without)


# Small kana are left out: only their size tells them from the others.
SETS = {
    "digits": lambda: string.digits,
    "latin": lambda: string.ascii_uppercase + string.ascii_lowercase,
    "hiragana": lambda: _kana("あ", "ん", "ぃぅぇぉっゃゅょゎゐゑ"),
    "katakana": lambda: _kana("ア", "ン", "ィゥェォッャュョヮヰヱ"),
    "gb2312-1": lambda: _rows("gb2312", 16, 55),  # level 1: the 3,755 most frequent, in order of their sound
    "jis-1": lambda: _rows("euc_jp", 16, 47),  # level 1 of JIS X 0208: 2,965 kanji
}

NAMES = {name: name for name in SETS} | {
    "letters": "latin", "alphabet": "latin", "kanji": "jis-1", "hanzi": "gb2312-1", "chinese": "gb2312-1",
}  # fmt: skip
BLANKS = ("Zs", "Zl", "Zp", "Cc", "Cf")  # categories of Unicode: spaces, controls, marks such as a soft hyphen


def read_characters(text: str) -> list[str]:
    """Return the characters of a named set of SETS, of a UTF-8 text file (.txt), or those of the text itself.

    Each comes once, in the order of the first; blanks and control characters are left out. Characters are composed
    (NFC), as names of folders are: か and a voiced sound mark are が.

    Raises:
        InputError: fewer than two characters, too many, a file that cannot be read, or a text that seems to be the name
            of a set or a file, but is not.
    """
    where = "characters"
    if text.strip().lower() in SETS:
        text = SETS[text.strip().lower()]()
    elif text.lower().endswith(".txt"):
        where, text = text, _read_text(Path(text))
    else:
        _check_no_name(text)
    composed = compose(text)
    found = [one for one in dict.fromkeys(composed) if unicodedata.category(one) not in BLANKS]
    if not 2 <= len(found) <= MOST_CHARACTERS:
        raise InputError(
            f"{where} has {plural(len(found), 'different character')}: give from 2 to {MOST_CHARACTERS}, as a text, as "
            f"the path of a UTF-8 file that ends in .txt, or as one of {', '.join(SETS)}"
        )
    return found


def _check_no_name(text: str) -> None:
    """Raise InputError for a text that is nearly the name of a set, or that of a file: its letters are not meant."""
    if text.isascii() and (near := get_close_matches(text.strip().lower(), NAMES, n=1, cutoff=0.7)):
        raise InputError(f"characters is {text!r}, no set of characters: did you mean {NAMES[near[0]]!r}?")
    if os.path.isfile(text) or re.search(r"\w\.[A-Za-z]{2,4}$", text):
        raise InputError(f"characters is {text!r:.200}, no .txt: save the characters as a UTF-8 file that ends in .txt")


def _read_text(path: Path) -> str:
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise InputError(f"{path} is larger than {MOST_BYTES} bytes: give a text with each character once")
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not UTF-8: save it as a UTF-8 text of the characters") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}): give a UTF-8 text of the characters") from None
