"""Label issues: images whose given label is probably wrong."""

import logging

import numpy as np

from dataset import CharDataset
from imaging.ink import identical_groups
from metrics import accuracy, format_accuracy
from training.evaluation import Predictions

log = logging.getLogger("fit_char")
BETTER_THAN_CHANCE = 0.5  # of the way from chance to certainty, that the model's accuracy must be surely beyond


def find_label_issues(images: CharDataset, predictions: Predictions) -> np.ndarray:
    """Rank the images whose given label is probably wrong.

    First come identical images in different classes, one of which must be wrong; then the images for which a model that
    was not trained on them prefers another class, by the normalized margin of Northcutt, Jiang and Chuang, "Confident
    learning", JAIR 70, 2021. If the model is not surely better than chance (`can_judge`), the latter are left out,
    which is logged.

    Args:
        predictions: of these images, out of fold (`validation.cross_validate`).

    Returns:
        int64 (M,), indices of these M images, the worst first.
    """
    given, other = predictions.label_probability, predictions.other_probability
    margin = given - other
    if not can_judge(images.y, predictions.predicted):
        margin[:] = 0
    conflicting = np.array(list(_conflicts(images)), int)
    margin[conflicting] = -2 + (given - other)[conflicting] / 2  # before all others
    order = np.argsort(margin, kind="stable")
    return order[margin[order] < 0]


def can_judge(y: np.ndarray, predicted: np.ndarray) -> bool:
    """Return whether a model that predicts so is good enough to doubt labels; log it if not.

    The lower end of the 95 % interval of its accuracy must be at least half-way from chance, the share of the largest
    class, to 1. Otherwise most of what it doubts would be its own errors.

    Args:
        y, predicted: int64 (N,), labels and predicted classes of images that it was not trained on.
    """
    result = accuracy((predicted == y).sum(), len(y))
    chance = np.bincount(y).max() / len(y)
    needed = chance + BETTER_THAN_CHANCE * (1 - chance)
    if result["interval"][0] >= needed:
        return True
    log.warning(
        "The model cannot judge labels: its accuracy is %s, and to doubt labels the interval must be above %.0f%%, "
        "half-way from that of the largest class alone (%.0f%%) to 100%%. Only identical images in different classes "
        "are listed.",
        format_accuracy(result), 100 * needed, 100 * chance,
    )  # fmt: skip
    return False


def _conflicts(images: CharDataset) -> dict[int, list[int]]:
    """Return index → indices of the identical images in other classes, of each image that has some."""
    found = {}
    for group in identical_groups(images.hashes()):
        for i in group:
            if others := [j for j in group if images.y[j] != images.y[i]]:
                found[i] = others
    return found


def format_label_issues(images: CharDataset, predictions: Predictions, indices: np.ndarray) -> list[str]:
    """Return a line per image at `indices`: its file, its given label, and why that is doubtful.

    Either it is identical to an image of another class, or the predicted class is another one, with its probability.
    """
    predicted = predictions.predicted
    conflicts = _conflicts(images)
    lines = []
    for i in indices:
        if i in conflicts:
            other = conflicts[i][0]
            why = f"identical to {str(images.files[other])!r}, which has the label {images.classes[images.y[other]]!r}"
        else:
            why = f"predicted {images.classes[predicted[i]]!r} with {predictions.confidence[i]:.0%}"
        lines.append(f"{str(images.files[i])!r}: label {images.classes[images.y[i]]!r}, {why}")
    return lines
