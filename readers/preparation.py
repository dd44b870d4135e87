"""The images of a source as arrays on disk: how each is fitted, and what is said of them all."""

from collections import Counter
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from common.errors import InputError
from imaging.input_spec import InputSpec
from imaging.photo import HOUSE_STYLE, is_photo
from readers.chunks import read_chunks
from readers.npz import NpzStore
from readers.source import Source
from readers.store_writer import FolderStore
from readers.summary import summarize


def prepare_images(
    source: Source, form: type[NpzStore] | type[FolderStore], path: Path, stamp: str, size: int, photos: bool | None
) -> dict:
    """Read every image into a file or folder of that form, and return the summary.

    Args:
        source: of the images.
        form: of what is written.
        path: of the file or folder.
        stamp: changes with the images and the settings; a preparation of the same stamp is continued.
        size: pixels per side that the images are fitted to.
        photos: whether they are photos; None: if most of them are.

    Raises:
        InputError: no training image of some class can be read, or photos in colour.
        StorageError: the file or folder cannot be written.
    """
    if photos and source.channels == 3:
        raise InputError("characters are looked for in photos by their grey: leave out photos, or set channels=1")
    if source.channels == 3:
        photos = False
    few = [is_photo(sample.image) for sample in islice(source.share(0, 20) or source, 20)] if photos is None else []
    shape = (size, size) if source.channels == 1 else (size, size, 3)
    spec = InputSpec(size, shape, _were_cut_out(source.sizes()), style=HOUSE_STYLE)
    spec = replace(spec, photos=sum(few) > len(few) / 2 if photos is None else photos)
    while True:
        with form(path, repr((stamp, spec))) as store:
            _read_images(source, spec, store)
            found = store.found
            are_photos = found.photos > found.sizes.total() / 2 if photos is None else photos
            better = replace(spec, cropped=_were_cut_out(found.sizes), photos=are_photos)
            if better == spec:
                found.report_to(source)
                about = {
                    "classes": source.classes, "source": source.name,
                    "cropped": (spec.cropped and not spec.photos) or source.cropped,
                    "photos": spec.photos or source.photos,
                }  # fmt: skip
                return store.finish(about, partial(_summarize, source=source, sizes=found.sizes, stamp=stamp))
        spec = better  # the rest differs from the first images, or files that cannot be read had other sizes


def _were_cut_out(sizes: Counter[tuple[int, int]]) -> bool:
    """Return whether images of these sizes were cut out by somebody, since no size is that of more than half."""
    return bool(sizes) and max(sizes.values()) <= sizes.total() / 2


def _read_images(source: Source, spec: InputSpec, store: NpzStore | FolderStore) -> None:
    """Add the images of a source that are not in the store yet, and show how far that is."""
    done = store.found.sizes.total()
    with tqdm(total=len(source), initial=done, desc=f"preparing {source.name}", unit="image", delay=1) as progress:
        for columns, found in read_chunks(source, spec, store.chunks):
            store.add(columns, found)
            progress.update(found.sizes.total())


def _summarize(arrays: dict, source: Source, sizes: Counter[tuple[int, int]], stamp: str) -> dict:
    """Return the summary; raise InputError for a class without training images, or if there is none at all."""
    y = arrays.get("y", np.zeros(0, np.int64))
    if not len(y):
        raise InputError(f"{source.name} has no image to train on that can be read, and has a label: add some")
    for label, count in enumerate(np.bincount(y, minlength=len(source.classes)).tolist()):
        if not count:
            raise InputError(
                f"{source.describe_class(label)} has no image to train on that can be read: add some, two or more, or "
                "remove the class"
            )
    return summarize(source, sizes, arrays) | {"fingerprint": stamp}
