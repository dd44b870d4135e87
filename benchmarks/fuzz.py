"""Feed damaged and hostile files to the five readers: image folder, zip, npz, checkpoint, config.

    python benchmarks/fuzz.py                  10,000 files each
    python benchmarks/fuzz.py --files 100 --only npz

Files are made from seeds of every kind that the reader takes, and some that are hostile, by flipping, cutting, copying
and overwriting bytes, of the whole file or of a member of the archive, which is then packed again. A reader may succeed
or raise InputError. It may not raise anything else, take over 5 s or 1 GB, or run anything. The counts go to a JSON
file.
"""

import argparse
import io
import json
import os
import pickle
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image

from classifier import CNNClassifier
from common.errors import InputError
from common.files import write_json
from config import Config
from dataset import load_npz
from init import preprocess

SECONDS, MEGABYTES = 5, 1024
NUMBERS = [0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF]


def pictures() -> list[bytes]:
    """Return an image file of each kind and mode."""
    grey = Image.fromarray(np.random.default_rng(0).integers(0, 256, (20, 16), np.uint8))
    files = []
    for kind, modes in {"BMP": "1 L RGB", "PNG": "1 L RGBA P I;16", "JPEG": "L RGB", "GIF": "P", "TIFF": "L F",
                        "WEBP": "RGBA"}.items():  # fmt: skip
        for mode in modes.split():
            buffer = io.BytesIO()
            image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)
            image.save(buffer, kind)
            files.append(buffer.getvalue())
    thin = io.BytesIO()
    Image.new("L", (120_000, 1)).save(thin, "PNG")  # as a square, 13 GB
    return [*files, thin.getvalue()]


def packed(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name), data, compression)
    return buffer.getvalue()


def class_folder(images: list[bytes]) -> dict[str, bytes]:
    return {f"{k % 2 + 1}/{k}.png": data for k, data in enumerate(images)} | {"classes.txt": "一\n二\n".encode()}


def zips() -> list[bytes]:
    images = pictures()
    whole = class_folder(images)
    return [
        packed(whole), packed({f"train/{n}": d for n, d in whole.items()} | {f"test/{n}": d for n, d in whole.items()}),
        packed(whole | {"../evil.png": images[0]}), packed({"/" + n: d for n, d in whole.items()}),
        packed(whole | {"1/bomb.png": bytes(2**27)}), packed({"1/" + "9" * 5000 + ".png": images[0]} | whole),
    ]  # fmt: skip


def npzs() -> list[bytes]:
    rng, files = np.random.default_rng(0), []
    x, y = rng.integers(0, 256, (6, 8, 8), np.uint8), np.arange(6) % 3
    for arrays in (
        {"x": x, "y": y, "classes": np.array(["一", "b", "c"]), "source": "a", "files": y.astype(str)},
        {"x_train": x, "y_train": y, "x_test": x[:, None], "y_test": y[:, None]},
        {"x": x / 255, "y": y}, {"x": x.astype(np.float32), "y": y.astype(np.uint8)}, {"x": x > 9, "y": y},
        {"x": x, "y": y * 2**60}, {"x": np.array([None, print]), "y": y},
    ):  # fmt: skip
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)
        files.append(buffer.getvalue())
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": (10**13,)})
    return [*files, packed({"x.npy": header.getvalue(), "y.npy": header.getvalue()})]


class Attack:
    """Unpickled, it makes a folder."""

    def __reduce__(self):
        return os.mkdir, ("it_ran",)


class Greedy:
    """Unpickled, it takes 10 GB."""

    def __reduce__(self):
        return bytearray, (10**10,)


def checkpoints() -> list[bytes]:
    files = []
    with tempfile.TemporaryDirectory() as folder:
        classifier = CNNClassifier(Config(device="cpu"), ["a", "b"])
        path = Path(folder) / "a.ckpt"
        classifier.save(path)
        content = torch.load(path, weights_only=True)
        nested = [1]
        for _ in range(60):
            nested = [nested, nested]  # small on disk, beyond all bounds as text
        config = content["config"]
        for change in (
            {}, {"image_size": 10**9}, {"source_shape": [10**9, -1]}, {"metrics": {}}, {"classes": [1, 2]},
            {"classes": nested}, {"config": config | {"model": nested}}, {"config": {nested[0] is None: 1}},
            {"config": config | {"epochs": 10**5000}}, {"state_dict": {"fc7.bias": torch.zeros(1).expand(10**9)}},
            {"state_dict": Attack()}, {"state_dict": Greedy()}, {"temperature": 0.0}, {"run": {"name": nested}},
        ):  # fmt: skip
            torch.save(content | change, path)
            files.append(path.read_bytes())
    return [*files, pickle.dumps({"format": 1, "state_dict": Attack()}, protocol=2)]


def configs() -> list[bytes]:
    root = Path(__file__).resolve().parents[1] / "configs"
    ours = json.dumps(asdict(Config())).encode()
    hostile = [
        '{"model": ["LeNet"]}',
        '{"epochs": ' + "9" * 5000 + "}",
        '{"learning_rate": ' + "9" * 400 + "}",
        '{"learning_rate": 1e999, "' + "k" * 10**6 + '": 1}',
        '{"record_path": "a\\u0000b"}',
        "[" * 10**5,
    ]
    return [ours, *(path.read_bytes() for path in sorted(root.glob("*.json"))), *map(str.encode, hostile)]


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Return the bytes with one to eight changes."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 8))):
        place, other = (rng.randrange(len(data) + 1) for _ in range(2))
        kind = rng.randrange(6)
        if kind == 0 and data:
            data[place % len(data)] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[place : place + rng.choice((1, 2, 4, 8))] = rng.randbytes(rng.choice((1, 2, 4, 8)))
        elif kind == 2:
            number = struct.pack(rng.choice("<>") + "Q", rng.choice(NUMBERS))
            data[place : place + 8] = number[: rng.choice((1, 2, 4, 8))]
        elif kind == 3:
            del data[place : place + rng.choice((1, 16, len(data)))]
        elif kind == 4:
            data[place:place] = data[other : other + rng.randrange(64)]
        else:
            data[place : place + 16] = data[other : other + 16]
    return bytes(data)


def mutated_member(data: bytes, rng: random.Random) -> bytes:
    """Return an archive with one member changed, packed as well as before."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(info.file_size for info in archive.infolist()) > 10**7:  # a bomb, which takes long to pack
            return mutated(data, rng)
        members = {info.filename: archive.read(info) for info in archive.infolist()}
        compression = archive.infolist()[0].compress_type
    name = rng.choice(list(members))
    members[name] = mutated(members[name], rng)
    return packed(members, compression)


def read_folder(path: Path) -> None:
    folder = path.parent / "folder"
    for k, images in enumerate(([path.read_bytes(), PLAIN], [PLAIN, PLAIN])):
        (folder / str(k)).mkdir(parents=True, exist_ok=True)
        for i, image in enumerate(images):
            (folder / str(k) / f"{i}.png").write_bytes(image)
    read_zip(folder)


def read_zip(path: Path) -> None:
    output = path.parent / "out.npz"
    output.unlink(missing_ok=True)
    preprocess(path, output)
    load_npz(output)


def read_checkpoint(path: Path) -> None:
    CNNClassifier.load(path, device="cpu").predict(np.zeros((1, 28, 28), np.uint8))


PLAIN = pictures()[0]
READERS: dict[str, tuple[Callable, Callable]] = {
    "folder": (pictures, read_folder), "zip": (zips, read_zip), "npz": (npzs, load_npz),
    "checkpoint": (checkpoints, read_checkpoint), "config": (configs, Config.load),
}  # fmt: skip


def fuzz(reader: str, files: int, seed: int, folder: str, queue) -> None:
    """Read the files one by one; tell the parent of each before it is read, and what came of it."""
    torch.set_num_threads(1)
    os.chdir(folder)
    warnings.simplefilter("ignore")
    ran = []
    watched = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect", "shutil.rmtree")

    def notice(event, arguments):
        if event in watched or (event == "os.mkdir" and "it_ran" in str(arguments[0])):
            ran.append(event)

    sys.addaudithook(notice)
    make, read = READERS[reader]
    seeds, rng, path = make(), random.Random(f"{reader} {seed}"), Path(folder) / f"file.{reader}"
    for number in range(files):
        data = seeds[number % len(seeds)]
        if number >= len(seeds):
            data = data if rng.random() < 0.5 else seeds[0]  # a good one more often: it is read further
            packed_again = reader in ("zip", "npz", "checkpoint") and data[:2] == b"PK" and rng.random() < 0.7
            data = mutated_member(data, rng) if packed_again else mutated(data, rng)
        path.write_bytes(data)
        queue.put(("reading", number))
        ran.clear()
        start = time.perf_counter()
        try:
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                read(path)
            outcome = "read"
        except InputError as error:
            outcome = "refused" if len(str(error)) < 5000 else f"a message of {len(str(error))} letters"
        except Exception as error:  # what this program looks for
            outcome = f"{type(error).__name__}: {error}"[:300]
        seconds = time.perf_counter() - start
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
        if ran:
            outcome = f"ran {ran}"
        elif memory > MEGABYTES:
            outcome = f"took {memory:.0f} MB"
        elif seconds > SECONDS:
            outcome = f"took {seconds:.1f} s"
        queue.put((outcome, number))
        if memory > MEGABYTES:
            break
    queue.put(("done", memory))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=10_000, help="to each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=READERS, default=list(READERS))
    parser.add_argument("--output", default="fuzz.json")
    options = parser.parse_args()
    figures, bad = {}, 0
    for reader in options.only:
        counts, found, start = Counter(), [], time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            context = get_context("spawn")
            queue = context.Queue()
            worker = context.Process(target=fuzz, args=(reader, options.files, options.seed, folder, queue))
            worker.start()
            while True:
                try:
                    outcome, number = queue.get(timeout=60)
                except Exception:  # nothing for a minute: it hangs, or was killed
                    outcome, number = "hangs or died", number
                    os.kill(worker.pid, signal.SIGKILL) if worker.is_alive() else None
                if outcome == "done":
                    memory = number
                    break
                if outcome == "reading":
                    continue
                counts[outcome if outcome in ("read", "refused") else "got through"] += 1
                if outcome not in ("read", "refused"):
                    found.append((number, outcome))
                    if outcome == "hangs or died":
                        memory = 0
                        break
            worker.join()
        bad += len(found)
        seconds = time.perf_counter() - start
        figures[reader] = counts | {"seconds": seconds, "peak_mb": memory, "found": found}
        print(f"{reader:12}{counts['read']:8} read{counts['refused']:8} refused{len(found):6} got through   "
              f"{seconds:.0f} s, {memory:.0f} MB at most", flush=True)  # fmt: skip
        for number, outcome in found[:20]:
            print(f"    file {number}: {outcome}")
    write_json(options.output, {"options": vars(options), "readers": figures})
    sys.exit(bad > 0)


if __name__ == "__main__":
    main()
