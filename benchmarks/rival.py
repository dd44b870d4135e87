"""The rival: fastai's default pipeline with torchvision's resnet18 from scratch, on the same files.

    python benchmarks/rival.py IMAGES                     trains on IMAGES/train, tests once on IMAGES/test
    python benchmarks/rival.py IMAGES --augment           the same, with fastai's own augmentation, not mirrored

IMAGES is a folder or a .zip with train/ and test/ above the classes' folders. Needs fastai
(pip install -r benchmarks/requirements.txt). Ours on the same files: make run, with raw_data_path and raw_size set.
"""

import argparse
import json
import sys
import tempfile
import time
import zipfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fastai.vision.all import ImageDataLoaders, Learner, Resize, accuracy, aug_transforms, set_seed
from torch.nn import CrossEntropyLoss
from torchvision.models import resnet18

from init import pick_device
from metrics import accuracy as with_interval
from metrics import in_words
from records import environment


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("--size", type=int, default=64, help="pixels a side that the model sees")
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from 0 on")
    parser.add_argument("--augment", action="store_true")
    parser.add_argument("--output", default="rival.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(options.images)
        if path.is_file():
            zipfile.ZipFile(path).extractall(folder)
            path = Path(folder)
        runs = []
        for seed in range(options.seeds):
            set_seed(seed)
            loaders = ImageDataLoaders.from_folder(
                path, train="train", valid="test", item_tfms=Resize(options.size), num_workers=0,
                batch_tfms=aug_transforms(do_flip=False) if options.augment else None,
            )  # fmt: skip
            learner = Learner(loaders, resnet18(num_classes=loaders.c), loss_func=CrossEntropyLoss(), metrics=accuracy)
            start = time.perf_counter()
            learner.fit_one_cycle(options.epochs)
            seconds = time.perf_counter() - start
            share, n = learner.validate()[1], len(loaders.valid_ds)  # of the last epoch: none is chosen
            runs.append(with_interval(round(share * n), n) | {"seed": seed, "seconds": seconds})
            print(f"seed {seed}: {in_words(runs[-1])} in {seconds:.0f} s")
    figures = {"options": vars(options), "environment": environment(pick_device()), "runs": runs}
    Path(options.output).write_text(json.dumps(figures, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
