"""The comparison of runs, from their records."""

import csv
import json
import logging
from pathlib import Path

import numpy as np

from common.errors import InputError, did_you_mean
from common.files import check_file
from config import ALIASES
from metrics import format_accuracy, mcnemar

MAX_JSON = 2**26  # bytes
log = logging.getLogger("fit_char")
MACRO_AVERAGES = {"balanced_accuracy": "balanced", "macro_f1": "macro F1"}  # key → heading, if a run has it
# of the table, key → heading; other keys are their own
HEADINGS = {"batch_size": "batch", "learning_rate": "rate", "random_seed": "seed"} | MACRO_AVERAGES


def read_runs(root: str | Path | None, sort: str = "run") -> list[dict]:
    """Return what each finished run below `root` did; a folder that is no complete record is logged and left out.

    Args:
        root: the folder of all records, or None.
        sort: the key to sort by, or its heading in `format_runs`, the largest first; a run's name begins with its time,
            so that the newest comes first.

    Returns:
        Dicts of run, model, batch_size, learning_rate, random_seed, source (of the images), part ("test" or
        "validation"), images (fingerprint), epochs, best_epoch, accuracy, n, low, high (its 95 % interval),
        balanced_accuracy and macro_f1 (None if the classes do not differ in size), seconds, device, and best: whether
        no run on the same images has a higher accuracy.

    Raises:
        InputError: runs have no such key.
    """
    runs: list[dict] = []
    for path in Path(root).glob("*/metrics.json") if root else []:
        try:
            runs.append(_read_run(path.parent))
        except (OSError, ValueError, LookupError, TypeError) as error:
            log.warning("%s is not the record of a run and is left out: %s", path.parent, repr(error)[:100])
    highest: dict[str, float] = {}
    for run in runs:
        highest[run["images"]] = max(highest.get(run["images"], 0), run["accuracy"] or 0)
    for run in runs:
        run["best"] = run["accuracy"] is not None and run["accuracy"] == highest[run["images"]]
    key = _key(sort, runs[0]) if runs else sort
    return sorted(runs, key=lambda run: (run[key] is not None, run[key], run["run"]), reverse=True)


def _key(name: str, run: dict) -> str:
    """Return the key of a run that a name means, which may be a heading."""
    names = {key: key for key in run} | {heading.lower(): key for key, heading in HEADINGS.items()}
    try:
        return names[name.lower()]
    except KeyError:
        headings = [heading for key, heading in HEADINGS.items() if key in run]
        raise InputError(f"runs have no column {name!r}: {did_you_mean(name, [*run, *headings])}") from None


def _read_run(folder: Path) -> dict:
    config, about, metrics = (_read_json(folder / f"{name}.json") for name in ("config", "environment", "metrics"))
    part, result = _held_out(metrics, about)
    result = result or {"accuracy": None, "n": 0, "interval": (None, None)}
    return {
        "run": folder.name, **{key: config[key] for key in ("model", "batch_size", "learning_rate", "random_seed")},
        "source": about["source"], "part": part, "images": result.get("fingerprint") or about["val_fingerprint"],
        "epochs": about["epochs"], "best_epoch": metrics["best_epoch"], "accuracy": result["accuracy"],
        "n": result["n"], "low": result["interval"][0], "high": result["interval"][1],
        **{key: result.get(key) for key in MACRO_AVERAGES},
        "seconds": metrics["seconds"], "device": about["device"],
    }  # fmt: skip


def _held_out(metrics: dict, about: dict) -> tuple[str, dict | None]:
    """Return what a run was measured on, "test" or "validation" images, and the metrics."""
    tested = metrics.get("test")
    if tested and tested["fingerprint"] != about.get("val_fingerprint"):  # as earlier versions named validation images
        return "test", tested
    return "validation", tested or metrics["validation"]


def _read_json(path: Path) -> dict:
    check_file(path, MAX_JSON)
    return json.loads(path.read_text(encoding="utf-8"))


def format_runs(runs: list[dict]) -> str:
    """Return what `read_runs` gives as a table, one line per run, the best on its images marked by an asterisk."""
    averages = {key: name for key, name in MACRO_AVERAGES.items() if any(run[key] is not None for run in runs)}
    batch, rate, seed = (HEADINGS[key] for key in ("batch_size", "learning_rate", "random_seed"))
    headings = "".join(f"{name:>10}" for name in averages.values())
    lines = [
        f"  {'run':34}{'accuracy (95 % interval)':>40}{headings}{'epochs':>8}{batch:>7}{rate:>8}{seed:>6}"
        f"{'seconds':>9}  device  images"
    ]
    for run in runs:
        result = run | {"interval": (run["low"], run["high"])}
        figures = format_accuracy(result) if run["n"] else "not validated"
        others = "".join(f"{'' if run[key] is None else f'{run[key]:.2%}':>10}" for key in averages)
        lines.append(
            f"{'*' if run['best'] else ' '} {run['run']:34}{figures:>40}{others}{run['epochs']:8}{run['batch_size']:7}"
            f"{run['learning_rate']:8.2g}{run['random_seed']:6}{run['seconds']:9.0f}"
            f"  {run['device']:6}  {run['part']} images of {run['source']}"
        )
    return "\n".join(lines)


def read_history(folder: str | Path) -> list[dict]:
    """Return the history of a run from its record: a dict per epoch, as `fit` returns it; None for an empty cell."""
    with open(Path(folder) / "history.csv", encoding="utf-8", newline="") as file:
        return [{key: float(value) if value else None for key, value in row.items()} for row in csv.DictReader(file)]


def compare(first: str | Path, second: str | Path) -> str:
    """Return a text on the parameters in which two runs differ, and whether one is better (`metrics.mcnemar`).

    Args:
        first, second: the folders of their records.
    """
    folders = [Path(first), Path(second)]
    names = [folder.name for folder in folders]
    one, other = (_read_parameters(folder) for folder in folders)
    changed = [
        f"{key} {one.get(key)!r} and {other.get(key)!r}" for key in one | other if one.get(key) != other.get(key)
    ]
    text = f"{names[0]} and {names[1]} differ in " + ("; ".join(changed) or "no parameter")
    images = [_images_of_predictions(folder) for folder in folders]
    if images[0] is None or images[0] != images[1]:
        return text + "\nThey were not evaluated on the same images, and cannot be compared image by image."
    (labels, first_predicted), (_, second_predicted) = map(_read_predictions, folders)
    return f"{text}\n{mcnemar(labels, first_predicted, second_predicted, names)['verdict']}"


def _read_parameters(folder: Path) -> dict:
    """Return the parameters of a run under their present names, without its hash_id."""
    values = {ALIASES.get(key, key): value for key, value in _read_json(folder / "config.json").items()}
    values.pop("hash_id", None)
    return values


def _images_of_predictions(folder: Path) -> str | None:
    """Return the fingerprint of the images that a run predicted, or None if it predicted none."""
    if not (folder / "predictions.csv").exists():
        return None
    metrics = _read_json(folder / "metrics.json")
    return (metrics.get("test") or metrics["validation"])["fingerprint"]


def _read_predictions(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and the predicted classes of a record's held-out images, names, str (N,)."""
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([row["given"] for row in rows]), np.array([row["predicted"] for row in rows])


def earlier_predictions(root: str | Path | None, images, exclude: Path | None = None) -> tuple[str, np.ndarray] | None:
    """Return the name and the predicted classes, int64 (N,), of the newest run that was evaluated on the same images.

    Args:
        root: the folder of all records.
        images: the CharDataset.
        exclude: the folder of a run to leave out.
    """
    wanted = images.fingerprint()
    for run in read_runs(root):
        folder = Path(root or "") / run["run"]
        if run["images"] == wanted and folder != exclude and (folder / "predictions.csv").exists():
            return folder.name, np.array([images.classes.index(name) for name in _read_predictions(folder)[1]])
    return None
