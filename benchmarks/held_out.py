"""Trained on IMAGES/train, judged once by IMAGES/test: our recipe, or fastai's on the same files.

    python benchmarks/held_out.py IMAGES --size 64 --seeds 5
    python benchmarks/held_out.py IMAGES --size 96 --seeds 3 --model ResNet18 --set image_size=96
    python benchmarks/held_out.py IMAGES --size 64 --model fastai

IMAGES is a folder or a .zip with train/ and test/ above the classes' folders. All of the training images are learnt,
and the last epoch is judged: no image chooses one. "fastai" is its default pipeline with torchvision's resnet18 from
scratch (pip install -r benchmarks/requirements.txt).
"""

import argparse
import statistics
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from recipe import setting

from classifier import CNNClassifier
from common.files import write_json
from config import Config
from dataset import load_npz
from init import pick_device, preprocess
from metrics import accuracy, in_words
from runs.record import environment


def ours(options, folder: Path) -> Iterator[dict]:
    """Train the recipe from each seed; yield the accuracy on the test images, and the seconds."""
    data = folder / "data.npz"
    preprocess(options.images, data, options.size)
    train, test = load_npz(data), load_npz(data, "test")
    changes = {"raw_size": options.size, "device": options.device, "record_path": None, "save_path": None}
    for seed in range(options.seeds):
        config = {"model": options.model, "random_seed": seed} | changes | dict(map(setting, options.set))
        classifier = CNNClassifier(Config.from_dict(config), train.classes)
        start = time.perf_counter()
        classifier.fit(train)
        seconds = time.perf_counter() - start
        right = (classifier.predict(test) == test.y).sum()
        yield accuracy(right, len(test)) | {"seed": seed, "seconds": seconds, "hash_id": classifier.config.hash_id}


def fastai(options, folder: Path) -> Iterator[dict]:
    """The same of fastai's pipeline, as its documentation tells a newcomer to use it."""
    from fastai.vision.all import ImageDataLoaders, Learner, Resize, aug_transforms, set_seed
    from fastai.vision.all import accuracy as share
    from torch.nn import CrossEntropyLoss
    from torchvision.models import resnet18

    path = Path(options.images)
    if path.is_file():
        zipfile.ZipFile(path).extractall(folder)
        path = folder
    for seed in range(options.seeds):
        set_seed(seed)
        loaders = ImageDataLoaders.from_folder(
            path, train="train", valid="test", item_tfms=Resize(options.size), num_workers=0,
            batch_tfms=aug_transforms(do_flip=False) if options.augment else None,
        )  # fmt: skip
        learner = Learner(loaders, resnet18(num_classes=loaders.c), loss_func=CrossEntropyLoss(), metrics=share)
        start = time.perf_counter()
        learner.fit_one_cycle(options.epochs)
        seconds, n = time.perf_counter() - start, len(loaders.valid_ds)
        yield accuracy(round(learner.validate()[1] * n), n) | {"seed": seed, "seconds": seconds}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("--model", default="LeNet", choices=["LeNet", "ResNet18", "fastai"])
    parser.add_argument("--size", type=int, default=28, help="pixels a side that the images are brought to")
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0 on")
    parser.add_argument("--set", nargs="+", default=[], metavar="PARAMETER=VALUE", help="of our recipe, as in Config")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--epochs", type=int, default=20, help="of fastai's")
    parser.add_argument("--augment", action="store_true", help="fastai's own augmentation, not mirrored")
    parser.add_argument("--output", default="held_out.json")
    options = parser.parse_args()
    about, runs = environment(pick_device(options.device)), []
    with tempfile.TemporaryDirectory() as folder:
        for run in (fastai if options.model == "fastai" else ours)(options, Path(folder)):
            runs.append(run)
            print(f"{options.model}, seed {run['seed']}: {in_words(run)} in {run['seconds']:.0f} s")
            write_json(Path(options.output), {"options": vars(options), "environment": about, "runs": runs})
    if len(accuracies := [run["accuracy"] for run in runs]) > 1:
        mean, spread = statistics.mean(accuracies), statistics.stdev(accuracies)
        print(f"{options.model}, {len(runs)} seeds: mean {mean:.2%}, standard deviation {spread:.2%}")


if __name__ == "__main__":
    main()
