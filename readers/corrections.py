"""Corrections of wrong labels: a CSV file beside data.npz. The images stay as they are."""

import csv
import io
import logging
import os
import re
from pathlib import Path

import numpy as np

from common.errors import InputError, did_you_mean
from common.files import write_text

COLUMNS = ["file", "given", "corrected"]
DROPPED = "dropped"  # the correction that stands for no class
log = logging.getLogger("fit_char")


def corrections_path(data_path: str | Path) -> Path:
    """Return where the corrections of a data.npz are: data.corrections.csv beside it."""
    return Path(data_path).with_suffix(".corrections.csv")


def add(images, data_path: str | Path, labels: dict[str, str | None]) -> Path:
    """Add corrections to the file of a data.npz and return its path; see `dataset.correct`.

    Args:
        images: the CharDataset of its training images, without corrections.
    """
    path = corrections_path(data_path)
    if DROPPED in images.classes:
        raise InputError(f"{data_path} has a class {DROPPED!r}, which here means no class: rename it")
    given = dict(zip(images.files.tolist(), images.y.tolist(), strict=True))
    rows = {row["file"]: row for row in _read(path)}
    for file, name in labels.items():
        if file not in given:
            raise InputError(f"{data_path} has no training image {file!r}: {did_you_mean(file, given)}")
        if name is not None and name not in images.classes:
            raise InputError(f"{data_path} has no class {name!r}: {did_you_mean(name, images.classes)}")
        rows[file] = {"file": file, "given": images.classes[given[file]], "corrected": name or DROPPED}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    write_text(path, text.getvalue())
    return path


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    try:
        reader = csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig")), strict=True)
        rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path} is not a readable CSV file: {error}") from None
    if reader.fieldnames != COLUMNS or any(None in row or None in row.values() for row in rows):
        raise InputError(f"{path} must have the columns {', '.join(COLUMNS)}, and a value of each in every line")
    return rows


def apply(images, data_path: str | Path) -> tuple[np.ndarray, np.ndarray, list[dict[str, str]]]:
    """Return the corrected labels int64 (N,) of a CharDataset, which images to keep, bool (N,), and the rows applied.

    Raises:
        InputError: a row whose class or given label does not fit the images.
    """
    path = corrections_path(data_path)
    place = {file: i for i, file in enumerate(images.files.tolist())}
    y, keep = images.y.copy(), np.ones(len(images), bool)
    applied, unknown = [], 0
    for row in _read(path):
        i = place.get(row["file"])
        if i is None:
            unknown += 1
            continue
        given = images.classes[images.y[i]]
        if given != row["given"]:
            raise InputError(
                f"{path}: {row['file']} is given as {given!r}, not {row['given']!r}: correct or delete the line"
            )
        if row["corrected"] == DROPPED:
            keep[i] = False
        elif row["corrected"] in images.classes:
            y[i] = images.classes.index(row["corrected"])
        else:
            raise InputError(f"{path}: {row['file']}: {did_you_mean(row['corrected'], [*images.classes, DROPPED])}")
        applied.append(row)
    if applied or unknown:
        log.info("%s: %d labels corrected or dropped, %d lines of files that are not here", path, len(applied), unknown)
    return y, keep, applied


def switch_source(data_path: Path, former: str, new: str) -> None:
    """Put the former source's corrections aside, since files of another may share names; restore the new one's.

    Args:
        former, new: names of the sources.
    """
    present = corrections_path(data_path)
    for source, old_path, new_path in (
        (former, present, _put_aside(data_path, former)), (new, _put_aside(data_path, new), present),
    ):  # fmt: skip
        if old_path.exists():
            os.replace(old_path, new_path)
            log.info("the corrections of %s, %s, are now %s", source, old_path, new_path)


def _put_aside(data_path: Path, source: str) -> Path:
    return data_path.with_suffix(".corrections." + re.sub(r"\W+", "-", source) + ".csv")
