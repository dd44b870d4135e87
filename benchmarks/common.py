"""What the benchmarks share: options, images, timing, processes, and the file of figures."""

import argparse
import json
import logging
import math
import os
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Hashable, Iterator
from multiprocessing import get_context
from multiprocessing.context import BaseContext
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch

from classifier import CNNClassifier
from common.files import write_json
from config import ALIASES, Config
from dataset import CharDataset, load
from init import pick_device, preprocess
from readers import open_source
from readers.drawn import CHARACTERS, PER_CLASS, draw
from runs.record import environment
from training import distributed

CLASSES = list(CHARACTERS)
NOTHING_SAVED = {"record_path": None, "save_path": None}  # parameters of a run that leaves nothing on disk
Key = TypeVar("Key", bound=Hashable)


def setting(text: str) -> tuple[str, object]:
    """Return PARAMETER=VALUE as a parameter of Config, by its present name, and a plain value."""
    key, _, value = text.partition("=")
    try:
        return ALIASES.get(key, key), json.loads(value)
    except ValueError:
        return ALIASES.get(key, key), value


OPTIONS: dict[str, dict] = {
    "images": {"help": "a folder or a .zip with one sub-folder of images per class"},
    "--device": {"default": "auto"},
    "--set": {"nargs": "+", "default": [], "type": setting, "metavar": "PARAMETER=VALUE", "help": "as in Config"},
    "--characters": {"help": "the names of the classes, in order"},
    "--per-class": {"type": int, "help": "drawn images per character; by default as in Config"},
    "--model": {"default": "LeNet"},
    "--seeds": {"type": int, "default": 1, "help": "how many seeds, from 0 on"},
    "--size": {"type": int, "default": 28, "help": "pixels per side that the images are fitted to"},
}


def make_parser(doc: str | None, output: str, *names: str) -> argparse.ArgumentParser:
    """Return a parser of the command line.

    Args:
        doc: the benchmark's docstring.
        output: the default of --output.
        names: which of OPTIONS it takes.
    """
    parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in names:
        parser.add_argument(name, **OPTIONS[name])
    parser.add_argument("--output", default=output, help=f"where the figures go; by default {output}")
    return parser


def drawn(count: int = PER_CLASS * len(CLASSES), size: int = 28, seed: int = 42) -> CharDataset:
    """Return `count` drawn characters of `size` pixels per side, spread evenly over the classes."""
    x, y = draw(math.ceil(count / len(CLASSES)), size, seed)
    if count < len(x):
        chosen = np.arange(count) * len(x) // count
        x, y = x[chosen], y[chosen]
    return CharDataset(x, y, classes=CLASSES, source="drawn characters")


def load_images(path: str, size: int = 28) -> tuple[CharDataset, CharDataset]:
    """Return the training and the test images of a folder or a .zip, fitted to `size` pixels per side."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        preprocess(open_source(path), data, size)
        return load(data), load(data, "test")


def train_per_seed(options: argparse.Namespace, train: CharDataset) -> Iterator[tuple[CNNClassifier, dict]]:
    """Yield a classifier that was trained from each seed, and what a benchmark says of its run: seed and seconds.

    Args:
        options: model, seeds, size, device and set, as in OPTIONS.
        train: images of that size.
    """
    changes = {"stored_size": options.size, "device": options.device} | NOTHING_SAVED | dict(options.set)
    for seed in range(options.seeds):
        config = Config.from_dict({"model": options.model, "random_seed": seed} | changes)
        classifier = CNNClassifier(config, train.classes)
        seconds = timed(lambda classifier=classifier: classifier.fit(train))()
        yield classifier, {"seed": seed, "seconds": seconds}


def timed(call: Callable[[], object]) -> Callable[[], float]:
    """Return a function that calls `call` and returns the seconds that this took."""

    def measure() -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    return measure


def alternate(rounds: int, calls: dict[Key, Callable[[], float]], warm_up: int = 1) -> dict[Key, list[float]]:
    """Return what each call gives in each round; the calls take turns, and rounds to warm up come first."""
    values: dict[Key, list[float]] = {name: [] for name in calls}
    for turn in range(warm_up + rounds):
        for name, call in calls.items():
            value = call()
            if turn >= warm_up:
                values[name].append(value)
    return values


def medians(values: dict[Key, list[float]]) -> dict[Key, float]:
    """Return the median of each list."""
    return {name: statistics.median(one) for name, one in values.items()}


def processes() -> BaseContext:
    """Return a multiprocessing context whose processes share nothing, or their imports at most."""
    if sys.platform != "linux":  # Windows cannot fork, and on macOS not every library survives it
        return get_context("spawn")
    context = get_context("forkserver")
    imported = ["classifier", "benchmarks.common", "imaging.photo", "scipy.stats"]
    context.set_forkserver_preload([*imported, "torch._dynamo"])  # the latter by every optimizer, in two seconds
    return context


def together(count: int, function: Callable, *arguments: object) -> list:
    """Return what a function of a module returns in each of `count` processes that train together on this CPU.

    Raises:
        EOFError: one of them has failed, and has said why.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = []
    for rank in range(count):
        receiver, sender = processes().Pipe(False)
        work = (rank, count, port, sender, function, arguments)
        process = processes().Process(target=_in_group, args=work)
        process.start()
        sender.close()
        started.append((process, receiver))
    try:
        return [receiver.recv() for _, receiver in started]
    finally:
        for process, _ in started:
            process.join(20)
            process.kill()


def _in_group(rank: int, count: int, port: int, sender, function: Callable, arguments: tuple) -> None:
    """Run a function as one of `count` processes, and send what it returns."""
    logging.getLogger("fit_char").setLevel("INFO")
    torch.set_num_threads(1)
    group = {"RANK": rank, "WORLD_SIZE": count, "LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": count, "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in group.items()}, MASTER_ADDR="127.0.0.1")
    with distributed.process_group(torch.device("cpu")):
        sender.send(function(*arguments))


def write_figures(options: argparse.Namespace, device: str, **figures: object) -> dict:
    """Write figures, with the options and what they were measured on, to --output; return the latter."""
    about = environment(pick_device(device)) | {"cores": os.cpu_count()}
    write_json(options.output, {"options": vars(options), "environment": about, **figures})
    return about
