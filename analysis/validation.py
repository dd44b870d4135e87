"""Repeated seeds, and cross-validation without leaks."""

import logging
import statistics
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from classifier import CNNClassifier
from common.errors import InputError
from common.text import plural
from config import Config
from dataset import CharDataset, leak_groups
from metrics import accuracy, format_accuracy

log = logging.getLogger("fit_char")


def _fit_completely(classifier: CNNClassifier, train: CharDataset, val: CharDataset | None = None) -> CNNClassifier:
    """Fit a classifier; an interrupted run is no result, and ends the other runs too."""
    if len(classifier.fit(train, val)) < classifier.config.epochs_for(len(train)):
        raise KeyboardInterrupt("stopped before the last epoch")
    return classifier


def repeat(
    config: Config, train: CharDataset, val: CharDataset | None, seeds: Iterable[int], test: CharDataset | None = None
) -> dict:
    """Train from each seed, and evaluate every run on the test images, or else on the validation images.

    Args:
        seeds: of the weights, the order and the augmentation; the split stays the same.

    Returns:
        seeds, accuracies, mean, std (of the sample; 0 for one seed), runs (what `evaluate` gives per seed), and
        median: the CNNClassifier whose accuracy is the median (the lower one of two).

    Raises:
        InputError: no seed, or no images to evaluate on.
        KeyboardInterrupt: a run was interrupted.
    """
    seeds = [int(seed) for seed in seeds]
    images = test or val
    if not seeds or not images:
        raise InputError("repeat needs at least one seed, and validation or test images to evaluate on")
    classifiers, runs = [], []
    for seed in seeds:
        changed = replace(config, random_seed=seed, hash_id=None)
        classifiers.append(_fit_completely(CNNClassifier(changed, train.classes), train, val))
        runs.append(classifiers[-1].evaluate(images))
        log.info("seed %d: %s", seed, format_accuracy(runs[-1]))
    accuracies = [run["accuracy"] for run in runs]
    median = classifiers[accuracies.index(statistics.median_low(accuracies))]
    mean, std = statistics.mean(accuracies), statistics.stdev(accuracies) if len(seeds) > 1 else 0.0
    log.info("mean %.2f%%, standard deviation %.2f%%", 100 * mean, 100 * std)
    return {"seeds": seeds, "accuracies": accuracies, "mean": mean, "std": std, "runs": runs, "median": median}


def split_folds(images: CharDataset, folds: int | None = 5, seed: int = 42) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the indices to train on and the indices held out, int64, per fold.

    The folds are stratified (nearly so before scikit-learn 1.8). Identical images are in one fold, and so are the
    images of one writer.

    Args:
        images: at least `folds` different ones per class.
        folds: 2 or more; None: five, or as many as the smallest class allows.
        seed: the same seed gives the same folds.

    Raises:
        InputError: a class with fewer different images than folds, or fewer than two of either.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # imported here because it takes a second

    groups = leak_groups(images)
    splitter = StratifiedGroupKFold(_checked_folds(images, groups, folds), shuffle=True, random_state=seed)
    return list(splitter.split(images.y, images.y, groups))


def cross_validate(
    config: Config, images: CharDataset, folds: int | None = 5,
    predict: Callable[[CNNClassifier, CharDataset], np.ndarray] = CNNClassifier.predict_proba,
) -> dict:  # fmt: skip
    """Predict every image with a model that was not trained on it, nor on an identical image.

    See `split_folds`. No image chooses the epoch: each fold is evaluated
    with the weights of the last. Fold k is trained from scratch, whatever `init_from` says, from the seed `random_seed`
    + k, and leaves neither record nor checkpoint.

    Args:
        images: N images.
        folds: see `split_folds`.
        predict: gives the probabilities of each class, float32 (n, C), from a trained classifier.

    Returns:
        accuracies of the folds, their mean and std, pooled (`metrics.accuracy` over all images), probabilities float32
        (N, C) and fold int64 (N,), by which model each image was predicted.

    Raises:
        InputError: see `split_folds`.
        KeyboardInterrupt: a run was interrupted.
    """
    pairs = split_folds(images, folds, config.split_seed)
    probabilities = np.zeros((len(images), len(images.classes)), np.float32)
    fold, runs = np.zeros(len(images), np.int64), []
    for k, (train, held_out) in enumerate(pairs):
        changed = replace(
            config, random_seed=config.random_seed + k, init_from=None, hash_id=None, record_path=None, save_path=None
        )
        classifier = _fit_completely(CNNClassifier(changed, images.classes), images.subset(train))
        probabilities[held_out], fold[held_out] = predict(classifier, images.subset(held_out)), k
        correct = probabilities[held_out].argmax(1) == images.y[held_out]
        runs.append(accuracy(correct.sum(), len(held_out)))
        log.info("fold %d of %d: %s", k + 1, len(pairs), format_accuracy(runs[-1]))
    accuracies = [run["accuracy"] for run in runs]
    pooled = accuracy((probabilities.argmax(1) == images.y).sum(), len(images))
    log.info("all folds: %s", format_accuracy(pooled))
    return {
        "accuracies": accuracies, "mean": statistics.mean(accuracies), "std": statistics.stdev(accuracies),
        "pooled": pooled, "probabilities": probabilities, "fold": fold,
    }  # fmt: skip


def _checked_folds(images: CharDataset, groups: np.ndarray, folds: int | None) -> int:
    """Return how many folds to make of images, given their groups int64 (N,); raise InputError if they are too few."""
    counts = {name: len(set(groups[images.y == k].tolist())) for k, name in enumerate(images.classes)}
    smallest = min(counts, key=lambda name: counts[name])
    if folds is None:
        folds = max(2, min(5, counts[smallest]))
    if folds < 2:
        raise InputError(f"cross-validation takes two folds or more, not {folds}")
    if counts[smallest] < folds:
        remedy = "take fewer folds" if counts[smallest] > 1 else "add some, or leave the class out"
        raise InputError(
            f"class {smallest!r} has {plural(counts[smallest], 'different image')}, too few for {folds} folds: {remedy}"
        )
    return folds
