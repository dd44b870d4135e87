"""Characters drawn in addition to real images: of the same classes, in the style of the training images."""

from itertools import chain
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.files import zeros
from common.text import first_names
from config import Config
from imaging.ink import hash_images
from imaging.photo import SAMPLE, measure_each
from imaging.pictures import as_images
from readers.arrays import Arrays
from readers.npz import one_part, read_parts
from readers.source import Source
from readers.splits import leak_groups, validation_mask
from readers.store import kept_hashes


def check_same_classes(real: Source, drawn: Source) -> None:
    """Raise InputError if images are not of the characters that are to be drawn in addition."""
    other = sorted(map(str, set(real.classes) ^ set(drawn.classes)))
    if other:
        raise InputError(
            f"the classes of {real.name} are not the characters: {first_names(other)} are in one of them only. Name "
            "the classes by their characters, with classes.txt if not by the folders, or leave characters out"
        )


def measure_training_images(path: Path, config: Config) -> np.ndarray | None:
    """Return what `imaging.photo.measure_each` finds in SAMPLE of the images to train on; None if all are blank.

    Those that `dataset.split` will hold out are left out, unless corrections change the split.

    Args:
        path: of the prepared images.
        config: says which of them are held out.
    """
    parts = read_parts(path)
    train, val = (one_part(parts, part) for part in ("train", "val"))
    chosen = np.arange(len(train.x))
    if not len(val.x):
        writers = np.full(len(train.x), "") if train.group is None else train.group
        kept = kept_hashes(train.x)
        groups = leak_groups(hash_images(train.x) if kept is None else kept, writers)
        chosen = chosen[~validation_mask(train.y, train.classes, groups, config.val_fraction, config.split_seed)]
    sample = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), SAMPLE)).astype(np.int64)]
    measured = measure_each(np.asarray(as_images(train.x[sample])))
    return measured if len(measured) else None


def combine(real, drawn, share: float) -> tuple[Arrays, np.ndarray]:
    """Return the images of two CharDatasets as one set, and which of them to train on; see `dataset.together`.

    Returns:
        All M images, each once, the real ones first, under the real ones' labels; and indices of these, int64 (n,), in
        which the real ones are repeated until they are `share` of it.

    Raises:
        InputError: other classes or sizes, or a share out of range.
    """
    if sorted(real.classes) != sorted(drawn.classes) or real.shape[1:] != drawn.shape[1:] or not 0 < share < 1:
        raise InputError(
            f"real images {real.shape[1:]} of {real.classes} and drawn ones {drawn.shape[1:]} of {drawn.classes} must "
            f"have the same size and classes, and share, {share}, must be between 0 and 1"
        )
    x = zeros((len(real) + len(drawn), *real.shape[1:]), np.uint8)
    start = 0
    for chunk in chain(real.chunks(), drawn.chunks()):
        x[start : start + len(chunk)] = chunk
        start += len(chunk)
    number = np.array([real.classes.index(name) for name in drawn.classes])
    pairs = ((real.y, number[drawn.y]), (real.files, drawn.files), (real.group, drawn.group))
    y, files, group = (np.concatenate(pair) for pair in pairs)
    source = f"{real.source}, and {drawn.source}"
    both = Arrays(x, y, real.classes, source, files, group, cropped=real.cropped, photos=real.photos)
    times = max(1, round(share / (1 - share) * len(drawn) / len(real)))
    return both, np.concatenate([np.tile(np.arange(len(real)), times), np.arange(len(real), len(x))])
