"""All that there is to measure of a GPU, in one run: bfloat16 rate, training speed, time to accuracy, streaming.

    python -m benchmarks.gpu IMAGES                      on CUDA; the figures go to the folder gpu
    python -m benchmarks.gpu IMAGES --device cpu --quick

On CUDA it also trains compiled, with CUDA graphs: if that is faster, it should become the default in
`training.backend.select_backend`. IMAGES is a folder or a .zip with one sub-folder per class. The other benchmarks run
one after the other, each with a JSON file of its own; summary.json says what fraction of the card's measured matrix
rate ResNet18 reaches.
"""

import json
import sys
from pathlib import Path
from types import ModuleType
from unittest import mock

import torch

from benchmarks import speed, time_to_accuracy
from benchmarks.common import NOTHING_SAVED, alternate, drawn, make_parser, medians, timed
from classifier import CNNClassifier
from common.files import write_json
from config import Config
from init import pick_device
from runs.record import environment
from training.loader import ResidentLoader

OPERATIONS = 10.3e9  # of ResNet18 per grey image of 224×224 that it is trained on, as torch counts them


def matrix_rate(device: torch.device, side: int) -> float:
    """Return the operations per second of a product of bfloat16 matrices (side, side), the median of 20."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    multiply = timed(lambda: (a @ b)[0, 0].item())  # waits for the device
    return 2 * side**3 / medians(alternate(20, {"product": multiply}, warm_up=3))["product"]


def streaming(device: torch.device, count: int) -> dict[str, float]:
    """Return images/s of LeNet with the data on the device, and batch by batch from host memory."""
    images = drawn(count)
    config = Config(epochs=4, device=str(device), **NOTHING_SAVED)

    def rate(resident: bool) -> float:
        with mock.patch.object(ResidentLoader, "_fits_device", return_value=resident):
            return len(images) / CNNClassifier(config, images.classes).fit(images)[-1]["seconds"]

    return medians(alternate(5, {"resident": lambda: rate(True), "streamed": lambda: rate(False)}, warm_up=0))


def main():
    parser = make_parser(__doc__, "gpu", "images", "--device")
    parser.set_defaults(device="cuda")
    parser.add_argument("--large", type=int, default=512, help="images per step, beside the report's 64")
    parser.add_argument("--quick", action="store_true", help="a moment of each")
    options = parser.parse_args()
    folder, device, quick = Path(options.output), pick_device(options.device), options.quick
    folder.mkdir(parents=True, exist_ok=True)

    def run(benchmark: ModuleType, name: str, *words) -> dict:
        words = [name, *words, "--device", options.device, "--output", folder / f"{name}.json"]
        with mock.patch.object(sys, "argv", list(map(str, words))):
            benchmark.main()
        return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))

    few = ["--images", 48, "--rounds", 1] if quick else ["--images", 4096]
    size = ["--size", 32] if quick else []
    ours = ["--only", "ours", "report"] + (["ours, compiled"] if device.type == "cuda" else [])
    rate = matrix_rate(device, 256 if quick else 8192)
    summary = {"environment": environment(device), "matrix_rate": rate}
    for batch in (64, options.large):
        result = run(speed, f"resnet18-{batch}", "--model", "ResNet18", "--batch-size", batch, *few, *size, *ours)
        rates = result["images_per_second"]
        part = max(rates["ours"], rates.get("ours, compiled", 0)) * OPERATIONS / rate
        summary[f"ResNet18, batches of {batch}"] = rates | {"part of the matrix rate": part}
    summary["LeNet"] = run(speed, "lenet", *(few if quick else []), *ours)["images_per_second"]
    summary["LeNet, data streamed or resident"] = streaming(device, 240 if quick else 100_000)
    for model in () if quick else ("LeNet", "ResNet18"):
        result = run(time_to_accuracy, f"time-{model}", options.images, "--model", model)
        summary[f"{model}, seconds to the report's accuracy"] = result["ours_seconds"]
    write_json(folder / "summary.json", summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
