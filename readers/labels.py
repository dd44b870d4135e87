"""Labels as numbers or text, numbered from 0."""

import sys
from collections.abc import Mapping

import numpy as np

from common.errors import InputError
from common.text import compose, first_names
from readers.layout import natural_key

MAX_CLASSES = 65_536
MAX_LABELS = 2**27  # bytes


def number_labels(
    parts: Mapping[str, np.ndarray], classes: list[str] | None = None
) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
    """Return labels as int64 (N,) from 0 without gaps, the names of the classes, and notes.

    Args:
        parts: whole numbers or text, each (N,) or (N, 1), or one-hot (N, C). A label means the same in each.
        classes: names of the classes; by default the labels that occur, as text.

    Raises:
        InputError: neither numbers nor text, too many classes or two of a name, or a label that is none of them.
    """
    classes = None if classes is None else list(map(compose, classes))
    if classes is not None and len(set(classes)) < len(classes):
        raise InputError(f"its classes are not all different: {first_names(classes)}")
    is_one_hot = all(map(_is_one_hot, parts.values()))
    labels = {part: y.argmax(1) if is_one_hot else _flat_labels(y) for part, y in parts.items()}
    one_hot = ["labels are one-hot: the class is the place of the 1"] if is_one_hot else []
    if len({y.dtype.kind for y in labels.values()}) > 1:
        raise InputError("y holds numbers in one part and text in another: use the same in all")
    found = np.unique(np.concatenate(list(labels.values()))).tolist()
    if len(found) > MAX_CLASSES:
        raise InputError(f"it has {len(found)} different labels: there can be {MAX_CLASSES} classes at most")
    if found and isinstance(found[0], str):
        composed = {label: compose(label) for label in found}
        names = sorted(set(composed.values()), key=natural_key) if classes is None else classes
        if missing := set(composed.values()) - set(names):
            raise InputError(f"the label {min(missing)!r:.100} is none of its classes: {', '.join(names)[:200]}")
        place = {name: k for k, name in enumerate(names)}
        number = {label: place[name] for label, name in composed.items()}
        labels = {part: np.array([number[name] for name in y.tolist()], np.int64) for part, y in labels.items()}
        return labels, names, []
    names = [str(label) for label in found] if classes is None else classes
    if classes is not None and found != list(range(1, len(classes) + 1)):
        return labels, names, one_hot  # `check_arrays` compares them with the classes
    if found == list(range(len(found))):
        return labels, names, one_hot
    note = f"labels are {_abbreviate(found)}: they are renumbered from 0"
    return {part: np.searchsorted(found, y) for part, y in labels.items()}, names, [*one_hot, note]


def _is_one_hot(y: np.ndarray) -> bool:
    """Return whether labels are rows (N, C) of zeros with a single 1."""
    if y.ndim != 2 or y.shape[1] < 2 or y.dtype.kind not in "buif":
        return False
    return bool(((y == 0) | (y == 1)).all() and (np.count_nonzero(y, axis=1) == 1).all())


def _flat_labels(y: np.ndarray) -> np.ndarray:
    """Return labels (N,) or (N, 1) as int64 or text (N,)."""
    y = y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y
    if y.nbytes > MAX_LABELS:
        raise InputError(f"y has {y.nbytes / 2**20:,.0f} MiB: give labels as numbers, and the names as classes")
    if y.ndim == 1 and y.dtype.kind in "US":
        return as_text(y)
    whole = y.dtype.kind in "bui" or (y.dtype.kind == "f" and np.isfinite(y).all() and (y == np.rint(y)).all())
    if y.ndim != 1 or not whole or (len(y) and not (y.min() > -(2**62) and y.max() < 2**62)):
        raise InputError(f"y must be integers or text (N,), or one-hot (N, C), not {y.dtype} {y.shape}")
    return y.astype(np.int64)


def as_text(values: np.ndarray) -> np.ndarray:
    """Return text, str or UTF-8, as str. Raises InputError or UnicodeDecodeError for text that is damaged."""
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8")
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.size and values.dtype.itemsize and values.view(np.uint32).max() > sys.maxunicode:
        raise InputError("it holds text that is damaged: save it again")
    return values


def _abbreviate(values: list) -> str:
    shown = values if len(values) <= 6 else [*values[:3], "…", values[-1]]
    return ", ".join(map(str, shown))
