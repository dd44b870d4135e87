"""What things cost beside training: prediction, a single image, loading, importing, live curves, more data.

    python benchmarks/costs.py

Each figure is a median, compared with the bare minimum measured in alternation. The figures go to a JSON file.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import psutil
import torch

import plots
from classifier import CNNClassifier
from config import Config
from dataset import CharDataset
from init import pick_device
from readers import strokes
from runs.record import RunRecord, environment, read_runs, table

ROOT = Path(__file__).resolve().parents[1]
CLASSES = list(strokes.CHARACTERS)


def alternate(rounds: int, **calls: Callable) -> dict[str, float]:
    """Return the median seconds of each call, taken in turns after one turn to warm up."""
    seconds = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            if turn:
                seconds[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def drawn(count: int) -> CharDataset:
    x, y = strokes.draw(per_class=-(-count // len(CLASSES)))
    return CharDataset(x, y, classes=CLASSES)


def trained(images: CharDataset, epochs: int = 1) -> CNNClassifier:
    classifier = CNNClassifier(Config(epochs=epochs, record_path=None, save_path=None), CLASSES)
    classifier.fit(images)
    return classifier


def prediction(images: int) -> dict:
    """Return how long `predict` takes beside the bare model on batches that are ready on the device."""
    x = drawn(images).x[:images]
    classifier = trained(drawn(600))
    ready = torch.from_numpy(classifier.prepared(x))[:, None].to(classifier.device).split(512)

    @torch.inference_mode()
    def bare():
        torch.cat([classifier.model(batch) for batch in ready]).cpu()

    seconds = alternate(5, predict=lambda: classifier.predict(x), bare=bare)
    return seconds | {"ratio": seconds["predict"] / seconds["bare"], "images": len(x)}


def one_image_and_load(folder: Path) -> dict:
    """Return the seconds for one image in a call, on one core, and for loading a checkpoint."""
    classifier, x, path = trained(drawn(600)), drawn(600).x, folder / "model.ckpt"
    classifier.save(path)
    torch.set_num_threads(1)
    seconds = alternate(200, one_image=lambda: classifier.predict(x[0]))
    return seconds | alternate(20, load=lambda: CNNClassifier.load(path))


def imports(rounds: int) -> dict:
    """Return the seconds that new processes take to import us and to import what we stand on."""
    theirs = "import torch, torchvision, matplotlib"
    notebook = json.loads((ROOT / "fit_char.ipynb").read_text(encoding="utf-8"))
    first, second = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"][:2]

    def run(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)

    seconds = alternate(rounds, theirs=lambda: run(theirs), ours=lambda: run(f"{first}\n{second}"))
    return seconds | {"ratio": seconds["ours"] / seconds["theirs"]}


def live_curves(count: int, epochs: int | None) -> dict:
    """Return what part of a run's time the curves take."""
    config, spent = Config(epochs=epochs, record_path=None, save_path=None), []
    curves = plots.LiveCurves(config.epochs_for(count))

    def timed(history, folder):
        start = time.perf_counter()
        curves(history, folder)
        spent.append(time.perf_counter() - start)

    start = time.perf_counter()
    images = drawn(count)
    CNNClassifier(config, CLASSES).fit(images, images.subset(range(0, len(images), 10)), [timed])
    seconds = time.perf_counter() - start
    return {"run": seconds, "drawing": sum(spent), "part": sum(spent) / seconds}


def records(count: int, folder: Path) -> dict:
    """Return how long the table of so many runs takes to be read."""
    about = {"device": "cpu", "source": "a benchmark", "epochs": 100, "val_fingerprint": "a", "train_fingerprint": "b"}
    result = {"accuracy": 0.99, "n": 744, "interval": (0.98, 0.995)}
    for seed in range(count):
        record = RunRecord(folder, Config(random_seed=seed), environment(pick_device("cpu")) | about)
        record.metrics(best_epoch=90, seconds=20.0, validation=result)
    seconds = alternate(3, read=lambda: table(read_runs(folder)))
    return seconds | {"records": count}


def growth(base: int, rounds: int) -> dict:
    """Return the seconds an epoch, medians of rounds in turns, and the memory of 1, 4 and 16 times as many images."""
    sets, seconds = {times: drawn(base * times) for times in (1, 4, 16)}, {1: [], 4: [], 16: []}
    for _ in range(rounds):
        for times, images in sets.items():
            rows = trained(images, 1 + 16 // times).history_[1:]  # the first epoch warms up
            seconds[times].append(statistics.mean(row["seconds"] for row in rows))
    results = {}
    for times, images in sets.items():
        with ProcessPoolExecutor(1, get_context("spawn")) as own:
            added = own.submit(memory, base * times).result()
        about = {"images": len(images), "data": images.x.nbytes, "added": added}
        results[times] = about | {"seconds": statistics.median(seconds[times])}
    return results


def memory(count: int) -> int:
    """Return the bytes that a run adds to those of its images."""
    images = drawn(count)
    before = psutil.Process().memory_info().rss
    trained(images)
    return psutil.Process().memory_info().rss - before


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="to predict")
    parser.add_argument("--base", type=int, default=7440, help="images of the smallest set to train on")
    parser.add_argument("--epochs", type=int, help="of the run whose curves are drawn; by default the recipe's")
    parser.add_argument("--rounds", type=int, default=5, help="of importing and of growth")
    parser.add_argument("--records", type=int, default=1000, help="to be read")
    parser.add_argument("--output", default="costs.json")
    options = parser.parse_args()
    figures = {
        "environment": environment(pick_device()),
        "imports": imports(options.rounds),
        "prediction": prediction(options.images),
    }
    figures |= {
        "growth": growth(options.base, options.rounds),
        "live_curves": live_curves(options.base, options.epochs),
    }
    with tempfile.TemporaryDirectory() as folder:
        figures["records"] = records(options.records, Path(folder) / "record")
        figures["single"] = one_image_and_load(Path(folder))
    Path(options.output).write_text(json.dumps(figures, indent=2), encoding="utf-8")
    p, g = figures["prediction"], figures["growth"]
    print(f"\npredict {p['images']:,} images: {p['predict']:.2f} s, {p['ratio']:.2f} × the bare model")
    print(f"one image in a call, one core: {1e3 * figures['single']['one_image']:.2f} ms")
    print(f"load a checkpoint: {1e3 * figures['single']['load']:.1f} ms")
    print(f"the notebook's imports: {figures['imports']['ratio']:.2f} × torch, torchvision and matplotlib")
    print(f"read {options.records} records: {figures['records']['read']:.2f} s")
    print(f"live curves: {figures['live_curves']['part']:.1%} of a run of {figures['live_curves']['run']:.0f} s")
    for times, row in g.items():
        line = f"{times} × the data: {row['images']:,} images, {row['seconds']:.2f} s an epoch"
        print(f"{line} ({row['seconds'] / g[1]['seconds']:.1f} ×), {row['added'] / 2**20:.0f} MiB added")


if __name__ == "__main__":
    main()
