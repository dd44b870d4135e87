"""Kill runs with SIGKILL at random moments, let them go on, and compare their endings with that of a run left alone.

    python benchmarks/kill.py                  100 runs, each killed at least once
    python benchmarks/kill.py --runs 2

A third of the kills come at a random time; the others inside the writing of a file: with half of it written, before it
is flushed, before it is moved into place, or just after. Every run must end with the same weights, history and best
checkpoint, bit for bit, and leave no temporary file, neither beside the checkpoint nor in its record. (What was killed
before its first epoch leaves the beginning of a record, which no run goes on with.) What was tried is printed and
written to a JSON file.
"""

import argparse
import csv
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from classifier import CNNClassifier
from common import files
from common.files import write_json
from config import Config
from dataset import load_npz, split
from readers import strokes

EPOCHS = 8
MOMENTS = ("half written", "before flushing", "before moving", "after moving")


def train(folder: str, moment: str | None = None, write: int = 0) -> None:
    """Make a run below the folder; kill it at a moment of its n-th write."""
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if moment:
        die_while_writing(moment, write)
    train, val = split(load_npz(Path(folder).parent / "data.npz"), 0.3)
    paths = {"record_path": f"{folder}/record", "save_path": f"{folder}/save/best.ckpt"}
    CNNClassifier(Config(epochs=EPOCHS, batch_size=32, learning_rate=0.01, device="cpu", **paths), train.classes).fit(
        train, val
    )


def die_while_writing(moment: str, write: int) -> None:
    """Let this process kill itself at a moment of its n-th write."""
    count, die = iter(range(1000)), lambda: os.kill(os.getpid(), signal.SIGKILL)
    original, fsync, replace = files.write_atomically, os.fsync, os.replace

    def writing(path, fill):
        if next(count) != write:
            return original(path, fill)
        if moment == "half written":

            def half(file):
                fill(file)
                file.flush()
                file.truncate(file.tell() // 2)
                die()

            original(path, half)
        os.fsync = (lambda number: die()) if moment == "before flushing" else fsync
        os.replace = {
            "before moving": lambda *paths: die(), "after moving": lambda *paths: (replace(*paths), die()),
        }.get(moment, replace)  # fmt: skip
        original(path, fill)

    for module in list(sys.modules.values()):
        if getattr(module, "write_atomically", None) is original:
            module.write_atomically = writing


def ending(folder: Path) -> dict:
    """Return what a run has left, but for times and names: all that must be the same."""
    best = torch.load(folder / "save/best.ckpt", weights_only=True)
    last = torch.load(folder / "save/LeNet_last.ckpt", weights_only=True)
    (record,) = (path for path in (folder / "record").iterdir() if (path / "metrics.json").exists())
    with open(record / "history.csv", encoding="utf-8") as file:
        rows = [{key: value for key, value in row.items() if key != "seconds"} for row in csv.DictReader(file)]
    return {
        "best": {key: best[key] for key in ("state_dict", "epoch", "metrics", "image_size")},
        "training": last["training"], "finished": last["finished"],
        "history": [{key: value for key, value in row.items() if key != "seconds"} for row in last["history"]],
        "rows": rows, "files": sorted(path.name for path in (folder / "save").iterdir()),
        "unfinished": [*(folder / "save").glob(".*.part"), *record.glob(".*.part")],
        "validation": json.loads((record / "metrics.json").read_text(encoding="utf-8"))["validation"],
    }  # fmt: skip


def complete(folder: Path) -> bool:
    """Return whether a run has nothing left to do."""
    path = folder / "save/LeNet_last.ckpt"
    return path.exists() and torch.load(path, weights_only=True)["finished"]


def same(one, other) -> bool:
    """Return whether two nested values are equal, tensors bit for bit."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="that were killed, went on, and ended")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="kill.json")
    options = parser.parse_args()
    rng, method = random.Random(options.seed), "forkserver" if sys.platform != "win32" else "spawn"
    processes = get_context(method)
    if method == "forkserver":
        processes.set_forkserver_preload(["__main__"])
    kills, runs, count = Counter(), 0, 0
    with tempfile.TemporaryDirectory() as folder:
        x, y = strokes.draw(per_class=20)
        np.savez(f"{folder}/data.npz", x=x, y=y, classes=np.array(list(strokes.CHARACTERS)))
        for name in ("warm up", "alone"):
            start = time.perf_counter()
            child = processes.Process(target=train, args=(f"{folder}/{name}",))
            child.start()
            child.join()
            seconds = time.perf_counter() - start
        expected = ending(Path(folder) / "alone")
        while runs < options.runs:
            count, before = count + 1, kills.total()
            own, finished = Path(folder) / str(count), False
            while not finished:
                moment = rng.choice((*MOMENTS, "any time", "any time"))
                by_itself = moment if moment in MOMENTS else None
                child = processes.Process(target=train, args=(str(own), by_itself, rng.randrange(3 * EPOCHS)))
                child.start()
                if moment == "any time":
                    child.join(rng.uniform(0, seconds))
                    child.kill()
                child.join()
                kills[moment] += child.exitcode != 0
                if child.exitcode not in (0, -signal.SIGKILL):
                    sys.exit(f"run {count} failed by itself (exit status {child.exitcode})")
                finished = child.exitcode == 0 or complete(own)  # it may be killed after its last word
            found = ending(own)
            if different := [key for key in expected if not same(found[key], expected[key])]:
                sys.exit(f"run {count} did not end as the run that was left alone: {', '.join(different)} differ")
            runs += kills.total() > before
            print(f"\r{kills.total()} kills, {runs} runs that went on, all ended alike", end="", flush=True)
    kills = {moment: count for moment, count in kills.items() if count}
    print("\n" + "\n".join(f"  killed {moment}: {count}" for moment, count in kills.items()))
    write_json(options.output, {"options": vars(options), "kills": kills, "runs": runs})


if __name__ == "__main__":
    main()
