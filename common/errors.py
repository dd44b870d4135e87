"""The errors that users meet, each with a message that names what is wrong and the remedy."""

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Input that cannot be used: the message names it and the remedy."""


class StorageError(OSError):
    """A file that cannot be written: the message names it and the remedy; what it held before is still whole."""


class TrainingError(ArithmeticError):
    """Training that cannot go on: the message names the place and what to try."""


def did_you_mean(name: str, valid: Iterable[str]) -> str:
    """Return "did you mean '…'?" with the valid name nearest to `name`."""
    return f"did you mean {get_close_matches(str(name)[:100], list(valid), n=1, cutoff=0.0)[0]!r}?"
