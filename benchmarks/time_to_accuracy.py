"""Time to the report's validation accuracy: our recipe beside the report's, from `fit` called, on the same split.

    python -m benchmarks.time_to_accuracy IMAGES                      LeNet to 98.38 %, against the report's three runs
    python -m benchmarks.time_to_accuracy IMAGES --model ResNet18     ResNet18 to 99.4 %, against its 80 epochs at 224

IMAGES is a folder or a .zip with one sub-folder per class. A run of ours is stopped as soon as an epoch reaches the
target. Of the report's runs --report-epochs are timed, and the rest extrapolated. The figures go to a JSON file.
"""

import statistics
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace

from benchmarks.common import NOTHING_SAVED, load_images, make_parser, processes, write_figures
from classifier import CNNClassifier
from common import ROOT
from config import Config
from dataset import CharDataset, split
from init import start_logging

TARGETS = {"LeNet": 0.9838, "ResNet18": 0.994}
REPORT = {"LeNet": ["8a7e8d55", "301efa36", "301efa36"], "ResNet18": ["bb0e4dce"]}


class Reached(Exception):
    """The target is reached: the run need not go on."""


def ours(train: CharDataset, val: CharDataset, config: Config, target: float) -> float | None:
    """Return the seconds to the target, or None if the run ends without it."""
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
    whole = Config.load(ROOT / f"configs/{name}.json")
    epochs = min(options.report_epochs, whole.epochs)
    short = replace(whole, epochs=epochs, init_from=None, device=options.device, **NOTHING_SAVED)
    history = CNNClassifier(short, train.classes).fit(train, val)
    return statistics.median(row["seconds"] for row in history) * whole.epochs


def main():
    parser = make_parser(__doc__, "time_to_accuracy.json", "images", "--device")
    parser.add_argument("--model", default="LeNet", choices=TARGETS)
    parser.add_argument("--target", type=float, help="validation accuracy; by default what the report reached")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--report-epochs", type=int, default=5, help="of each of the report's runs, to be timed")
    options = parser.parse_args()
    target = options.target or TARGETS[options.model]
    start_logging()
    train, val = split(load_images(options.images)[0])
    seconds = []
    for seed in range(options.seeds):
        config = Config(options.model, random_seed=seed, device=options.device, **NOTHING_SAVED)
        seconds.append(ours(train, val, config, target))
    with ProcessPoolExecutor(1, processes()) as own:  # untouched by what our fit sets
        theirs = [own.submit(report, train, val, name, options).result() for name in REPORT[options.model]]
    about = write_figures(options, options.device, ours_seconds=seconds, report_seconds=theirs)
    print(f"\n{options.model} to {target:.2%} of {len(val)} validation images, {about['device_name']}")
    print("ours, seed by seed: " + ", ".join("not reached" if s is None else f"{s:.1f} s" for s in seconds))
    median = statistics.median(float("inf") if s is None else s for s in seconds)
    ratio = f"{sum(theirs) / median:.0f} times ours"
    print(f"median {median:.1f} s; the report's recipe takes {sum(theirs):,.0f} s, {ratio}")


if __name__ == "__main__":
    main()
