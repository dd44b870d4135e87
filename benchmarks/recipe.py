"""What each part of a recipe gives: cross-validation with the part changed, beside the recipe as it is.

    python -m benchmarks.recipe IMAGES                         LeNet, every part
    python -m benchmarks.recipe IMAGES --model ResNet18 --size 64 --only recipe
    python -m benchmarks.recipe IMAGES --drawn                 trained on drawn characters alone, from five seeds
    python -m benchmarks.recipe IMAGES --set rotation=22       of another recipe than the default one
    python -m benchmarks.recipe IMAGES --rules                 which epoch's weights to keep: three rules, one run

IMAGES is a folder or a .zip with one sub-folder per class. Every image is predicted once, by a model that was trained
neither on it nor on an identical one; each of the five folds has a seed of its own, and is evaluated after its last
epoch. With --drawn every one of five models predicts all images, which must be of the twelve characters. With --rules a
tenth of each fold's training images validates, and every rule chooses one of the epochs of the same run. The figures go
to a JSON file as soon as a variant is done; a variant that is there already is not run again.
"""

import json
import statistics
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy.stats import ttest_ind
from torch import nn

from analysis.validation import cross_validate, split_folds
from benchmarks.common import NOTHING_SAVED, drawn, load_images, make_parser
from classifier import CNNClassifier
from common.files import write_json
from config import AUGMENTATION, RECIPES, Config
from dataset import CharDataset, split
from imaging.input_spec import InputSpec
from init import pick_device, start_logging
from metrics import accuracy, best_epoch, format_accuracy, kept_epoch, mcnemar
from models import MODELS, LeNet, ResNet18
from runs.record import environment
from training.evaluation import predict_logits
from training.loader import make_loader
from training.trainer import Trainer

# which row of a run's history has the weights that are kept
RULES = {
    "best validation epoch": best_epoch,
    "one standard error": lambda history: kept_epoch(history)[0],
    "last epoch": lambda history: history[-1],
}


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
    samples, batch, rate = recipe["samples_seen"], recipe["batch_size"], recipe["learning_rate"]
    augmentation = [part for part in AUGMENTATION if recipe[part]]
    parts = {"label_smoothing": "label smoothing", "ema_decay": "averaged weights", "weight_decay": "weight decay"}
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
        **{f"images of {size}×{size}": {"input_size": size} for size in sizes},
        "half as many epochs": {"samples_seen": samples // 2},
        "twice as many epochs": {"samples_seen": samples * 2},
    }


def predict_shifted(classifier: CNNClassifier, images: CharDataset) -> np.ndarray:
    """Return the mean of the probabilities of an image and of its shifts by a pixel to each side."""
    shifts = [(0, 0), (1, 0), (-1, 0), (0, 1), (0, -1)]
    return np.mean([classifier.predict_proba(np.roll(images.x, shift, (1, 2))) for shift in shifts], 0)


def misclassified(images: CharDataset, predicted: np.ndarray) -> dict[str, str]:
    """Return the images whose predicted class is wrong, file → that class."""
    return {images.files[i]: images.classes[predicted[i]] for i in np.flatnonzero(predicted != images.y)}


def validated(config: Config, images: CharDataset, folds: int, with_shifts: bool) -> dict:
    """Return `figures_of_folds`, and, `with_shifts`, the accuracy of `predict_shifted`."""
    shifted_correct = []

    def predict(classifier, held_out):
        if with_shifts:
            shifted_correct.append((predict_shifted(classifier, held_out).argmax(1) == held_out.y).sum())
        return classifier.predict_labelled(held_out)

    result = cross_validate(config, images, folds, predict)
    figures = figures_of_folds(images, result["predictions"].predicted, result["fold"])
    return figures | ({"shifted": accuracy(sum(shifted_correct), len(images))} if with_shifts else {})


def figures_of_folds(images: CharDataset, predicted: np.ndarray, fold: np.ndarray) -> dict:
    """Return accuracies of the folds, their mean and std, all folds' accuracy and errors, and what was predicted."""
    correct = predicted == images.y
    accuracies = [float(correct[fold == k].mean()) for k in range(fold.max() + 1)]
    return {
        "accuracies": accuracies, "mean": statistics.mean(accuracies), "std": statistics.stdev(accuracies),
        "pooled": accuracy(correct.sum(), len(images)), "errors": misclassified(images, predicted),
        "predicted": predicted.tolist(),
    }  # fmt: skip


def transferred(config: Config, images: CharDataset, seeds: int) -> dict:
    """Return accuracies of models that were trained on drawn characters alone, their mean and std, and errors."""
    characters, errors = drawn(size=images.shape[1]), []
    train = CharDataset(characters.x, characters.y, classes=images.classes, source=characters.source)
    for seed in range(seeds):
        classifier = CNNClassifier(replace(config, random_seed=seed, init_from=None, **NOTHING_SAVED), train.classes)
        classifier.fit(train)
        errors.append(misclassified(images, classifier.predict(images)))
    accuracies = [1 - len(one) / len(images) for one in errors]
    mean, std = statistics.mean(accuracies), statistics.stdev(accuracies)
    return {"accuracies": accuracies, "mean": mean, "std": std, "errors": errors}


def predicted_per_epoch(
    config: Config, train: CharDataset, val: CharDataset, held_out: CharDataset
) -> tuple[list[dict], np.ndarray]:
    """Train once; return the history, and what each epoch's averaged weights predict, int64 (epochs, n)."""
    classifier = CNNClassifier(config, train.classes)
    spec = InputSpec.from_images(train, classifier.input_spec_.input_size)
    loaders = [make_loader(one, spec, config, classifier.device, one is train) for one in (train, val, held_out)]
    epochs, predicted = config.epochs_for(len(train), len(train.classes)), []
    trainer = Trainer(config, classifier.model, classifier.backend, *loaders[:2], epochs)
    trainer.on_epoch_end.append(
        lambda trainer: predicted.append(predict_logits(trainer.ema_model, loaders[2])[0].argmax(1).numpy())
    )
    return trainer.run(), np.stack(predicted)


def kept_by_rules(config: Config, images: CharDataset, folds: int) -> dict[str, dict]:
    """Return `figures_of_folds` of each of RULES, and the epochs that it kept."""
    fold = np.zeros(len(images), np.int64)
    predicted = {name: np.zeros(len(images), np.int64) for name in RULES}
    epochs: dict[str, list[int]] = {name: [] for name in RULES}
    for k, (rest, held_out) in enumerate(split_folds(images, folds, config.split_seed)):
        changed, fold[held_out] = replace(config, random_seed=config.random_seed + k, hash_id=None), k
        parts = split(images.subset(rest), config.val_fraction, config.split_seed)
        history, answers = predicted_per_epoch(changed, *parts, images.subset(held_out))
        for name, rule in RULES.items():
            epochs[name].append(rule(history)["epoch"])
            predicted[name][held_out] = answers[epochs[name][-1] - 1]
        kept = ", ".join(f"{name} {numbers[-1]}" for name, numbers in epochs.items())
        print(f"fold {k + 1} of {folds}, epochs kept of {len(history)}: {kept}", flush=True)
    return {name: figures_of_folds(images, given, fold) | {"epochs": epochs[name]} for name, given in predicted.items()}


def run_variants(images: CharDataset, base: dict, changes: dict[str, dict], done: dict, options) -> None:
    """Run each variant that is not done, and write the figures of all after each."""
    about = environment(pick_device(options.device))
    for name in options.only or changes:
        if name in done["variants"]:
            continue
        print(f"--- {name}")
        config, start = Config.from_dict(base | changes[name]), time.perf_counter()
        if options.rules:
            found = kept_by_rules(config, images, options.folds)
        elif options.drawn:
            found = {name: transferred(config, images, options.folds)}
        else:
            found = {name: validated(config, images, options.folds, with_shifts=name == "recipe")}
        seconds = (time.perf_counter() - start) / options.folds  # per fit
        done["variants"] |= {
            one: figures | {"seconds": seconds, "environment": about} for one, figures in found.items()
        }
        write_json(options.output, done)


def table(figures: dict[str, dict], images: CharDataset) -> Iterator[str]:
    """Yield the lines of a table; p is of McNemar's test over all images, or else of Welch's over the seeds."""
    first = next(iter(RULES)) if "last epoch" in figures else "recipe"
    yield f"{'variant':30}{'errors':>9}{'mean ± std':>18}{'s per fit':>11}   p against the {first}"
    recipe = figures.get(first)
    for name, one in figures.items():
        of_seeds = isinstance(one["errors"], list)
        count = statistics.mean(map(len, one["errors"])) if of_seeds else len(one["errors"])
        line = f"{name:30}{count:9.4g}{one['mean']:10.2%} ± {one['std']:.2%}{one['seconds']:11.0f}"
        if recipe and name != first:
            if of_seeds:
                p = ttest_ind(recipe["accuracies"], one["accuracies"], equal_var=False).pvalue
            else:
                p = mcnemar(images.y, np.array(recipe["predicted"]), np.array(one["predicted"]))["p"]
            line += f"   {p:.2g}"
        yield line if of_seeds else f"{line:77}   {format_accuracy(one['pooled'])}"
    if recipe and "shifted" in recipe:
        yield f"{'recipe, five shifts averaged':77}   {format_accuracy(recipe['shifted'])}"


def main():
    parser = make_parser(__doc__, "recipe.json", "images", "--size", "--device", "--set")
    parser.add_argument("--model", default="LeNet", choices=["LeNet", "ResNet18"])
    parser.add_argument("--only", nargs="+", help="variants to run, by name")
    parser.add_argument("--folds", type=int, default=5, help="or, with --drawn, seeds")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--drawn", action="store_true", help="train on drawn characters, evaluate on all images")
    how.add_argument("--rules", action="store_true", help="compare rules of which epoch's weights are kept")
    options = parser.parse_args()
    recipe = RECIPES.get(options.model, RECIPES["default"]) | dict(options.set)
    changes = {next(iter(RULES)): {}} if options.rules else variants(options.model, recipe)  # one run, all rules
    if options.only and (unknown := set(options.only) - set(changes)):
        parser.error(f"no variant {', '.join(unknown)}: there are {', '.join(changes)}")
    start_logging()
    images, _ = load_images(options.images, options.size)
    what = {key: vars(options)[key] for key in ("model", "size", "folds", "drawn", "rules")}
    what |= {"source": images.source, "images": images.fingerprint(), "recipe": recipe}
    path, done = Path(options.output), {"options": what, "variants": {}}
    if path.exists():
        done = json.loads(path.read_text(encoding="utf-8"))
    if done["options"] != what:
        parser.error(f"{path} holds figures of {done['options']}, not of {what}: give another --output")
    torch.manual_seed(0)
    run_variants(images, recipe | {"model": options.model, "device": options.device}, changes, done, options)
    how = f"{options.folds} {'seeds, trained on drawn characters' if options.drawn else 'folds'}"
    print(f"\n{options.model}, {images.source}, {how}, {environment(pick_device(options.device))['device_name']}")
    for line in table(done["variants"], images):
        print(line)


if __name__ == "__main__":
    main()
