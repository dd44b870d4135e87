"""Training in several processes: images/s, what is summed per step, and what larger batches do to the accuracy.

    python -m benchmarks.scaling                          1, 2 and 4 processes on this CPU, and a model of 8 and 64 GPUs
    python -m benchmarks.scaling --batches 256 1024 4096 --images my_images.zip        the accuracy by batch size
    python -m benchmarks.scaling --processes 1 2 --steps 2 --models LeNet              a try

Processes share the cores of this machine, one thread each, so that their images/s show what it costs to work together
rather than a gain. The model of GPUs has no overlap: a step takes the time of its images, then that of the sum of the
gradients, 2 (N - 1) / N of which pass through the slowest link (a ring), plus its latency.
The figures go to a JSON file.
"""

import argparse
import statistics
import sys
import time
from contextlib import redirect_stdout
from dataclasses import replace

import numpy as np

from benchmarks.common import CLASSES, NOTHING_SAVED, drawn, load_images, make_parser, medians, together, write_figures
from classifier import CNNClassifier
from config import Config
from dataset import split
from metrics import accuracy, format_accuracy
from models import MODELS, build
from training import distributed
from training.backend import keep_freed_memory, select_backend
from training.loader import make_loader
from training.trainer import Trainer

# Of an A100: 35 % of its 312 TFLOP/s in bfloat16 for ResNet18 at 224×224 (10.9 GFLOP per image and step), and for LeNet
# what launching kernels leaves. GPUs of one machine are joined by NVLink, eight machines by 200 Gbit/s each.
RATES = {"LeNet": 500_000.0, "ResNet18": 10_000.0}  # images/s of one GPU
LINKS = {8: (200e9, 50e-6), 64: (20e9, 150e-6)}  # GPUs: bytes/s through a ring's slowest link, seconds of latency
RULES = {  # from the batch size's factor k: learning rate, weight decay and the averaged weights' decay, relative
    "as it is": lambda k: (1.0, 1.0, 1.0),
    "square root": lambda k: (k**0.5, k**0.5, k),  # Malladi et al., arXiv 2205.10287, for Adam
    "linear": lambda k: (k, 1.0, k),
}


def measure(model: str, batch_size: int, steps: int) -> dict[str, float]:
    """Return seconds per step and per sum of the gradients, medians, as one of the processes; both after a warm-up."""
    config = Config(model=model, batch_size=batch_size, device="cpu", **NOTHING_SAVED)
    data = drawn(max(batch_size, len(CLASSES)))
    classifier = CNNClassifier(config, data.classes)
    loader = make_loader(data, classifier.input_spec_, config, classifier.device, True)
    trainer = Trainer(config, classifier.model, select_backend(config, classifier.model, classifier.device), loader)
    keep_freed_memory()
    trainer.model.train()
    seconds: dict[str, list[float]] = {"step": [], "sum": []}
    for _ in range(steps + 1):
        start = time.perf_counter()
        for batch in loader:
            trainer.train_step(*batch)
        seconds["step"].append((time.perf_counter() - start) / len(loader))
        distributed.gather(None)  # all begin at once
        start = time.perf_counter()
        distributed.weighted_mean(trainer._weights.grad, 1)
        seconds["sum"].append(time.perf_counter() - start)
    return medians({name: values[1:] for name, values in seconds.items()})


def measured(options: argparse.Namespace) -> list[dict]:
    """Print and return images/s and seconds per step for each model and number of processes."""
    rows = []
    print(f"{'model':10}{'batch':>7}{'processes':>11}{'images/s':>10}{'ms/step':>10}{'ms/sum':>8}{'MB':>7}")
    for model in options.models:
        batch_size = options.batch_size or Config(model=model).batch_size
        size = 4 * sum(parameter.numel() for parameter in build(model, 1, len(CLASSES)).parameters())
        for count in options.processes:
            rounds = [together(count, measure, model, batch_size, options.steps)[0] for _ in range(options.rounds)]
            step, sums = (statistics.median(one[name] for one in rounds) for name in ("step", "sum"))
            row = {"model": model, "batch_size": batch_size, "processes": count, "images_per_second": batch_size / step}
            rows.append(row | {"step": step, "sum": sums, "bytes": size + 4})
            print(
                f"{model:10}{batch_size:7}{count:11}{batch_size / step:10,.0f}{1e3 * step:10.1f}{1e3 * sums:8.2f}"
                f"{size / 1e6:7.2f}"
            )
    return rows


def modelled(models: list[str]) -> list[dict]:
    """Print and return the efficiency of 8 and 64 GPUs, and from which batch size on it exceeds 90 %."""
    rows = []
    print(f"\n{'model':10}{'GPUs':>6}{'ms/sum':>8}{'efficiency':>12}{'at per GPU':>12}{'90 % from':>11}{'in all':>9}")
    for model in (name for name in models if name in RATES):
        size = 4 * sum(parameter.numel() for parameter in build(model, 1, len(CLASSES)).parameters())
        batch_size = Config(model=model).batch_size
        for count, (bandwidth, latency) in LINKS.items():
            sums = 2 * (count - 1) / count * size / bandwidth + latency
            compute = batch_size / RATES[model]
            enough = int(np.ceil(9 * sums * RATES[model]))
            row = {"model": model, "gpus": count, "sum": sums, "efficiency": compute / (compute + sums)}
            rows.append(row | {"batch_size": batch_size, "90 % from": enough})
            per_gpu = f"{row['efficiency']:12.1%}{batch_size:12}{enough:11,}"
            print(f"{model:10}{count:6}{1e3 * sums:8.2f}{per_gpu}{enough * count:9,}")
    return rows


def accuracies(options: argparse.Namespace) -> list[dict]:
    """Print and return the validation accuracy by batch size and rule, of the last epoch's averaged weights."""
    train, val = split(load_images(options.images)[0] if options.images else drawn(), options.val_fraction)
    usual, rows = Config(samples_seen=options.samples_seen, device="cpu", **NOTHING_SAVED), []
    print(
        f"\n{len(train)} images to train on, {len(val)} to validate\n{'batch':>7}  {'rule':14}{'rate':>8}{'steps':>7}"
    )
    for batch_size in options.batches:
        for name in options.rules if batch_size != usual.batch_size else ["as it is"]:
            rate, decay, averaging = RULES[name](batch_size / usual.batch_size)
            config = Config(
                samples_seen=options.samples_seen, device="cpu", **NOTHING_SAVED, batch_size=batch_size,
                learning_rate=usual.learning_rate * rate, weight_decay=usual.weight_decay * decay,
                ema_decay=usual.ema_decay**averaging,
            )  # fmt: skip
            correct = [_correct(config, train, val, seed) for seed in range(options.seeds)]
            result = accuracy(sum(correct), options.seeds * len(val))
            steps = config.epochs_for(len(train), len(train.classes)) * -(-len(train) // batch_size)
            print(
                f"{batch_size:7}  {name:14}{config.learning_rate:8.3f}{steps:7}  {format_accuracy(result)}", flush=True
            )
            rows.append({"batch_size": batch_size, "rule": name, "rate": config.learning_rate, "steps": steps} | result)
    return rows


def _correct(config: Config, train, val, seed: int) -> int:
    """Return how many validation images are classified correctly by a run without validation."""
    classifier = CNNClassifier(replace(config, random_seed=seed), train.classes)
    with redirect_stdout(sys.stderr):  # the progress bar
        classifier.fit(train)
    return int((classifier.predict(val) == val.y).sum())


def main():
    parser = make_parser(__doc__, "scaling.json", "--size")
    parser.add_argument("--models", nargs="+", default=list(MODELS))
    parser.add_argument("--processes", nargs="*", type=int, default=[1, 2, 4])
    parser.add_argument("--batch-size", type=int, help="of all processes together; by default the recipe's")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", nargs="*", type=int, default=[], help="batch sizes whose accuracy is measured")
    parser.add_argument("--rules", nargs="+", choices=list(RULES), default=list(RULES))
    parser.add_argument("--images", help="a folder or a .zip with one sub-folder of images per class; else drawn ones")
    parser.add_argument("--samples-seen", type=int, default=Config().samples_seen)
    parser.add_argument("--val-fraction", type=float, default=0.3)
    parser.add_argument("--seeds", type=int, default=1)
    options = parser.parse_args()
    figures = {"processes": measured(options), "gpus": modelled(options.models), "batches": accuracies(options)}
    write_figures(options, "cpu", **figures)


if __name__ == "__main__":
    main()
