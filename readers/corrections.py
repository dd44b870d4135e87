"""Corrections of wrong labels: a CSV file beside data.npz. The images stay as they are.

A correction belongs to an image's pixels, not to a name that images of another source may share.
"""

import csv
import io
import logging
from pathlib import Path

import numpy as np

from common.errors import InputError, did_you_mean
from common.files import check_file, locked, remove_unfinished, write_text
from common.text import plural
from readers.cells import DELIMITERS, decode_text

COLUMNS = ["file", "given", "corrected", "pixels"]  # the last may be missing: rows by hand and of earlier versions
MAX_BYTES = 2**23
DROPPED = "dropped"  # the correction that stands for no class
log = logging.getLogger("fit_char")


def corrections_path(data_path: str | Path) -> Path:
    """Return where the corrections of a data.npz are: data.corrections.csv beside it."""
    return Path(data_path).with_suffix(".corrections.csv")


def add(images, digests: np.ndarray, data_path: str | Path, labels: dict[str, str | None]) -> Path:
    """Add corrections to the file of a data.npz and return its path; see `dataset.correct`.

    Args:
        images: the CharDataset of its N training images, without corrections.
        digests: of their pixels, str (N,).
    """
    if DROPPED in images.classes:
        raise InputError(f"{data_path} has a class {DROPPED!r}, which here means no class: rename it")
    place = {file: i for i, file in enumerate(images.files.tolist())}
    for file, name in labels.items():
        if file not in place:
            raise InputError(f"{data_path} has no training image {file!r}: {did_you_mean(file, place)}")
        if name is not None and name not in images.classes:
            raise InputError(f"{data_path} has no class {name!r}: {did_you_mean(name, images.classes)}")
    path = corrections_path(data_path)
    with locked(path):  # otherwise two processes that add at once lose the lines of one
        rows = {(row["file"], row["pixels"]): row for row in _read(path)}
        for file, name in labels.items():
            given, pixels = images.classes[images.y[place[file]]], str(digests[place[file]])
            rows.pop((file, ""), None)
            rows[file, pixels] = {"file": file, "given": given, "corrected": name or DROPPED, "pixels": pixels}
        remove_unfinished(path)
        _write(path, list(rows.values()))
    return path


def _write(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    check_file(path, MAX_BYTES)
    try:
        text = decode_text(path.read_bytes())
        header = text.partition("\n")[0]
        delimiter = next((one for one in DELIMITERS if one in header), ",")  # spreadsheets save other ones
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter, strict=True)
        rows = list(reader)
    except (OSError, UnicodeDecodeError, InputError, csv.Error) as error:
        raise InputError(f"{path} is not a readable CSV file: {error}") from None
    if reader.fieldnames not in (COLUMNS, COLUMNS[:3]) or any(None in row or None in row.values() for row in rows):
        raise InputError(f"{path} must have the columns {', '.join(COLUMNS[:3])}, and a value of each in every line")
    return [{"pixels": ""} | row for row in rows]


def apply(images, digests: np.ndarray, data_path: str | Path) -> tuple[np.ndarray, np.ndarray, list[dict[str, str]]]:
    """Return the corrected labels int64 (N,) of a CharDataset, which images to keep, bool (N,), and the rows applied.

    Args:
        digests: of the images' pixels, str (N,).

    Raises:
        InputError: a row whose class or given label does not fit the images.
    """
    path = corrections_path(data_path)
    rows = _read(path)
    files, pixels = ({row[column] for row in rows} for column in ("file", "pixels"))
    by_name = {file: i for i, file in enumerate(images.files) if file in files}
    by_pixels: dict[str, list[int]] = {}
    for i in np.flatnonzero(np.isin(digests, list(pixels))).tolist():
        by_pixels.setdefault(str(digests[i]), []).append(i)
    y, keep = images.y.copy(), np.ones(len(images), bool)
    applied, missing, changed = [], 0, 0
    for row in rows:
        named, same = by_name.get(row["file"]), by_pixels.get(row["pixels"], [])
        i = named
        if row["pixels"] and named not in same:  # perhaps a file that was renamed
            changed += 1 if named is not None else 0
            i = next((k for k in same if images.classes[images.y[k]] == row["given"]), None)
        if i is None:
            missing += 1
            continue
        label = _corrected_label(path, row, images, i)
        if label is None:
            keep[i] = False
        else:
            y[i] = label
        applied.append(row)
    if applied or missing:
        here, elsewhere = plural(len(applied), "label"), plural(missing, "line")
        log.info("%s: %s corrected or dropped; the images of %s are not here", path, here, elsewhere)
    if changed:
        log.info("  %s with other pixels now than when they were corrected", plural(changed, "file"))
    return y, keep, applied


def _corrected_label(path: Path, row: dict[str, str], images, i: int) -> int | None:
    """Return the label that a row gives image i of a CharDataset, or None if it drops it. Raises InputError."""
    given = images.classes[images.y[i]]
    if given != row["given"]:
        raise InputError(
            f"{path}: {row['file']} is given as {given!r}, not {row['given']!r}: correct or delete the line"
        )
    if row["corrected"] == DROPPED:
        return None
    if row["corrected"] not in images.classes:
        near = did_you_mean(row["corrected"], [*images.classes, DROPPED])
        raise InputError(f"{path}: {row['file']}: there is no class {row['corrected']!r}: {near}")
    return images.classes.index(row["corrected"])  # type: ignore[no-any-return]
