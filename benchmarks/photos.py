"""How well photos of characters are classified: drawn ones put on grey paper, in shadow, in blue ink, off-centre.

    python -m benchmarks.photos                     a LeNet trained on drawn characters, 480 photos of other ones
    python -m benchmarks.photos --epochs 5 --count 5

Each photo is classified as it is, and as `CNNClassifier.match_style` makes it; beside them the same characters as clean
images of 28×28 pixels. The figures go to a JSON file.
"""

import io

import numpy as np
from PIL import Image
from scipy import ndimage

from benchmarks.common import CLASSES, NOTHING_SAVED, drawn, make_parser, write_figures
from classifier import CNNClassifier
from config import Config
from imaging.decoding import decode
from metrics import accuracy, format_accuracy

SIZE = 224  # pixels per side of the canvas that a character is drawn on
OTHER_SEED = 7  # of characters that the model was not trained on


def photographed(drawing: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return a photo of a character, uint8 (h, w), as a JPEG file gives it; pen, paper, ink and light differ.

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
    return decode(file.getvalue())[0]


def main():
    parser = make_parser(__doc__, "photos.json")
    parser.add_argument("--count", type=int, default=40, help="photos per character")
    parser.add_argument("--epochs", type=int)
    options = parser.parse_args()
    classifier = CNNClassifier(Config(epochs=options.epochs, **NOTHING_SAVED), CLASSES)
    classifier.fit(drawn())
    count, rng = options.count * len(CLASSES), np.random.default_rng(0)
    clean, drawings = drawn(count, 28, OTHER_SEED), drawn(count, SIZE, OTHER_SEED)
    photos = [photographed(drawing, rng) for drawing in drawings.x]
    matched = np.stack([classifier.match_style(photo) for photo in photos])
    predicted = {
        "clean images": classifier.predict(clean),
        "photos, made like the training images": classifier.predict(matched),
        "photos as they are": np.concatenate([classifier.predict(photo) for photo in photos]),
    }
    figures = {name: accuracy((classes == clean.y).sum(), count) for name, classes in predicted.items()}
    for name, result in figures.items():
        print(f"{name:40}{format_accuracy(result)}")
    write_figures(options, str(classifier.device), accuracy=figures)


if __name__ == "__main__":
    main()
