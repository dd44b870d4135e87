"""How well photos of characters are read: drawn characters put on grey paper, in shadow, in blue ink, off-centre.

    python benchmarks/photos.py                     a LeNet trained on drawn characters, 480 photos of other ones
    python benchmarks/photos.py --epochs 5 --count 5

Each photo is read as it is, and as `CNNClassifier.like_training` makes it; beside them the same characters as clean
images of 28×28 pixels. The figures go to a JSON file.
"""

import argparse
import io
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
from PIL import Image
from scipy import ndimage

from classifier import CNNClassifier
from common.files import write_json
from config import Config
from dataset import CharDataset
from metrics import accuracy, in_words
from readers import strokes
from runs.record import environment

SIZE = 224  # pixels a side that a character is drawn in


def photographed(drawing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a photo of a character, uint8 (h, w): pens, paper, ink and light differ, and a JPEG is made of it.

    Args:
        drawing: uint8 (S, S), lines one pixel wide, 0 on 255.
    """
    size = len(drawing)
    pen = rng.uniform(0.02, 0.06) * size
    line = ndimage.gaussian_filter((ndimage.distance_transform_edt(drawing) < pen / 2).astype(np.float32), 1.2)
    side = int(size * rng.uniform(1.3, 2))
    ink = np.zeros((side, side), np.float32)
    top, left = rng.integers(0, side - size + 1, 2)
    ink[top : top + size, left : left + size] = line
    y, x = np.mgrid[:side, :side] / side - 0.5
    angle, edge = rng.uniform(0, 2 * np.pi, 2)
    light = rng.uniform(120, 235) * (1 - rng.uniform(0, 0.35) * (x * np.cos(angle) + y * np.sin(angle)))
    if rng.random() < 0.5:  # a shadow, with an edge that may be sharp
        beyond = x * np.cos(edge) + y * np.sin(edge) - rng.uniform(-0.3, 0.3)
        light *= 1 - rng.uniform(0.2, 0.5) / (1 + np.exp(-beyond * rng.uniform(20, 200)))
    rgb = light[..., None] * (1 - ink[..., None] * (1 - np.array([0.15, 0.2, rng.uniform(0.2, 0.9)])))  # black to blue
    rgb += rng.normal(0, rng.uniform(1, 6), rgb.shape)
    file = io.BytesIO()
    Image.fromarray(np.clip(rgb, 0, 255).astype(np.uint8)).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file).convert("L"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40, help="photos of each character")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--output", default="photos.json")
    options = parser.parse_args()
    x, y = strokes.draw()
    config = Config(epochs=options.epochs, record_path=None, save_path=None)
    classifier = CNNClassifier(config, list(strokes.CHARACTERS))
    classifier.fit(CharDataset(x, y, classes=classifier.classes_))
    other, rng = 7, np.random.default_rng(0)  # another seed: other characters than those learnt
    (clean, y), (fine, _) = (strokes.draw(options.count, size, other) for size in (28, SIZE))
    photos = [photographed(drawing, rng) for drawing in fine]
    read = {
        "clean images": classifier.predict(clean),
        "photos, made like the training images": classifier.predict(
            np.stack(list(map(classifier.like_training, photos)))
        ),
        "photos as they are": np.concatenate([classifier.predict(photo) for photo in photos]),
    }
    figures = {name: accuracy((predicted == y).sum(), len(y)) for name, predicted in read.items()}
    for name, found in figures.items():
        print(f"{name:40}{in_words(found)}")
    about = environment(classifier.device)
    write_json(options.output, {"options": vars(options), "environment": about, "accuracy": figures})


if __name__ == "__main__":
    main()
