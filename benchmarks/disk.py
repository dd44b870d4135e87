"""Run out of disk at every size, and write to a read-only folder: one clear error, and the former files stay whole.

    python benchmarks/disk.py

Where this process may mount (root on Linux), data, record and checkpoints are made on small tmpfs mounts that fill up,
and on one that is read-only; everywhere on POSIX, under a limit on the size of a file. A run may succeed or raise
StorageError. What the folder held before, a data.npz and a checkpoint, must stay, or give way to newer ones that are
whole. Prints a table.
"""

import argparse
import os
import resource
import signal
import subprocess
import sys
import tempfile
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch

from classifier import CNNClassifier
from common.errors import StorageError
from common.files import write_json
from config import Config
from dataset import CharDataset, load_npz, split
from init import build_npz, summarize
from readers import strokes


def work(folder: str, limit: int, outcome) -> None:
    """Make data, train and save below the folder, under a limit of so many bytes a file; say how it went."""
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    x, y = strokes.draw(per_class=20)
    classes = list(strokes.CHARACTERS)
    paths = {"record_path": f"{folder}/record", "save_path": f"{folder}/save/best.ckpt"}
    try:
        files = np.arange(len(x)).astype(str)
        summary = summarize(x, y, classes, "drawn", files)
        arrays = {"x": x, "y": y, "classes": np.array(classes)}
        build_npz(f"{folder}/data.npz", os.urandom(8).hex(), lambda: (arrays, summary))
        train, val = split(CharDataset(x, y, classes=classes), 0.3)
        CNNClassifier(Config(epochs=2, device="cpu", **paths), classes).fit(train, val)
    except StorageError as error:
        outcome.put(f"StorageError: {error}")
    except Exception as error:  # what this program looks for
        outcome.put(f"{type(error).__name__}: {error}")
    else:
        outcome.put("succeeded")


def attempt(folder: Path, limit: int = 0) -> str:
    """Return how a run below the folder went, in a process of its own."""
    context = get_context("forkserver")
    context.set_forkserver_preload(["__main__"])  # what is imported is imported once
    outcome = context.Queue()
    child = context.Process(target=work, args=(str(folder), limit, outcome))
    child.start()
    result = outcome.get(timeout=300)
    child.join()
    return result


def held(folder: Path) -> dict[str, bytes]:
    """Return the data and the checkpoint that a folder holds, both of which must load."""
    files = {}
    for name, read in (("data.npz", load_npz), ("save/best.ckpt", CNNClassifier.load)):
        if (folder / name).exists():
            read(folder / name)
            files[name] = (folder / name).read_bytes()
    return files


def case(name: str, folder: Path, limit: int = 0, read_only: bool = False) -> dict[str, bool]:
    """Run once below the folder, print how it went, and return whether that is as it must be.

    What was there stays, or gives way to newer files that are whole; on a read-only disk nothing changes.
    """
    before = held(folder)
    outcome = attempt(folder, limit)
    after = held(folder)
    debris = [path.name for path in folder.rglob("*.part")]
    good = outcome.startswith("StorageError" if read_only else ("succeeded", "StorageError"))
    good = good and not debris and (after == before if read_only else before.keys() <= after.keys())
    good = good and (not outcome.startswith("succeeded") or len(after) == 2)
    print(f"{'ok' if good else 'BAD':4}{name:36}{outcome[:100]}" + (f" debris: {debris}" if debris else ""))
    return {name: good}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64, 128, 256, 512, 768, 1024, 1536, 2048, 4096],
                        help="KiB, of the disks and of the largest file")  # fmt: skip
    parser.add_argument("--output", default="disk.json")
    options = parser.parse_args()
    cases = {}
    with tempfile.TemporaryDirectory() as scratch:
        full = Path(scratch) / "full"
        attempt(full)
        for size in options.sizes:
            folder = Path(scratch) / f"limit{size}"
            subprocess.run(["cp", "-r", full, folder], check=True)
            cases |= case(f"files of {size} KiB at most", folder, size * 1024)
        mount = Path(scratch) / "mount"
        mount.mkdir()
        for size in options.sizes:
            made = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", mount], capture_output=True)
            if made.returncode:
                print("     this process may not mount: a full disk and a read-only one were not tried")
                break
            try:
                cases |= case(f"a disk of {size} KiB", mount)
                subprocess.run(["mount", "-o", "remount,ro", mount], check=True)
                cases |= case(f"read-only, {size} KiB", mount, read_only=True)
            finally:
                subprocess.run(["umount", mount], check=True)
    write_json(options.output, {"cases": cases})
    sys.exit(not all(cases.values()))


if __name__ == "__main__":
    main()
