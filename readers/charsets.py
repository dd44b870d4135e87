"""Which characters are asked for: a named set, a text file, or the characters themselves."""

import string
from pathlib import Path

from common.errors import InputError
from common.text import plural

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


def read_characters(text: str) -> list[str]:
    """Return the characters of a named set of SETS, of a UTF-8 text file (.txt), or those of the text itself.

    Each comes once, in the order of the first; blanks are left out.

    Raises:
        InputError: fewer than two characters, too many, or a file that cannot be read.
    """
    where = "characters"
    if text in SETS:
        text = SETS[text]()
    elif text.lower().endswith(".txt"):
        where, text = text, _read_text(Path(text))
    found = [one for one in dict.fromkeys(text) if not one.isspace() and one.isprintable()]
    if not 2 <= len(found) <= MOST_CHARACTERS:
        raise InputError(
            f"{where} has {plural(len(found), 'different character')}: give from 2 to {MOST_CHARACTERS}, as a text, as "
            f"the path of a UTF-8 file that ends in .txt, or as one of {', '.join(SETS)}"
        )
    return found


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
