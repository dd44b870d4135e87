"""Weights of the classes in the loss, for classes that differ in size."""

from collections.abc import Sequence

import numpy as np
import torch

UNEQUAL = 2  # times as many images as the smallest class, from which on it is said


def class_weights(y: np.ndarray, classes: int) -> torch.Tensor:
    """Return weights inverse to the number of images, float32 (C,), whose mean over the images is 1.

    King and Zeng, "Logistic regression in rare events data", Political Analysis 9(2), 2001. A class without images
    has the weight 0.

    Args:
        y: int64 (N,), the labels of the training images.
        classes: C.
    """
    counts = np.bincount(y, minlength=classes)
    present = np.count_nonzero(counts)
    weights = np.divide(len(y) / present, counts, out=np.zeros(classes), where=counts > 0)
    return torch.from_numpy(weights).float()


def describe_balance(y: np.ndarray, classes: Sequence[str], weighted: bool) -> dict:
    """Return how the classes differ in size and what is done about it, for the record of a run; {} if they hardly do.

    Args:
        y: int64 (N,), the labels of the training images.
        classes: names of the C classes.
        weighted: whether the loss is weighted.

    Returns:
        smallest_class, largest_class: [name, number of images, weight of one image in the loss]; class_weights: a
        sentence.
    """
    counts = np.bincount(y, minlength=len(classes))
    low, high = int(counts.argmin()), int(counts.argmax())
    if counts[high] < UNEQUAL * counts[low] and not weighted or counts[high] == counts[low]:
        return {}
    weights = class_weights(y, len(classes)) if weighted else torch.ones(len(classes))
    smallest, largest = ([classes[k], int(counts[k]), round(float(weights[k]), 3)] for k in (low, high))
    sizes = f"{smallest[1]} images of {smallest[0]!r} to {largest[1]} of {largest[0]!r}"
    if weighted:
        effect = f"the loss of an image counts {smallest[2]:g} to {largest[2]:g} times, so all classes count equally"
    else:
        effect = "large classes count more in loss and accuracy; class_weights='balanced' lets all count equally"
    return {"smallest_class": smallest, "largest_class": largest, "class_weights": f"{sizes}: {effect}"}
