"""Labels that are wrong: a CSV file beside data.npz that says what they should be; the images stay as they are."""

import csv
import io
import os
import re
from pathlib import Path

import numpy as np

from common.errors import InputError, did_you_mean
from common.files import write_atomically

COLUMNS, DROPPED = ["file", "given", "corrected"], "dropped"  # what stands for no class


def corrections_path(data_path: str | Path) -> Path:
    """Return where the corrections of a data.npz are: data.corrections.csv beside it."""
    return Path(data_path).with_suffix(".corrections.csv")


def note(images, data_path: str | Path, labels: dict[str, str | None]) -> Path:
    """Note labels in the file of a data.npz and return its path; see `dataset.correct`.

    Args:
        images: the CharDataset of its training images, without corrections.
    """
    path = corrections_path(data_path)
    if DROPPED in images.classes:
        raise InputError(f"{data_path} has a class {DROPPED!r}, which here means no class: give it another name")
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
    write_atomically(path, lambda file: file.write(text.getvalue().encode()))
    return path


def _read(path: Path) -> list[dict]:
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


def applied(images, data_path: str | Path) -> tuple[np.ndarray, np.ndarray, list[dict]]:
    """Return what the file makes of a CharDataset: labels int64 (N,), which to keep, bool (N,), the rows that apply."""
    path = corrections_path(data_path)
    place = {file: i for i, file in enumerate(images.files.tolist())}
    y, kept, known, unknown = images.y.copy(), np.ones(len(images), bool), [], 0
    for row in _read(path):
        i = place.get(row["file"])
        if i is None:
            unknown += 1
        elif images.classes[images.y[i]] != row["given"]:
            raise InputError(
                f"{path}: {row['file']} is given as {images.classes[images.y[i]]!r}, not {row['given']!r}: "
                "correct or delete the line"
            )
        elif row["corrected"] == DROPPED:
            kept[i] = False
        elif row["corrected"] in images.classes:
            y[i] = images.classes.index(row["corrected"])
        else:
            raise InputError(f"{path}: {row['file']}: {did_you_mean(row['corrected'], [*images.classes, DROPPED])}")
        known += [row] * (i is not None)
    if known or unknown:
        print(f"{path}: {len(known)} labels corrected or dropped, {unknown} lines of files that are not here")
    return y, kept, known


def swap(path: Path, former: str, now: str) -> None:
    """Put the corrections of former images aside, since others' files may have their names; take those of now up."""
    notes = corrections_path(path)
    of_former, of_these = (
        path.with_suffix(".corrections." + re.sub(r"\W+", "-", source) + ".csv") for source in (former, now)
    )
    for source, old, new in ((former, notes, of_former), (now, of_these, notes)):
        if old.exists():
            os.replace(old, new)
            print(f"the corrections of {source}, {old}, are now {new}")
