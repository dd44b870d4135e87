"""Fit again and again in one process: memory must not grow, and no handle, thread, process or figure be left behind.

    python benchmarks/soak.py                  300 fits
    python benchmarks/soak.py --fits 40

Every fit has a record, a checkpoint and live curves, as in the notebook. What is counted after the first 20 fits must
be the same after the last, and memory may have grown by 5 %. The figures go to a JSON file.
"""

import argparse
import gc
import sys
import tempfile
import threading
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
from matplotlib import pyplot as plt
from tqdm import tqdm

import plots
from classifier import CNNClassifier
from common.files import write_json
from config import Config
from dataset import CharDataset, split
from readers import strokes


def counted() -> dict[str, int]:
    """Return what must not grow."""
    gc.collect()
    process = psutil.Process()
    handles = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
    return {
        "megabytes": process.memory_info().rss // 2**20, "handles": handles, "threads": threading.active_count(),
        "processes": len(process.children(recursive=True)), "figures": len(plt.get_fignums()),
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fits", type=int, default=300)
    parser.add_argument("--warm-up", type=int, default=20)
    parser.add_argument("--output", default="soak.json")
    options = parser.parse_args()
    x, y = strokes.draw(per_class=30)
    train, val = split(CharDataset(x, y, classes=list(strokes.CHARACTERS)), 0.2)
    before = None
    with tempfile.TemporaryDirectory() as folder:
        paths = {"record_path": f"{folder}/record", "save_path": f"{folder}/save/best.ckpt"}
        for number in tqdm(range(1, options.fits + 1), unit="fit"):
            with redirect_stdout(StringIO()):  # the curves of a front end that is not there would be printed
                classifier = CNNClassifier(Config(epochs=2, random_seed=number, device="cpu", **paths), train.classes)
                classifier.fit(train, val, [plots.LiveCurves(2)])
                CNNClassifier.load(classifier.checkpoint_, device="cpu").predict(val)
            if number == min(options.warm_up, options.fits - 1):
                before = counted()
    after = counted()
    growth = after["megabytes"] / before["megabytes"] - 1
    for name in before:
        print(
            f"{name:12}{before[name]:8} after {min(options.warm_up, options.fits - 1)} fits{after[name]:8} at the end"
        )
    print(f"memory grew by {growth:.1%}")
    write_json(options.output, {"options": vars(options), "before": before, "after": after, "growth": growth})
    sys.exit(growth > 0.05 or any(after[name] > before[name] for name in before if name != "megabytes"))


if __name__ == "__main__":
    main()
