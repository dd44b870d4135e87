"""Training in several processes from a notebook or a script: torchrun starts them, and they are followed live."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from torch.distributed import is_torchelastic_launched

from apps.steps import read_data
from classifier import CNNClassifier
from common import ROOT
from common.errors import InputError, TrainingError
from common.files import write_json
from config import Config
from dataset import CharDataset
from imaging.files import usable_cores
from runs.record import RunRecord
from training.distributed import is_main, launched
from training.interrupt import deferred_interrupt

INTERVAL = 0.3  # seconds between two checks of the processes
Callbacks = Sequence[Callable[[list[dict], Path | None], object]]


def fit(
    config: Config, train: CharDataset, val: CharDataset | None, callbacks: Callbacks = (), report: str | None = None
) -> CNNClassifier:
    """Return a classifier that is fitted here or, if `config.devices` is more than 1, by that many processes.

    Args:
        train, val, callbacks: see `CNNClassifier.fit`. Further processes read their images from `config.data_path`.
        report: the file that the process which has started this one reads, if any.

    Raises:
        InputError: other images than those at `data_path`, as `read_data` gives them.
        TrainingError: the processes have failed; the message is theirs.
    """
    if config.devices == 1 or launched():
        classifier = CNNClassifier(config, train.classes)
        reporter = [Reporter(report, classifier)] if report else []
        classifier.fit(train, val, [*callbacks, *reporter])
        if reporter and is_main():
            reporter[0].write()
        return classifier
    _, (there, _, _, _) = read_data(config)
    if there.fingerprint() != train.fingerprint():
        raise InputError(
            f"{config.devices} processes train on the images of {config.data_path}, which these are not: set devices = "
            "1, or leave the split to val_fraction and split_seed"
        )
    return _fit_elsewhere(config, train.classes, callbacks)


def _fit_elsewhere(config: Config, classes: list[str], callbacks: Callbacks) -> CNNClassifier:
    """Let torchrun start the processes, follow them, and return what they have trained."""
    with tempfile.TemporaryDirectory() as folder:
        saved = config.save_path or f"{folder}/weights.ckpt"
        write_json(f"{folder}/config.json", asdict(replace(config, save_path=saved, mode="train")))
        report = Path(folder, "report.json")
        history, record, checkpoint = _follow(_start(config.devices, Path(folder)), report, callbacks)
        if checkpoint is None:  # stopped in its first epoch
            return CNNClassifier(config, classes)
        classifier = CNNClassifier.load(checkpoint, config.device)
    classifier.history_ = history
    classifier.record_ = RunRecord.load(record) if record else None
    if not config.save_path:
        classifier.checkpoint_ = None
    return classifier


def _start(devices: int, folder: Path) -> subprocess.Popen:
    words = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(devices)]
    words += ["--redirects", "3", "--log-dir", str(folder / "log"), str(ROOT / "fit_char.py"), "train"]
    words += ["--config", str(folder / "config.json"), "--report", str(folder / "report.json")]
    threads = {"OMP_NUM_THREADS": str(max(1, usable_cores() // devices))}
    nowhere = subprocess.DEVNULL  # for what the launcher itself says; the workers' words are in log
    return subprocess.Popen(
        words, env=threads | os.environ, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True
    )


def end_with_launcher(has_starter: bool) -> None:
    """Let this process be ended, as by SIGTERM, when those that have started it are no more: nobody else would end it.

    Args:
        has_starter: whether torchrun was started by `_fit_elsewhere`, whose end closes the pipe of standard input.
    """
    if has_starter:
        _end_after(lambda: os.read(0, 1))
    if is_torchelastic_launched():
        _end_after(_wait_for_parent)


def _wait_for_parent() -> None:
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(INTERVAL)


def _end_after(wait: Callable[[], object]) -> None:
    def end() -> None:
        wait()
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=end, daemon=True).start()


def _follow(
    process: subprocess.Popen, report: Path, callbacks: Callbacks
) -> tuple[list[dict], Path | None, Path | None]:
    """Show what the processes say and call the callbacks until they end; an interrupt is handed on to them.

    Returns:
        The history, the record's folder and the checkpoint, as they last reported.
    """
    shown = 0
    epochs = 0
    log = report.parent / "log"
    was_interrupted = False
    with deferred_interrupt() as interrupt:
        try:
            while True:
                has_ended = process.poll() is not None
                shown += _show(log, shown)
                history, record, checkpoint = _read_report(report)
                if len(history) > epochs:
                    epochs = len(history)
                    for callback in callbacks:
                        callback(history, record)
                if has_ended:
                    break
                if interrupt.is_set() and not was_interrupted:
                    was_interrupted = True
                    process.send_signal(signal.SIGINT)
                time.sleep(INTERVAL)
        finally:
            _end(process, was_interrupted)
    if process.returncode and not was_interrupted:
        raise TrainingError(_reason(log, process.returncode))
    return history, record, checkpoint


def _end(process: subprocess.Popen, was_interrupted: bool) -> None:
    """Wait for the launcher, which must not end before it has ended the processes; it leaves them 30 s."""
    if process.poll() is None and not was_interrupted:
        process.terminate()
    try:
        process.wait(60)
    finally:
        process.kill()
        if process.stdin:
            process.stdin.close()


def _show(log: Path, shown: int) -> int:
    """Print what the main process has said since; return how many bytes that are."""
    text = b""
    for path in log.glob("*/attempt_0/0/stderr.log"):  # one, as soon as it is there
        with path.open("rb") as file:
            file.seek(shown)
            text = file.read()
    end = max(text.rfind(b"\n"), text.rfind(b"\r")) + 1  # no half of a character
    sys.stdout.write(text[:end].decode(errors="replace"))
    sys.stdout.flush()
    return end


def _read_report(report: Path) -> tuple[list[dict], Path | None, Path | None]:
    if not report.exists():
        return [], None, None
    values = json.loads(report.read_text(encoding="utf-8"))
    record, checkpoint = (Path(values[key]) if values[key] else None for key in ("record", "checkpoint"))
    return values["history"], record, checkpoint


def _reason(log: Path, returncode: int) -> str:
    """Return why the processes have failed: their message, the signal that ended torchrun, or the last line written."""
    lines = [line for path in sorted(log.glob("*/attempt_*/*/stderr.log")) for line in path.read_text().splitlines()]
    messages = [line.removeprefix("fit_char: ") for line in lines if line.startswith("fit_char: ")]
    if not messages and returncode < 0:
        return f"torchrun was ended by signal {-returncode}: run it again to continue"
    return next(iter(messages), lines[-1] if lines else "the processes could not be started: see torchrun --help")


class Reporter:
    """A callback of `fit` that tells the process which started this run how it goes on.

    Args:
        path: the file to write.
        classifier: that is fitted.
    """

    def __init__(self, path: str | Path, classifier: CNNClassifier):
        self.path = Path(path)
        self.classifier = classifier
        self._next = 0.0

    def __call__(self, history: list[dict], folder: Path | None) -> None:
        start = time.monotonic()
        if start >= self._next:
            self.write()
            self._next = time.monotonic() + max(INTERVAL, 20 * (time.monotonic() - start))

    def write(self) -> None:
        """Write the history so far, the record's folder and the checkpoint."""
        record, checkpoint = self.classifier.record_, self.classifier.checkpoint_
        values = {"history": self.classifier.history_, "record": str(record.folder) if record else None}
        write_json(self.path, values | {"checkpoint": str(checkpoint) if checkpoint else None})
