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

from config import Config
from init import append, fingerprint, storage_error, write_atomically, write_json
from metrics import in_words


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
        call = ["git", "-C", str(Path(__file__).resolve().parent), *words]
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
        self.metrics(test=result | {"fingerprint": fingerprint(images.x, images.y)})
        rows = zip(images.files, images.y, probabilities.argmax(1), probabilities.max(1), strict=True)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["file", "given", "predicted", "probability"])
        writer.writerows([file, images.classes[y], images.classes[k], f"{p:.6f}"] for file, y, k, p in rows)
        write_atomically(self.folder / "predictions.csv", lambda file: file.write(text.getvalue().encode()))

    def metrics(self, **values) -> None:
        """Add values to metrics.json."""
        self._metrics |= values
        write_json(self.folder / "metrics.json", self._metrics)


def earlier_predictions(root: str | Path | None, images, but: Path | None = None) -> tuple[str, np.ndarray] | None:
    """Return the name and the predicted classes, int64 (N,), of the newest run that was tested on these very images.

    Args:
        root: the folder of all records.
        images: the CharDataset.
        but: the folder of the run that is not meant.
    """
    wanted = fingerprint(images.x, images.y)
    for path in sorted(Path(root).glob("*/predictions.csv") if root else [], reverse=True):
        metrics = json.loads((path.parent / "metrics.json").read_text(encoding="utf-8"))
        if path.parent != but and metrics["test"]["fingerprint"] == wanted:
            with open(path, encoding="utf-8", newline="") as file:
                names = [row["predicted"] for row in csv.DictReader(file)]
            return path.parent.name, np.array([images.classes.index(name) for name in names])
    return None


def read_runs(root: str | Path) -> list[dict]:
    """Return what each finished run below `root` did, the newest first.

    Returns:
        Dicts with run, model, source, epochs, best_epoch, accuracy, n, low, high (its 95 % interval), seconds, device.
    """
    runs = []
    for path in sorted(Path(root).glob("*/metrics.json"), reverse=True):
        config, about, metrics = (
            json.loads((path.parent / name).read_text(encoding="utf-8"))
            for name in ("config.json", "environment.json", "metrics.json")
        )
        result = metrics.get("test") or metrics["validation"] or {"accuracy": None, "n": 0, "interval": (None, None)}
        runs.append(
            {"run": path.parent.name, "model": config["model"], "source": about["source"], "epochs": about["epochs"]}
            | {"best_epoch": metrics["best_epoch"], "accuracy": result["accuracy"], "n": result["n"]}
            | {"low": result["interval"][0], "high": result["interval"][1]}
            | {"seconds": metrics["seconds"], "device": about["device"]}
        )
    return runs


def table(root: str | Path | None) -> str:
    """Return the finished runs below `root` as text, a line each, the newest first."""
    lines = [f"{'run':36}{'accuracy (95 % interval)':>44}{'epochs':>8}{'seconds':>9}  device  data"]
    for run in read_runs(root) if root else []:
        figures = in_words(run | {"interval": (run["low"], run["high"])}) if run["n"] else "not validated"
        lines.append(
            f"{run['run']:36}{figures:>44}{run['epochs']:8}{run['seconds']:9.0f}  {run['device']:6}  {run['source']}"
        )
    return "\n".join(lines)
