"""Let two to four processes use the same folders at once, and look for what one has taken from another.

    python -m benchmarks.stress                 20 rounds of each kind
    python -m benchmarks.stress --rounds 2 --only corrections

- runs: runs of one configuration begin at the same moment, each with a record folder of its own, at one `save_path`.
  Each must end with a checkpoint that holds its own weights, and leave no state and no temporary file.
- corrections: each process adds corrections one by one; all must be in the file.
- data: one process makes data.npz now from one source, now from another; the others must read all parts from one.

What was tried is printed and written to a JSON file.
"""

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.common import CLASSES, drawn, make_parser, processes, write_figures
from classifier import CNNClassifier
from common.files import fingerprint, write_atomically
from config import Config
from dataset import correct, load_parts, split
from readers.corrections import corrections_path
from runs import checkpoint
from runs.state import is_state_name

ADDED, LOADS = 10, 25  # corrections and loads of each process


def make_run(folder: Path, own: int, barrier) -> str | None:
    """Make a run at the same time as others; return what is wrong with what it left."""
    images = drawn(120)
    paths = {"record_path": str(folder / f"record{own}"), "save_path": str(folder / "save/best.ckpt")}
    config = Config(epochs=2, batch_size=32, device="cpu", val_fraction=0.3, **paths)
    classifier = CNNClassifier(config, images.classes)
    barrier.wait()
    classifier.fit(*split(images, config.val_fraction))
    barrier.wait()  # until all have ended
    if not classifier.checkpoint_ or not classifier.checkpoint_.exists():
        return "has no checkpoint"
    ours = fingerprint(*(tensor.numpy() for tensor in classifier.model.state_dict().values()))
    saved = checkpoint.read(classifier.checkpoint_)["state_dict"]
    if fingerprint(*(tensor.numpy() for tensor in saved.values())) != ours:
        return "has a checkpoint with other weights"
    names = [path.name for path in (folder / "save").iterdir()]
    left = [name for name in names if name.endswith(".part") or is_state_name(name)]
    return f"left {', '.join(left)}" if left else None


def add_corrections(folder: Path, own: int, barrier) -> str | None:
    """Add corrections at the same time as others; return what is missing."""
    images, data = drawn(240), folder / "data.npz"
    if own == 0:
        write_npz(data, images)
    barrier.wait()
    files = images.files[own * ADDED : (own + 1) * ADDED].tolist()
    for file in files:
        correct(data, {file: CLASSES[(own + 1) % 12]})
    barrier.wait()
    lines = corrections_path(data).read_text(encoding="utf-8").splitlines()
    missing = [file for file in files if not any(line.startswith(f"{file},") for line in lines)]
    return f"misses {len(missing)} of its {ADDED} corrections" if missing else None


def write_npz(path: Path, images, source: str = "one") -> None:
    """Write images as a data.npz whose test part is the images that come first in the training part."""
    arrays = {"x": images.x, "y": images.y, "x_test": images.x[:12], "y_test": images.y[:12]}
    names = {"classes": np.array(CLASSES), "source": np.array(source)}
    write_atomically(path, lambda file: np.savez(file, **arrays, **names))  # type: ignore[arg-type]


def read_data(folder: Path, own: int, barrier) -> str | None:
    """Replace data.npz again and again, or read it meanwhile; return whether two files were mixed."""
    data, sources = folder / "data.npz", [drawn(120, seed=seed) for seed in (1, 2)]
    if own == 0:
        write_npz(data, sources[0])
    barrier.wait()
    for k in range(LOADS):
        if own == 0:
            write_npz(data, sources[k % 2])
            continue
        parts = load_parts(data)
        if not np.array_equal(parts["train"].x[:12], parts["test"].x):
            return "read a training part and a test part of two files"
    return None


KINDS: dict[str, Callable] = {"runs": make_run, "corrections": add_corrections, "data": read_data}


def work(kind: str, folder: str, own: int, barrier, answers) -> None:
    """Do one process's part of a round, and say what was wrong."""
    torch.set_num_threads(1)
    sys.stdout = sys.stderr = open(Path(folder) / f"output{own}.txt", "w", encoding="utf-8")  # noqa: SIM115
    try:
        answers.put((own, KINDS[kind](Path(folder), own, barrier)))
    except BaseException as error:
        barrier.abort()
        answers.put((own, repr(error)))
        raise


def play(kind: str, count: int) -> list[str]:
    """Let `count` processes play one round, and return what was wrong."""
    context = processes()
    barrier, answers = context.Barrier(count, timeout=120), context.Queue()
    with tempfile.TemporaryDirectory() as folder:
        children = [context.Process(target=work, args=(kind, folder, own, barrier, answers)) for own in range(count)]
        for child in children:
            child.start()
        found = dict(answers.get(timeout=180) for _ in children)
        for child in children:
            child.join()
    return [f"process {own} {answer}" for own, answer in sorted(found.items()) if answer]


def main():
    parser = make_parser(__doc__, "stress.json")
    parser.add_argument("--rounds", type=int, default=20, help="of each kind")
    parser.add_argument("--only", nargs="+", choices=KINDS, default=list(KINDS))
    options = parser.parse_args()
    rounds = {}
    for kind in options.only:
        for turn in range(options.rounds):
            if wrong := play(kind, 2 + turn % 3):
                sys.exit(f"{kind}, round {turn + 1}: " + "; ".join(wrong))
        rounds[kind] = options.rounds
        print(f"{kind}: {options.rounds} rounds of 2 to 4 processes, nothing lost or mixed")
    write_figures(options, "cpu", rounds=rounds)


if __name__ == "__main__":
    main()
