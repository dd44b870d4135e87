"""The errors that users meet. Each message names what is wrong and the remedy."""

from collections.abc import Iterable
from difflib import get_close_matches

LONGEST = 2000  # letters of a message


class InputError(ValueError):
    """Input that cannot be used. A message that quotes much of it, as other libraries' do, is cut in its middle."""

    def __init__(self, message: str):
        if len(message) > LONGEST:
            message = f"{message[: LONGEST // 2]} … {message[-LONGEST // 2 :]}"
        super().__init__(message)


class StorageError(OSError):
    """A file that cannot be written. What it held before is still intact."""


class TrainingError(ArithmeticError):
    """Training that cannot continue."""


class LostProcessError(RuntimeError):
    """Another process of the same run has ended."""


class ExportError(RuntimeError):
    """A model that cannot be written in another format, or not without what is not installed."""


def did_you_mean(name: object, valid: Iterable[str]) -> str:
    """Return "did you mean '…'?" with the valid name closest to `name`.

    A name of which it is a word or the initials is the closest: seed and lr mean random_seed and learning_rate.
    """
    text = str(name)[:100]
    names = list(valid)
    words = [one.lower().split("_") for one in names]
    known = [
        one for one, parts in zip(names, words, strict=True)
        if len(parts) > 1 and text.lower() in (*parts, "".join(part[:1] for part in parts))
    ]  # fmt: skip
    close = known or get_close_matches(text, names, n=1, cutoff=0.0)
    return f"did you mean {close[0]!r}?" if close else "there are none"
