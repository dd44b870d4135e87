"""What a model says of the images of a loader, and what that is worth, without holding logits N×C of all N images."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from common.errors import InputError
from metrics import accuracy, calibration_error, macro_averages

BLOCK = 2**22  # logits that are held at once: 17 MB
CALIBRATION = 2**22  # logits to which a temperature is fitted: of 570 images of 7,356 classes, 349,525 of 12
TOP = 5
# What is kept of an image, see `Predictions`. In arrays of their own, the results of each block would lie between its
# logits in memory, which malloc could then not use again: three times the memory of all logits.
ROW = np.dtype([
    ("y", np.int64), ("predicted", np.int64), ("confidence", np.float32), ("label_probability", np.float32),
    ("other_probability", np.float32), ("in_top", np.bool_), ("loss", np.float32),
])  # fmt: skip
MANY = 20  # classes, beyond which it is also of interest whether the label is among the TOP most probable classes


@dataclass(frozen=True)
class Predictions:
    """What a model says of N labelled images of C classes: a few numbers per image rather than C probabilities.

    Attributes:
        classes: C.
        y: int64 (N,), the labels.
        predicted: int64 (N,), the most probable class.
        confidence: float32 (N,), its probability.
        label_probability: float32 (N,), the probability of the label.
        other_probability: float32 (N,), the highest probability of another class than the label.
        in_top: bool (N,), whether fewer than TOP classes are more probable than the label.
        loss: float32 (N,), cross-entropy, nats.
    """

    classes: int
    y: np.ndarray
    predicted: np.ndarray
    confidence: np.ndarray
    label_probability: np.ndarray
    other_probability: np.ndarray
    in_top: np.ndarray
    loss: np.ndarray

    @classmethod
    def from_logits(cls, logits: torch.Tensor, labels: torch.Tensor) -> "Predictions":
        """Return those of logits float32 (N, C) and labels int64 (N,), both on the CPU."""
        probabilities, own = logits.softmax(1), labels[:, None]  # (N, C), (N, 1)
        confidence, of_label = probabilities.amax(1), probabilities.gather(1, own)[:, 0]
        in_top = (logits > logits.gather(1, own)).sum(1) < TOP
        loss = functional.cross_entropy(logits, labels, reduction="none")
        others = probabilities.scatter_(1, own, -1).amax(1)
        columns = (labels, logits.argmax(1), confidence, of_label, others, in_top, loss)
        return cls(logits.shape[1], *(column.numpy() for column in columns))

    @classmethod
    def join(cls, parts: Iterable["Predictions"]) -> "Predictions":
        """Return the predictions of several parts as one."""
        classes, *columns = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(classes[0], *map(np.concatenate, columns))

    def checked(self) -> "Predictions":
        """Return these, unless they are no numbers: InputError, see `check_finite`."""
        check_finite(self.confidence, self.loss)
        return self

    def subset(self, indices: np.ndarray) -> "Predictions":
        """Return those of the images at `indices`, integers (n,)."""
        classes, *columns = vars(self).values()
        return Predictions(classes, *(column[indices] for column in columns))


def check_finite(*values: np.ndarray | torch.Tensor) -> None:
    """Raise InputError if what a model says of images is no number, since its weights are beyond reason."""
    if not all(torch.as_tensor(one).isfinite().all() for one in values):
        raise InputError("the model gives values that are not finite: its weights are beyond reason, train it again")


class Shifted(nn.Module):
    """The mean of a model's logits of an image and of the same image shifted to the four sides by a 32nd of it.

    Args:
        model: takes images float (N, channels, S, S).
    """

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return logits float (N, C) of images float (N, channels, S, S)."""
        height, width = images.shape[-2:]
        by = max(1, width // 32)
        wide = functional.pad(images, (by,) * 4, mode="replicate")
        places = ((by, by), (0, by), (2 * by, by), (by, 0), (by, 2 * by))
        logits = [self.model(wide[..., row : row + height, column : column + width]) for row, column in places]
        return torch.stack(logits).mean(0)


@torch.inference_mode()
def logit_blocks(model: nn.Module, loader: Iterable) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield logits float32 (n, C), BLOCK or a batch more at most, and labels int64 (n,), both on the CPU.

    The model is put into evaluation mode.
    """
    model.eval()
    logits: list[torch.Tensor] = []
    labels: list[torch.Tensor] = []
    for images, batch_labels in loader:
        logits.append(model(images))
        labels.append(batch_labels)
        if sum(one.numel() for one in logits) > BLOCK:
            yield torch.cat(logits).cpu(), torch.cat(labels).cpu()
            logits, labels = [], []
    if logits:
        yield torch.cat(logits).cpu(), torch.cat(labels).cpu()


def predict_logits(model: nn.Module, loader: Iterable) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits float32 (N, C) and labels int64 (N,) of all images, both on the CPU."""
    logits, labels = zip(*logit_blocks(model, loader), strict=True)
    return torch.cat(logits), torch.cat(labels)


def sample_logits(model: nn.Module, loader: Iterable) -> tuple[torch.Tensor, torch.Tensor]:
    """Return logits float32 (n, C) and labels int64 (n,) of all images or, beyond CALIBRATION, of every 2nd, 4th …"""
    stride, seen = 1, 0
    kept: list[torch.Tensor] = []
    kept_labels: list[torch.Tensor] = []
    for logits, labels in logit_blocks(model, loader):
        first = -seen % stride
        seen += len(labels)
        kept.append(logits[first::stride].clone())
        kept_labels.append(labels[first::stride])
        while sum(one.numel() for one in kept) > CALIBRATION:
            kept, kept_labels = [torch.cat(kept)[::2].clone()], [torch.cat(kept_labels)[::2]]
            stride *= 2
    return torch.cat(kept), torch.cat(kept_labels)


def predict(model: nn.Module, loader: Iterable, temperature: float = 1.0) -> Predictions:
    """Return the Predictions of a loader's images, from logits divided by a temperature."""
    rows, count, classes = np.empty(2**16, ROW), 0, 0
    for logits, labels in logit_blocks(model, loader):
        part = Predictions.from_logits(logits / temperature, labels)
        start, count, classes = count, count + len(labels), part.classes
        if count > len(rows):
            rows = np.concatenate([rows, np.empty(count, ROW)])
        for name in ROW.names or ():
            rows[name][start:count] = getattr(part, name)
    return Predictions(classes, *(rows[name][:count].copy() for name in ROW.names or ()))


def score(predictions: Predictions) -> dict:
    """Return what predictions are worth.

    Returns:
        loss (mean cross-entropy, nats), accuracy, n, interval (`metrics.accuracy`), calibration_error; top5_accuracy if
        the classes are more than MANY; balanced_accuracy and macro_f1 (`metrics.macro_averages`) if they differ in
        size.
    """
    correct = predictions.predicted == predictions.y
    losses = torch.from_numpy(predictions.loss)
    mean = functional.nll_loss(-losses[:, None], torch.zeros(len(losses), dtype=torch.int64))  # as cross_entropy sums
    result = {"loss": mean.item(), **accuracy(int(correct.sum()), len(correct))}
    result["calibration_error"] = calibration_error(predictions.confidence, correct)
    if predictions.classes > MANY:
        result["top5_accuracy"] = float(predictions.in_top.mean())
    return result | macro_averages(predictions.y, predictions.predicted)
