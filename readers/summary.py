"""The summary of a source: what was read, what was skipped and why, and which images are identical."""

import json
from collections import Counter
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.files import check_file
from common.text import first_lines, first_names, plural
from imaging.ink import identical_groups
from readers.names import number_names
from readers.source import PARTS, Source
from readers.store import read_about

GREY = ("1", "L", "I", "F")  # how the names of Pillow's modes of grey images begin


def summarize(source: Source, sizes: Counter[tuple[int, int]], arrays: dict[str, np.ndarray]) -> dict:
    """Return the summary of the training images: counts, what was skipped, and which images are identical."""
    y, files = np.asarray(arrays["y"]), arrays["files"]
    groups = identical_groups(np.asarray(arrays["hashes"]))
    across = [group for group in groups if len(set(y[group].tolist())) > 1]
    counts = np.bincount(y, minlength=len(source.classes)).tolist()
    return {
        "source": source.name,
        "images": dict(zip(source.classes, counts, strict=True)),
        **{f"{part}_images": len(arrays.get(f"x_{part}", ())) for part in PARTS[1:]},
        "writers": len(number_names(arrays["group"])[1]) if "group" in arrays else 0,
        "cropped": bool(arrays["cropped"]),
        "photos": bool(arrays["photos"]),
        "sizes": {f"{width}×{height}": count for (width, height), count in sizes.most_common()},
        "modes": dict(source.modes.most_common()),
        "notes": _notes(source),
        "skipped": source.skipped,
        "identical": [files[group].tolist() for group in groups],
        "identical_across_classes": [files[group].tolist() for group in across],
    }


def _notes(source: Source) -> list[str]:
    """Return sentences on what was decided about the images."""
    notes = source.notes + [f"{count} {sentence}" for sentence, count in source.counts.items()]
    if source.channels == 3 and all(mode.startswith(GREY) for mode in source.modes):
        notes.append("the images are grey: their three channels are equal, and channels=1 is faster")
    return notes


def _format_counts(images: dict[str, int], most: int = 30) -> str:
    """Return the images per class as text: of more classes than `most`, the range and those with the fewest."""
    if len(images) <= most:
        return ", ".join(f"{name} {n}" for name, n in images.items())
    ascending = sorted(images, key=lambda name: images[name])
    least, median, largest = (images[ascending[place]] for place in (0, len(images) // 2, -1))
    if least == largest:
        return str(least)
    fewest = ", ".join(f"{name} {images[name]}" for name in ascending[:6])
    return f"{least} to {largest}, median {median}; the fewest: {fewest}"


def format_summary(summary: dict) -> str:
    """Return the summary of a data.npz as text."""
    images = summary["images"]
    count, classes = plural(sum(images.values()), "image"), plural(len(images), "class", "classes")
    lines = [f"{count} of {classes} from {summary['source']}"]
    lines.append(f"  images per class: {_format_counts(images)}")
    for part, name in (("val", "validation"), ("test", "test")):
        if summary[f"{part}_images"]:
            lines.append(f"  {name} images: {summary[f'{part}_images']}")
    if summary["writers"]:
        lines.append(f"  writers: {summary['writers']}; none will be on two sides of a split")
    lines += [f"  {note}" for note in summary["notes"]]
    for key in ("sizes", "modes"):
        found = [f"{name} ({n})" for name, n in summary[key].items()]
        lines.append(f"  {key}: {first_names(found, 6)}")
    if summary.get("photos"):
        lines.append("  photos: the character was looked for in each (photos=False prepares them as drawings)")
    if summary.get("cropped"):
        lines.append("  cropped to the ink, since the sizes differ")
    lines.append(f"  skipped: {plural(len(summary['skipped']), 'file')}")
    lines += first_lines([f"{name}: {reason}" for name, reason in summary["skipped"]], 20, "    ")
    same, across = summary["identical"], summary["identical_across_classes"]
    groups, concerned = plural(len(same), "group"), plural(sum(map(len, same)), "file")
    lines.append(f"  identical images: {groups} ({concerned}), {len(across)} across classes")
    lines += first_lines([" = ".join(group) for group in across], 20, "    ")
    return "\n".join(lines)


def read_summary(path: Path) -> dict:
    """Return the summary that a data.npz or a folder holds. Raises InputError if it is none of ours."""
    check_file(path)
    try:
        if path.is_dir():
            summary = read_about(path)["summary"]
        else:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as npz:
                summary = json.loads(str(npz["summary"]))
        format_summary(summary)
        return summary | {"fingerprint": summary["fingerprint"]}
    except Exception as error:  # whatever it is, it is no file of ours
        raise InputError(
            f"{path} was not made by this program and is not overwritten: move it or set another data_path"
        ) from error
