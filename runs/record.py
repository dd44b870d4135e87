"""The records of runs: one folder a run, with its parameters, surroundings, history and figures."""

import csv
import io
import json
import platform
import re
import subprocess
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from common.files import append, storage_error, write_atomically, write_json
from config import Config
from metrics import in_words, mcnemar


def _processor() -> str:
    """Return the processor's name, which platform.processor does not know on Linux."""
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def environment(device: torch.device) -> dict:
    """Return what a run runs on: versions, machine, device, threads, git revision."""

    def git(*words):
        call = ["git", "-C", str(Path(__file__).resolve().parents[1]), *words]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()

    try:
        revision = git("rev-parse", "HEAD") + (" with changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        revision = None  # no git, or not a clone
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("torch", "torchvision", "numpy", "pillow")},
        "platform": platform.platform(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "git_revision": revision,
    }


def run_name(config: Config) -> str:
    """Return the name of a run that starts now: <time>_<model>_<hash_id>."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}_{config.model}_{config.hash_id}"


class RunRecord:
    """The record of one run: a folder `<root>/<time>_<model>_<hash_id>` that no other run writes to.

    Args:
        root: the folder of all records.
        config: the run's parameters, written to config.json.
        environment: what it runs on, written to environment.json.
    """

    def __init__(self, root: str | Path, config: Config, environment: dict):
        self._metrics = {}
        name = run_name(config)
        for count in range(1, 1000):
            self.folder = Path(root) / (name if count == 1 else f"{name}_{count}")
            try:
                self.folder.mkdir(parents=True)
                break
            except FileExistsError:  # another run of the same second
                continue
            except OSError as error:
                raise storage_error(self.folder, error) from error
        write_json(self.folder / "config.json", asdict(config))
        write_json(self.folder / "environment.json", environment)

    @classmethod
    def reopen(cls, folder: str | Path, history: list[dict]) -> "RunRecord":
        """Return the record of a run that goes on after the epochs of `history`; later rows are forgotten."""
        record = cls.__new__(cls)
        record.folder, record._metrics = Path(folder), {}
        for unfinished in record.folder.glob(".*.part"):  # which the killed process has left
            unfinished.unlink()
        (record.folder / "history.csv").unlink(missing_ok=True)
        for row in history:
            record.epoch(row)
        record.log(f"going on after epoch {len(history)}")
        return record

    def log(self, message: str) -> None:
        """Append a line, with the time, to log.txt."""
        append(self.folder / "log.txt", f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {message}\n")

    def epoch(self, row: dict) -> None:
        """Append a row to history.csv; it is on disk when this returns."""
        text = io.StringIO()
        writer = csv.DictWriter(text, row, lineterminator="\n")
        if not (self.folder / "history.csv").exists():
            writer.writeheader()
        writer.writerow(row)
        append(self.folder / "history.csv", text.getvalue())

    def write(self, name: str, values) -> None:
        """Write a JSON file, such as the audit of the data."""
        write_json(self.folder / name, values)

    def test(self, result: dict, images, probabilities: np.ndarray) -> None:
        """Keep what a model made of held-out images: figures in metrics.json, every answer in predictions.csv.

        Args:
            result: what `evaluate` gives.
            images: the CharDataset.
            probabilities: float (N, C), what `predict_proba` gives.
        """
        rows = zip(images.files, images.y, probabilities.argmax(1), probabilities.max(1), strict=True)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["file", "given", "predicted", "probability"])
        writer.writerows([file, images.classes[y], images.classes[k], f"{p:.6f}"] for file, y, k, p in rows)
        write_atomically(self.folder / "predictions.csv", lambda file: file.write(text.getvalue().encode()))
        self.metrics(test=result | {"fingerprint": images.fingerprint()})

    def metrics(self, **values) -> None:
        """Add values to metrics.json."""
        self._metrics |= values
        write_json(self.folder / "metrics.json", self._metrics)


def read_runs(root: str | Path | None, sort: str = "run") -> list[dict]:
    """Return what each finished run below `root` did; a folder that is no whole record is named and left out.

    Args:
        root: the folder of all records, or None.
        sort: the key to sort by, the greatest first; a run's name begins with its time, so the newest comes first.

    Returns:
        Dicts with run, model, batch_size, learning_rate, random_seed, source (of the images), epochs, best_epoch,
        accuracy, n, low, high (its 95 % interval), seconds, device, and best: whether no run on the same images has a
        higher accuracy.
    """
    runs, best = [], {}
    for path in Path(root).glob("*/metrics.json") if root else []:
        try:
            runs.append(_read_run(path.parent))
        except (OSError, ValueError, LookupError, TypeError) as error:
            print(f"{path.parent} is not the record of a run and is left out: {error!r:.100}")
    for run in runs:
        best[run["images"]] = max(best.get(run["images"], 0), run["accuracy"] or 0)
    runs = [run | {"best": run["accuracy"] is not None and run["accuracy"] == best[run["images"]]} for run in runs]
    return sorted(runs, key=lambda run: (run[sort] is not None, run[sort], run["run"]), reverse=True)


def _read_run(folder: Path) -> dict:
    config, about, metrics = (_read_json(folder / f"{name}.json") for name in ("config", "environment", "metrics"))
    tested = metrics.get("test")
    result = tested or metrics["validation"] or {"accuracy": None, "n": 0, "interval": (None, None)}
    return {
        "run": folder.name, **{key: config[key] for key in ("model", "batch_size", "learning_rate", "random_seed")},
        "source": about["source"], "images": tested["fingerprint"] if tested else about["val_fingerprint"],
        "epochs": about["epochs"], "best_epoch": metrics["best_epoch"], "accuracy": result["accuracy"],
        "n": result["n"], "low": result["interval"][0], "high": result["interval"][1],
        "seconds": metrics["seconds"], "device": about["device"],
    }  # fmt: skip


def _read_json(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


def table(runs: list[dict]) -> str:
    """Return what `read_runs` gives as text, a line a run, the best on its images marked by an asterisk."""
    lines = [
        f"  {'run':34}{'accuracy (95 % interval)':>40}{'epochs':>8}{'batch':>7}{'rate':>8}{'seed':>6}{'seconds':>9}"
        "  device  images"
    ]
    for run in runs:
        figures = in_words(run | {"interval": (run["low"], run["high"])}) if run["n"] else "not validated"
        lines.append(
            f"{'*' if run['best'] else ' '} {run['run']:34}{figures:>40}{run['epochs']:8}{run['batch_size']:7}"
            f"{run['learning_rate']:8.2g}{run['random_seed']:6}{run['seconds']:9.0f}"
            f"  {run['device']:6}  {run['source']}"
        )
    return "\n".join(lines)


def read_history(folder: str | Path) -> list[dict]:
    """Return the history of a run from its record: a dict an epoch, as `fit` returns it; None where a cell is empty."""
    with open(Path(folder) / "history.csv", encoding="utf-8", newline="") as file:
        return [{key: float(value) if value else None for key, value in row.items()} for row in csv.DictReader(file)]


def compare(first: str | Path, second: str | Path) -> str:
    """Return in words in which parameters two runs differ, and whether one reads better (`metrics.mcnemar`).

    Args:
        first, second: the folders of their records.
    """
    folders = [Path(first), Path(second)]
    one, other = (_read_json(folder / "config.json") for folder in folders)
    changed = [f"{key} {one.get(key)!r} and {other.get(key)!r}" for key in one | other
               if one.get(key) != other.get(key) and key != "hash_id"]  # fmt: skip
    names = [folder.name for folder in folders]
    text = f"{names[0]} and {names[1]} differ in " + ("; ".join(changed) or "no parameter")
    metrics = [folder / "metrics.json" for folder in folders]
    tested = [path.exists() and _read_json(path).get("test") for path in metrics]
    if not all(tested) or tested[0]["fingerprint"] != tested[1]["fingerprint"]:
        return text + "\nThey were not tested on the same images, and cannot be compared one by one."
    (given, answers), (_, others) = map(_answers, folders)
    return f"{text}\n{mcnemar(given, answers, others, names)['verdict']}"


def _answers(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the given and the predicted classes of a record's tested images, names, str (N,)."""
    with open(folder / "predictions.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    return np.array([row["given"] for row in rows]), np.array([row["predicted"] for row in rows])


def earlier_predictions(root: str | Path | None, images, but: Path | None = None) -> tuple[str, np.ndarray] | None:
    """Return the name and the predicted classes, int64 (N,), of the newest run that was tested on these very images.

    Args:
        root: the folder of all records.
        images: the CharDataset.
        but: the folder of the run that is not meant.
    """
    wanted = images.fingerprint()
    for run in read_runs(root):
        folder = Path(root) / run["run"]
        if run["images"] == wanted and folder != but and (folder / "predictions.csv").exists():
            return folder.name, np.array([images.classes.index(name) for name in _answers(folder)[1]])
    return None
