"""A set that does not fit in memory: 3,755 characters × 300 images at 64×64, from preparation to audit.

    python -m benchmarks.large --folder ../scratch                  # 1,126,500 images, 14 GB of disk
    python -m benchmarks.large --folder ../scratch --per-class 3    # a rehearsal

The images are synthetic: the characters of GB 2312's first level, rendered from the fonts that are installed, with an
affine distortion per writer and another per image. They are written as .gnt files, one per writer. Memory is that of
all processes; what they share counts once, and mapped files, whose pages the system takes back, do not count.
"""

import os
import statistics
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import numpy as np
import psutil
import torch
from PIL import Image, ImageDraw, ImageFont
from tqdm import tqdm

import init
from analysis import near_duplicates
from analysis.audit import audit
from benchmarks.common import NOTHING_SAVED, make_parser, timed, write_figures
from classifier import CNNClassifier
from config import Config
from dataset import CharDataset, load_parts, split
from imaging.ink import backgrounds, ink
from readers import open_source

SIDE, FINE = 64, 96  # pixels per side of an image, and of the glyph that it is made of
PACKAGES = "fonts-wqy-microhei fonts-wqy-zenhei fonts-arphic-ukai fonts-arphic-uming fonts-noto-cjk"
INVERTED = [255 - level for level in range(256)]
FONTS = (
    "truetype/wqy/wqy-microhei.ttc", "truetype/wqy/wqy-zenhei.ttc", "truetype/arphic/ukai.ttc",
    "truetype/arphic/uming.ttc", "opentype/noto/NotoSansCJK-Regular.ttc", "opentype/noto/NotoSerifCJK-Regular.ttc",
    "opentype/noto/NotoSansCJK-Bold.ttc", "opentype/noto/NotoSerifCJK-Bold.ttc",
)  # fmt: skip


def characters() -> list[str]:
    """Return the 3,755 characters of GB 2312's first level, in its order."""
    codes = ((0xB0 + row, 0xA1 + column) for row in range(40) for column in range(94))
    return [bytes(code).decode("gb2312") for code in list(codes)[:3755]]


def glyphs(font: ImageFont.FreeTypeFont, texts: list[str]) -> list[Image.Image]:
    """Return each text in the middle of a grey image, white on black."""
    images = []
    for text in texts:
        image = Image.new("L", (FINE, FINE))
        ImageDraw.Draw(image).text((FINE / 2, FINE / 2), text, 255, font, "mm")
        images.append(image)
    return images


def distort(glyph: Image.Image, hand: np.ndarray, rng: np.random.Generator) -> Image.Image:
    """Return an image of a glyph under a writer's affine map (2, 2) and a further small one, black on white."""
    matrix = hand + rng.normal(0, 0.05, (2, 2))
    shift = FINE / 2 - matrix @ (np.full(2, SIDE / 2) + rng.normal(0, 1.5, 2)) * FINE / SIDE
    a, b, c, d = (matrix * FINE / SIDE).ravel()
    rows = a, b, shift[0], c, d, shift[1]
    return glyph.transform((SIDE, SIDE), Image.Transform.AFFINE, rows, Image.Resampling.BILINEAR).point(INVERTED)


def write_set(folder: Path, texts: list[str], per_class: int, fonts: list[str]) -> None:
    """Write the .gnt files of so many writers, each of whom has written every character once, in one of the fonts."""
    if not fonts:
        raise SystemExit(f"there are no fonts to draw the characters with: apt-get install {PACKAGES}")
    codes = [text.encode("gb2312") for text in texts]
    folder.mkdir(parents=True)
    with tqdm(total=per_class * len(texts), desc="drawing", unit="image") as progress:
        for number, path in enumerate(fonts):
            drawn = glyphs(ImageFont.truetype(path, 80), texts)
            for writer in range(number, per_class, len(fonts)):
                rng = np.random.default_rng(writer)
                hand = np.eye(2) + rng.normal(0, 0.12, (2, 2))
                with open(folder / f"{writer:04}.gnt", "wb") as file:
                    for code, glyph in zip(codes, drawn, strict=True):
                        file.write(struct.pack("<I2sHH", 10 + SIDE * SIDE, code, SIDE, SIDE))
                        file.write(distort(glyph, hand, rng).tobytes())
                progress.update(len(texts))


def memory() -> int:
    """Return the bytes of this process and those that it has started; see above."""
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            rows = Path(f"/proc/{process.pid}/smaps_rollup").read_text().splitlines()
            total += sum(1024 * int(row.split()[1]) for row in rows if row.startswith(("Pss_Anon:", "Pss_Shmem:")))
        except OSError:  # it has just ended
            continue
    return total


@contextmanager
def peak_memory(every: float = 0.2) -> Iterator[list[int]]:
    """Give a list of the highest memory until the end of the block."""
    peak, ended = [memory()], threading.Event()

    def look() -> None:
        while not ended.wait(every):
            peak[0] = max(peak[0], memory())

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    try:
        yield peak
    finally:
        ended.set()
        thread.join()


def measure(name: str, images: int, call: Callable[[], object]) -> dict:
    """Return the seconds that a stage takes, also those of all cores, and its peak memory, and print them."""
    before = sum(os.times()[:4])
    with peak_memory() as peak:
        seconds = timed(call)()
    cpu = sum(os.times()[:4]) - before  # also of processes that have ended
    times = f"{seconds:10.1f} s{images / seconds:12,.0f}/s{cpu:10.1f} s of CPU"
    print(f"{name:20}{images:10,}{times}{peak[0] / 2**20:10,.0f} MiB", flush=True)
    return {"stage": name, "images": images, "seconds": seconds, "cpu_seconds": cpu, "memory": peak[0]}


def against_resident(images: CharDataset, rounds: int) -> dict:
    """Return the rate of LeNet's epochs on a memory map, as a fraction of that on the same images in memory.

    Also by the CPU's time, which others that use the cores change less.
    """
    resident = CharDataset(np.array(images.x), images.y, classes=images.classes)
    rates: dict[str, list[float]] = {"memory map": [], "resident": []}
    cpu_rates: dict[str, list[float]] = {"memory map": [], "resident": []}
    pairs = [("memory map", images), ("resident", resident)]
    for number in range(rounds):
        for name, one in pairs if number % 2 else pairs[::-1]:
            classifier, before = CNNClassifier(Config(epochs=2, **NOTHING_SAVED), images.classes), sum(os.times()[:4])
            rates[name].append(len(images) / classifier.fit(one)[-1]["seconds"])
            cpu_rates[name].append(2 * len(images) / (sum(os.times()[:4]) - before))
    ratio, cpu_ratio = (
        statistics.median(a / b for a, b in zip(*found.values(), strict=True)) for found in (rates, cpu_rates)
    )
    print(f"an epoch by memory map has {ratio:.0%} of the rate of the same {len(images):,} images in memory")
    print(f"by the CPU's time it has {cpu_ratio:.0%}")
    return {"images": len(images), "rates": rates, "ratio": ratio, "cpu_rates": cpu_rates, "cpu_ratio": cpu_ratio}


def stages(images: CharDataset, most_trained: int) -> list[dict]:
    """Measure what a run does with images of which there are ever more; a model sees so many at most."""
    rows = []
    tens = [10**power for power in range(4, 8) if 2 * 10**power <= len(images)]
    for n in [*tens, len(images)]:
        few = images.subset(range(n))  # of the first writers, so that no class is without images
        rows.append(measure("fingerprint", n, few.fingerprint))
        rows.append(measure("fingerprint again", n, few.fingerprint))
        rows.append(measure("split", n, lambda few=few: split(few)))
        rows.append(measure("audit", n, lambda few=few: audit(few)))
        if n > most_trained:
            continue
        classifier = CNNClassifier(Config(epochs=1, **NOTHING_SAVED), few.classes)
        rows.append(measure("an epoch", n, lambda few=few, classifier=classifier: classifier.fit(few)))
        rows.append(measure("evaluate", n, lambda few=few, classifier=classifier: classifier.evaluate(few)))
    return rows


def recall(images: CharDataset, most: int = 10_000) -> dict:
    """Return the fraction of near-duplicates that the search among all images and slightly distorted copies compares.

    Args:
        images: of which so many at most are copied.
    """
    count, rng = len(images), np.random.default_rng(0)
    chosen = np.linspace(0, count - 1, min(most, count)).astype(np.int64)
    copies = images.subset(chosen).x.copy()
    for image in copies:
        a, b, c, d, e, f = rng.normal([1, 0, 0, 0, 1, 0], [0.02, 0.02, 0.7] * 2)
        rows = Image.Transform.AFFINE, (a, b, c, d, e, f), Image.Resampling.BILINEAR
        image[:] = np.asarray(Image.fromarray(image).transform((SIDE, SIDE), *rows, fillcolor=255))
    total = count + len(chosen)
    vectors = near_duplicates.collect(map(_vectors, chain(images.chunks(), [copies])), total)
    limits = near_duplicates.thresholds(vectors, np.concatenate([images.y, images.y[chosen]]))
    correlations = (vectors[chosen] * vectors[count:]).sum(1)
    near = (correlations > torch.maximum(limits[chosen], limits[count:])).numpy()
    compared = np.zeros(len(chosen), bool)
    for rows, columns in near_duplicates._blocks(vectors, np.arange(total), seed=0):
        own = columns[columns >= count].numpy() - count
        compared[own] |= np.isin(chosen[own], rows)
    share = compared[near].mean()
    print(f"the search compares {share:.2%} of {near.sum():,} near-duplicates among {total:,} images")
    return {"images": total, "pairs": int(near.sum()), "recall": float(share)}


def _vectors(x: np.ndarray) -> torch.Tensor:
    """Return the vectors by which images uint8 (n, H, W) are compared."""
    pixels = torch.from_numpy(x)
    return near_duplicates.thumbnails(ink(pixels, backgrounds(pixels))[:, None])


def main():
    installed = [str(path) for name in FONTS if (path := Path("/usr/share/fonts") / name).exists()]
    parser = make_parser(__doc__, "large.json")
    parser.add_argument("--folder", required=True, help="for the images, which stay, so that another run finds them")
    parser.add_argument("--classes", type=int, default=3755)
    parser.add_argument("--per-class", type=int, default=300)
    parser.add_argument("--fonts", nargs="+", default=installed, help="by default those of FONTS that are installed")
    parser.add_argument("--resident", type=int, default=100_000, help="images that fit in memory, to compare with")
    parser.add_argument("--trained", type=int, default=2_000_000, help="images at most that a model is trained on")
    parser.add_argument("--rounds", type=int, default=3, help="of the comparison")
    options = parser.parse_args()
    init.start_logging("WARNING")
    folder = Path(options.folder)
    raw, data = folder / f"{options.classes}x{options.per_class}", folder / "data.npz"
    texts = characters()[: options.classes]
    count = len(texts) * options.per_class
    calls = {
        "drawing": lambda: raw.exists() or write_set(raw, texts, options.per_class, options.fonts),
        "preparation": lambda: init.preprocess(open_source(raw), data, SIDE, npz_limit=0.0),
        "load": lambda: load_parts(data),
    }
    rows = [measure(name, count, call) for name, call in calls.items()]
    images = load_parts(data)["train"]
    rows += stages(images, options.trained)
    few = images.subset(range(min(options.resident, count)))
    found = recall(images)
    write_figures(options, "auto", stages=rows, recall=found, resident=against_resident(few, options.rounds))


if __name__ == "__main__":
    main()
