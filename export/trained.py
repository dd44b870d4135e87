"""Trained: what the exported files need of a classifier, and what it gives for images, computed by torch on a CPU."""

import copy
import json
from dataclasses import dataclass

import torch
from torch import nn

from common.errors import ExportError
from config import Config
from dataset import CharDataset
from imaging.input_spec import InputSpec
from runs.record import git_revision
from training.evaluation import predict_logits, score
from training.loader import make_loader


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

    def logits(self, images: CharDataset) -> tuple[torch.Tensor, torch.Tensor]:
        """Return calibrated logits float32 (N, C) and labels int64 (N,) of images, prepared as in training."""
        loader = make_loader(images.fitted(self.spec), self.spec, self.config, torch.device("cpu"))
        logits, labels = predict_logits(self.model, loader)
        return logits / self.temperature, labels

    def accuracy(self, test: CharDataset | None) -> dict | None:
        """Return what `training.evaluation.score` gives for test images, else for the validation set, and `on` which.

        None if neither is known.
        """
        if test is not None:
            return {"on": "test", **score(*self.logits(test)), "source": test.source, "data": test.fingerprint()}
        if self.metrics is None:
            return None
        run = self.run or {}
        return {"on": "validation", **self.metrics, "source": run.get("source"), "data": run.get("val")}

    def metadata(self, accuracy: dict | None) -> dict[str, str]:
        """Return what an exported file says of itself: texts, those that are no plain text as JSON.

        Args:
            accuracy: what `accuracy` gives.
        """
        run = self.run or {}
        values = {
            "model": self.config.model, "classes": self.classes, "input_spec": self.spec.as_dict(),
            "pipeline": self.config.pipeline, "temperature": self.temperature, "accuracy": accuracy,
            "run": run.get("name"), "source": run.get("source"), "data": run.get("train"),
            "fit_char": git_revision(), "torch": str(torch.__version__),
        }  # fmt: skip
        return {
            key: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            for key, value in values.items() if value is not None
        }  # fmt: skip
