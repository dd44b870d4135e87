"""How many images a run must see, by the number of classes: runs of several budgets on characters rendered from fonts.

    python -m benchmarks.many_classes --fonts FOLDER --classes 10 100 1000 --per-class 100 --samples 500000 1000000

FOLDER holds fonts with the characters of GB 2312, such as those of Debian's packages fonts-noto-cjk, fonts-arphic-ukai
and fonts-wqy-microhei, also unpacked there by `dpkg -x`. Each image is a character of one of the fonts, distorted at
random, with strokes of another width. Every class has --val images more, which no run is trained on. The figures go to
a JSON file as soon as a run has ended; a run that is there already is not made again.
"""

import json
import time
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch.nn import functional

from benchmarks.common import NOTHING_SAVED, make_parser
from classifier import CNNClassifier
from common.files import write_json
from common.text import plural
from config import Config
from dataset import CharDataset
from init import start_logging
from metrics import format_scores
from runs.record import environment

CANVAS = 72  # pixels per side of a glyph


def characters(count: int) -> list[str]:
    """Return `count` of the 6,763 characters of GB 2312, spread evenly over the 3,755 of level 1 if they are fewer."""
    rows = [bytes([row, cell]) for row in range(0xB0, 0xF8) for cell in range(0xA1, 0xFF)]
    every = [code.decode("gb2312", "ignore") for code in rows]
    every = [name for name in every if name]
    level = every[:3755] if count <= 3755 else every
    return [level[i * len(level) // count] for i in range(count)]


def glyphs(names: list[str], folder: str) -> np.ndarray:
    """Return the ink of each character in each font, uint8 (C, F, CANVAS, CANVAS); none if the font lacks it."""
    paths = sorted(path for path in Path(folder).rglob("*") if path.suffix in (".ttf", ".ttc", ".otf"))
    fonts = [ImageFont.truetype(str(path), CANVAS - 16) for path in paths]
    ink = np.zeros((len(names), len(fonts), CANVAS, CANVAS), np.uint8)
    for f, font in enumerate(fonts):
        nothing = _draw("\uffff", font)  # the box that stands for a character which the font lacks
        for k, name in enumerate(names):
            drawn = _draw(name, font)
            ink[k, f] = 0 if (drawn == nothing).all() else drawn
    return ink


def _draw(name: str, font: ImageFont.FreeTypeFont) -> np.ndarray:
    image = Image.new("L", (CANVAS, CANVAS))
    ImageDraw.Draw(image).text((CANVAS / 2, CANVAS / 2), name, 255, font, anchor="mm")
    return np.asarray(image)


def distort(ink: torch.Tensor, size: int, generator: torch.Generator) -> torch.Tensor:
    """Return glyphs uint8 (n, CANVAS, CANVAS) as handwriting might be, black on white, uint8 (n, size, size).

    Each is scaled, turned, sheared, shifted, and distorted by two elastic grids; its strokes get another width.
    """
    n = len(ink)

    def noise(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    matrix = torch.eye(2) * (1.15 + 0.12 * noise(n, 1, 1)) + 0.1 * noise(n, 2, 2)
    affine = torch.cat([matrix, 0.1 * noise(n, 2, 1)], 2)
    grid = functional.affine_grid(affine, [n, 1, CANVAS, CANVAS], align_corners=False)
    for cells, strength in ((4, 0.07), (8, 0.03)):
        field = functional.interpolate(strength * noise(n, 2, cells, cells), (CANVAS, CANVAS), mode="bicubic")
        grid = grid + field.permute(0, 2, 3, 1)
    bent = functional.grid_sample(ink[:, None] / 255, grid, align_corners=False)
    thick = functional.avg_pool2d(bent, 5, 1, 2)
    level = 0.12 + 0.3 * torch.rand(n, 1, 1, 1, generator=generator)
    strokes = ((thick - level) * 12 + 0.5).clamp(0, 1)
    small = functional.interpolate(strokes, (size, size), mode="bilinear", antialias=True)[:, 0]
    return (255 - 255 * small).byte()


def rendered(names: list[str], per_class: int, folder: str, size: int = 28, seed: int = 0) -> CharDataset:
    """Return `per_class` images of each character, each from one of the fonts that have it."""
    ink = torch.from_numpy(glyphs(names, folder))
    missing = ink.flatten(2).amax(2) == 0  # (C, F)
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(len(names)).repeat_interleave(per_class)
    font = torch.multinomial((~missing[y]).float(), 1, generator=generator)[:, 0]
    x = torch.empty(len(y), size, size, dtype=torch.uint8)
    for chosen in torch.arange(len(y)).split(2048):
        x[chosen] = distort(ink[y[chosen], font[chosen]], size, generator)
    return CharDataset(x.numpy(), y.numpy(), None, names, f"{len(names)} characters rendered from fonts")


def run(config: Config, train: CharDataset, val: CharDataset) -> dict:
    """Train once; return what it cost and what it gives."""
    start = time.perf_counter()
    classifier = CNNClassifier(config, train.classes)
    history = classifier.fit(train)
    seconds = time.perf_counter() - start
    result = classifier.evaluate(val)
    spent = f"{plural(config.samples_seen, 'sample')}, {plural(len(history), 'epoch')}"
    print(f"{spent}: {format_scores(result)}, {seconds:.0f} s")
    return {
        "epochs": len(history), "seconds": seconds, "train_accuracy": history[-1]["train_accuracy"],
        "train_loss": history[-1]["train_loss"], **result,
    }  # fmt: skip


def main():
    parser = make_parser(__doc__, "many_classes.json", "--set", "--size", "--device")
    parser.add_argument("--fonts", required=True, help="a folder of fonts")
    parser.add_argument("--characters", help="to classify these rather than those of GB 2312")
    parser.add_argument("--classes", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--per-class", type=int, nargs="+", default=[100])
    parser.add_argument("--samples", type=int, nargs="+", default=[500_000, 1_000_000, 2_000_000, 4_000_000])
    parser.add_argument("--val", type=int, default=50, help="held-out images per class")
    options = parser.parse_args()
    start_logging("WARNING")
    output = Path(options.output)
    figures = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {"runs": {}}
    for classes in options.classes:
        names = list(options.characters or "")[:classes] or characters(classes)
        val = rendered(names, max(1, min(options.val, 20_000 // classes)), options.fonts, options.size, seed=1)
        for per_class in options.per_class:
            train = rendered(names, per_class, options.fonts, options.size)
            print(f"{classes:,} classes × {per_class} images, {len(val):,} held-out images")
            for samples in options.samples:
                key = f"{classes} × {per_class} at {options.size}, {samples} {dict(options.set)}"
                if key in figures["runs"]:
                    continue
                epochs = max(1, round(samples / len(train)))
                values = {"samples_seen": samples, "epochs": epochs, "device": options.device} | dict(options.set)
                config = Config(**values, **NOTHING_SAVED)
                figures["runs"][key] = run(config, train, val)
                figures["environment"] = environment(torch.device(config.device.replace("auto", "cpu")))
                write_json(output, figures)


if __name__ == "__main__":
    main()
