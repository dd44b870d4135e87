"""What each part of a recipe gives: cross-validation with the part changed, beside the recipe as it is.

    python benchmarks/recipe.py IMAGES                         LeNet, every part
    python benchmarks/recipe.py IMAGES --model ResNet18 --size 64 --only recipe

IMAGES is a folder or a .zip with one sub-folder a class. Every image is judged once, by a model that has seen neither
it nor an identical one; each of the five folds has a seed of its own, and is judged after its last epoch. The figures
go to a JSON file as soon as a variant is done; a variant that is there already is not run again.
"""

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from torch import nn

from classifier import CNNClassifier
from config import RECIPES, Config
from dataset import CharDataset, load_npz
from evidence import cross_validate
from init import pick_device, preprocess, write_json
from metrics import accuracy, in_words, mcnemar
from models import MODELS, LeNet, ResNet18
from records import environment


class OtherLeNet(LeNet):
    """Its weights are drawn as He et al. advise."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                nn.init.zeros_(module.bias)


class OtherResNet18(ResNet18):
    """Its weights are drawn as torch does it by default."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                module.reset_parameters()


def variants(model: str) -> dict[str, dict]:
    """Return what each variant changes in the recipe of a model."""
    recipe = RECIPES.get(model, RECIPES["default"])
    shown, batch, rate = recipe["images_shown"], recipe["batch_size"], recipe["learning_rate"]
    augmentation = ("rotation", "scale", "shear", "shift", "elastic")
    MODELS[f"Other{model}"] = {"LeNet": OtherLeNet, "ResNet18": OtherResNet18}[model]
    RECIPES[f"Other{model}"] = recipe
    return {
        "recipe": {},
        "no augmentation": dict.fromkeys(augmentation, 0.0),
        **{f"no {part}": {part: 0.0} for part in augmentation},
        "augmentation half as strong": {part: recipe[part] / 2 for part in augmentation},
        "constant learning rate": {"schedule": "constant", "learning_rate": rate / 4},
        "half the learning rate": {"learning_rate": rate / 2},
        "twice the learning rate": {"learning_rate": rate * 2},
        "no label smoothing": {"label_smoothing": 0.0},
        "no averaged weights": {"weight_average": 0.0},
        "batches half as large": {"batch_size": batch // 2, "learning_rate": rate * 0.7},
        "weight decay 0" if recipe["weight_decay"] else "weight decay 0.05": {
            "weight_decay": 0.0 if recipe["weight_decay"] else 0.05
        },
        "other initial weights": {"model": f"Other{model}"},
        "half as many epochs": {"images_shown": shown // 2},
        "twice as many epochs": {"images_shown": shown * 2},
    }


def shifted(classifier: CNNClassifier, images: CharDataset) -> np.ndarray:
    """Return the mean of the probabilities of an image and of its shifts by a pixel to each side."""
    moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    return np.mean([classifier.predict_proba(np.roll(images.x, move, (1, 2))) for move in moves], 0)


def run(config: Config, images: CharDataset, folds: int, with_shifts: bool) -> dict:
    """Return accuracies of the folds, their mean and std, the predicted classes, and the seconds of a fit."""
    start, moved = time.perf_counter(), []

    def predict(classifier, judged):
        if with_shifts:
            moved.append((shifted(classifier, judged).argmax(1) == judged.y).sum())
        return classifier.predict_proba(judged)

    result = cross_validate(config, images, folds, predict)
    seconds = (time.perf_counter() - start) / folds
    kept = {key: result[key] for key in ("accuracies", "mean", "std", "pooled")} | {"seconds": seconds}
    wrong = np.flatnonzero(result["probabilities"].argmax(1) != images.y)
    kept["mistakes"] = {images.files[i]: images.classes[result["probabilities"][i].argmax()] for i in wrong}
    return kept | {"predicted": result["probabilities"].argmax(1).tolist(), "shifted": int(sum(moved))}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("--model", default="LeNet", choices=["LeNet", "ResNet18"])
    parser.add_argument("--size", type=int, default=28, help="pixels a side that the images are brought to")
    parser.add_argument("--only", nargs="+", help="variants to run, by name")
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--shown", type=int, help="images shown in a fit; by default the recipe's")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", default="recipe.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        preprocess(options.images, Path(folder) / "data.npz", options.size)
        images = load_npz(Path(folder) / "data.npz")
    what = {key: vars(options)[key] for key in ("model", "size", "folds", "shown")} | {"source": images.source}
    path = Path(options.output)
    done = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"options": what, "variants": {}}
    if done["options"] != what:
        parser.error(f"{path} holds figures of {done['options']}: give another --output")
    done["environment"] = environment(pick_device(options.device))
    changes = variants(options.model)
    if options.only and (unknown := set(options.only) - set(changes)):
        parser.error(f"no variant {', '.join(unknown)}: there are {', '.join(changes)}")
    torch.manual_seed(0)
    for name in options.only or changes:
        if name not in done["variants"]:
            base = {"model": options.model, "device": options.device, "images_shown": options.shown}
            print(f"--- {name}")
            done["variants"][name] = run(
                Config.from_dict({k: v for k, v in (base | changes[name]).items() if v is not None}),
                images, options.folds, with_shifts=name == "recipe",
            )  # fmt: skip
            write_json(path, done)
    print(f"\n{options.model}, {images.source}, {options.folds} folds, {done['environment']['device_name']}")
    print(f"{'variant':30}{'mistakes':>9}   accuracy (95 % interval)   of the folds: mean ± std   s a fit   p")
    recipe = done["variants"].get("recipe")
    for name, one in done["variants"].items():
        pooled, line = one["pooled"], f"{name:30}"
        line += f"{round(pooled['n'] * (1 - pooled['accuracy'])):9}   {in_words(pooled)}   "
        line += f"{one['mean']:.2%} ± {one['std']:.2%}   {one['seconds']:7.0f}"
        if recipe and name != "recipe":
            test = mcnemar(images.y, np.array(recipe["predicted"]), np.array(one["predicted"]))
            line += f"   {test['p']:.2g}"
        print(line)
    if recipe:
        print(f"{'recipe, five shifts averaged':30}  {in_words(accuracy(recipe['shifted'], len(images)))}")


if __name__ == "__main__":
    main()
