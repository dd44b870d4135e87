"""A run on disk: its record, its best weights, the state to go on from; and interrupts that wait for a batch's end."""

import signal
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock, Timeout

from common.errors import InputError
from common.files import remove_unfinished, storage_error
from config import Config
from runs import checkpoint as checkpoints
from runs.record import RunRecord, environment, run_name

CONTENT = {
    "identity": dict,  # all that must be the same in the run that goes on
    "run": dict,  # its name, and the fingerprints of its images
    "record": str | None,  # the folder
    "finished": bool,  # there is nothing to go on with
    "history": list,  # a row an epoch; torch's, NumPy's and Python's generators are seeded by seed and epoch
    "best": dict,  # score, epoch, metrics, state_dict
    "training": dict,  # Training.state()
}
CONTENT = {key: (kind, lambda value: True) for key, kind in CONTENT.items()}

LONG = 0.05  # seconds; what takes less is written after every epoch


class LastState:
    """The file `<model>_last.ckpt` beside the best checkpoint, which one live run alone writes to.

    Where an unfinished run of other parameters, or a live one, has that file, it is `<model>_last.<run>.ckpt`.

    Args:
        save_path: of the best checkpoint.
        model, run: names of the model and of the run.
        identity: plain values that must be the same in a run that goes on.
        resume: whether to go on with an unfinished run of the same identity.

    Attributes:
        path: the file.
        content: the state to go on from, or None where the run starts from the beginning.
        own: what is written besides what `write` is given.
    """

    def __init__(self, save_path: str | Path, model: str, run: str, identity: dict, resume: bool):
        folder, self.content, self.own = Path(save_path).parent, None, {"identity": identity, "finished": False}
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(folder, error) from error
        usual = self._usual = folder / f"{model}_last.ckpt"
        states = {path: _read(path) for path in (usual, *sorted(folder.glob(f"{model}_last.*.ckpt"))) if path.exists()}
        for path, state in states.items():
            if resume and state and not state["finished"] and state["identity"] == identity and self._take(path):
                self.content = state
                return
        if not (usual not in states or (states[usual] and states[usual]["finished"])) or not self._take(usual):
            if resume and states.get(usual):
                print(_why_not(usual, states[usual], identity))
            self._take(usual.with_name(f"{model}_last.{run}.ckpt"))

    def _take(self, path: Path) -> bool:
        """Return whether no other live run writes to the file; none will from now on."""
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
        """Write the state at an epoch's end, whole or not at all."""
        checkpoints.write(self.path, self.own | content)

    def finish(self, finished: bool) -> None:
        """Note whether there is nothing left to go on with; a file that no other run will use goes."""
        if finished and self.path == self._usual and self.path.exists():
            checkpoints.write(self.path, checkpoints.read(self.path, CONTENT) | {"finished": True})
        elif finished:
            self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let other runs write to the file."""
        self._lock.release()
        if self.path != self._usual and not self.path.exists():
            Path(self._lock.lock_file).unlink(missing_ok=True)


def _read(path: Path) -> dict | None:
    try:
        return checkpoints.read(path, CONTENT)
    except InputError as error:
        print(f"{error}; it is left as it is")
        return None


def _why_not(path: Path, state: dict, identity: dict) -> str:
    """Return in words why a run does not go on with a state."""
    former = state["identity"]
    changed = [f"{key} {former.get(key)!r}, now {identity.get(key)!r}" for key in identity | former
               if former.get(key) != identity.get(key)]  # fmt: skip
    why = f"it has {', '.join(changed)}" if changed else "it is still going on"
    return (
        f"{path} holds another run, unfinished after epoch {len(state['history'])}: {why:.300}. This run starts from "
        "the beginning; set the same again to go on with that one, or delete the file."
    )


class Run:
    """What a run leaves on disk: its record, the checkpoint of its best weights, and the state to go on from.

    A context manager: at its end other runs may write to that state.

    Args:
        config: the run's parameters; where its paths are None, nothing is left there.
        device: what it runs on.
        images: fingerprints of the "train" and "val" images.
        same: plain values, besides those of config and images, that must be the same in a run that goes on.
        about: what environment.json says, besides the fingerprints.

    Attributes:
        former: the state of the stopped run that this one goes on with, or None.
        described: the run's name and the fingerprints.
        record: a RunRecord, or None.
        checkpoint: where the best weights are to be kept, a file of the run's own, or None.
    """

    def __init__(self, config: Config, device: torch.device, images: dict, same: dict, about: dict):
        self.former = self.record = self.checkpoint = self._state = None
        self._next = 0.0  # when a state that takes long may be written again
        self.described = {"name": f"{run_name(config)}-{uuid.uuid4().hex[:4]}"} | images
        self._save_path = config.save_path and Path(config.save_path)
        if self._save_path:
            same = config.determining() | images | same
            self._state = LastState(self._save_path, config.model, self.described["name"], same, config.resume)
            self.former = self._state.content
        if self.former:
            self.described = self.former["run"]
            epochs, name = len(self.former["history"]), self.described["name"]
            print(f"{self._state.path}: going on after epoch {epochs} of {name}")
        try:
            if config.record_path and self.former and self.former["record"] and Path(self.former["record"]).is_dir():
                self.record = RunRecord.reopen(self.former["record"], self.former["history"])
            elif config.record_path:
                about = about | {f"{part}_fingerprint": value for part, value in images.items()}
                self.record = RunRecord(config.record_path, config, environment(device) | about)
                self.described["name"] = self.record.folder.name
        except OSError:
            self.__exit__()
            raise
        if self._state:
            path = self._save_path
            self.checkpoint = path.with_name(f"{path.stem}.{self.described['name']}{path.suffix}")
            remove_unfinished(self.checkpoint)
            self._state.own |= {"run": self.described, "record": self.record and str(self.record.folder)}

    def write(self, at_once: bool, **content) -> bool:
        """Write the state at an epoch's end: history, best and training; return whether it was written.

        One that takes long is written in a tenth of the time only, unless `at_once`.
        """
        start = time.perf_counter()
        if not self._state or (start < self._next and not at_once):
            return False
        self._state.write(**content)
        seconds = time.perf_counter() - start
        self._next = start + 10 * seconds if seconds > LONG else 0.0
        return True

    def publish(self, history: list[dict], best_epoch: int | None, metrics: dict | None, finished: bool) -> Path | None:
        """Note the best epoch in the record, move its checkpoint to where the best is, and return where it went."""
        if self.record and history:
            self.record.log(f"epoch {best_epoch} is the best: its weights are kept")
            seconds = sum(row["seconds"] for row in history)
            self.record.metrics(best_epoch=best_epoch, seconds=seconds, validation=metrics)
        if not self._state:
            return None
        path = checkpoints.publish(self.checkpoint, self._save_path) if history else self.checkpoint
        self._state.finish(finished)
        return path

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *error) -> None:
        if self._state:
            self._state.close()


@contextmanager
def postponed_interrupt() -> Iterator[threading.Event]:
    """Within it, an interrupt of the kernel, or Ctrl-C, only sets the event that it gives; the second acts at once."""
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():  # which alone may handle signals
        yield interrupted
        return
    former = signal.getsignal(signal.SIGINT) or signal.default_int_handler

    def handle(number, frame):
        interrupted.set()
        signal.signal(signal.SIGINT, former)

    signal.signal(signal.SIGINT, handle)
    try:
        yield interrupted
    finally:
        signal.signal(signal.SIGINT, former)
