"""What is odd about a data set: images that are alike, blank, or in too small classes, and labels that look wrong."""

import numpy as np
import torch
from torch.nn import functional
from tqdm import tqdm

from dataset import CharDataset
from imaging.pixels import identical_groups
from training.loader import backgrounds, ink

ALIKE = 0.97  # correlation of nearly identical images: at 0.95 and below, different drawings of a simple character meet
BLANK = 32  # grey levels of 255 that ink must stand out by
MOST = 1000  # pairs of nearly identical images that are named, the most alike


def audit(images: CharDataset, test: CharDataset | None = None) -> list[dict]:
    """Look for what makes figures untrustworthy, the worst first.

    Args:
        images: to train and validate on.
        test: kept apart, of the same size, or None.

    Returns:
        Findings, plain dicts of kind (in words), files and classes (of each image), and indices (of the images, those
        of `test` counted on after those of `images`). Kinds: "identical" and "nearly identical" images, "… in
        different classes" or "… in train and test" where it applies, "blank" images, "few images" of a class.
    """
    both = [images] if test is None or not len(test) else [images, test]
    x = np.concatenate([part.x for part in both])
    y = np.concatenate([part.y for part in both])
    files = [file for part in both for file in part.files.tolist()]
    in_test = np.arange(len(x)) >= len(images)

    def finding(kind: str, indices: list[int]) -> dict:
        if len(set(in_test[indices])) > 1:
            kind += " in train and test"
        if len(set(y[indices])) > 1:
            kind += " in different classes"
        names, classes = [files[i] for i in indices], [images.classes[y[i]] for i in indices]
        return {"kind": kind, "files": names, "classes": classes, "indices": indices}

    found = [finding("identical", group) for group in identical_groups(x)]
    found += [finding("nearly identical", pair) for pair in _alike(x)]
    found.sort(key=lambda one: ("classes" not in one["kind"], "test" not in one["kind"]))  # else in the order found
    pixels = torch.from_numpy(x)
    contrast = ink(pixels, backgrounds(pixels)).flatten(1).amax(1)  # grey levels by which the ink stands out
    found += [finding("blank", [i]) for i in torch.nonzero(contrast < BLANK)[:, 0].tolist()]
    counts = np.bincount(images.y, minlength=len(images.classes))
    few = np.flatnonzero(counts < np.median(counts) / 2)
    return found + [
        {"kind": f"few images: {counts[k]}, the median class has {np.median(counts):.0f}", "files": [],
         "classes": [images.classes[k]], "indices": []} for k in few
    ]  # fmt: skip


def in_words(findings: list[dict], most: int = 5) -> str:
    """Return the findings as text: how many of each kind, and the first of them."""
    kinds = {}
    for one in findings:
        kinds.setdefault(one["kind"], []).append(one)
    lines = [] if kinds else ["nothing odd was found"]
    for kind, ones in kinds.items():
        lines.append(f"{kind}: {len(ones)} ({sum(len(one['files']) for one in ones)} images)")
        for one in ones[:most]:
            lines.append("  " + (" = ".join(one["files"]) or one["classes"][0]))
    return "\n".join(lines)


def _alike(x: np.ndarray) -> list[list[int]]:
    """Return the pairs of nearly identical, not identical, images of uint8 (N, H, W), the most alike first.

    They are compared as 16×16 pictures of their ink, by correlation, all with all: 10,000 images take about 2 s,
    and k times as many k² times as long.
    """
    pictures = []
    for part in torch.from_numpy(x).split(4096):
        part = functional.interpolate(ink(part, backgrounds(part))[:, None] / 255, (16, 16), mode="area").flatten(1)
        pictures.append(functional.normalize(part - part.mean(1, keepdim=True)))
    pictures = torch.cat(pictures)
    pairs = []
    for start in tqdm(range(0, len(x), 1024), "looking for near-identical images", unit="block", delay=2):
        block = pictures[start : start + 1024] @ pictures[start:].T
        rows, columns = torch.nonzero(block > ALIKE, as_tuple=True)
        later = columns > rows
        rows, columns = rows[later], columns[later]
        alike = zip(block[rows, columns].tolist(), rows.tolist(), columns.tolist(), strict=True)
        pairs += [(a, start + i, start + j) for a, i, j in alike if (x[start + i] != x[start + j]).any()]
    return [[i, j] for _, i, j in sorted(pairs, reverse=True)[:MOST]]


def suspects(images: CharDataset, probabilities: np.ndarray) -> np.ndarray:
    """Rank the images by how likely their label is wrong.

    First those that stand identically in different classes, one of which must be wrong; then by the margin by which
    a model that has not seen the image prefers another class: the normalized margin of Northcutt, Jiang and Chuang,
    "Confident learning", JAIR 70, 2021.

    Args:
        probabilities: float (N, C), out of fold (`evidence.cross_validate`).

    Returns:
        int64 (M,), indices of the M images that are so or whose given class is not the likeliest, the worst first.
    """
    given = probabilities[np.arange(len(images)), images.y]
    others = probabilities.copy()
    others[np.arange(len(images)), images.y] = -1
    margin = given - others.max(1)
    for group in identical_groups(images.x):
        if len(set(images.y[group])) > 1:
            margin[group] = -2 + margin[group] / 2  # before all others
    order = np.argsort(margin, kind="stable")
    return order[margin[order] < 0]


def in_lines(images: CharDataset, probabilities: np.ndarray, doubtful: np.ndarray) -> list[str]:
    """Return a line for each of the images at `doubtful`: its file, its given class, what it is read as, how surely."""
    read = probabilities.argmax(1)
    return [
        f"{str(images.files[i])!r}: given {images.classes[images.y[i]]!r}, "
        f"read as {images.classes[read[i]]!r} with {probabilities[i, read[i]]:.0%}"
        for i in doubtful
    ]
