"""The ONNX file with convolutions and matrix products in int8, for as long as it is faster."""

import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from dataset import CharDataset
from export.onnx_file import INPUT, Session, require
from export.trained import Trained
from metrics import mcnemar
from training.evaluation import Predictions, score

CALIBRATION = 512  # training images on which the range of every layer is measured
BATCHES = (1, 256)  # images at once, of which the latency is measured
ROUNDS = {1: 200, 256: 5}  # repeats, of which the median counts
MODEL = "/model/"  # how the names of the model's own operations begin: the preparation stays as it is


def quantize(content: bytes, images: np.ndarray) -> bytes:
    """Return an ONNX file of ours whose model computes in int8, with one scale per channel of the weights.

    Weights have 7 bits, as products of 8 bits overflow on CPUs without VNNI.

    Args:
        content: of the file.
        images: uint8 (N, H, W[, 3]), training images.

    Raises:
        ExportError: onnx or onnxruntime is not installed.
    """
    onnx, quantization = require("onnx"), require("onnxruntime.quantization")
    prepare = require("onnxruntime.quantization.shape_inference").quant_pre_process
    batches = iter([{INPUT: images[start : start + 64]} for start in range(0, len(images), 64)])

    class Reader(quantization.CalibrationDataReader):  # type: ignore[name-defined]
        def get_next(self):
            return next(batches, None)

    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, result = (Path(folder) / name for name in ("plain.onnx", "prepared.onnx", "int8.onnx"))
        plain.write_bytes(content)
        prepare(str(plain), str(prepared), skip_symbolic_shape=True)
        nodes = [node.name for node in onnx.load(str(prepared)).graph.node if node.name.startswith(MODEL)]
        quantization.quantize_static(
            str(prepared), str(result), Reader(), per_channel=True, reduce_range=True, nodes_to_quantize=nodes,
            activation_type=quantization.QuantType.QUInt8, weight_type=quantization.QuantType.QInt8,
        )  # fmt: skip
        return result.read_bytes()


def compare(original: bytes, quantized: bytes, trained: Trained, test: CharDataset) -> dict:
    """Compare the int8 file with the original on test images.

    Returns:
        Plain values: bytes, milliseconds (images at once → median) for `original` and `int8`, accuracy of int8
        (`training.evaluation.score`), mcnemar (`metrics.mcnemar`), and faster, whether every median is lower.
    """
    images = test.fitted(trained.spec)
    sessions = {"original": Session(original), "int8": Session(quantized)}
    found = {name: _predictions(session, images) for name, session in sessions.items()}
    milliseconds = latency(sessions, images.subset(range(min(len(images), max(BATCHES)))).x)
    predicted = found["original"].predicted, found["int8"].predicted
    return {
        "bytes": {"original": len(original), "int8": len(quantized)},
        "milliseconds": milliseconds,
        "accuracy": score(found["int8"]),
        "mcnemar": mcnemar(images.y, *predicted, names=("float32", "int8")),
        "faster": all(milliseconds["int8"][n] < milliseconds["original"][n] for n in BATCHES),
    }


def _predictions(session: Session, images: CharDataset) -> Predictions:
    """Return what an ONNX file says of images of its size."""
    parts, start = [], 0
    for chunk in images.chunks():
        logits = torch.from_numpy(session(chunk)).clamp_min(1e-30).log()  # (n, C), up to a constant
        parts.append(Predictions.from_logits(logits, torch.from_numpy(images.y[start : start + len(chunk)])))
        start += len(chunk)
    return Predictions.join(parts)


def latency(sessions: dict[str, Session], images: np.ndarray) -> dict[str, dict[int, float]]:
    """Return the median milliseconds per call of each session, for 1 and for 256 images on one core, in turns."""
    result: dict[str, dict[int, float]] = {name: {} for name in sessions}
    for n in BATCHES:
        batch = np.resize(images, (n, *images.shape[1:]))
        times: dict[str, list[float]] = {name: [] for name in sessions}
        for _ in range(ROUNDS[n]):
            for name, session in sessions.items():
                start = time.perf_counter()
                session(batch, n)
                times[name].append(1000 * (time.perf_counter() - start))
        for name in sessions:
            result[name][n] = float(np.median(times[name]))
    return result
