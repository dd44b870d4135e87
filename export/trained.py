"""Trained: what the exported files need of a classifier, and what it gives for images, computed by torch on a CPU."""

import copy
import json
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from common.errors import ExportError, InputError
from config import Config
from dataset import CharDataset
from imaging.input_spec import InputSpec
from runs.record import git_revision
from training.evaluation import Predictions, predict, predict_logits, score
from training.loader import make_loader


@dataclass(frozen=True)
class Measured:
    """What a model gives for held-out images.

    Attributes:
        accuracy: what `training.evaluation.score` gives, with `on`, which is "validation" if they chose the epoch, else
            "test", their `source`, and their fingerprint as `data`; None if unknown.
        predictions: of these images, or None.
    """

    accuracy: dict | None
    predictions: Predictions | None = None


@dataclass(frozen=True)
class Trained:
    """What the exported files need of a classifier.

    Attributes:
        model: given on any device; a copy of it on the CPU, in evaluation mode.
        config: of its run.
        spec: what it expects of an image.
        classes: names of the C classes.
        temperature: what logits are divided by.
        metrics: of the validation set at the epoch that is kept (`CNNClassifier.metrics_`), or None.
        run: its name, and source and fingerprints of its images, or None.

    Raises:
        ExportError: the training images were made by a transform of the user's own, which no file can hold.
    """

    model: nn.Module
    config: Config
    spec: InputSpec
    classes: list[str]
    temperature: float
    metrics: dict | None
    run: dict | None

    def __post_init__(self):
        if self.spec.transformed:
            raise ExportError(
                "this model was trained on images that a transform of your own made, which does not go into a file: "
                "apply it to the raw images first (init.preprocess) and train without it"
            )
        model = copy.deepcopy(self.model).to("cpu", memory_format=torch.contiguous_format).eval()
        object.__setattr__(self, "model", model)

    def _loader(self, images: CharDataset) -> Iterable:
        """Return a loader of images, prepared as in training."""
        return make_loader(images.fitted(self.spec), self.spec, self.config, torch.device("cpu"))

    def probabilities(self, images: CharDataset) -> np.ndarray:
        """Return the probability of each class, float32 (N, C)."""
        logits, _ = predict_logits(self.model, self._loader(images))
        return (logits / self.temperature).softmax(1).numpy()

    def measure(self, held_out: CharDataset | None) -> "Measured":
        """Classify held-out images; without any, the accuracy is that of the validation set, if there was one.

        Raises:
            InputError: these are the training images.
        """
        run = self.run or {}
        if held_out is None:
            if self.metrics is None:
                return Measured(None)
            return Measured({"on": "validation", **self.metrics, "source": run.get("source"), "data": run.get("val")})
        data = held_out.fingerprint()
        if data == run.get("train"):
            raise InputError("the model was trained on these images: give others to measure the accuracy on")
        predictions = predict(self.model, self._loader(held_out), self.temperature).checked()
        part = "validation" if data == run.get("val") else "test"
        return Measured({"on": part, **score(predictions), "source": held_out.source, "data": data}, predictions)

    def metadata(self, accuracy: dict | None) -> dict[str, str]:
        """Return what an exported file says of itself, each value as JSON.

        Args:
            accuracy: of held-out images (`Measured`).
        """
        run = self.run or {}
        values = {
            "model": self.config.model, "classes": self.classes, "input_spec": self.spec.as_dict(),
            "pipeline": self.config.pipeline, "temperature": self.temperature, "accuracy": accuracy,
            "run": run.get("name"), "source": run.get("source"), "data": run.get("train"),
            "fit_char": git_revision(), "torch": str(torch.__version__),
        }  # fmt: skip
        return {key: json.dumps(value, ensure_ascii=False) for key, value in values.items() if value is not None}
