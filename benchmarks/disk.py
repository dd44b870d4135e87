"""Run out of disk at every size, and write to a read-only folder: one clear error, and the former files are intact.

    python -m benchmarks.disk

If this process may mount (root on Linux), data, record and checkpoints are made on small tmpfs mounts that fill up, and
on one that is read-only; everywhere on POSIX, under a limit on the size of a file. A run may succeed or raise
StorageError. What the folder held before, a data.npz and a checkpoint, must stay, or give way to newer ones that are
whole. Prints a table; the outcomes go to a JSON file.
"""

import os
import resource
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch

from benchmarks.common import drawn, make_parser, processes, write_figures
from classifier import CNNClassifier
from common.errors import StorageError
from config import Config
from dataset import load, split
from init import preprocess
from readers.drawn import DrawnSource
from readers.source import Sample


class ChangedSource(DrawnSource):
    """240 drawn characters, from which every run makes its own data.npz."""

    def stamp(self) -> object:
        return os.urandom(8)

    def __len__(self) -> int:
        return 240

    def __iter__(self) -> Iterator[Sample]:
        images = drawn(len(self))
        for image, label, file in zip(images.x, images.y.tolist(), images.files.tolist(), strict=True):
            yield Sample(image, label, file)


def work(folder: str, limit: int, outcome) -> None:
    """Make data, train and save below the folder, under a limit of so many bytes per file; report how it went."""
    torch.set_num_threads(1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    paths = {"record_path": f"{folder}/record", "save_path": f"{folder}/save/best.ckpt"}
    try:
        preprocess(ChangedSource(), f"{folder}/data.npz")
        train, val = split(load(f"{folder}/data.npz"), 0.3)
        CNNClassifier(Config(epochs=2, device="cpu", **paths), train.classes).fit(train, val)
    except StorageError as error:
        outcome.put(f"StorageError: {error}")
    except Exception as error:  # what this program looks for
        outcome.put(f"{type(error).__name__}: {error}")
    else:
        outcome.put("succeeded")


def attempt(folder: Path, limit: int = 0) -> str:
    """Return how a run below the folder went, in a process of its own."""
    context = processes()
    outcome = context.Queue()
    child = context.Process(target=work, args=(str(folder), limit, outcome))
    child.start()
    result = outcome.get(timeout=300)
    child.join()
    return result


def held(folder: Path) -> dict[str, bytes]:
    """Return the data and the checkpoint that a folder holds, both of which must load."""
    files = {}
    for name, read in (("data.npz", load), ("save/best.ckpt", CNNClassifier.load)):
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
    allowed = ("StorageError",) if read_only else ("StorageError", "succeeded")
    kept = after == before if read_only else before.keys() <= after.keys()
    complete = len(after) == 2 or not outcome.startswith("succeeded")
    good = outcome.startswith(allowed) and kept and complete and not debris
    print(f"{'ok' if good else 'BAD':4}{name:36}{outcome[:100]}" + (f" debris: {debris}" if debris else ""))
    return {name: good}


def small_files(scratch: Path, sizes: list[int]) -> dict[str, bool]:
    """Run in copies of a folder that is complete, with limits in KiB on the size of a file."""
    cases, full = {}, scratch / "full"
    attempt(full)
    for size in sizes:
        folder = scratch / f"limit{size}"
        subprocess.run(["cp", "-r", full, folder], check=True)
        cases |= case(f"files of {size} KiB at most", folder, size * 1024)
    return cases


def small_disks(mount: Path, sizes: list[int]) -> dict[str, bool]:
    """Run on disks of these KiB, which are then made read-only."""
    cases: dict[str, bool] = {}
    mount.mkdir()
    for size in sizes:
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
    return cases


def main():
    parser = make_parser(__doc__, "disk.json")
    parser.add_argument("--sizes", type=int, nargs="+", default=[16, 64, 128, 256, 512, 768, 1024, 1536, 2048, 4096],
                        help="KiB, of the disks and of the largest file")  # fmt: skip
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        cases = small_files(Path(scratch), options.sizes) | small_disks(Path(scratch) / "mount", options.sizes)
    write_figures(options, "cpu", cases=cases)
    sys.exit(not all(cases.values()))


if __name__ == "__main__":
    main()
