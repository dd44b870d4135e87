"""All that an export writes into a folder."""

import logging
from pathlib import Path

import numpy as np

from common.errors import InputError
from common.files import write_bytes, write_text
from dataset import CharDataset
from export import int8, onnx_file, web_page, weights
from export.model_card import model_card
from export.targets import check_targets
from export.trained import Measured, Trained

log = logging.getLogger("fit_char")


def export(
    trained: Trained,
    path: str | Path,
    held_out: CharDataset | None = None,
    train: CharDataset | None = None,
    page: bool | str | Path = False,
) -> dict[str, Path]:
    """Write all parts of an export; see `CNNClassifier.export`, also for what is raised."""
    path = Path(path)
    check_targets(path, page=bool(page))
    if train is not None and trained.run and train.fingerprint() != trained.run["train"]:
        raise InputError("train is not the set of images that the model was trained on: give that one, or leave it out")
    if page:
        web_page.check(trained)
    runtime = web_page.find_runtime(None if page is True else page) if page else {}
    measured = trained.measure(held_out)
    content = onnx_file.make(trained, measured.accuracy, held_out)
    write_bytes(path, content)
    written = {"onnx": path, "weights": path.with_suffix(".safetensors"), "card": path.with_name("MODEL_CARD.md")}
    weights.write(written["weights"], trained, measured.accuracy)
    compared, smaller = None, None
    if held_out is not None and train is not None:
        compared, smaller = _int8(content, trained, measured, held_out, train)
        written |= _replace(path.with_suffix(".int8.onnx"), smaller)
    write_text(written["card"], model_card(trained, measured, train, compared))
    if page:
        images = held_out if train is None else train
        web_page.write(path.with_name("page"), trained, measured, smaller or content, runtime, images)
        written["page"] = path.with_name("page") / "index.html"
    for part, file in written.items():
        log.info("%-8s %s (%.0f kB)", part, file, file.stat().st_size / 1e3)
    return written


def _int8(
    content: bytes, trained: Trained, measured: Measured, held_out: CharDataset, train: CharDataset
) -> tuple[dict, bytes | None]:
    """Return what `int8.compare` gives, and the model in int8 if it is faster, else None."""
    chosen = train.subset(np.linspace(0, len(train) - 1, min(len(train), int8.CALIBRATION)))
    quantized = int8.quantize(content, chosen.fitted(trained.spec).x)
    found = int8.compare(content, quantized, trained, held_out)
    log.info("int8: %s.", found["mcnemar"]["verdict"])
    if not found["faster"]:
        log.info("int8 is not faster than float32 here, and is not kept.")
        return found, None
    accuracy = {**(measured.accuracy or {}), **found["accuracy"]}
    return found, onnx_file.with_metadata(quantized, trained.metadata(accuracy))


def _replace(path: Path, content: bytes | None) -> dict[str, Path]:
    """Write the int8 file, or remove that of an earlier export, and return it as a part of the export."""
    if content is None:
        path.unlink(missing_ok=True)
        return {}
    write_bytes(path, content)
    return {"int8": path}
