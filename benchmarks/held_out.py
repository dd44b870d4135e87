"""Trained on IMAGES/train, tested once on IMAGES/test: our recipe, or fastai's on the same files.

    python -m benchmarks.held_out IMAGES --size 64 --seeds 5
    python -m benchmarks.held_out IMAGES --size 96 --seeds 3 --model ResNet18 --set input_size=96
    python -m benchmarks.held_out IMAGES --size 64 --model fastai

IMAGES is a folder or a .zip with train/ and test/ above the classes' folders. All of the training images are trained
on, and the last epoch is tested: no image chooses one. "fastai" is its default pipeline with torchvision's resnet18
from scratch (pip install -r benchmarks/requirements.txt).
"""

import statistics
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.common import load_images, make_parser, timed, train_per_seed, write_figures
from init import start_logging
from metrics import accuracy, format_accuracy


def ours(options) -> Iterator[dict]:
    """Train the recipe from each seed; yield the accuracy on the test images, and the seconds."""
    train, test = load_images(options.images, options.size)
    for classifier, run in train_per_seed(options, train):
        correct = (classifier.predict(test) == test.y).sum()
        yield accuracy(correct, len(test)) | run | {"hash_id": classifier.config.hash_id}


def fastai(options) -> Iterator[dict]:
    """Yield the same of fastai's pipeline, as its documentation tells a newcomer to use it."""
    from fastai.vision.all import ImageDataLoaders, Learner, Resize, aug_transforms, set_seed
    from fastai.vision.all import accuracy as share
    from torch.nn import CrossEntropyLoss
    from torchvision.models import resnet18

    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.images)
        if path.is_file():
            zipfile.ZipFile(path).extractall(folder)
            path = Path(folder)
        for seed in range(options.seeds):
            set_seed(seed)
            loaders = ImageDataLoaders.from_folder(
                path, train="train", valid="test", item_tfms=Resize(options.size), num_workers=0,
                batch_tfms=aug_transforms(do_flip=False) if options.augment else None,
            )  # fmt: skip
            learner = Learner(loaders, resnet18(num_classes=loaders.c), loss_func=CrossEntropyLoss(), metrics=share)
            seconds = timed(lambda learner=learner: learner.fit_one_cycle(options.epochs))()
            n = len(loaders.valid_ds)
            yield accuracy(round(learner.validate()[1] * n), n) | {"seed": seed, "seconds": seconds}


def main():
    parser = make_parser(__doc__, "held_out.json", "images", "--size", "--seeds", "--device", "--set")
    parser.add_argument("--model", default="LeNet", choices=["LeNet", "ResNet18", "fastai"])
    parser.add_argument("--epochs", type=int, default=20, help="of fastai's")
    parser.add_argument("--augment", action="store_true", help="fastai's own augmentation, not mirrored")
    options = parser.parse_args()
    start_logging()
    runs = []
    for run in (fastai if options.model == "fastai" else ours)(options):
        runs.append(run)
        print(f"{options.model}, seed {run['seed']}: {format_accuracy(run)} in {run['seconds']:.0f} s")
        write_figures(options, options.device, runs=runs)
    if len(accuracies := [run["accuracy"] for run in runs]) > 1:
        mean, spread = statistics.mean(accuracies), statistics.stdev(accuracies)
        print(f"{options.model}, {len(runs)} seeds: mean {mean:.2%}, standard deviation {spread:.2%}")


if __name__ == "__main__":
    main()
