"""What things cost beside training: prediction, a single image, loading, importing, live curves, more data.

    python -m benchmarks.costs

Each figure is a median, compared with the bare minimum measured in alternation. The figures go to a JSON file.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import get_context
from pathlib import Path

import psutil
import torch

from apps.live_curves import LiveCurves
from benchmarks.common import CLASSES, NOTHING_SAVED, alternate, drawn, make_parser, medians, timed, write_figures
from classifier import CNNClassifier
from common import ROOT
from config import Config
from dataset import CharDataset
from init import pick_device
from runs.comparison import format_runs, read_runs
from runs.record import RunRecord, environment


def trained(images: CharDataset, epochs: int = 1) -> CNNClassifier:
    """Return a classifier that is trained on the images."""
    classifier = CNNClassifier(Config(epochs=epochs, **NOTHING_SAVED), CLASSES)
    classifier.fit(images)
    return classifier


def prediction(count: int) -> dict:
    """Return how long `predict` takes beside the bare model on batches that are ready on the device."""
    x = drawn(count).x
    classifier = trained(drawn(600))
    ready = torch.from_numpy(classifier.model_input(x))[:, None].to(classifier.device).split(512)

    @torch.inference_mode()
    def bare():
        torch.cat([classifier.model(batch) for batch in ready]).cpu()

    seconds = medians(alternate(5, {"predict": timed(lambda: classifier.predict(x)), "bare": timed(bare)}))
    return seconds | {"ratio": seconds["predict"] / seconds["bare"], "images": len(x)}


def one_image_and_load(folder: Path) -> dict:
    """Return the seconds that one image per call takes on one core, and those that loading a checkpoint takes."""
    images, path = drawn(600), folder / "model.ckpt"
    classifier = trained(images)
    classifier.save(path)
    torch.set_num_threads(1)
    one_image = alternate(200, {"one_image": timed(lambda: classifier.predict(images.x[0]))})
    return medians(one_image | alternate(20, {"load": timed(lambda: CNNClassifier.load(path))}))


def imports(rounds: int) -> dict:
    """Return the seconds that new processes take for the notebook's imports and for those of the main packages."""
    notebook = json.loads((ROOT / "fit_char.ipynb").read_text(encoding="utf-8"))
    first, second = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"][:2]
    codes = {"theirs": "import torch, torchvision, matplotlib", "ours": f"{first}\n{second}"}

    def run(code: str) -> None:
        subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)

    calls = {name: timed(lambda code=code: run(code)) for name, code in codes.items()}
    seconds = medians(alternate(rounds, calls, warm_up=min(1, rounds - 1)))
    return seconds | {"ratio": seconds["ours"] / seconds["theirs"]}


def live_curves(count: int, epochs: int | None) -> dict:
    """Return what fraction of a run's time the curves take."""
    config, images, spent = Config(epochs=epochs, **NOTHING_SAVED), drawn(count), []
    curves = LiveCurves(config.epochs_for(count, len(CLASSES)))

    def timed_curves(history, folder):
        spent.append(timed(lambda: curves(history, folder))())

    start = time.perf_counter()
    CNNClassifier(config, CLASSES).fit(images, images.subset(range(0, len(images), 10)), [timed_curves])
    seconds = time.perf_counter() - start
    return {"run": seconds, "drawing": sum(spent), "part": sum(spent) / seconds}


def records(count: int, folder: Path) -> dict:
    """Return how long it takes to read so many records and to make their table."""
    about = environment(pick_device("cpu")) | {"source": "a benchmark", "epochs": 100, "val_fingerprint": "a"}
    result = {"accuracy": 0.99, "n": 744, "interval": (0.98, 0.995)}
    for seed in range(count):
        record = RunRecord.create(folder, Config(random_seed=seed), about)
        record.update_metrics(best_epoch=90, seconds=20.0, validation=result)
    return medians(alternate(3, {"read": timed(lambda: format_runs(read_runs(folder)))})) | {"records": count}


def growth(base: int, rounds: int) -> dict:
    """Return the seconds per epoch, medians of rounds in turns, and the memory of 1, 4 and 16 times as many images."""
    sets = {times: drawn(base * times) for times in (1, 4, 16)}

    def epoch_seconds(times: int) -> float:
        history = trained(sets[times], 1 + 16 // times).history_
        return statistics.mean(row["seconds"] for row in history[1:])  # the first epoch warms up

    calls = {times: lambda times=times: epoch_seconds(times) for times in sets}
    seconds = medians(alternate(rounds, calls, warm_up=0))
    with get_context("spawn").Pool(len(sets), maxtasksperchild=1) as pool:  # each in a process of its own
        added = pool.map(memory, [len(images) for images in sets.values()], chunksize=1)
    return {
        times: {"images": len(images), "data": images.x.nbytes, "added": bytes_added, "seconds": seconds[times]}
        for (times, images), bytes_added in zip(sets.items(), added, strict=True)
    }


def memory(count: int) -> int:
    """Return the bytes that a run adds to those of its images."""
    images = drawn(count)
    before = psutil.Process().memory_info().rss
    trained(images)
    return psutil.Process().memory_info().rss - before


def print_figures(figures: dict) -> None:
    p, single, curves = figures["prediction"], figures["single"], figures["live_curves"]
    print(f"\npredict {p['images']:,} images: {p['predict']:.2f} s, {p['ratio']:.2f} × the bare model")
    print(f"one image per call, one core: {1e3 * single['one_image']:.2f} ms")
    print(f"load a checkpoint: {1e3 * single['load']:.1f} ms")
    print(f"the notebook's imports: {figures['imports']['ratio']:.2f} × torch, torchvision and matplotlib")
    print(f"read {figures['records']['records']} records: {figures['records']['read']:.2f} s")
    print(f"live curves: {curves['part']:.1%} of a run of {curves['run']:.0f} s")
    base = figures["growth"][1]["seconds"]
    for times, row in figures["growth"].items():
        line = f"{times} × the data: {row['images']:,} images, {row['seconds']:.2f} s per epoch"
        print(f"{line} ({row['seconds'] / base:.1f} ×), {row['added'] / 2**20:.0f} MiB added")


def main():
    parser = make_parser(__doc__, "costs.json")
    parser.add_argument("--images", type=int, default=100_000, help="to predict")
    parser.add_argument("--base", type=int, default=7440, help="images of the smallest set to train on")
    parser.add_argument("--epochs", type=int, help="of the run whose curves are drawn; by default the recipe's")
    parser.add_argument("--rounds", type=int, default=5, help="of importing and of growth")
    parser.add_argument("--records", type=int, default=1000, help="to be read")
    options = parser.parse_args()
    figures = {
        "imports": imports(options.rounds),
        "prediction": prediction(options.images),
        "growth": growth(options.base, options.rounds),
        "live_curves": live_curves(options.base, options.epochs),
    }
    with tempfile.TemporaryDirectory() as folder:
        figures["records"] = records(options.records, Path(folder) / "record")
        figures["single"] = one_image_and_load(Path(folder))
    write_figures(options, "auto", **figures)
    print_figures(figures)


if __name__ == "__main__":
    main()
