"""Fit again and again in one process: memory must not grow, and no handle, thread, process or figure be left behind.

    python -m benchmarks.soak                  300 fits
    python -m benchmarks.soak --fits 40

Every fit has a record, a checkpoint and live curves, as in the notebook. The counts after the first 20 fits must be the
same after the last, and memory may have grown by 5 %. The figures go to a JSON file.
"""

import gc
import sys
import tempfile
import threading
from contextlib import redirect_stdout
from io import StringIO

import psutil
from matplotlib import pyplot as plt
from tqdm import tqdm

from apps.live_curves import LiveCurves
from benchmarks.common import drawn, make_parser, write_figures
from classifier import CNNClassifier
from config import Config
from dataset import split


def count_resources() -> dict[str, int]:
    """Return what must not grow."""
    gc.collect()
    process = psutil.Process()
    handles = process.num_fds() if hasattr(process, "num_fds") else process.num_handles()
    return {
        "megabytes": process.memory_info().rss // 2**20, "handles": handles, "threads": threading.active_count(),
        "processes": len(process.children(recursive=True)), "figures": len(plt.get_fignums()),
    }  # fmt: skip


def fit_repeatedly(fits: int, warm_up: int) -> tuple[dict[str, int], dict[str, int]]:
    """Return the resources in use after `warm_up` fits and after all."""
    train, val = split(drawn(360), 0.2)
    before: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        paths = {"record_path": f"{folder}/record", "save_path": f"{folder}/save/best.ckpt"}
        for number in tqdm(range(1, fits + 1), unit="fit"):
            with redirect_stdout(StringIO()):  # otherwise the live curves are printed, since there is no front end
                classifier = CNNClassifier(Config(epochs=2, random_seed=number, device="cpu", **paths), train.classes)
                classifier.fit(train, val, [LiveCurves(2)])
                CNNClassifier.load(classifier.checkpoint_, device="cpu").predict(val)
            if number == warm_up:
                before = count_resources()
    return before, count_resources()


def main():
    parser = make_parser(__doc__, "soak.json")
    parser.add_argument("--fits", type=int, default=300)
    parser.add_argument("--warm-up", type=int, default=20)
    options = parser.parse_args()
    warm_up = min(options.warm_up, options.fits - 1)
    before, after = fit_repeatedly(options.fits, warm_up)
    growth = after["megabytes"] / before["megabytes"] - 1
    for name in before:
        print(f"{name:12}{before[name]:8} after {warm_up} fits{after[name]:8} at the end")
    print(f"memory grew by {growth:.1%}")
    write_figures(options, "cpu", before=before, after=after, growth=growth)
    sys.exit(growth > 0.05 or any(after[name] > before[name] for name in before if name != "megabytes"))


if __name__ == "__main__":
    main()
