"""Counts, lists and names as text."""

import unicodedata
from collections.abc import Sequence


def plural(count: int, noun: str, several: str | None = None) -> str:
    """Return a count with its noun: 1 error, 2 errors, 1,234 classes.

    Args:
        several: the noun's plural, if it does not end in an s alone.
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {several or noun + 's'}"


def compose(name: str) -> str:
    """Return the name of a class in the one spelling (NFC) of those that look the same: か and a voiced mark are が."""
    return unicodedata.normalize("NFC", name)


def first_names(names: Sequence[str], most: int = 20) -> str:
    """Return names with commas between them, of many the first and how many others there are: a, b and 3 others."""
    others = len(names) - most
    return ", ".join(names[:most]) + (f" and {plural(others, 'other')}" if others > 0 else "")


def first_lines(lines: Sequence[str], most: int, indent: str) -> list[str]:
    """Return lines indented, of many the first, and a line that says how many others there are."""
    others = len(lines) - most
    return [indent + line for line in [*lines[:most], *([f"and {plural(others, 'other')}"] if others > 0 else [])]]
