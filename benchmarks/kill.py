"""Kill runs with SIGKILL at random moments, let them go on, and compare their endings with that of a run left alone.

    python -m benchmarks.kill                  100 runs, each killed at least once
    python -m benchmarks.kill --runs 2

Each run has two stages. A stage makes data.npz from its folder of images, corrects some of their labels and trains. The
second starts from the weights of the first and puts its own in their place; its images are others under the same names,
in a folder of the same name. Every other run is the report's 8a7e8d55 and 301efa36, of fewer epochs. A third of the
kills come at a random time; the others while a file is written: with half of it written, before it is flushed, before
it is moved into place, or just after. Every run must end with the same weights, histories, checkpoints and corrections,
bit for bit, also of the first folder's images when they are prepared once more, and leave no state and no temporary
file, neither beside data and checkpoints nor in its records. (A run that is killed before the end of its first epoch
leaves the beginning of a record, which no run continues.) What was tried is printed and written to a JSON file.
"""

import csv
import json
import os
import random
import signal
import sys
import tempfile
from collections import Counter
from pathlib import Path

import torch
from PIL import Image

from benchmarks.common import CLASSES, drawn, make_parser, processes, timed, write_figures
from classifier import CNNClassifier
from common import ROOT, files
from config import Config
from dataset import CharDataset, correct, load, split
from init import prepare, start_logging
from readers.corrections import corrections_path

EPOCHS, IMAGES = 5, 180
RATES = (0.01, 0.005)  # the learning rates of the two stages
REPORT = ("8a7e8d55.json", "301efa36.json")  # the report's stages
CORRECTED = ({"博/0.png": "学", "无/2.png": None}, {"博/0.png": "用", "近/3.png": "自", "无/2.png": "由"})
KINDS = ("default", "report")  # of recipes
MOMENTS = ("half written", "before flushing", "before moving", "after moving")


def train(folder: str, stage: int, moment: str, write: int) -> None:
    """Make a stage of the run below the folder; kill it at a moment of its n-th write."""
    torch.set_num_threads(1)
    start_logging("ERROR")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    if moment in MOMENTS:
        die_while_writing(moment, write)
    train, val = split(prepared(Path(folder), stage), 0.3)
    CNNClassifier(config_of(Path(folder), stage), train.classes).fit(train, val)


def config_of(folder: Path, stage: int) -> Config:
    """Return the parameters of a stage of the run below a folder, beside which the raw images are."""
    best = str(folder / "save/best.ckpt")
    paths = {"data_path": str(folder / "data.npz"), "raw_data_path": str(folder.parent / str(stage) / "raw")}
    paths |= {"record_path": str(folder / "record"), "save_path": best, "init_from": best if stage else None}
    if folder.name.startswith("report"):
        return Config.load(ROOT / "configs" / REPORT[stage], epochs=EPOCHS, device="cpu", **paths)
    return Config(epochs=EPOCHS, batch_size=32, learning_rate=RATES[stage], device="cpu", **paths)


def prepared(folder: Path, stage: int) -> CharDataset:
    """Return the images of a stage, prepared and corrected."""
    data = prepare(config_of(folder, stage))
    correct(data, CORRECTED[stage])
    return load(data)


def write_raw(folder: Path, seed: int) -> None:
    """Write drawn characters as a raw folder."""
    images = drawn(IMAGES, seed=seed)
    for i, (image, label) in enumerate(zip(images.x, images.y.tolist(), strict=True)):
        path = folder / CLASSES[label] / f"{i % (IMAGES // len(CLASSES))}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def die(*ignored) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_while_writing(moment: str, write: int) -> None:
    """Let this process kill itself at a moment of its n-th write."""
    writes, write_atomically, replace = iter(range(1000)), files.write_atomically, os.replace

    def move_and_die(*paths):
        replace(*paths)
        die()

    def write_or_die(path, fill):
        def fill_half(file):
            fill(file)
            file.flush()
            file.truncate(file.tell() // 2)
            die()

        if next(writes) != write:
            return write_atomically(path, fill)
        if moment == "half written":
            return write_atomically(path, fill_half)
        if moment == "before flushing":
            os.fsync = die
        else:
            os.replace = die if moment == "before moving" else move_and_die
        return write_atomically(path, fill)

    for module in list(sys.modules.values()):
        if getattr(module, "write_atomically", None) is write_atomically:
            module.write_atomically = write_or_die


def without_seconds(rows) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in rows]


def ending(folder: Path) -> dict:
    """Return what a run has left, except for times and names: all that must be the same."""
    saved = [torch.load(path, weights_only=True) for path in sorted((folder / "save").glob("*.ckpt"))]
    records = sorted((path.parent for path in (folder / "record").glob("*/metrics.json")), key=is_second)
    metrics = [json.loads((record / "metrics.json").read_text(encoding="utf-8")) for record in records]
    return {
        "checkpoints": [{key: one[key] for key in ("state_dict", "epoch", "metrics", "input_spec")} for one in saved],
        "histories": [without_seconds(read_rows(record / "history.csv")) for record in records],
        "validation": [one["validation"] for one in metrics],
        "data": [prepared(folder, stage).fingerprint() for stage in (0, 1)],
        "corrections": corrections_path(folder / "data.npz").read_text(encoding="utf-8"),
        "unfinished": [path for one in (folder, folder / "save", *records) for path in one.glob(".*.part")],
    }


def is_second(record: Path) -> bool:
    """Return whether a record is the second stage's; their names do not tell, if both began in one second."""
    return json.loads((record / "config.json").read_text(encoding="utf-8"))["init_from"] is not None


def read_rows(path: Path) -> list[dict]:
    with open(path, encoding="utf-8") as file:
        return list(csv.DictReader(file))


def is_complete(folder: Path, stage: int) -> bool:
    """Return whether a stage has nothing left to do."""
    best, state = folder / "save/best.ckpt", folder / "save/LeNet_last.ckpt"
    is_there = best.exists() and not state.exists()
    rate = config_of(folder, stage).learning_rate
    return is_there and torch.load(best, weights_only=True)["config"]["learning_rate"] == rate


def same(one, other) -> bool:
    """Return whether two nested values are equal, tensors bit for bit."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other


def run(folder: Path, stage: int, moment: str = "never", write: int = 0, limit: float | None = None) -> int:
    """Make a stage in a process of its own, which is killed after `limit` seconds; return its exit status."""
    child = processes().Process(target=train, args=(str(folder), stage, moment, write))
    child.start()
    child.join(limit)
    if limit is not None:
        child.kill()
    child.join()
    if child.exitcode not in (0, -signal.SIGKILL):
        sys.exit(f"run {folder.name} failed by itself (exit status {child.exitcode})")
    return child.exitcode


def run_and_kill(folder: Path, stage: int, seconds: float, rng: random.Random) -> Counter[str]:
    """Make a stage and kill it again and again until it has ended; return how often it was killed when.

    Args:
        seconds: that a stage takes.
    """
    kills: Counter[str] = Counter()
    while True:
        moment, write = rng.choice((*MOMENTS, "any time", "any time")), rng.randrange(4 * EPOCHS)
        limit = rng.uniform(0, seconds) if moment == "any time" else None
        killed = run(folder, stage, moment, write, limit) != 0
        if killed:
            kills[moment] += 1
        if not killed or is_complete(folder, stage):  # it may be killed after its last write
            return kills


def main():
    parser = make_parser(__doc__, "kill.json")
    parser.add_argument("--runs", type=int, default=100, help="that were killed, resumed and finished")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng, kills, runs, count = random.Random(options.seed), Counter(), 0, 0
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for stage in (0, 1):
            write_raw(folder / str(stage) / "raw", seed=stage)
        run(folder / "warm up", 0)
        seconds, expected = {}, {}
        for kind in KINDS:
            seconds[kind] = timed(lambda kind=kind: run(folder / f"{kind} alone", 0))()
            run(folder / f"{kind} alone", 1)
            expected[kind] = ending(folder / f"{kind} alone")
        while runs < options.runs:
            count += 1
            kind = KINDS[count % 2]
            here = folder / f"{kind}{count}"
            own = sum((run_and_kill(here, stage, seconds[kind], rng) for stage in (0, 1)), Counter())
            found = ending(here)
            if different := [key for key in found if not same(found[key], expected[kind][key])]:
                sys.exit(f"run {count} did not end as the run that was left alone: {', '.join(different)} differ")
            kills += own
            if own:
                runs += 1
            print(f"\r{kills.total()} kills, {runs} resumed runs, all with the same weights", end="", flush=True)
    print("\n" + "\n".join(f"  killed {moment}: {count}" for moment, count in kills.items()))
    write_figures(options, "cpu", kills=kills, runs=runs)


if __name__ == "__main__":
    main()
