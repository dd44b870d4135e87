import numpy as np
import pytest

from metrics import (
    MIN_VALIDATION,
    accuracy,
    calibration_bins,
    calibration_error,
    fit_temperature,
    format_accuracy,
    format_epoch,
    format_scores,
    kept_epoch,
    macro_averages,
    mcnemar,
    per_class,
)


def test_accuracy_has_wilsons_interval():
    result = accuracy(81, 263)  # Newcombe, Statistics in Medicine 17, 1998, table I: 0.2553 to 0.3662
    assert np.round(result["interval"], 4).tolist() == [0.2553, 0.3662]
    assert format_accuracy(accuracy(744, 744)) == "100.00% (99.49% to 100.00%, n = 744)"


def test_an_epoch_is_formatted_with_and_without_validation():
    row = {"train_loss": 0.25, "train_accuracy": 0.5, "train_low": 0.4, "train_high": 0.6, "train_n": 100, "val_n": 0}
    text = "loss 0.2500  accuracy 50.00% (40.00% to 60.00%, n = 100)"
    assert format_epoch(row) == text
    row |= {"val_loss": 0.125, "val_accuracy": 1.0, "val_low": 0.9, "val_high": 1.0, "val_n": 20}
    assert format_epoch(row) == text + "  val loss 0.1250  val accuracy 100.00% (90.00% to 100.00%, n = 20)"


def test_calibration_bins_leave_out_empty_ones():
    given, correct = np.array([1.0, 0.98, 0.6]), np.array([True, False, True])
    confidence, bin_accuracy, count = calibration_bins(given, correct, bins=10)
    np.testing.assert_allclose(confidence, [0.6, 0.99])
    assert bin_accuracy.tolist() == [1.0, 0.5] and count.tolist() == [1, 2]


def test_calibration_error_is_the_mean_gap():
    confidence, correct = np.repeat([0.9, 0.65], 10), np.arange(20) < 9  # of the first ten, 9 are correct
    correct[10:14] = True
    assert calibration_error(confidence, correct) == pytest.approx((0 + abs(0.65 - 0.4)) / 2)
    assert calibration_error(np.ones(2), np.array([True, True])) == 0


def test_macro_averages_are_of_classes_that_differ_in_size():
    y, predicted = np.array([0, 0, 0, 0, 1, 1, 5]), np.array([0, 0, 0, 1, 1, 2, 5])
    averages = macro_averages(y, predicted)
    assert averages["balanced_accuracy"] == pytest.approx((0.75 + 0.5 + 1) / 3)
    assert averages["macro_f1"] == pytest.approx((6 / 7 + 0.5 + 1) / 3)
    assert macro_averages(np.array([0, 0, 1, 1]), np.array([0, 1, 2, 1])) == {}
    result = accuracy(5, 7) | averages | {"top5_accuracy": 1.0}
    assert format_scores(result) == (
        f"{format_accuracy(result)}, top 5 100.00%, balanced accuracy 75.00%, macro F1 78.57%"
    )
    assert format_scores(accuracy(5, 7)) == format_accuracy(accuracy(5, 7))


@pytest.mark.parametrize(("count", "classes"), [(20_000, 4), (600, 12), (600, 3000)])
def test_the_temperature_is_what_logits_were_multiplied_with(count, classes):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(count, classes)) * 3
    shares = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = (shares.cumsum(1) > rng.random((count, 1))).argmax(1)  # as the probabilities say
    assert fit_temperature(logits * 3, y) == pytest.approx(3, rel=0.05)
    assert fit_temperature(logits / 2, y) == pytest.approx(0.5, rel=0.05)


def test_a_set_without_errors_does_not_ask_for_certainty():
    logits = np.eye(12)[np.arange(744) % 12] * 5
    temperature = fit_temperature(logits, np.arange(744) % 12)
    confidence = 1 / (1 + 11 * np.exp(-5 / temperature))
    assert 0.97 < confidence < 0.999


def test_mcnemar_compares_indices_with_indices_and_names_with_names():
    indices, names = np.array([0, 1]), np.array(["a", "b"])
    for wrong in ((indices, names, indices), (indices, indices, np.array([0, 1, 1]))):
        with pytest.raises(ValueError) as caught:
            mcnemar(*wrong)
        assert str(caught.value) == ("mcnemar compares arrays (N,) of the same length, all of indices or all of names")
    assert mcnemar(names, names, names[::-1])["only_first"] == 2


def test_per_class_by_hand():
    y, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 1, 1])
    result = per_class(y, predicted, ["a", "b", "c", "d"])
    assert result["a"] == {"precision": 1.0, "recall": 2 / 3, "f1-score": 0.8, "support": 3}
    assert result["b"]["precision"] == 0.5 and result["c"]["recall"] == 0 and result["d"]["support"] == 0


def test_mcnemar_counts_the_discordant_images_only():
    y = np.zeros(100, int)
    first, second = y.copy(), y.copy()
    first[:2], second[2:12] = 1, 1  # only one of them classifies 10 and 2 images correctly
    result = mcnemar(y, first, second, ("A", "B"))
    assert (result["only_first"], result["only_second"]) == (10, 2)
    assert result["p"] == pytest.approx(2 * (1 + 12 + 66) / 2**12)  # two-sided, binomial
    assert result["verdict"] == (
        "of 100 images, only A classifies 10 correctly and only B 2: A is better (McNemar's exact test, p = 0.039)"
    )
    assert mcnemar(y, second, first, ("B", "A"))["verdict"].count("A is better") == 1
    assert mcnemar(y, first, first, ("A", "B"))["verdict"] == (
        "of 100 images, A and B classify the same ones correctly: no significant difference "
        "(McNemar's exact test, p = 1)"
    )


def history(*rows: tuple[float, float], annealed: bool = True, n: int = 100) -> list[dict]:
    """Return a history of (validation accuracy, validation loss) per epoch."""
    keys = ("epoch", "val_accuracy", "val_loss", "val_n", "learning_rate")
    rates = [1 / (1 + annealed * k) for k in range(len(rows))]
    return [dict(zip(keys, (k + 1, *row, n, rates[k]), strict=True)) for k, row in enumerate(rows)]


@pytest.mark.parametrize(
    "annealed, rows, kept",
    [
        (True, [(0.5, 1), (0.99, 1), (0.97, 1)], 2),  # the standard error of 99 of 100 is 1.7 %
        (True, [(0.5, 1), (0.98, 1), (0.97, 1)], 3),
        (True, [(0.5, 1), (0.97, 1), (0.97, 2), (0.5, 1)], 3),
        (True, [(0.9, 1), (0.93, 1), (0.95, 1), (0.9, 1)], 3),
        (True, [(1.0, 1), (0.99, 1), (0.98, 1)], 2),  # none of 100 is no certainty
        (True, [(0.5, 1)], 1),
        (False, [(0.98, 1), (0.98, 0.9), (0.97, 1)], 2),
        (False, [(0.98, 1), (0.98, 1), (0.97, 0.1)], 1),
    ],
)
def test_the_epoch_that_is_kept(annealed, rows, kept):
    found, reason = kept_epoch(history(*rows, annealed=annealed))
    assert found["epoch"] == kept and reason
    for epoch in range(1, len(rows) + 1):  # known while training: it is this epoch, or the one kept before
        so_far = history(*rows, annealed=annealed)[:epoch]
        if epoch > 1:
            before = kept_epoch(so_far[:-1])[0]["epoch"]
            assert kept_epoch(so_far)[0]["epoch"] in (epoch, before) or not annealed


def test_few_validation_images_choose_no_epoch():
    rows = [(0.98, 1), (0.5, 1)]
    for annealed in (True, False):
        assert kept_epoch(history(*rows, annealed=annealed, n=MIN_VALIDATION))[0]["epoch"] == 1
        found, reason = kept_epoch(history(*rows, annealed=annealed, n=MIN_VALIDATION - 1))
        assert found["epoch"] == 2 and reason == "the last: too few validation images to choose (49)"
    assert kept_epoch(history((None, None), (None, None), n=0))[0]["epoch"] == 2
