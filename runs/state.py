"""The state from which an interrupted run continues, in a file that only one live run writes to."""

import logging
import os
import re
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

from common.errors import InputError, StorageError
from common.files import NO_LOCKS, remove_unfinished, try_lock
from config import ALIASES
from runs import checkpoint
from runs.identity import ADDED

log = logging.getLogger("fit_char")


def _is_plain(identity: dict) -> bool:
    """Return whether all values are plain or, as the names of classes, lists of texts."""
    return all(
        isinstance(value, checkpoint.PLAIN)
        or (isinstance(value, list) and all(isinstance(name, str) for name in value))
        for value in identity.values()
    )


STATE_SCHEMA: dict[str, tuple] = {
    "identity": (dict, _is_plain),  # all that must be the same in the run that continues
    "run": (dict, checkpoint.is_run),  # its name, and the fingerprints of its images
    "record": (str | None, None),  # the folder
    "history": (dict | list, len),  # its columns; in files of earlier versions, a dict per epoch
    "best": (dict, None),  # epoch, metrics, state_dict
    "training": (dict, None),  # of `Trainer.state_dict`
}


def is_state_name(name: str) -> bool:
    """Return whether a file of that name may be a state: <model>_last.ckpt or <model>_last.<run>.ckpt."""
    return re.fullmatch(r"\w+_last(\..+)?\.ckpt", name) is not None


def read_state(path: Path, tensors: bool = True) -> dict:
    """Read a state; without its tensors in no time, however large it is. Raises InputError."""
    state = checkpoint.read(path, STATE_SCHEMA, tensors)
    renamed = ALIASES | {"image size": "input size"}  # in states of format 1
    state["identity"] = {renamed.get(key, key): value for key, value in state["identity"].items()}
    if isinstance(state["history"], dict):
        state["history"] = _rows(path, state["history"])
    return state


def _columns(history: list[dict]) -> dict[str, list]:
    """Return a dict per epoch as a dict of columns, a fifth of the steps to read: epochs may be 100,000."""
    return {key: [row[key] for row in history] for key in history[0]}


def _rows(path: Path, columns: dict) -> list[dict]:
    """Return columns as a dict per epoch. Raises InputError."""
    values = list(columns.values())
    if not all(isinstance(column, list) and 0 < len(column) == len(values[0]) for column in values):
        raise InputError(f"{path} is not a usable checkpoint: the columns of its history differ in length")
    return [dict(zip(columns, row, strict=True)) for row in zip(*values, strict=True)]


def _is_unfinished(state: dict) -> bool:
    return not state.get("finished", False)  # earlier versions kept the states of finished runs


class StateFile:
    """The file `<model>_last.ckpt` beside the best checkpoint, which only one live run writes to.

    If an unfinished run of other parameters, or a live one, has that file, it is `<model>_last.<run>.ckpt`.

    Args:
        save_path: of the best checkpoint.
        model, run: names of the model and of the run.
        identity: plain values that must be the same in a run that continues.
        resume: whether to continue an unfinished run of the same identity.
        start: the name of the run whose weights this one starts from, if any. It may be the run to continue, which was
            killed when its weights had taken the place of those that it started from.

    Attributes:
        path: the file.
        identity: as given.
        content: the state to continue from, or None if the run starts from the beginning.

    Raises:
        StorageError: the folder cannot be written, or does not support locks.
    """

    content: dict | None = None

    def __init__(self, save_path: Path, model: str, run: str, identity: dict, resume: bool, start: str | None = None):
        self.identity, self._start = identity, start
        self.path = self._usual = save_path.with_name(f"{model}_last.ckpt")
        self._lock: FileLock | None = None
        states = _read_states(save_path.parent, model)
        for path, state in states.items():
            if resume and self._continues(state) and self._lock_if(path, self._read):
                return
        _log_states(states)
        if self._lock_if(self._usual, _is_free):
            return
        if resume and self._usual in states:
            log.info(self._why_not(states[self._usual]))
        own = save_path.with_name(f"{model}_last.{run}.ckpt")
        if not self._lock_if(own, lambda path: True):  # nobody else knows this name
            raise StorageError(f"{own} cannot be locked: {NO_LOCKS} or choose another folder")

    def _lock_if(self, path: Path, is_wanted: Callable[[Path], bool]) -> bool:
        """Keep other runs from the file and, now that it cannot change, return whether it is wanted; else let it go."""
        lock = try_lock(path)
        if lock is None:
            return False
        if not is_wanted(path):
            lock.release()
            return False
        self.path, self._lock = path, lock
        remove_unfinished(path)
        return True

    def _read(self, path: Path) -> bool:
        """Read the state to continue from, and return whether it still is one."""
        try:
            state = read_state(path)
        except InputError as error:  # finished and gone since its identity was read, or damaged
            log.warning("%s", error)
            return False
        self.content = state if self._continues(state) else None
        return self.content is not None

    def _differing(self, state: dict) -> list[str]:
        """Return the keys in which the identity of a state differs from that of this run."""
        former = self._former(state)
        keys = [key for key in self.identity | former if former.get(key) != self.identity.get(key)]
        if "processes" in keys:  # the run may go on in more or fewer of them, which have fewer or more threads
            keys = [key for key in keys if key not in ("processes", "threads")]
        started_from_itself = self._start is not None and state["run"]["name"] == self._start
        return [] if started_from_itself and keys == ["first weights"] else keys

    def _former(self, state: dict) -> dict:
        return {key: self.identity[key] for key in ADDED if key in self.identity} | state["identity"]

    def _continues(self, state: dict) -> bool:
        return _is_unfinished(state) and not self._differing(state)

    def _why_not(self, state: dict) -> str:
        """Return why this run does not continue from a state."""
        former = self._former(state)
        changed = [f"{key} {former.get(key)!r}, now {self.identity.get(key)!r}" for key in self._differing(state)]
        why = f"it has {', '.join(changed)}" if changed else "it is still running"
        return (
            f"{self._usual} holds another run, unfinished after epoch {len(state['history'])}: {why:.300}. This run "
            "starts from the beginning; set the same parameters again to continue that one, or delete the file "
            f"({state['bytes'] / 1e6:.1f} MB)."
        )

    def write(self, **content) -> None:
        """Write the state at the end of an epoch, completely or not at all."""
        content |= {"identity": self.identity, "history": _columns(content["history"])}
        checkpoint.write(self.path, content)

    def finish(self) -> None:
        """Delete the state: there is nothing left to continue."""
        self.path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let other runs write to the file."""
        if self._lock is None:
            return
        self._lock.release()
        if self.path != self._usual and not self.path.exists():
            Path(self._lock.lock_file).unlink(missing_ok=True)


def _is_free(path: Path) -> bool:
    """Return whether there is no file at a path, or only the state of a finished run."""
    try:
        return not os.path.lexists(path) or not _is_unfinished(read_state(path, tensors=False))
    except InputError:
        return False


def _read_states(folder: Path, model: str) -> dict[Path, dict]:
    """Return the states in a folder that can be read, without their tensors, the usual name first."""
    states = {}
    for path in (folder / f"{model}_last.ckpt", *sorted(folder.glob(f"{model}_last.*.ckpt"))):
        try:
            states[path] = {"bytes": path.stat().st_size} | read_state(path, tensors=False)
        except InputError as error:
            log.warning("%s; it is left as it is", error)
        except FileNotFoundError:  # or its run has just finished
            continue
    return states


def unfinished_identities(save_path: Path, model: str) -> list[dict]:
    """Return what identifies each unfinished run of a model beside a checkpoint, parameters and more (`StateFile`)."""
    states = _read_states(save_path.parent, model)
    return [state["identity"] for state in states.values() if _is_unfinished(state)]


def _log_states(states: dict[Path, dict]) -> None:
    """Name the states of other unfinished runs, and how to remove them."""
    unfinished = [path for path, state in states.items() if _is_unfinished(state)]
    if len(unfinished) > 1:
        names = ", ".join(f"{path.name} ({states[path]['bytes'] / 1e6:.1f} MB)" for path in unfinished)
        folder = str(unfinished[0].parent)
        log.info("%s holds unfinished runs: %s. runs.state.remove_states(%r) deletes them.", folder, names, folder)


def remove_states(folder: str | Path) -> list[Path]:
    """Delete the states of all runs in a folder that are not running, log each with its size, and return their paths.

    Those runs cannot be continued any more; their checkpoints and records stay. Raises StorageError.
    """
    removed = []
    for path in sorted(path for path in Path(folder).glob("*.ckpt") if is_state_name(path.name)):
        lock = try_lock(path)
        if lock is None:
            log.info("%s stays: its run is still running", path)
            continue
        try:
            read_state(path, tensors=False)
            log.info("%s removed (%.1f MB)", path, path.stat().st_size / 1e6)
            path.unlink()
            removed.append(path)
        except InputError as error:
            log.warning("%s; it is left as it is", error)
        finally:
            lock.release()
    return removed
