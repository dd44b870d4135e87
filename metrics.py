"""Accuracy with its interval, which epoch is kept, calibration, and tests of whether one run is better than another."""

import math
from collections.abc import Sequence

import numpy as np

MIN_VALIDATION = 50  # images; fewer cannot choose an epoch or a temperature


def accuracy(correct: int, n: int) -> dict:
    """Return accuracy, n, and interval: the 95 % interval (low, high) of Wilson.

    Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22, 1927.
    """
    from scipy.stats import binomtest  # imported here because it takes a second

    low, high = binomtest(int(correct), n).proportion_ci(method="wilson")
    return {"accuracy": int(correct) / n, "n": n, "interval": (float(low), float(high))}


def format_accuracy(result: dict) -> str:
    """Return what `accuracy` gives as text: accuracy, 95 % interval and n."""
    low, high = result["interval"]
    return f"{result['accuracy']:.2%} ({low:.2%} to {high:.2%}, n = {result['n']})"


def macro_averages(y: np.ndarray, predicted: np.ndarray) -> dict:
    """Return balanced_accuracy and macro_f1, means over the classes in y; {} if these have the same number of images.

    Args:
        y, predicted: int64 (N,), the labels and the predicted classes.
    """
    present, counts = np.unique(y, return_counts=True)
    if counts.min() == counts.max():
        return {}
    from sklearn.metrics import precision_recall_fscore_support  # imported here because it takes a second

    _, recall, f1, _ = precision_recall_fscore_support(y, predicted, labels=present, average="macro", zero_division=0)
    return {"balanced_accuracy": float(recall), "macro_f1": float(f1)}


def format_scores(result: dict) -> str:
    """Return what `evaluate` gives as text: accuracy, 95 % interval and n, and the other accuracies if it has them."""
    names = {"top5_accuracy": "top 5", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}
    others = [f"{name} {result[key]:.2%}" for key, name in names.items() if result.get(key) is not None]
    return ", ".join([format_accuracy(result), *others])


def format_epoch(row: dict) -> str:
    """Return an epoch's losses and accuracies as text."""
    parts = []
    for part, name in (("train", ""), ("val", "val ")):
        if row[f"{part}_n"]:
            interval = row[f"{part}_low"], row[f"{part}_high"]
            result = {"accuracy": row[f"{part}_accuracy"], "interval": interval, "n": row[f"{part}_n"]}
            parts.append(f"{name}loss {row[f'{part}_loss']:.4f}  {name}accuracy {format_accuracy(result)}")
    return "  ".join(parts)


def best_epoch(history: Sequence[dict]) -> dict:
    """Return the row of the epoch with the highest validation accuracy, then the lowest validation loss."""
    return max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))


def kept_epoch(history: Sequence[dict]) -> tuple[dict, str]:
    """Return the row of the epoch whose weights are kept, and the reason as text.

    Under a constant learning rate it is `best_epoch`. Under a learning rate that is annealed, later weights are better,
    and the highest accuracy is mostly chance: it is the latest epoch whose accuracy is within one standard error of the
    highest, the rule of Breiman et al., "Classification and regression trees", 1984. With fewer than MIN_VALIDATION
    validation images it is the last epoch.

    Args:
        history: a dict per epoch, as `fit` returns it, at least one.
    """
    last, n = history[-1], history[-1]["val_n"]
    if n < MIN_VALIDATION:
        return last, f"the last: too few validation images to choose ({n:.0f})"
    best = best_epoch(history)
    if last["learning_rate"] != history[0]["learning_rate"]:
        smoothed = (best["val_accuracy"] * n + 2) / (n + 4)  # Agresti and Coull: also 0 or n errors leave some doubt
        threshold = best["val_accuracy"] - math.sqrt(smoothed * (1 - smoothed) / (n + 4))
        kept = [row for row in history if row["val_accuracy"] >= threshold][-1]
        if kept["val_accuracy"] < best["val_accuracy"]:
            return kept, f"the latest within one standard error of the highest ({best['val_accuracy']:.2%})"
        return kept, "the latest with the highest validation accuracy"
    return best, "the highest validation accuracy"


def calibration_bins(
    confidence: np.ndarray, correct: np.ndarray, bins: int = 15
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort images into bins of equal width by their confidence.

    Args:
        confidence: float (N,), the probability of the predicted class.
        correct: bool (N,), whether that is the label.

    Returns:
        For the B bins that are not empty: mean confidence float64 (B,), accuracy float64 (B,), images int64 (B,).
    """
    confidence = confidence.astype(np.float64)
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    filled = count > 0
    mean_confidence = np.bincount(place, confidence, minlength=bins)[filled] / count[filled]
    bin_accuracy = np.bincount(place, correct, minlength=bins)[filled] / count[filled]
    return mean_confidence, bin_accuracy, count[filled]


def calibration_error(confidence: np.ndarray, correct: np.ndarray) -> float:
    """Return the expected calibration error, 0 to 1: the mean distance of confidence from accuracy.

    Guo et al., "On calibration of modern neural networks", ICML 2017. See `calibration_bins` for the arguments.
    """
    confidence, bin_accuracy, count = calibration_bins(confidence, correct)
    return float(np.abs(confidence - bin_accuracy) @ count / count.sum())


def fit_temperature(logits: np.ndarray, y: np.ndarray) -> float:
    """Return the T > 0 for which softmax(logits / T) has the lowest cross-entropy (Guo et al.).

    The target probability of the labelled class is (n + 1) / (n + 2), so that a set without errors does not ask for
    certainty: Platt, "Probabilistic outputs for support vector machines", 1999. It is the same for any number of
    classes: with (n + 1) / (n + C), 1,000 images of 3,755 classes would ask for 21 %, whatever the accuracy.

    Args:
        logits: float (N, C), of images that the model was not trained on.
        y: int64 (N,).
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    n, classes = logits.shape
    of_label, of_others = (n + 1) / (n + 2), 1 / (n + 2) / (classes - 1)

    def cross_entropy(log_temperature):
        found = log_softmax(logits / np.exp(log_temperature), 1)
        own = found[np.arange(n), y]
        return -(of_label * own + of_others * (found.sum(1) - own)).mean()

    return float(np.exp(minimize_scalar(cross_entropy, bounds=(-3, 3), method="bounded").x))


def per_class(y: np.ndarray, predicted: np.ndarray, classes: Sequence[str]) -> dict[str, dict]:
    """Return precision, recall, f1-score and support (number of images) per class, by scikit-learn."""
    from sklearn.metrics import classification_report

    indices = range(len(classes))
    report = classification_report(y, predicted, labels=indices, output_dict=True, zero_division=0)
    return {name: report[str(k)] for k, name in enumerate(classes)}


def mcnemar(y: np.ndarray, first: np.ndarray, second: np.ndarray, names=("the first", "the second")) -> dict:
    """Compare the predictions of two runs for the same images.

    Args:
        y, first, second: the labels and the predicted classes (N,), all of them indices or all names.
        names: of the two runs, for the verdict.

    Returns:
        only_first, only_second: number of images that only this run classifies correctly. p: two-sided p-value of
        McNemar's exact test (Psychometrika 12, 1947). verdict: the result as a sentence.

    Raises:
        ValueError: arrays of different lengths, or indices beside names.
    """
    from scipy.stats import binomtest

    y, first, second = arrays = [np.asarray(array) for array in (y, first, second)]
    if len({(array.shape, array.dtype.kind in "iu") for array in arrays}) > 1:
        raise ValueError("mcnemar compares arrays (N,) of the same length, all of indices or all of names")
    first_correct, second_correct = first == y, second == y
    only_first = int((first_correct & ~second_correct).sum())
    only_second = int((second_correct & ~first_correct).sum())
    discordant = only_first + only_second
    p = float(binomtest(only_first, discordant).pvalue) if discordant else 1.0
    better = names[0] if only_first > only_second else names[1]
    conclusion = f"{better} is better" if p < 0.05 else "no significant difference"
    counts = f"only {names[0]} classifies {only_first} correctly and only {names[1]} {only_second}"
    if not discordant:
        counts = f"{names[0]} and {names[1]} classify the same ones correctly"
    verdict = f"of {len(y)} images, {counts}: {conclusion} (McNemar's exact test, p = {p:.2g})"
    return {"only_first": only_first, "only_second": only_second, "p": p, "verdict": verdict}
