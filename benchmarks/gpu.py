"""All that is to be known of a GPU, in one run: its bfloat16 rate, training speed, time to accuracy, streaming.

    python benchmarks/gpu.py IMAGES                      on CUDA; the figures go to the folder gpu
    python benchmarks/gpu.py IMAGES --device cpu --quick

On CUDA it trains compiled, too, with CUDA graphs: what is faster there should become the default in compute.choose.
IMAGES is a folder or a .zip with one sub-folder a class. The other benchmarks are run one after the other, each with a
JSON file of its own; summary.json has what part of the card's measured matrix rate ResNet18 reaches.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from classifier import CNNClassifier
from common.files import write_json
from config import Config
from dataset import CharDataset
from init import pick_device
from readers import strokes
from runs.record import environment

OPERATIONS = 10.3e9  # of ResNet18 for each grey image of 224×224 that it is trained on, as torch counts them


def matrix_rate(device: torch.device, side: int) -> float:
    """Return how many operations a second a product of bfloat16 matrices (side, side) takes, the median of 20."""
    a, b = (torch.randn(side, side, device=device, dtype=torch.bfloat16) for _ in range(2))
    seconds = []
    for _ in range(23):
        start = time.perf_counter()
        product = a @ b
        product[0, 0].item()  # waits for the device
        seconds.append(time.perf_counter() - start)
    return 2 * side**3 / statistics.median(seconds[3:])


def streaming(device: torch.device, count: int) -> dict[str, float]:
    """Return images/s of LeNet with the data on the device, and batch by batch from host memory."""
    x, y = strokes.draw(per_class=-(-count // 12))
    images, speed = CharDataset(x, y, classes=list(strokes.CHARACTERS)), {"resident": [], "streamed": []}
    for _ in range(5):
        for name, values in speed.items():
            config = Config(epochs=4, device=str(device), record_path=None, save_path=None)
            classifier = CNNClassifier(config, images.classes)
            classifier._has_room_for = lambda x, name=name: name == "resident"
            values.append(len(images) / classifier.fit(images)[-1]["seconds"])
    return {name: float(np.median(values)) for name, values in speed.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--large", type=int, default=512, help="images a step, beside the report's 64")
    parser.add_argument("--quick", action="store_true", help="a moment of each")
    parser.add_argument("--output", default="gpu", help="a folder")
    options = parser.parse_args()
    folder, device = Path(options.output), pick_device(options.device)
    folder.mkdir(parents=True, exist_ok=True)

    def run(script: str, name: str, *words) -> dict:
        words = [*words, "--device", options.device, "--output", folder / f"{name}.json"]
        subprocess.run([sys.executable, Path(__file__).with_name(script), *map(str, words)], check=True)
        return json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))

    few = ["--images", 48, "--rounds", 1] if options.quick else ["--images", 4096]
    size = ["--size", 32] if options.quick else []
    ours = ["--only", "ours", "report"] + ["ours, compiled"] * (device.type == "cuda")
    rate = matrix_rate(device, 256 if options.quick else 8192)
    summary = {"environment": environment(device), "matrix_rate": rate}
    for batch in (64, options.large):
        result = run("speed.py", f"resnet18-{batch}", "--model", "ResNet18", "--batch-size", batch, *few, *size, *ours)
        speed = result["images_per_second"]
        part = max(speed["ours"], speed.get("ours, compiled", 0)) * OPERATIONS / rate
        summary[f"ResNet18, batches of {batch}"] = speed | {"part of the matrix rate": part}
    summary["LeNet"] = run("speed.py", "lenet", *(few if options.quick else []), *ours)["images_per_second"]
    summary["LeNet, where the data are"] = streaming(device, 240 if options.quick else 100_000)
    for model in () if options.quick else ("LeNet", "ResNet18"):
        result = run("time_to_accuracy.py", f"time-{model}", options.images, "--model", model)
        summary[f"{model}, seconds to the report's accuracy"] = result["ours_seconds"]
    write_json(folder / "summary.json", summary)
    print(json.dumps(summary, indent=2))


if __name__ == "__main__":
    main()
