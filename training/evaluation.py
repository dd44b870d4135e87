"""A model's logits for the batches of a loader, and what they are worth."""

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn import functional

from metrics import accuracy, calibration_error


@torch.inference_mode()
def predict_logits(model: nn.Module, loader: Iterable) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits float32 (N, C) and labels int64 (N,), both on the CPU; the model is put into evaluation mode."""
    model.eval()
    logits, labels = [], []
    for images, batch_labels in loader:
        logits.append(model(images))
        labels.append(batch_labels)
    return torch.cat(logits).cpu(), torch.cat(labels).cpu()


def score(logits: torch.Tensor, labels: torch.Tensor) -> dict:
    """Return loss (mean cross-entropy, nats), accuracy, n, interval (`metrics.accuracy`) and calibration_error."""
    result = {"loss": functional.cross_entropy(logits, labels).item()}
    result |= accuracy(int((logits.argmax(1) == labels).sum()), len(labels))
    return result | {"calibration_error": calibration_error(logits.softmax(1).numpy(), labels.numpy())}
