"""Trained on drawn characters alone, tested on real images: what `characters` is worth.

    python -m benchmarks.characters lab.zip --characters 博学笃志切问近思自由无用 --seeds 3
    python -m benchmarks.characters mnist_t10k --half second --seeds 3
    python -m benchmarks.characters hwdb.zip --size 64 --model ResNet18 --seeds 3

No real image is trained on or chooses anything: the last epoch is tested. IMAGES is whatever `raw_data_path` may be;
its classes are named by their characters, or --characters names them in order. Its test images are tested, or all of
them if it has no others; as they are, and with predictions averaged over shifts (`CNNClassifier.predict`). The stroke
data is that of the notebook: pip install kanjivg, and FIT_CHAR_HANZI.
"""

import statistics
from collections.abc import Iterator

import numpy as np

from benchmarks.common import load_images, make_parser, train_per_seed, write_figures
from dataset import CharDataset
from init import start_logging
from metrics import accuracy, format_accuracy
from readers.characters import CharactersSource


def draw_characters(
    characters: str, per_class: int | None, size: int, seed: int = 42, like: np.ndarray | None = None
) -> CharDataset:
    """Return drawn characters, as `init.prepare` draws them, with their writers; see `CharactersSource`."""
    source = CharactersSource(characters, per_class, size, seed, like=like)
    samples = list(source)
    x, y = np.stack([sample.image for sample in samples]), [sample.label for sample in samples]
    return CharDataset(x, y, None, source.classes, source.name, group=[sample.group for sample in samples])


def real_images(options) -> tuple[CharDataset, CharDataset]:
    """Return the training and the test images, both all of them if there are no others; classes are characters."""
    train, test = load_images(options.images, options.size)
    test = test if len(test) else train
    names = list(options.characters or train.classes)
    if len(names) != len(train.classes):
        raise SystemExit(f"--characters names {len(names)} classes, {options.images} has {len(train.classes)}")
    for images in (train, test):
        images.classes = names
    halves = {"all": slice(None), "first": slice(len(test) // 2), "second": slice(len(test) // 2, None)}
    return train, test.subset(np.arange(len(test))[halves[options.half]])


def runs(options) -> Iterator[dict]:
    """Train on drawn characters from each seed; yield the accuracy on the real images, also with shifts averaged."""
    _, test = real_images(options)
    train = draw_characters("".join(test.classes), options.per_class, options.size)
    for classifier, run in train_per_seed(options, train):
        wrong = classifier.predict(test) != test.y
        per_class = {test.classes[k]: float(1 - wrong[test.y == k].mean()) for k in np.unique(test.y)}
        shifted = classifier.evaluate(test, shifts=True)["accuracy"]
        about = {"shifted": shifted, "per_class": per_class}
        yield accuracy(int((~wrong).sum()), len(test)) | run | about


def main():
    names = ("--characters", "--per-class", "--size", "--model", "--seeds", "--device", "--set")
    parser = make_parser(__doc__, "characters.json", "images", *names)
    parser.add_argument("--half", default="all", choices=["all", "first", "second"], help="of the tested images")
    options = parser.parse_args()
    start_logging()
    done = []
    for run in runs(options):
        done.append(run)
        text = f"{format_accuracy(run)}, shifts averaged {run['shifted']:.2%}, in {run['seconds']:.0f} s"
        print(f"{options.model}, seed {run['seed']}: {text}", flush=True)
        write_figures(options, options.device, runs=done)
    plain, shifted = (statistics.median(run[key] for run in done) for key in ("accuracy", "shifted"))
    print(f"{options.model}, median of {len(done)} seeds: {plain:.2%}, shifts averaged {shifted:.2%}")


if __name__ == "__main__":
    main()
