"""A few real images per class, with and without drawn ones: accuracy on the others.

    python -m benchmarks.few lab.zip --characters 博学笃志切问近思自由无用
    python -m benchmarks.few hwdb.zip --size 64 --counts 0 1 5 20
    python -m benchmarks.few lab.zip --characters 博学笃志切问近思自由无用 --folds 5

Four ways to train: on the real images alone; on drawn ones and then, from those weights, on the real ones (two runs,
the second with `init_from`); on both together, the real ones repeated until they are --share of all; the same with
drawn ones whose size, place and pen are those of the real ones, as `characters` and `raw_data_path` do. The images that
are trained on are the same for all four, chosen at random from the training images; tested are the test images, or all
others if there are none. With --folds, all real images are cross-validated instead: alone, and together with ones drawn
in the style of each fold's training images; as they are and with shifts averaged.
"""

import statistics
import tempfile
from pathlib import Path

import numpy as np

from analysis.validation import cross_validate
from benchmarks.characters import draw_characters, real_images
from benchmarks.common import NOTHING_SAVED, make_parser, write_figures
from classifier import CNNClassifier
from config import Config
from dataset import CharDataset, together
from imaging.photo import measure_each
from init import start_logging
from metrics import mcnemar
from training.evaluation import Predictions


def choose(images: CharDataset, count: int, seed: int) -> np.ndarray:
    """Return the indices of `count` images of each class, chosen at random."""
    order = np.random.default_rng(seed).permutation(len(images))
    return np.concatenate([order[images.y[order] == k][:count] for k in range(len(images.classes))])


class Curve:
    """Train in each way, with each number of real images."""

    def __init__(self, options):
        self.options = options
        self.train, self.test = real_images(options)
        self.drawn = self.draw()
        changes = {"model": options.model, "stored_size": options.size, "device": options.device}
        self.changes = changes | NOTHING_SAVED | dict(options.set)

    def draw(self, like: CharDataset | None = None) -> CharDataset:
        """Return drawn characters, in the style of real ones if these are given."""
        style = None if like is None else measure_each(like.x)
        return draw_characters("".join(self.train.classes), self.options.per_class, self.options.size, like=style)

    def fit(self, images: CharDataset, seed: int, **more) -> CNNClassifier:
        config = Config.from_dict(self.changes | {"random_seed": seed} | more)
        classifier = CNNClassifier(config, images.classes)
        classifier.fit(images)
        return classifier

    def measure(self, count: int, seed: int, folder: Path) -> dict[str, float]:
        """Return way of training → accuracy, with `count` real images per class."""
        chosen = choose(self.train, count, seed)
        few, test = self.train.subset(chosen), self.test
        if self.test.array is self.train.array:  # there are no test images of their own
            test = test.subset(~np.isin(test.indices, few.indices))
        path = folder / f"drawn {seed}.ckpt"
        if not path.exists():
            self.fit(self.drawn, seed).save(path)
        if not count:
            return {"drawn alone": self.score(CNNClassifier.load(path, self.options.device), test)}
        second = {"init_from": str(path)} | dict(self.options.second)
        return {
            "real alone": self.score(self.fit(few, seed), test),
            "drawn, then real": self.score(self.fit(few, seed, **second), test),
            "both together": self.score(self.fit(together(few, self.drawn, self.options.share), seed), test),
            "in their style": self.score(self.fit(self.in_their_style(few), seed), test),
        }

    def in_their_style(self, real: CharDataset) -> CharDataset:
        """Return real images together with drawn ones in their style."""
        return together(real, self.draw(real), self.options.share)

    def validate(self, folds: int) -> dict[str, np.ndarray]:
        """Return way of training → the class of each training image, predicted by a model of the other folds."""
        config, images, found = Config.from_dict(self.changes), self.train, {}
        for way, add in {"real alone": lambda train: train, "in their style": self.in_their_style}.items():
            shifted: list[np.ndarray] = []

            def predict(classifier: CNNClassifier, held_out: CharDataset, shifted=shifted) -> Predictions:
                shifted.append(classifier.predict(held_out, shifts=True))
                return classifier.predict_labelled(held_out)

            result = cross_validate(config, images, folds, predict, add)
            found[way] = result["predictions"].predicted
            averaged = np.empty_like(found[way])
            for k, predicted in enumerate(shifted):
                averaged[result["fold"] == k] = predicted
            found[f"{way}, shifts averaged"] = averaged
        return found

    def print_folds(self) -> None:
        """Cross-validate, and print and write how many images each way of training misclassifies."""
        found, y = self.validate(self.options.folds), self.train.y
        for way, predicted in found.items():
            against = mcnemar(y, found["real alone"], predicted, ("real alone", way))
            print(f"{way:34}{(predicted != y).sum():6} of {len(y)} misclassified; {against['verdict']}")
        misclassified = {way: int((predicted != y).sum()) for way, predicted in found.items()}
        write_figures(self.options, self.options.device, misclassified=misclassified)

    @staticmethod
    def score(classifier: CNNClassifier, test: CharDataset) -> float:
        return float((classifier.predict(test) == test.y).mean())


def main():
    names = ("--characters", "--per-class", "--size", "--model", "--seeds", "--device", "--set")
    parser = make_parser(__doc__, "few.json", "images", *names)
    parser.add_argument("--counts", type=int, nargs="+", default=[0, 1, 5, 20], help="real images per class")
    parser.add_argument("--share", type=float, default=0.5, help="of the real images among both together")
    parser.set_defaults(half="all", second=[("learning_rate", 0.003), ("samples_seen", 100_000)])
    parser.add_argument("--folds", type=int, help="to cross-validate all real images instead")
    options = parser.parse_args()
    start_logging()
    curve = Curve(options)
    if options.folds:
        curve.print_folds()
        return
    figures = {}
    with tempfile.TemporaryDirectory() as folder:
        for count in options.counts:
            rows = [curve.measure(count, seed, Path(folder)) for seed in range(options.seeds)]
            figures[count] = {way: [row[way] for row in rows] for way in rows[0]}
            for way, accuracies in figures[count].items():
                print(f"{count:4} real images per class, {way:18}{statistics.median(accuracies):8.2%}", flush=True)
            write_figures(options, options.device, accuracies=figures)


if __name__ == "__main__":
    main()
