"""What a figure is worth: intervals, calibration, and whether one run is better than another."""

import numpy as np


def accuracy(correct: int, n: int) -> dict:
    """Return accuracy, n, and interval: its 95 % interval (low, high).

    The interval is that of Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22,
    1927.
    """
    from scipy.stats import binomtest  # here, since it takes a second to import

    low, high = binomtest(int(correct), n).proportion_ci(method="wilson")
    return {"accuracy": int(correct) / n, "n": n, "interval": (float(low), float(high))}


def in_words(result: dict) -> str:
    """Return what `accuracy` gives as text: accuracy, 95 % interval and count."""
    low, high = result["interval"]
    return f"{result['accuracy']:.2%} ({low:.2%} to {high:.2%}, n = {result['n']})"


def columns(part: str, score: dict | None) -> dict:
    """Return a score as the columns of a history, named after the part of the data it is of."""
    low, high = score["interval"] if score else (None, None)
    values = {key: score and score[key] for key in ("loss", "accuracy")} | {"low": low, "high": high}
    return {f"{part}_{key}": value for key, value in values.items()} | {f"{part}_n": score["n"] if score else 0}


def calibration_bins(probabilities: np.ndarray, y: np.ndarray, bins: int = 15) -> tuple[np.ndarray, ...]:
    """Sort images into bins of equal width by the probability of their likeliest class.

    Args:
        probabilities: float (N, C).
        y: int64 (N,).

    Returns:
        The mean probability of that class, the share of the images that are of that class, and how many there are,
        float64 (B,) each, of the B bins that hold any.
    """
    confidence, right = probabilities.max(1).astype(np.float64), probabilities.argmax(1) == y
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    held = count > 0
    means = (np.bincount(place, values, minlength=bins)[held] / count[held] for values in (confidence, right))
    return *means, count[held]


def calibration_error(probabilities: np.ndarray, y: np.ndarray) -> float:
    """Return the expected calibration error: how far confidence is from accuracy, 0 to 1, the mean over the images.

    It is that of Guo et al., "On calibration of modern neural networks", ICML 2017. See `calibration_bins`.
    """
    confidence, share, count = calibration_bins(probabilities, y)
    return float(np.abs(confidence - share) @ count / count.sum())


def fit_temperature(logits: np.ndarray, y: np.ndarray) -> float:
    """Return the T > 0 for which softmax(logits / T) is nearest to the labels in cross-entropy (Guo et al.).

    That a set read without a mistake does not ask for certainty, a label counts as (n + 1) / (n + C) only: Platt,
    "Probabilistic outputs for support vector machines", 1999.

    Args:
        logits: float (N, C), of images that the model was not trained on.
        y: int64 (N,).
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    n, classes = logits.shape
    target = np.full((n, classes), 1 / (n + classes))
    target[np.arange(n), y] += 1 - classes / (n + classes)

    def cross_entropy(log_temperature):
        return -(target * log_softmax(logits / np.exp(log_temperature), 1)).sum(1).mean()

    return float(np.exp(minimize_scalar(cross_entropy, bounds=(-3, 3), method="bounded").x))


def per_class(y: np.ndarray, predicted: np.ndarray, classes: list[str]) -> dict[str, dict]:
    """Return for each class precision, recall, f1-score and support (its images), by scikit-learn."""
    from sklearn.metrics import classification_report

    indices = range(len(classes))
    report = classification_report(y, predicted, labels=indices, output_dict=True, zero_division=0)
    return {name: report[str(k)] for k, name in enumerate(classes)}


def mcnemar(y: np.ndarray, first: np.ndarray, second: np.ndarray, names=("the first", "the second")) -> dict:
    """Compare two runs' predictions of the same images.

    Args:
        y, first, second: the labels and the predicted classes (N,), all of them indices or all names.
        names: of the two runs, for the verdict.

    Returns:
        only_first, only_second: images that one alone reads rightly. p: the probability of a split at least as uneven
        if neither were better, by McNemar's exact test (Psychometrika 12, 1947). verdict: that, in words.

    Raises:
        ValueError: arrays of different lengths, or indices beside names.
    """
    from scipy.stats import binomtest

    y, first, second = arrays = [np.asarray(one) for one in (y, first, second)]
    if len({(one.shape, one.dtype.kind in "iu") for one in arrays}) > 1:
        raise ValueError("mcnemar compares arrays (N,) of the same length, all of indices or all of names")
    right, other = first == y, second == y
    only_first, only_second = int((right & ~other).sum()), int((other & ~right).sum())
    p = float(binomtest(only_first, only_first + only_second).pvalue) if only_first + only_second else 1.0
    better = f"{names[only_second > only_first]} is better" if p < 0.05 else "that shows no difference"
    verdict = (
        f"of {len(y)} images, {names[0]} alone reads {only_first} rightly, {names[1]} alone {only_second}: {better} "
        f"(McNemar's exact test, p = {p:.2g})"
    )
    return {"only_first": only_first, "only_second": only_second, "p": p, "verdict": verdict}
