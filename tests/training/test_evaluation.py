"""Logits of a loader's batches, and their score."""

import numpy as np
import pytest
import torch
from scipy.stats import norm
from torch.nn import functional

from classifier import CNNClassifier
from metrics import calibration_error
from models import ResNet18
from training.evaluation import predict_logits, score


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
    result = score(logits, labels)
    assert list(result) == ["loss", "accuracy", "n", "interval", "calibration_error"]
    assert result["loss"] == pytest.approx(float(functional.cross_entropy(logits, labels)))
    assert result["accuracy"] == int((logits.argmax(1) == labels).sum()) / 50 and result["n"] == 50
    assert result["calibration_error"] == calibration_error(logits.softmax(1).numpy(), labels.numpy())


def test_evaluate_gives_wilsons_interval(drawn, quick):
    classifier = CNNClassifier(quick(), drawn.classes)
    result = classifier.evaluate(drawn)
    p, n, z = result["accuracy"], result["n"], norm.ppf(0.975)
    half = z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    centre = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    assert result["interval"] == pytest.approx((centre - half, centre + half))
    assert n == 480 and p == (classifier.predict(drawn) == drawn.y).mean()
