"""Feed damaged and hostile files to all readers: of images, tables, archives and arrays, of checkpoints and configs.

    python -m benchmarks.fuzz                  10,000 files each
    python -m benchmarks.fuzz --files 100 --only npz

Files are made from those of the other fuzz_*.py by flipping, cutting, copying and
overwriting bytes, of the whole file or of a member of the archive, which is then packed again; for `names`, the file
lists the names of images. A reader may succeed or raise InputError. It may not raise anything else, take over 5 s of
the CPU or 1 GB, or run anything. The counts go to a JSON file.
"""

import io
import os
import random
import resource
import shutil
import struct
import sys
import tempfile
import time
import warnings
import zipfile
from collections import Counter
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from queue import Empty

import torch

from benchmarks.common import make_parser, processes, write_figures
from benchmarks.fuzz_hostile import joined
from benchmarks.fuzz_readers import READERS
from benchmarks.fuzz_seeds import pack
from common.errors import InputError
from init import start_logging

SECONDS, MEGABYTES, SILENCE = 5, 1024, 60  # after so many seconds of silence, a reader hangs
NUMBERS = [0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF, 0x7FFFFFFFFFFFFFFF, 0xFFFFFFFFFFFFFFFF]
GOOD = ("read", "refused")
DIED = "hangs or died"
WATCHED = ("os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "socket.connect")


def mutate(data: bytes, rng: random.Random) -> bytes:
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


def mutate_member(data: bytes, rng: random.Random) -> bytes:
    """Return an archive with one member changed, packed as well as before."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(info.file_size for info in archive.infolist()) > 10**7:  # a bomb, which takes long to pack
            return mutate(data, rng)
        members = {info.filename: archive.read(info) for info in archive.infolist()}
        compression = archive.infolist()[0].compress_type
    name = rng.choice(list(members))
    members[name] = mutate(members[name], rng)
    return pack(members, compression)


def peak_megabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)


def try_to_read(read: Callable, path: Path, ran: list[str]) -> str:
    """Return what came of reading a file: one of GOOD, or what is wrong.

    Args:
        ran: to which an audit hook adds what is run.
    """
    ran.clear()
    start = time.process_time()  # whatever else the machine does
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            read(path)
        outcome = "read"
    except InputError as error:
        outcome = "refused" if len(str(error)) < 5000 else f"a message of {len(str(error))} letters"
    except Exception as error:  # what this program looks for
        outcome = f"{type(error).__name__}: {error}"[:300]
    seconds = time.process_time() - start
    if ran:
        return f"ran {ran}"
    if peak_megabytes() > MEGABYTES:
        return f"took {peak_megabytes():.0f} MB"
    return outcome if seconds < SECONDS else f"took {seconds:.1f} s"


def write_seeds(reader: str, folder: str) -> None:
    """Write the files to start from; this takes memory of its own."""
    (Path(folder) / "seeds").mkdir()
    seeds = READERS[reader][0]()
    for number, data in enumerate(seeds + joined(seeds[0])):
        (Path(folder) / "seeds" / f"{number:04}").write_bytes(data)


def feed(reader: str, files: int, seed: int, folder: str, queue) -> None:
    """Read the files one by one; tell the parent of each before it is read, and what came of it."""
    torch.set_num_threads(1)
    os.chdir(folder)
    warnings.simplefilter("ignore")
    start_logging()  # otherwise the lines about a file would not be formatted
    ran = []

    def notice(event, arguments):
        if event in WATCHED or (event == "os.mkdir" and arguments[0] == "it_ran"):
            ran.append(event)

    sys.addaudithook(notice)
    seeds, rng = sorted(Path(folder, "seeds").iterdir()), random.Random(f"{reader} {seed}")
    read, path = READERS[reader][1], Path(folder) / f"file.{reader}"
    for number in range(files):
        chosen = seeds[number % len(seeds)]
        if number < len(seeds):
            shutil.copyfile(chosen, path)
        else:
            is_small = chosen.stat().st_size < 10**6  # those that expand to 2 GB are read once
            chosen = (
                chosen if is_small and rng.random() < 0.5 else seeds[0]
            )  # a good one more often: it is read further
            data = chosen.read_bytes()
            is_archive = reader not in ("folder", "config") and data[:2] == b"PK"
            often = 1.0 if reader == "arrays" else 0.7  # the archive is ours alone
            path.write_bytes(mutate_member(data, rng) if is_archive and rng.random() < often else mutate(data, rng))
        queue.put(("reading", number))
        queue.put((try_to_read(read, path, ran), number))
        if peak_megabytes() > MEGABYTES:
            break
    queue.put(("done", peak_megabytes()))


def fuzz(reader: str, files: int, seed: int) -> dict:
    """Let a process read the files; return how many were read and refused, and what was found of the others."""
    counts, found, memory, number = Counter(read=0, refused=0), [], 0.0, -1
    start, context = time.perf_counter(), processes()
    with tempfile.TemporaryDirectory() as folder:
        maker, queue = context.Process(target=write_seeds, args=(reader, folder)), context.Queue()
        maker.start()
        maker.join()
        worker = context.Process(target=feed, args=(reader, files, seed, folder, queue))
        worker.start()
        while True:
            try:
                outcome, value = queue.get(timeout=SILENCE)
            except Empty:
                worker.kill()
                found.append((number, DIED))
                break
            if outcome == "done":
                memory = value
                break
            number = value
            if outcome in GOOD:
                counts[outcome] += 1
            elif outcome != "reading":
                found.append((number, outcome))
        worker.join()
    return counts | {"seconds": time.perf_counter() - start, "peak_mb": memory, "found": found}


def main():
    parser = make_parser(__doc__, "fuzz.json")
    parser.add_argument("--files", type=int, default=10_000, help="to each reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", nargs="+", choices=READERS, default=list(READERS))
    options = parser.parse_args()
    figures = {}
    for reader in options.only:
        figures[reader] = result = fuzz(reader, options.files, options.seed)
        print(f"{reader:12}{result['read']:8} read{result['refused']:8} refused{len(result['found']):6} got through   "
              f"{result['seconds']:.0f} s, {result['peak_mb']:.0f} MB at most", flush=True)  # fmt: skip
        for number, outcome in result["found"][:20]:
            print(f"    file {number}: {outcome}")
    write_figures(options, "cpu", readers=figures)
    sys.exit(any(result["found"] for result in figures.values()))


if __name__ == "__main__":
    main()
