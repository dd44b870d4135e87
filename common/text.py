"""Counts as text."""

import unicodedata


def plural(count: int, noun: str, several: str | None = None) -> str:
    """Return a count with its noun: 1 error, 2 errors, 1,234 classes.

    Args:
        several: the noun's plural, if it does not end in an s alone.
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {several or noun + 's'}"


def compose(name: str) -> str:
    """Return the name of a class in the one spelling (NFC) of those that look the same: か and a voiced mark are が."""
    return unicodedata.normalize("NFC", name)
