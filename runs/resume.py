"""A run on disk: its record, its best weights, and the state from which an interrupted run continues."""

import logging
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from common.errors import InputError
from common.files import remove_unfinished, storage_error
from config import ALIASES, Config
from metrics import format_epoch, kept_epoch
from runs import checkpoint
from runs.record import RunRecord, environment, run_name

log = logging.getLogger("fit_char")


STATE_SCHEMA: dict[str, tuple] = {
    "identity": (dict, None),  # all that must be the same in the run that continues
    "run": (dict, None),  # its name, and the fingerprints of its images
    "record": (str | None, None),  # the folder
    "finished": (bool, None),  # whether there is nothing to continue
    "history": (list, None),  # a dict per epoch
    "best": (dict, None),  # epoch, metrics, state_dict
    "training": (dict, None),  # of `Trainer.state_dict`
}
SLOW = 0.05  # seconds; a state that is written faster is written after every epoch


class StateFile:
    """The file `<model>_last.ckpt` beside the best checkpoint, which only one live run writes to.

    If an unfinished run of other parameters, or a live one, has that file, it is `<model>_last.<run>.ckpt`.

    Args:
        save_path: of the best checkpoint.
        model, run: names of the model and of the run.
        identity: plain values that must be the same in a run that continues.
        resume: whether to continue an unfinished run of the same identity.

    Attributes:
        path: the file.
        content: the state to continue from, or None if the run starts from the beginning.
    """

    def __init__(self, save_path: Path, model: str, run: str, identity: dict, resume: bool):
        self.content: dict | None = None
        self._identity, self._usual = identity, save_path.with_name(f"{model}_last.ckpt")
        try:
            save_path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(save_path.parent, error) from error
        paths = [self._usual, *sorted(save_path.parent.glob(f"{model}_last.*.ckpt"))]
        states = {path: _read_state(path) for path in paths if path.exists()}
        for path, state in states.items():
            same = state is not None and not state["finished"] and state["identity"] == identity
            if resume and same and self._acquire(path):
                self.content = state
                return
        former = states.get(self._usual)
        is_free = self._usual not in states or (former is not None and former["finished"])
        if is_free and self._acquire(self._usual):
            return
        if resume and former:
            log.info(_why_not(self._usual, former, identity))
        self._acquire(self._usual.with_name(f"{model}_last.{run}.ckpt"))

    def _acquire(self, path: Path) -> bool:
        """Return whether no other live run writes to the file; from now on none will."""
        self.path, self._lock = path, FileLock(path.with_name(f".{path.name}.lock"))
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            return False
        except OSError as error:  # such as on a read-only disk
            raise storage_error(path, error) from error
        remove_unfinished(path)
        return True

    def write(self, **content) -> None:
        """Write the state at the end of an epoch, completely or not at all."""
        checkpoint.write(self.path, {"identity": self._identity, "finished": False} | content)

    def finish(self) -> None:
        """Note that there is nothing left to continue; a file that no other run will use is deleted."""
        if self.path != self._usual:
            self.path.unlink(missing_ok=True)
        elif self.path.exists():
            checkpoint.write(self.path, checkpoint.read(self.path, STATE_SCHEMA) | {"finished": True})

    def close(self) -> None:
        """Let other runs write to the file."""
        self._lock.release()
        if self.path != self._usual and not self.path.exists():
            Path(self._lock.lock_file).unlink(missing_ok=True)


def _read_state(path: Path) -> dict | None:
    try:
        state = checkpoint.read(path, STATE_SCHEMA)
    except InputError as error:
        log.warning("%s; it is left as it is", error)
        return None
    renamed = ALIASES | {"image size": "input size"}  # in states of format 1
    state["identity"] = {renamed.get(key, key): value for key, value in state["identity"].items()}
    return state


def _why_not(path: Path, state: dict, identity: dict) -> str:
    """Return why a run does not continue from a state."""
    former, changed = state["identity"], []
    for key in identity | former:
        if former.get(key) != identity.get(key):
            changed.append(f"{key} {former.get(key)!r}, now {identity.get(key)!r}")
    why = f"it has {', '.join(changed)}" if changed else "it is still running"
    return (
        f"{path} holds another run, unfinished after epoch {len(state['history'])}: {why:.300}. This run starts from "
        "the beginning; set the same parameters again to continue that one, or delete the file."
    )


class Run:
    """What a run leaves on disk: its record, the checkpoint of its best weights, and the state to continue from.

    A context manager: at its end other runs may write to that state. `on_epoch_end` and `on_run_end` are callbacks of
    the Trainer.

    Args:
        config: the run's parameters; nothing is left where its paths are None.
        device: what it runs on.
        images: fingerprints of the "train" and "val" images.
        same: plain values, besides those of config and images, that must be the same in a run that continues.
        about: what environment.json says, besides the fingerprints.
        save: writes a checkpoint, given its path and the weights.

    Attributes:
        former: the state of the interrupted run that this one continues, or None.
        description: the run's name and the fingerprints.
        record: a RunRecord, or None.
        checkpoint: the file with the run's best weights, or None.
    """

    former: dict | None = None
    record: RunRecord | None = None
    checkpoint: Path | None = None
    _state: StateFile | None = None
    _saved_best: dict | None = None
    _next_write = 0.0  # seconds; a slow state is not written before

    def __init__(
        self, config: Config, device: torch.device, images: dict, same: dict, about: dict,
        save: Callable[[Path, dict], None],
    ):  # fmt: skip
        self._save, self._save_path = save, Path(config.save_path) if config.save_path else None
        self.description = {"name": f"{run_name(config)}-{uuid.uuid4().hex[:4]}"} | images
        if self._save_path:
            identity = config.identity() | images | same
            self._state = StateFile(self._save_path, config.model, self.description["name"], identity, config.resume)
            self.former = self._state.content
        if self._state and self.former:
            self.description = self.former["run"]
            epochs, name = len(self.former["history"]), self.description["name"]
            log.info("%s: continuing after epoch %d of %s", self._state.path, epochs, name)
        try:
            self._open_record(config, device, about | {f"{part}_fingerprint": images[part] for part in images})
            if self._save_path:
                name = f"{self._save_path.stem}.{self.description['name']}{self._save_path.suffix}"
                self.checkpoint = self._save_path.with_name(name)
                remove_unfinished(self.checkpoint)
        except BaseException:  # an interrupt, too, leaves neither the lock nor the log file to a run that never began
            self.__exit__()
            raise

    def _open_record(self, config: Config, device: torch.device, about: dict) -> None:
        """Make the record, or reopen that of the interrupted run."""
        if not config.record_path:
            return
        if self.former and self.former["record"] and Path(self.former["record"]).is_dir():
            self.record = RunRecord.reopen(self.former["record"], self.former["history"])
        else:
            self.record = RunRecord.create(config.record_path, config, environment(device) | about)
            self.description["name"] = self.record.folder.name
        self.record.start_logging()

    def on_epoch_end(self, trainer) -> None:
        """Write the state, new best weights and the record. A slow state takes at most a tenth of the time."""
        start, is_last = time.perf_counter(), len(trainer.history) == trainer.epochs
        if self._state and (start >= self._next_write or is_last):
            record = str(self.record.folder) if self.record else None
            self._state.write(run=self.description, record=record, **trainer.state_dict())
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
        """Note the best epoch in the record, and move its checkpoint to the path of the best."""
        if not trainer.finished:
            again = " Run again to continue." if self._state else ""
            epoch = len(trainer.history) + 1
            log.info("Interrupted in epoch %d: the best weights so far are kept.%s", epoch, again)
        if self.record and trainer.history:
            best, (_, reason) = trainer.best, kept_epoch(trainer.history)
            self.record.log(f"the weights of epoch {best['epoch']} are kept: {reason}")
            seconds = sum(row["seconds"] for row in trainer.history)
            self.record.update_metrics(best_epoch=best["epoch"], seconds=seconds, validation=best["metrics"])
        self._save_best(trainer.model.state_dict())
        if self.checkpoint and self._save_path and trainer.history:
            self.checkpoint = checkpoint.publish(self.checkpoint, self._save_path)
        if self._state and trainer.finished:
            self._state.finish()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error) -> None:
        if self.record:
            self.record.stop_logging()
        if self._state:
            self._state.close()
