"""Time to the report's validation accuracy: our recipe beside the report's, from `fit` called, on the same split.

    python benchmarks/time_to_accuracy.py IMAGES                      LeNet to 98.38 %, against the report's three runs
    python benchmarks/time_to_accuracy.py IMAGES --model ResNet18     ResNet18 to 99.4 %, against its 80 epochs at 224

IMAGES is a folder or a .zip with one sub-folder a class. A run of ours is stopped as soon as an epoch reaches the
target. Of the report's runs --report-epochs are timed, and the rest extrapolated. The figures go to a JSON file.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from classifier import CNNClassifier
from config import Config
from dataset import CharDataset, load_npz, split
from init import pick_device, preprocess
from runs.record import environment

TARGETS = {"LeNet": 0.9838, "ResNet18": 0.994}
REPORT = {"LeNet": ["8a7e8d55", "301efa36", "301efa36"], "ResNet18": ["bb0e4dce"]}


class Reached(Exception):
    """The target is reached: the run need not go on."""


def ours(train: CharDataset, val: CharDataset, config: Config, target: float) -> float | None:
    """Return the seconds to the target, or None where the run ends without it."""
    start = time.perf_counter()

    def stop_at_target(history, folder):
        if history[-1]["val_accuracy"] >= target:
            raise Reached

    try:
        CNNClassifier(config, train.classes).fit(train, val, callbacks=[stop_at_target])
    except Reached:
        return time.perf_counter() - start
    return None


def report(train: CharDataset, val: CharDataset, name: str, options) -> float:
    """Return the seconds that a run of the report takes, extrapolated from its first epochs."""
    whole = Config.load(Path(__file__).resolve().parents[1] / f"configs/{name}.json")
    epochs = min(options.report_epochs, whole.epochs)
    short = replace(whole, epochs=epochs, init_from=None, device=options.device, record_path=None, save_path=None)
    history = CNNClassifier(short, train.classes).fit(train, val)
    return statistics.median(row["seconds"] for row in history) * whole.epochs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("--model", default="LeNet", choices=TARGETS)
    parser.add_argument("--target", type=float, help="validation accuracy; by default what the report reached")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--report-epochs", type=int, default=5, help="of each of the report's runs, to be timed")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", default="time_to_accuracy.json")
    options = parser.parse_args()
    target = options.target or TARGETS[options.model]
    with tempfile.TemporaryDirectory() as folder:
        preprocess(options.images, Path(folder) / "data.npz")
        train, val = split(load_npz(Path(folder) / "data.npz"))
    seconds = []
    for seed in range(options.seeds):
        config = Config(options.model, random_seed=seed, device=options.device, record_path=None, save_path=None)
        seconds.append(ours(train, val, config, target))
    with ProcessPoolExecutor(1, get_context("spawn")) as own:  # untouched by what our fit sets
        theirs = [own.submit(report, train, val, name, options).result() for name in REPORT[options.model]]
    about = environment(pick_device(options.device))
    print(f"\n{options.model} to {target:.2%} of {len(val)} validation images, {about['device_name']}")
    print("ours, seed by seed: " + ", ".join("not reached" if s is None else f"{s:.1f} s" for s in seconds))
    median = statistics.median(float("inf") if s is None else s for s in seconds)
    ratio = f"{sum(theirs) / median:.0f} times ours"
    print(f"median {median:.1f} s; the report's recipe takes {sum(theirs):,.0f} s, {ratio}")
    result = {"options": vars(options), "environment": about, "ours_seconds": seconds, "report_seconds": theirs}
    Path(options.output).write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
