"""Predictions for image files: folders, globs, zips and single files, as rows of a CSV."""

import csv
import glob
import os
import sys
import time
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import TextIO

import numpy as np
from tqdm import tqdm

from classifier import CNNClassifier
from imaging.decoding import is_image, read_file
from imaging.files import File, fit_files, usable_cores
from imaging.input_spec import InputSpec
from readers.container import open_container
from readers.layout import natural_key

TOP = 5  # classes per image
BATCH = 512  # images
TRIED = 32  # files that this process decodes, to see how long they take
WORTHWHILE = 3  # seconds of decoding; starting processes takes longer than they save of less


def predict_files(
    classifier: CNNClassifier, paths: Sequence[str | Path], processes: int | None = None
) -> Iterator[tuple[str, np.ndarray | str]]:
    """Yield (file, probabilities float32 (C,), or the reason why it cannot be read) for image files, in order.

    Photos are recognised; the predictions are those of `CNNClassifier.predict_proba`.

    Args:
        paths: files, folders and zips, of which all images are read, and patterns such as "scans/**/*.png".
        processes: that decode; by default one per core, if that is faster.

    Raises:
        InputError: a zip that is refused, or a model that only a transform can feed.
    """
    files = [file for path in paths for file in find_files(str(path))]
    read = map(_read, tqdm(files, unit="file", disable=None))
    spec = classifier.input_spec_
    fitted = fit_files(read, spec, processes) if processes else _fit_quickly(read, len(files), spec)
    while batch := list(islice(fitted, BATCH)):
        images = [image for _, image in batch if isinstance(image, np.ndarray)]
        probabilities = iter(classifier.predict_proba(np.stack(images)) if images else ())
        for name, image in batch:
            yield name, image if isinstance(image, str) else next(probabilities)


def _fit_quickly(files: Iterator[File], count: int, spec: InputSpec) -> Iterator[tuple[str, np.ndarray | str]]:
    """Yield what `fit_files` gives for `count` files, with as many processes as are worth starting."""
    yield from fit_files(islice(files, 1), spec)  # which imports what decoders need
    start = time.perf_counter()
    yield from list(fit_files(islice(files, TRIED), spec))
    seconds = (time.perf_counter() - start) / TRIED * (count - TRIED)
    yield from fit_files(files, spec, usable_cores() if seconds > WORTHWHILE else 1)


def find_files(path: str) -> Iterator[tuple[str, Callable[[], bytes] | str]]:
    """Yield (name, function that reads it, or the reason why it cannot be read) for each image file at a path."""
    if not path:  # of a variable of the shell that is not set: it is not the current folder
        yield path, "no name of a file"
    elif Path(path).is_dir() or (Path(path).is_file() and zipfile.is_zipfile(path)):
        container = open_container(Path(path))
        names = sorted(filter(is_image, container.names), key=natural_key)
        skipped = [(name, reason) for name, reason in container.skipped if is_image(name)]
        if not names and not skipped:
            yield path, "no image in it"
        yield from ((os.path.join(path, name), lambda name=name: container.read(name)) for name in names)
        yield from ((os.path.join(path, name), reason) for name, reason in skipped)
    elif not os.path.lexists(path) and (found := sorted(glob.glob(path, recursive=True), key=natural_key)):
        for one in found:
            yield from find_files(one)
    else:
        yield path, lambda: read_file(path)


def _read(file: tuple[str, Callable[[], bytes] | str]) -> File:
    """Return the name and the content of a file, or the reason why it cannot be read."""
    name, read = file
    if isinstance(read, str):
        return name, read
    try:
        return name, read()
    except Exception as error:  # damaged archives raise nearly anything
        return name, str(error)


def write_csv(rows: Iterable[tuple[str, np.ndarray | str]], classes: Sequence[str], out: TextIO) -> int:
    """Write what `predict_files` gives as CSV, name on standard error what cannot be read, and return how many that is.

    Columns: file, predicted, probability, and the next classes with their probabilities, predicted_2, probability_2 …

    Raises:
        InputError: no file at all.
    """
    top = min(TOP, len(classes))
    numbers = ["", *(f"_{k}" for k in range(2, top + 1))]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", *(f"{column}{number}" for number in numbers for column in ("predicted", "probability"))])
    unreadable = 0
    for name, result in rows:
        if isinstance(result, str):
            unreadable += 1
            tqdm.write(f"{name}: {result}", sys.stderr)
            continue
        best = np.argsort(-result, kind="stable")[:top]
        writer.writerow([name, *(value for k in best for value in (classes[k], f"{result[k]:.6f}"))])
    return unreadable
