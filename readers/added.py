"""Characters drawn in addition to real images: of the same classes, in the style of the training images."""

from pathlib import Path

import numpy as np

from common.errors import InputError
from config import Config
from imaging.ink import hash_images
from imaging.photo import SAMPLE, measure_each
from imaging.pictures import as_images
from readers.npz import one_part, read_parts
from readers.source import Source
from readers.splits import leak_groups, validation_mask
from readers.store import kept_hashes


def check_same_classes(real: Source, drawn: Source) -> None:
    """Raise InputError if images are not of the characters that are to be drawn in addition."""
    other = sorted(map(str, set(real.classes) ^ set(drawn.classes)))
    if other:
        raise InputError(
            f"the classes of {real.name} are not the characters: {', '.join(other[:20])} are in one of them only. Name "
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
