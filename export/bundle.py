"""All that an export writes into a folder."""

import logging
from pathlib import Path

from common.errors import InputError
from dataset import CharDataset
from export import onnx_file, weights
from export.trained import Trained

log = logging.getLogger("fit_char")


def export(
    trained: Trained, path: str | Path, test: CharDataset | None = None, train: CharDataset | None = None
) -> dict[str, Path]:
    """Write the ONNX file, and the weights beside it; see `CNNClassifier.export`, also for what is raised."""
    path = Path(path)
    if path.suffix != ".onnx":
        raise InputError(f"{path} must end in .onnx: its folder also gets the weights and the model card")
    written = {"onnx": path, "weights": path.with_suffix(".safetensors")}
    accuracy = trained.accuracy(test)
    difference = onnx_file.write(path, trained, accuracy, test)
    log.info("%s: probabilities as those of torch, to %.1g.", path, difference)
    weights.write(written["weights"], trained, accuracy)
    return written
