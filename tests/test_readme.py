"""The two READMEs say the same: their commands, their figures and their pictures."""

import re
from collections import Counter

from conftest import ROOT

ENGLISH, CHINESE = ((ROOT / name).read_text(encoding="utf-8") for name in ("README.md", "README.zh.md"))
BLOCK = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)


def test_the_same_commands_in_the_same_order():
    commands = [block for block in BLOCK.findall(ENGLISH) if "fit_char.ipynb        the main program" not in block]
    assert BLOCK.findall(CHINESE) == commands and len(commands) == 11


def test_the_same_figures():
    def figures(text: str) -> Counter:
        prose = re.sub(r"\]\([^)]*\)", "]", BLOCK.sub("", text))  # without links
        return Counter(re.findall(r"\d[\d,.]*\d|\d", prose))

    ours, theirs = figures(ENGLISH), figures(CHINESE)
    assert ours == theirs, f"only in English {ours - theirs}, only in Chinese {theirs - ours}"


def test_the_same_pictures_which_are_there():
    pictures = re.findall(r"!\[[^]]*\]\((.*?)\)", ENGLISH)
    assert pictures == re.findall(r"!\[[^]]*\]\((.*?)\)", CHINESE)
    assert all((ROOT / path).exists() for path in pictures)
