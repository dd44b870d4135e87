"""What lets a stopped run go on: the state that every epoch leaves, and an interrupt that waits for the batch's end."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

import checkpoints
from config import InputError
from init import remove_unfinished

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
        folder.mkdir(parents=True, exist_ok=True)
        usual = folder / f"{model}_last.ckpt"
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
        remove_unfinished(path)
        return True

    def write(self, **content) -> None:
        """Write the state at an epoch's end, whole or not at all."""
        checkpoints.write(self.path, self.own | content)

    def finish(self, finished: bool) -> None:
        """Note whether there is nothing left to go on with."""
        if finished and self.path.exists():
            checkpoints.write(self.path, checkpoints.read(self.path, CONTENT) | {"finished": True})

    def close(self) -> None:
        """Let other runs write to the file."""
        self._lock.release()


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
