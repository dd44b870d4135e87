"""Texts of many images, which stay encoded, in a memory map, until they are read."""

from collections.abc import Iterator
from typing import Any

import numpy as np


class Names:
    """Texts (N,) that are decoded where they are read; used like a NumPy array of str, of which it is no copy.

    A million file names as an array of str take four bytes per character of the longest one.

    Args:
        data: uint8 (bytes,), the texts of a table one after the other in UTF-8.
        ends: integers (T,), where each of them ends.
        indices: integers (N,), which text of the table each is; by default all in order.
    """

    dtype = np.dtype(str)
    ndim = 1

    def __init__(self, data: np.ndarray, ends: np.ndarray, indices: np.ndarray | None = None):
        self.data, self.ends = data, ends
        self.indices = np.arange(len(ends)) if indices is None else indices

    @property
    def shape(self) -> tuple[int]:
        """(N,)."""
        return (len(self.indices),)

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, key: Any) -> Any:
        """Return one text, or the Names of several."""
        chosen = self.indices[key]
        return self._text(int(chosen)) if np.ndim(chosen) == 0 else Names(self.data, self.ends, chosen)

    def __iter__(self) -> Iterator[str]:
        return (self._text(i) for i in self.indices.tolist())

    def _text(self, i: int) -> str:
        start = int(self.ends[i - 1]) if i else 0
        return self.data[start : int(self.ends[i])].tobytes().decode("utf-8", "surrogateescape")

    def any(self) -> bool:
        """Return whether one of the texts is not empty."""
        used = np.unique(self.indices)
        starts = np.where(used == 0, 0, self.ends[used - 1])
        return bool((self.ends[used] > starts).any())

    def tolist(self) -> list[str]:
        """Return the texts."""
        return list(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.tolist(), dtype or str)


def encode(text: str) -> bytes:
    """Return a text, also one with bytes that are not UTF-8, as `Names` holds it."""
    return text.encode("utf-8", "surrogateescape")


def as_names(texts: Any) -> np.ndarray | Names:
    """Return texts as an array of str (N,), and Names as they are."""
    return texts if isinstance(texts, Names) else np.asarray(texts).astype(str)


def number_names(texts: np.ndarray | Names) -> tuple[np.ndarray, list[str]]:
    """Return which of the different texts each one is, int64 (N,), and these.

    Args:
        texts: str (N,), or Names whose table holds no text twice.
    """
    if isinstance(texts, Names):
        found, codes = np.unique(texts.indices, return_inverse=True)
        return codes, Names(texts.data, texts.ends, found).tolist()
    names, codes = np.unique(texts, return_inverse=True)
    return codes, names.tolist()
