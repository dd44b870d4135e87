"""Label issues: images whose given label is probably wrong."""

import numpy as np

from dataset import CharDataset
from imaging.ink import identical_groups


def find_label_issues(images: CharDataset, probabilities: np.ndarray) -> np.ndarray:
    """Rank the images whose given label is probably wrong.

    First come identical images in different classes, one of which must be wrong; then the images for which a model that
    was not trained on them prefers another class, by the normalized margin of Northcutt, Jiang and Chuang, "Confident
    learning", JAIR 70, 2021.

    Args:
        probabilities: float (N, C), out of fold (`validation.cross_validate`).

    Returns:
        int64 (M,), indices of these M images, the worst first.
    """
    every = np.arange(len(images))
    given = probabilities[every, images.y]
    others = probabilities.copy()
    others[every, images.y] = -1
    margin = given - others.max(1)
    for group in identical_groups(images.hashes()):
        if len(set(images.y[group].tolist())) > 1:
            margin[group] = -2 + margin[group] / 2  # before all others
    order = np.argsort(margin, kind="stable")
    return order[margin[order] < 0]


def format_label_issues(images: CharDataset, probabilities: np.ndarray, indices: np.ndarray) -> list[str]:
    """Return a line per image at `indices`: its file, its given label, the predicted class and its probability."""
    predicted = probabilities.argmax(1)
    return [
        f"{str(images.files[i])!r}: label {images.classes[images.y[i]]!r}, "
        f"predicted {images.classes[predicted[i]]!r} with {probabilities[i, predicted[i]]:.0%}"
        for i in indices
    ]
