"""Logits of a loader's batches, and their score."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from sklearn.metrics import balanced_accuracy_score
from torch import nn
from torch.nn import functional

from classifier import CNNClassifier
from metrics import calibration_error
from models import ResNet18
from training import evaluation
from training.evaluation import Predictions, Shifted, predict, predict_logits, score


def test_logits_are_those_of_the_model_in_evaluation_mode():
    torch.manual_seed(0)
    model = ResNet18(1, 5).train()
    batches = [(torch.rand(n, 1, 32, 32), torch.arange(n) % 5) for n in (4, 3)]
    buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
    logits, labels = predict_logits(model, iter(batches))
    assert not model.training and not logits.requires_grad
    assert logits.dtype == torch.float32 and logits.shape == (7, 5) and labels.tolist() == [0, 1, 2, 3, 0, 1, 2]
    with torch.no_grad():
        torch.testing.assert_close(logits, torch.cat([model(x) for x, _ in batches]))
    assert all(torch.equal(buffer, buffers[name]) for name, buffer in model.named_buffers())


def test_a_score_is_what_torch_and_metrics_say():
    torch.manual_seed(0)
    logits, labels = 3 * torch.randn(50, 4), torch.randint(0, 4, (50,))
    labels[:4], labels[4:] = torch.arange(4), torch.arange(4).repeat(12)[:46]  # two classes have an image more
    result = score(Predictions.from_logits(logits, labels))
    assert list(result) == [
        "loss", "accuracy", "n", "interval", "calibration_error", "balanced_accuracy", "macro_f1"
    ]  # fmt: skip
    assert result["loss"] == float(functional.cross_entropy(logits, labels)), "to the last bit"
    correct = logits.argmax(1) == labels
    assert result["accuracy"] == int(correct.sum()) / 50 and result["n"] == 50
    assert result["calibration_error"] == calibration_error(logits.softmax(1).amax(1).numpy(), correct.numpy())
    assert result["balanced_accuracy"] == balanced_accuracy_score(labels, logits.argmax(1))


def test_of_many_classes_the_top_five_count():
    labels = torch.arange(30)
    logits = 10 - torch.stack([(torch.arange(30) - k) % 30 for k in range(30)]).float()  # the label, then the next …
    logits[:6, 29] = torch.tensor([20.0, 11, 9.5, 8.5, 7.5, 6.5])
    logits[6] = logits[6].roll(5)  # five classes are more probable than the label
    result = score(Predictions.from_logits(logits, labels))
    assert result["top5_accuracy"] == 29 / 30 and result["accuracy"] == 27 / 30 and "balanced_accuracy" not in result


def test_predictions_are_those_of_the_probabilities():
    torch.manual_seed(0)
    logits, labels = torch.randn(9, 4), torch.arange(9) % 4
    found, probabilities = Predictions.from_logits(logits, labels), logits.softmax(1).numpy()
    np.testing.assert_array_equal(found.predicted, probabilities.argmax(1))
    np.testing.assert_array_equal(found.confidence, probabilities.max(1))
    np.testing.assert_array_equal(found.label_probability, probabilities[range(9), labels])
    others = [np.delete(row, k).max() for row, k in zip(probabilities, labels, strict=True)]
    np.testing.assert_array_equal(found.other_probability, np.array(others))
    again = Predictions.join([found.subset(np.arange(5)), found.subset(np.arange(5, 9))])
    assert all(np.array_equal(value, vars(again)[name]) for name, value in vars(found).items())


def test_blocks_of_logits_change_nothing(monkeypatch):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 30))
    batches = [(torch.rand(7, 1, 2, 2), torch.arange(7)) for _ in range(9)]
    whole, (logits, labels) = predict(model, batches, 2.0), predict_logits(model, batches)
    monkeypatch.setattr(evaluation, "BLOCK", 300)
    assert [len(labels) for _, labels in evaluation.logit_blocks(model, batches)] == [14, 14, 14, 14, 7]
    parts = predict(model, batches, 2.0)
    assert all(np.allclose(value, vars(parts)[name]) for name, value in vars(whole).items())
    assert torch.equal(evaluation.sample_logits(model, batches)[0], logits)
    monkeypatch.setattr(evaluation, "CALIBRATION", 600)
    some, some_labels = evaluation.sample_logits(model, batches)
    assert torch.equal(some, logits[::4]) and torch.equal(some_labels, labels[::4])


def test_evaluate_gives_wilsons_interval(drawn, quick):
    classifier = CNNClassifier(quick(), drawn.classes)
    result = classifier.evaluate(drawn)
    p, n, z = result["accuracy"], result["n"], norm.ppf(0.975)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    assert result["interval"] == pytest.approx((centre - half, centre + half))
    assert n == 480 and p == (classifier.predict(drawn) == drawn.y).mean()


@pytest.mark.parametrize("size", [32, 64])
def test_shifted_predictions_are_the_mean_of_five(size):
    torch.manual_seed(0)
    model, x, by = ResNet18(1, 5).eval(), torch.zeros(3, 1, size, size), size // 32
    x[:, :, 4:-4, 4:-4] = torch.rand(3, 1, size - 8, size - 8)  # paper around it, so that rolling is shifting
    with torch.no_grad():
        copies = [x, *(x.roll(step, axis) for axis in (2, 3) for step in (-by, by))]
        expected = torch.stack([model(one) for one in copies]).mean(0)
        torch.testing.assert_close(Shifted(model)(x), expected)


def test_shifted_ink_at_the_edge_goes_on():
    model, x = nn.Flatten(), torch.ones(2, 3, 40, 40)
    torch.testing.assert_close(Shifted(model)(x), model(x))
