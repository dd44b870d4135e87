"""A run on disk: its record, its best weights, and the state from which an interrupted run continues."""

import logging
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import torch

from common.files import locked, remove_unfinished
from config import Config
from metrics import format_epoch, kept_epoch
from runs import checkpoint
from runs.paths import check_paths
from runs.record import RunRecord, environment, run_name
from runs.state import StateFile

log = logging.getLogger("fit_char")

SLOW = 0.05  # seconds; a state that is written faster is written after every epoch


class Run:
    """What a run leaves on disk: its record, the checkpoint of its best weights, and the state to continue from.

    A context manager: at its end other runs may write to that state. `on_epoch_end` and `on_run_end` are callbacks of
    the Trainer.

    Args:
        config: the run's parameters; nothing is left if its paths are None.
        device: what it runs on.
        images: fingerprints of the "train" and "val" images.
        same: plain values, besides those of config and images, that must be the same in a run that continues.
        about: what environment.json says, besides the fingerprints.
        save: writes a checkpoint, given its path and the weights.
        start: the name of the run whose weights this one starts from, if any.

    Attributes:
        former: the state of the interrupted run that this one continues, or None.
        description: the run's name, the source of its images, and the fingerprints.
        record: a RunRecord, or None; also None at the end of a run that was stopped in its first epoch.
        checkpoint: the file with the run's best weights, or None; it is at `save_path` only when the run has finished.

    Raises:
        InputError, StorageError: see `check_paths`.
    """

    former: dict | None = None
    record: RunRecord | None = None
    checkpoint: Path | None = None
    _state: StateFile | None = None
    _saved_best: dict | None = None
    _note = ""  # on how the run continues
    _next_write = 0.0  # seconds; a slow state is not written before

    def __init__(
        self, config: Config, device: torch.device, images: dict, same: dict, about: dict,
        save: Callable[[Path, dict], None], start: str | None = None,
    ):  # fmt: skip
        check_paths(config)
        self._save = save
        self._save_path = Path(config.save_path) if config.save_path else None
        name = f"{run_name(config)}-{uuid.uuid4().hex[:8]}"
        self.description = {"name": name, "source": about["source"]} | images
        try:
            if self._save_path:
                identity = config.identity() | images | same
                self._state = StateFile(self._save_path, config.model, name, identity, config.resume, start)
                self._continue(self._state)
                with locked(self._save_path):  # as at the end, when it would be too late to find that it cannot be
                    self.checkpoint = self._own_file(self._save_path, name)
                remove_unfinished(self.checkpoint)
            self._open_record(config, device, about | {f"{part}_fingerprint": images[part] for part in images})
        except BaseException:  # an interrupt, too, leaves neither the lock nor the log file to a run that never began
            self.__exit__()
            raise

    def _continue(self, state: StateFile) -> None:
        """Take over the state of an interrupted run, if there is one."""
        if state.content is None:
            return
        self.former, self.description = state.content, state.content["run"]
        epochs = len(self.former["history"])
        name = self.description["name"]
        log.info("%s: continuing after epoch %d of %s", state.path, epochs, name)
        before, now = state.content["identity"].get("processes", 1), state.identity.get("processes", 1)
        if before != now:
            self._note = f"Those epochs ran in {before} processes, the next in {now}: sums are rounded differently."

    def _own_file(self, save_path: Path, name: str) -> Path:
        """Return the path of this run's checkpoint until it is finished, which no other run has."""
        if self.former is None:
            return checkpoint.file_of_run(save_path, name, self.description["source"])
        of_earlier_versions = checkpoint.file_of_run(save_path, self.description["name"], None).name
        return save_path.with_name(Path(str(self.former.get("checkpoint", of_earlier_versions))).name)

    def _open_record(self, config: Config, device: torch.device, about: dict) -> None:
        """Make the record, or reopen that of the interrupted run."""
        if not config.record_path:
            return
        if self.former and RunRecord.is_at(self.former["record"], self.description["name"]):
            self.record = RunRecord.reopen(self.former["record"], self.former["history"])
        else:
            self.record = RunRecord.create(config.record_path, config, environment(device) | about)
            self.description["name"] = self.record.folder.name
            if self.former:  # whose record is gone
                self.record.log_former(self.former["history"])
        self.record.start_logging()
        if self._note:
            log.info(self._note)

    def on_epoch_end(self, trainer) -> None:
        """Write the state, new best weights and the record. A slow state takes at most a tenth of the time."""
        start = time.perf_counter()
        is_last = len(trainer.history) == trainer.epochs
        if self._state and (start >= self._next_write or is_last):
            record = str(self.record.folder) if self.record else None
            own = self.checkpoint.name if self.checkpoint else None
            self._state.write(run=self.description, record=record, checkpoint=own, **trainer.state_dict())
            seconds = time.perf_counter() - start
            self._next_write = start + 10 * seconds if seconds > SLOW else 0.0
            if trainer.best is not self._saved_best:
                self._save_best(trainer.best["state_dict"])
                self._saved_best = trainer.best
        if self.record:
            row = trainer.history[-1]
            self.record.log_epoch(row)
            self.record.log(f"epoch {row['epoch']}/{trainer.epochs}  {format_epoch(row)}  {row['seconds']:.1f} s")

    def _save_best(self, weights: dict) -> None:
        if self.checkpoint:
            self._save(self.checkpoint, weights)

    def on_run_end(self, trainer) -> None:
        """Note which epoch was kept, and move the checkpoint of a finished run to the path of the best."""
        if trainer.history:
            self._note_best(trainer)
            self._save_best(trainer.model.state_dict())
        if not trainer.finished:
            log.info(self._how_it_stopped(len(trainer.history)))
        elif trainer.history and self.checkpoint and self._save_path and self._state:
            self.checkpoint = checkpoint.publish(self.checkpoint, self._save_path)
            self._state.finish()

    def _note_best(self, trainer) -> None:
        """Write to the record which epoch was kept, and why."""
        if self.record:
            best = trainer.best
            _, reason = kept_epoch(trainer.history)
            self.record.log(f"the weights of epoch {best['epoch']} are kept: {reason}")
            seconds = sum(row["seconds"] for row in trainer.history)
            self.record.update_metrics(best_epoch=best["epoch"], seconds=seconds, validation=best["metrics"])

    def _how_it_stopped(self, epochs: int) -> str:
        """Return what an interrupt after so many whole epochs leaves, as a sentence."""
        if not epochs:
            return "Interrupted in epoch 1: nothing is kept."
        where = f"in {self.checkpoint}. Run again to continue." if self.checkpoint else "in memory."
        return f"Interrupted in epoch {epochs + 1}: the best weights so far are {where}"

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error) -> None:
        if self.record:
            self.record.stop_logging()
            if not self.record.has_epochs:
                self.record.remove()
                self.record = None
        if self.checkpoint and not self.checkpoint.exists():
            self.checkpoint = None
        if self._state:
            self._state.close()
