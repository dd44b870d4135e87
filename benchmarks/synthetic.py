"""Train on the drawn characters alone and read real images of the same twelve: python benchmarks/synthetic.py IMAGES

IMAGES is a folder or a .zip with one sub-folder a character, in the order 博学笃志切问近思自由无用.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import strokes
from classifier import CNNClassifier
from config import Config
from dataset import CharDataset, load_npz
from init import preprocess

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("images", help="a folder or a .zip of real images")
parser.add_argument("--model", default="LeNet")
parser.add_argument("--epochs", type=int, help="by default the recipe's")
parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0 on")
options = parser.parse_args()

classes = list(strokes.CHARACTERS)
with tempfile.TemporaryDirectory() as folder:
    preprocess(options.images, Path(folder) / "real.npz")
    real = load_npz(Path(folder) / "real.npz")
real = CharDataset(real.x, real.y, classes=classes, files=real.files)
drawn = CharDataset(*strokes.draw(), classes=classes, source="drawn")
accuracies = []
for seed in range(options.seeds):
    config = Config(options.model, epochs=options.epochs, random_seed=seed, record_path=None, save_path=None)
    classifier = CNNClassifier(config, classes)
    classifier.fit(drawn)
    result = classifier.evaluate(real)
    low, high = result["interval"]
    print(f"seed {seed}: {result['accuracy']:.2%} of {result['n']} real images (95 % interval {low:.2%} to {high:.2%})")
    accuracies.append(result["accuracy"])
print(f"mean {np.mean(accuracies):.2%}, standard deviation {np.std(accuracies):.2%}")
