"""Evidence for a recipe: the same run from several seeds, and cross-validation without leaks."""

import statistics
from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np

from classifier import CNNClassifier
from common.errors import InputError
from config import Config
from dataset import CharDataset, leak_groups
from metrics import accuracy, in_words


def _finish(classifier: CNNClassifier, train: CharDataset, val: CharDataset | None = None) -> CNNClassifier:
    """Fit a classifier to the end; a run that Ctrl-C has stopped earlier is no evidence, and stops the others too."""
    if len(classifier.fit(train, val)) < classifier.config.epochs_for(len(train)):
        raise KeyboardInterrupt("stopped before the last epoch")
    return classifier


def repeat(
    config: Config, train: CharDataset, val: CharDataset | None, seeds: Iterable[int], test: CharDataset | None = None
) -> dict:
    """Train from each seed, and judge every run on the test images, or else on the validation images.

    Args:
        seeds: of the weights, the order and the augmentation; the images stay where they are.

    Returns:
        seeds, accuracies, mean, std (of the sample; 0 for one seed), runs (what `evaluate` gives, seed by seed), and
        median: the CNNClassifier whose accuracy is the median (the lower one of two).

    Raises:
        InputError: no seed, or no images to judge by.
        KeyboardInterrupt: a run was interrupted.
    """
    seeds, classifiers, runs = [int(seed) for seed in seeds], [], []
    if not seeds or not (test or val):
        raise InputError("repeat needs a seed at least, and images to judge by: validation or test images")
    for seed in seeds:
        changed = replace(config, random_seed=seed, hash_id=None)
        classifiers.append(_finish(CNNClassifier(changed, train.classes), train, val))
        runs.append(classifiers[-1].evaluate(test or val))
        print(f"seed {seed}: {in_words(runs[-1])}")
    accuracies = [run["accuracy"] for run in runs]
    median = classifiers[accuracies.index(statistics.median_low(accuracies))]
    spread = statistics.stdev(accuracies) if len(seeds) > 1 else 0.0
    print(f"mean {statistics.mean(accuracies):.2%}, standard deviation {spread:.2%}")
    return {
        "seeds": seeds, "accuracies": accuracies, "mean": statistics.mean(accuracies), "std": spread, "runs": runs,
        "median": median,
    }  # fmt: skip


def cross_validate(
    config: Config, images: CharDataset, folds: int | None = 5,
    predict: Callable[[CNNClassifier, CharDataset], np.ndarray] = CNNClassifier.predict_proba,
) -> dict:  # fmt: skip
    """Predict every image with a model that has not seen it, nor any that is identical to it.

    The folds are stratified (nearly so before scikit-learn 1.8); no images choose the epoch: each fold is judged by its
    last one. Fold k is trained from scratch, whatever `init_from` says, from the seed `random_seed` + k, and leaves
    neither record nor checkpoint.

    Args:
        images: N images, at least `folds` groups of different ones in each class.
        folds: 2 or more; None: five, or as many as the images of the smallest class allow.
        predict: gives the probabilities of each class, float32 (n, C), from a trained classifier.

    Returns:
        accuracies of the folds, their mean and std, pooled (`metrics.accuracy` over all images), probabilities float32
        (N, C) and fold int64 (N,), by which model each image was predicted.

    Raises:
        InputError: a class with fewer different images than folds, or fewer than two of either.
        KeyboardInterrupt: a run was interrupted.
    """
    from sklearn.model_selection import StratifiedGroupKFold  # here, since it takes a second to import

    groups = leak_groups(images)
    counts = {name: len(set(groups[images.y == k])) for k, name in enumerate(images.classes)}
    smallest = min(counts, key=counts.get)
    folds = max(2, min(5, counts[smallest])) if folds is None else folds
    if folds < 2:
        raise InputError(f"cross-validation takes two folds or more, not {folds}")
    if counts[smallest] < folds:
        remedy = "take fewer folds" if counts[smallest] > 1 else "add some, or leave the class out"
        raise InputError(
            f"class {smallest!r} has {counts[smallest]} different images, too few for {folds} folds: {remedy}"
        )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=config.split_seed)
    probabilities = np.zeros((len(images), len(images.classes)), np.float32)
    fold, runs = np.zeros(len(images), np.int64), []
    for k, (learnt, judged) in enumerate(splitter.split(images.x, images.y, groups)):
        changes = {"random_seed": config.random_seed + k, "init_from": None, "hash_id": None}
        changes |= {"record_path": None, "save_path": None}
        classifier = _finish(CNNClassifier(replace(config, **changes), images.classes), images.subset(learnt))
        probabilities[judged], fold[judged] = predict(classifier, images.subset(judged)), k
        runs.append(accuracy((probabilities[judged].argmax(1) == images.y[judged]).sum(), len(judged)))
        print(f"fold {k + 1} of {folds}: {in_words(runs[-1])}")
    accuracies = [run["accuracy"] for run in runs]
    pooled = accuracy((probabilities.argmax(1) == images.y).sum(), len(images))
    print(f"all folds: {in_words(pooled)}")
    return {
        "accuracies": accuracies, "mean": statistics.mean(accuracies), "std": statistics.stdev(accuracies),
        "pooled": pooled, "probabilities": probabilities, "fold": fold,
    }  # fmt: skip
