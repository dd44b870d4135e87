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
from metrics import accuracy, format_accuracy, format_scores
from training.evaluation import Predictions, score

log = logging.getLogger("fit_char")
MOST_COUNTS = 50_000_000  # groups × classes of which scikit-learn stratifies the folds: in about a minute, with 400 MB


def _fit_completely(classifier: CNNClassifier, train: CharDataset, val: CharDataset | None = None) -> CNNClassifier:
    """Fit a classifier; an interrupted run is no result, and ends the other runs too."""
    if len(classifier.fit(train, val)) < classifier.config.epochs_for(len(train), len(train.classes)):
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
        log.info("seed %d: %s", seed, format_scores(runs[-1]))
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
    folds = _checked_folds(images, groups, folds)
    if (groups.max() + 1) * len(images.classes) > MOST_COUNTS:
        fold = _fold_of_images(images.y, groups, folds, seed)
        return [(np.flatnonzero(fold != k), np.flatnonzero(fold == k)) for k in range(folds)]
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    return list(splitter.split(images.y, images.y, groups))


def _fold_of_images(y: np.ndarray, groups: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Return the fold of each image, int64 (N,), in time and memory that grow with N alone.

    The groups of each class, which is that of their first image, are dealt to the folds in random order. Groups of
    several classes, as writers are, leave the folds less well stratified than scikit-learn's.
    """
    _, first, group = np.unique(groups, return_index=True, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(first))
    order = order[np.argsort(y[first[order]], kind="stable")]  # by class, each in random order
    fold = np.empty(len(first), np.int64)
    fold[order] = np.arange(len(first)) % folds  # the next class goes on where one ends: folds of equal size
    return fold[group]


def cross_validate(
    config: Config, images: CharDataset, folds: int | None = 5,
    predict: Callable[[CNNClassifier, CharDataset], Predictions] = CNNClassifier.predict_labelled,
    add: Callable[[CharDataset], CharDataset] = lambda train: train,
) -> dict:  # fmt: skip
    """Predict every image with a model that was not trained on it, nor on an identical image.

    See `split_folds`. No image chooses the epoch: each fold is evaluated with the weights of the last. Fold k is
    trained from scratch, whatever `init_from` says, from the seed `random_seed` + k, and leaves neither record nor
    checkpoint.

    Args:
        images: N images.
        folds: see `split_folds`.
        predict: gives the Predictions of a fold from a trained classifier.
        add: gives what a fold is trained on from its training images, such as these together with drawn ones.

    Returns:
        accuracies of the folds, their mean and std, pooled (`training.evaluation.score` over all images), predictions
        of all images and fold int64 (N,), by which model each image was predicted.

    Raises:
        InputError: see `split_folds`.
        KeyboardInterrupt: a run was interrupted.
    """
    pairs = split_folds(images, folds, config.split_seed)
    fold = np.zeros(len(images), np.int64)
    runs = []
    parts = []
    for k, (train, held_out) in enumerate(pairs):
        changed = replace(
            config, random_seed=config.random_seed + k, init_from=None, hash_id=None, record_path=None, save_path=None
        )
        classifier = _fit_completely(CNNClassifier(changed, images.classes), add(images.subset(train)))
        parts.append(predict(classifier, images.subset(held_out)))
        fold[held_out] = k
        runs.append(accuracy((parts[-1].predicted == images.y[held_out]).sum(), len(held_out)))
        log.info("fold %d of %d: %s", k + 1, len(pairs), format_accuracy(runs[-1]))
    accuracies = [run["accuracy"] for run in runs]
    order = np.argsort(np.concatenate([held_out for _, held_out in pairs]))
    predictions = Predictions.join(parts).subset(order)
    pooled = score(predictions)
    log.info("all folds: %s", format_scores(pooled))
    return {
        "accuracies": accuracies, "mean": statistics.mean(accuracies), "std": statistics.stdev(accuracies),
        "pooled": pooled, "predictions": predictions, "fold": fold,
    }  # fmt: skip


def _checked_folds(images: CharDataset, groups: np.ndarray, folds: int | None) -> int:
    """Return how many folds to make of images, given their groups int64 (N,); raise InputError if they are too few."""
    in_class = np.unique(np.stack([images.y, groups]), axis=1)[0]
    counts = dict(zip(images.classes, np.bincount(in_class, minlength=len(images.classes)).tolist(), strict=True))
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
