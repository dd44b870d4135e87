"""The record of a run: a folder with its parameters, environment, history, log and metrics."""

import csv
import io
import json
import logging
import os
import platform
import re
import shutil
import subprocess
import time
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch

from common.files import append, storage_error, write_json, write_text
from config import Config

THREAD_VARIABLES = ("OMP_", "GOMP_", "KMP_", "MKL_")
logger = logging.getLogger("fit_char")


def environment(device: torch.device) -> dict:
    """Return what a run runs on: versions, machine, device, threads, git revision."""
    return {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("torch", "torchvision", "numpy", "pillow")},
        "platform": platform.platform(),
        "device": str(device),
        "device_name": torch.cuda.get_device_name(device) if device.type == "cuda" else _processor(),
        "threads": torch.get_num_threads(),
        "thread_settings": {name: os.environ[name] for name in sorted(os.environ) if name.startswith(THREAD_VARIABLES)},
        "git_revision": git_revision(),
    }


def _processor() -> str:
    """Return the processor's name, which platform.processor does not know on Linux."""
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or platform.machine()


def git_revision() -> str | None:
    """Return the revision of this program, or None without git or outside a clone."""

    def git(*words: str) -> str:
        call = ["git", "-C", str(Path(__file__).resolve().parents[1]), *words]
        return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + (" with changes" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def run_name(config: Config) -> str:
    """Return the name of a run that starts now: <time>_<model>_<hash_id>."""
    return f"{time.strftime('%Y%m%d-%H%M%S')}_{config.model}_{config.hash_id}"


class _LogFile(logging.Handler):
    """Append the project's log lines, with times, to a file; they are on disk when this returns."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.setFormatter(logging.Formatter("%(asctime)s  %(message)s", "%Y-%m-%d %H:%M:%S"))

    def emit(self, record: logging.LogRecord) -> None:
        append(self.path, self.format(record) + "\n")


class RunRecord:
    """The record of one run, in a folder that no other run writes to.

    Args:
        folder: as made by `create` or left by an interrupted run.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self._log_file = _LogFile(self.folder / "log.txt")
        self._metrics: dict = {}

    @classmethod
    def create(cls, root: str | Path, config: Config, environment: dict) -> "RunRecord":
        """Make the folder `<root>/<time>_<model>_<hash_id>` of a new run.

        Args:
            root: the folder of all records.
            config: the run's parameters, written to config.json.
            environment: what it runs on, written to environment.json.

        Raises:
            StorageError: the folder cannot be written.
        """
        name = run_name(config)
        for count in range(1, 1000):
            folder = Path(root) / (name if count == 1 else f"{name}_{count}")
            try:
                folder.mkdir(parents=True)
                break
            except FileExistsError:  # another run of the same second
                continue
            except OSError as error:
                raise storage_error(folder, error) from error
        write_json(folder / "config.json", asdict(config))
        write_json(folder / "environment.json", environment)
        return cls(folder)

    @classmethod
    def load(cls, folder: str | Path) -> "RunRecord":
        """Return the record of a run that another process has made, to add to it."""
        record = cls(folder)
        metrics = Path(folder) / "metrics.json"
        record._metrics = json.loads(metrics.read_text(encoding="utf-8")) if metrics.exists() else {}
        return record

    @staticmethod
    def is_at(folder: str | None, name: str) -> bool:
        """Return whether a folder that a file names is the record of the run of that name, which may be written to."""
        return folder is not None and Path(folder).name == name and Path(folder, "config.json").is_file()

    @classmethod
    def reopen(cls, folder: str | Path, history: list[dict]) -> "RunRecord":
        """Return the record of a run that continues after the epochs of `history`; later rows are forgotten."""
        record = cls(folder)
        for unfinished in record.folder.glob(".*.part"):  # left by the killed process
            unfinished.unlink()
        (record.folder / "history.csv").unlink(missing_ok=True)
        record.log_former(history)
        return record

    def log_former(self, history: list[dict]) -> None:
        """Write the epochs after which the run continues."""
        for row in history:
            self.log_epoch(row)
        self.log(f"continuing after epoch {len(history)}")

    def start_logging(self) -> None:
        """Append the lines of the project's logger to log.txt, until `stop_logging`."""
        logger.addHandler(self._log_file)

    def stop_logging(self) -> None:
        """Leave log.txt as it is."""
        logger.removeHandler(self._log_file)

    @property
    def has_epochs(self) -> bool:
        """Whether an epoch was logged."""
        return (self.folder / "history.csv").exists()

    def remove(self) -> None:
        """Delete the folder, such as that of a run without an epoch, if nobody else has."""
        with suppress(FileNotFoundError):
            shutil.rmtree(self.folder)

    def log(self, message: str) -> None:
        """Append a line with the time to log.txt alone."""
        self._log_file.handle(logging.LogRecord("fit_char", logging.INFO, "", 0, message, None, None))

    def log_epoch(self, row: dict) -> None:
        """Append a row to history.csv; it is on disk when this returns."""
        text = io.StringIO()
        writer = csv.DictWriter(text, row, lineterminator="\n")
        if not self.has_epochs:
            writer.writeheader()
        writer.writerow(row)
        append(self.folder / "history.csv", text.getvalue())

    def write(self, name: str, values: object) -> None:
        """Write a JSON file, such as the audit of the data."""
        write_json(self.folder / name, values)

    def write_predictions(
        self, result: dict, images, predicted: np.ndarray, confidence: np.ndarray, part: str = "test"
    ) -> None:
        """Write the metrics of held-out images to metrics.json and every prediction to predictions.csv.

        Args:
            result: what `evaluate` gives.
            images: the CharDataset of N images.
            predicted: int64 (N,), the predicted classes.
            confidence: float (N,), their probabilities.
            part: "test", or "validation" if the images have chosen the epoch or the temperature.
        """
        rows = zip(images.files, images.y, predicted, confidence, strict=True)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["file", "given", "predicted", "probability"])
        writer.writerows([file, images.classes[y], images.classes[k], f"{p:.6f}"] for file, y, k, p in rows)
        write_text(self.folder / "predictions.csv", text.getvalue())
        self.update_metrics(**{part: result | {"fingerprint": images.fingerprint()}})

    def update_metrics(self, **values) -> None:
        """Add values to metrics.json."""
        self._metrics |= values
        write_json(self.folder / "metrics.json", self._metrics)
