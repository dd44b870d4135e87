"""The progress bar of a run, a callback of the trainer."""

import sys

from tqdm import tqdm

from metrics import format_epoch
from training.distributed import is_main


class ProgressBar:
    """A bar of epochs on standard output; a context manager that closes it.

    Args:
        name: of the run.
        epochs: of the whole run.
        done: epochs that were trained before an interrupt.
    """

    def __init__(self, name: str, epochs: int, done: int = 0):
        self._bar = tqdm(desc=name, total=epochs, initial=done, unit="epoch", file=sys.stdout, disable=not is_main())

    def on_epoch_end(self, trainer) -> None:
        """Show the last epoch of a Trainer."""
        self._bar.set_postfix_str(format_epoch(trainer.history[-1]), refresh=False)
        self._bar.update()

    def close(self, trainer=None) -> None:
        """Leave the bar as it is, so that later lines stand below it."""
        self._bar.close()

    def __enter__(self) -> "ProgressBar":
        return self

    def __exit__(self, *error) -> None:
        self.close()
