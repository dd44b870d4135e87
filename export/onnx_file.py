"""One ONNX file: from images uint8 to probabilities, checked against torch before it is written."""

import importlib
import io
import json
import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.errors import ExportError
from dataset import CharDataset
from export.graph import ImageClassifier
from export.trained import Trained

log = logging.getLogger("fit_char")
INPUT, OUTPUT = "images", "probabilities"
OPSET = 17  # of ONNX; newer ones have nothing that the models need
TOLERANCE = 1e-5  # by which probabilities may differ from torch's
CHECKED = 256  # held-out images that are compared, and random ones


def require(name: str) -> Any:
    """Return a module of an optional package. Raises ExportError, which says how to install it."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ExportError(
            f"the export needs {name.partition('.')[0]} ({error}): pip install -r requirements-export.txt"
        ) from None


def to_onnx(trained: Trained) -> bytes:
    """Return the model with its preparation as an ONNX file without metadata.

    By torch's exporter of TorchScript: the newer one, of torch.export, takes ten times as long, and that of torch 2.6
    fails at batch normalization.

    Raises:
        ExportError: onnx is not installed, or the model has an operation that ONNX lacks.
    """
    require("onnx")
    images, file = torch.zeros(2, *trained.spec.source_shape, dtype=torch.uint8), io.BytesIO()
    axes = {INPUT: {0: "batch"}, OUTPUT: {0: "batch"}}
    with warnings.catch_warnings():  # of the exporter's age, and of shapes that tracing makes constants: see `check`
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                ImageClassifier(trained).eval(), (images,), file, input_names=[INPUT], output_names=[OUTPUT],
                dynamic_axes=axes, opset_version=OPSET, dynamo=False,
            )  # fmt: skip
        except Exception as error:  # a user's own model may raise anything
            raise ExportError(f"{trained.config.model} cannot be written as ONNX: {_first_line(error)}") from error
    return file.getvalue()


def _first_line(error: Exception) -> str:
    return f"{str(error).strip().partition(chr(10))[0] or type(error).__name__:.300}"


def with_metadata(content: bytes, metadata: dict[str, str]) -> bytes:
    """Return an ONNX file to which metadata is added."""
    onnx = require("onnx")
    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, metadata)
    return model.SerializeToString()


class Session:
    """An ONNX file in onnxruntime, on one core.

    Args:
        file: its content, or its path.
    """

    def __init__(self, file: bytes | str | Path):
        runtime = require("onnxruntime")
        options = runtime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        content = file if isinstance(file, bytes) else str(file)
        try:
            self._session = runtime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has no common class of its errors
            raise ExportError(f"onnxruntime cannot run the model: {_first_line(error)}") from error

    def __call__(self, images: np.ndarray, batch: int = 256) -> np.ndarray:
        """Return probabilities float32 (N, C) of images uint8 (N, H, W[, 3]), `batch` at a time."""
        parts = [images[start : start + batch] for start in range(0, len(images), batch)]
        return np.concatenate([self._session.run([OUTPUT], {INPUT: part})[0] for part in parts])

    @property
    def metadata(self) -> dict[str, Any]:
        """What the file says of itself (`Trained.metadata`)."""
        texts = self._session.get_modelmeta().custom_metadata_map
        return {key: json.loads(text) for key, text in texts.items()}


def check(content: bytes, trained: Trained, images: CharDataset | None = None) -> float:
    """Compare an ONNX file with torch, on held-out images and on random ones, and return the largest difference.

    Raises:
        ExportError: a probability differs by more than TOLERANCE.
    """
    session, largest = Session(content), 0.0
    sets = {"random images": CharDataset(*random_images(trained.spec.source_shape), classes=trained.classes)}
    if images is not None and len(images):
        chosen = np.linspace(0, len(images) - 1, min(len(images), CHECKED)).astype(int)
        sets["held-out images"] = images.subset(chosen).fitted(trained.spec)
    for name, some in sets.items():
        expected = trained.probabilities(some)
        for count, batch in ((len(some), CHECKED), (8, 7)):  # batches of all, of 7 and of 1
            found = _run(session, some.x[:count], batch)
            difference = float(np.abs(found - expected[:count]).max())
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"{trained.config.model} as ONNX gives other probabilities than torch for {name}, by up to "
                    f"{difference:.2g}: does its forward depend on values, or on the number of images?"
                )
            largest = max(largest, difference)
    return largest


def _run(session: Session, images: np.ndarray, batch: int) -> np.ndarray:
    try:
        return session(images, batch)
    except Exception as error:  # onnxruntime has no common class of its errors
        raise ExportError(f"the model as ONNX does not take {batch} images: {_first_line(error)}") from error


def random_images(shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 (N, *shape) of each polarity and their labels, 0.

    Thin ink on paper of any grey, dark on light and light on dark; noise without paper; and one grey.
    """
    rng = np.random.default_rng(0)
    count = CHECKED // 4
    grey = rng.integers(0, 256, (count, *(1 for _ in shape)))
    strength = rng.integers(0, 256, (count, *shape)) * (rng.random((count, *shape)) < 0.2)
    parts = [np.maximum(grey - strength, 0), np.minimum(grey + strength, 255)]
    parts += [rng.integers(0, 256, (count, *shape)), np.broadcast_to(grey, (count, *shape))]
    return np.concatenate(parts).astype(np.uint8), np.zeros(4 * count, np.int64)


def make(trained: Trained, accuracy: dict | None, images: CharDataset | None = None) -> bytes:
    """Return the ONNX file, which agrees with torch.

    Args:
        trained: the model and what belongs to it.
        accuracy: of held-out images (`trained.Measured`), for the metadata.
        images: held-out ones, to compare on.

    Raises:
        ExportError: a package is missing, or the model cannot be exported, or the file disagrees with torch.
    """
    content = with_metadata(to_onnx(trained), trained.metadata(accuracy))
    difference = check(content, trained, images)
    log.info("%s as ONNX gives the probabilities of torch, to %.1g.", trained.config.model, difference)
    return content
