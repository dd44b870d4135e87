"""The errors that users meet. Each message names what is wrong and the remedy."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Input that cannot be used."""


class StorageError(OSError):
    """A file that cannot be written. What it held before is still intact."""


class TrainingError(ArithmeticError):
    """Training that cannot continue."""


class ExportError(RuntimeError):
    """A model that cannot be written in another format, or not without what is not installed."""


def did_you_mean(name: object, valid: Iterable[str]) -> str:
    """Return "did you mean '…'?" with the valid name closest to `name`."""
    close = get_close_matches(str(name)[:100], list(valid), n=1, cutoff=0.0)
    return f"did you mean {close[0]!r}?" if close else "there are none"
