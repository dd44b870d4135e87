"""What each part of a recipe gives: cross-validation with the part changed, beside the recipe as it is.

    python benchmarks/recipe.py IMAGES                         LeNet, every part
    python benchmarks/recipe.py IMAGES --model ResNet18 --size 64 --only recipe
    python benchmarks/recipe.py IMAGES --drawn                 trained on drawn characters alone, from five seeds
    python benchmarks/recipe.py IMAGES --set rotation=22       of another recipe than the default one

IMAGES is a folder or a .zip with one sub-folder a class. Every image is judged once, by a model that has seen neither
it nor an identical one; each of the five folds has a seed of its own, and is judged after its last epoch. With --drawn
every one of five models judges all images, which must be of the twelve characters. The figures go to a JSON file as
soon as a variant is done; a variant that is there already is not run again.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from scipy.stats import ttest_ind
from torch import nn

from analysis.validation import cross_validate
from classifier import CNNClassifier
from common.files import write_json
from config import AUGMENTATION, RECIPES, Config
from dataset import CharDataset, load_npz
from init import pick_device, preprocess
from metrics import accuracy, in_words, mcnemar
from models import MODELS, LeNet, ResNet18
from readers import strokes
from runs.record import environment


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


def variants(model: str, recipe: dict) -> dict[str, dict]:
    """Return what each variant changes in a recipe of a model."""
    shown, batch, rate = recipe["images_shown"], recipe["batch_size"], recipe["learning_rate"]
    augmentation = [part for part in AUGMENTATION if recipe[part]]
    parts = {"label_smoothing": "label smoothing", "weight_average": "averaged weights", "weight_decay": "weight decay"}
    parts = {part: part for part in augmentation} | {part: name for part, name in parts.items() if recipe[part]}
    MODELS[f"Other{model}"] = {"LeNet": OtherLeNet, "ResNet18": OtherResNet18}[model]
    sizes = {"LeNet": [], "ResNet18": [48, 96]}[model]  # LeNet's is a part of its architecture
    return {
        "recipe": {},
        "no augmentation": dict.fromkeys(augmentation, 0.0),
        **{f"no {name}": {part: 0.0} for part, name in parts.items()},
        "augmentation half as strong": {part: recipe[part] / 2 for part in augmentation},
        "augmentation 1.4 × as strong": {part: recipe[part] * 1.4 for part in augmentation},
        "constant learning rate": {"schedule": "constant", "learning_rate": rate / 4},
        "half the learning rate": {"learning_rate": rate / 2},
        "twice the learning rate": {"learning_rate": rate * 2},
        "batches half as large": {"batch_size": batch // 2, "learning_rate": rate * 0.7},
        "other initial weights": {"model": f"Other{model}"},
        **{f"images of {size}×{size}": {"image_size": size} for size in sizes},
        "half as many epochs": {"images_shown": shown // 2},
        "twice as many epochs": {"images_shown": shown * 2},
    }


def setting(words: str) -> tuple[str, object]:
    """Return PARAMETER=VALUE as a key and a plain value."""
    key, _, value = words.partition("=")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def shifted(classifier: CNNClassifier, images: CharDataset) -> np.ndarray:
    """Return the mean of the probabilities of an image and of its shifts by a pixel to each side."""
    moves = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    return np.mean([classifier.predict_proba(np.roll(images.x, move, (1, 2))) for move in moves], 0)


def wrong(images: CharDataset, predicted: np.ndarray) -> dict[str, str]:
    """Return the images that are misread, file → class."""
    return {images.files[i]: images.classes[predicted[i]] for i in np.flatnonzero(predicted != images.y)}


def validated(config: Config, images: CharDataset, folds: int, with_shifts: bool) -> dict:
    """Return accuracies of the folds, their mean and std, all folds' accuracy and mistakes, and what was predicted."""
    moved = []

    def predict(classifier, judged):
        if with_shifts:
            moved.append((shifted(classifier, judged).argmax(1) == judged.y).sum())
        return classifier.predict_proba(judged)

    result = cross_validate(config, images, folds, predict)
    kept = {key: result[key] for key in ("accuracies", "mean", "std", "pooled")}
    predicted = result["probabilities"].argmax(1)
    kept |= {"mistakes": wrong(images, predicted), "predicted": predicted.tolist()}
    return kept | ({"shifted": accuracy(sum(moved), len(images))} if with_shifts else {})


def transferred(config: Config, images: CharDataset, seeds: int) -> dict:
    """Return accuracies of models that have learnt drawn characters alone, their mean and std, and their mistakes."""
    x, y = strokes.draw(size=images.x.shape[1])
    drawn, mistakes = CharDataset(x, y, classes=images.classes, source="drawn"), []
    for seed in range(seeds):
        changes = {"random_seed": seed, "init_from": None, "record_path": None, "save_path": None}
        classifier = CNNClassifier(replace(config, **changes), drawn.classes)
        classifier.fit(drawn)
        mistakes.append(wrong(images, classifier.predict(images)))
    accuracies = [1 - len(one) / len(images) for one in mistakes]
    mean, std = statistics.mean(accuracies), statistics.stdev(accuracies)
    return {"accuracies": accuracies, "mean": mean, "std": std, "mistakes": mistakes}


def table(variants: dict[str, dict], images: CharDataset) -> Iterator[str]:
    """Yield the lines of a table; p is of McNemar's test over all images, or else of Welch's over the seeds."""
    yield f"{'variant':30}{'mistakes':>9}{'mean ± std':>18}{'s a fit':>9}   p against the recipe"
    recipe = variants.get("recipe")
    for name, one in variants.items():
        drawn = isinstance(one["mistakes"], list)
        count = statistics.mean(map(len, one["mistakes"])) if drawn else len(one["mistakes"])
        line = f"{name:30}{count:9.4g}{one['mean']:10.2%} ± {one['std']:.2%}{one['seconds']:9.0f}"
        if recipe and name != "recipe":
            if drawn:
                p = ttest_ind(recipe["accuracies"], one["accuracies"], equal_var=False).pvalue
            else:
                p = mcnemar(images.y, np.array(recipe["predicted"]), np.array(one["predicted"]))["p"]
            line += f"   {p:.2g}"
        yield line if drawn else f"{line:75}   {in_words(one['pooled'])}"
    if recipe and "shifted" in recipe:
        yield f"{'recipe, five shifts averaged':75}   {in_words(recipe['shifted'])}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("--model", default="LeNet", choices=["LeNet", "ResNet18"])
    parser.add_argument("--size", type=int, default=28, help="pixels a side that the images are brought to")
    parser.add_argument("--only", nargs="+", help="variants to run, by name")
    parser.add_argument("--folds", type=int, default=5, help="or, with --drawn, seeds")
    parser.add_argument("--drawn", action="store_true", help="train on drawn characters, judge by all images")
    parser.add_argument("--set", nargs="+", default=[], metavar="PARAMETER=VALUE", help="of the recipe, as in Config")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--output", default="recipe.json")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        preprocess(options.images, Path(folder) / "data.npz", options.size)
        images = load_npz(Path(folder) / "data.npz")
    recipe = RECIPES.get(options.model, RECIPES["default"]) | dict(map(setting, options.set))
    what = {key: vars(options)[key] for key in ("model", "size", "folds", "drawn")}
    what |= {"source": images.source, "images": images.fingerprint(), "recipe": recipe}
    path = Path(options.output)
    done = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"options": what, "variants": {}}
    if done["options"] != what:
        parser.error(f"{path} holds figures of {done['options']}, not of {what}: give another --output")
    about = environment(pick_device(options.device))
    changes = variants(options.model, recipe)
    if options.only and (unknown := set(options.only) - set(changes)):
        parser.error(f"no variant {', '.join(unknown)}: there are {', '.join(changes)}")
    torch.manual_seed(0)
    base = recipe | {"model": options.model, "device": options.device}
    for name in options.only or changes:
        if name not in done["variants"]:
            print(f"--- {name}")
            config = Config.from_dict(base | changes[name])
            start = time.perf_counter()
            if options.drawn:
                done["variants"][name] = transferred(config, images, options.folds)
            else:
                done["variants"][name] = validated(config, images, options.folds, with_shifts=name == "recipe")
            done["variants"][name]["seconds"] = (time.perf_counter() - start) / options.folds  # of a fit
            done["variants"][name]["environment"] = about
            write_json(path, done)
    how = f"{options.folds} {'seeds, trained on drawn characters' if options.drawn else 'folds'}"
    print(f"\n{options.model}, {images.source}, {how}, {about['device_name']}")
    for line in table(done["variants"], images):
        print(line)


if __name__ == "__main__":
    main()
