"""Training curves that are redrawn in the notebook while a run goes on."""

import io
import time
from pathlib import Path

import plots
from common.files import write_atomically


def draw_curves(history: list[dict], folder: Path | None, epochs: int, augmented: bool = True) -> bytes:
    """Return the curves of a run so far as a PNG file, and save them in its record, also if it will be interrupted."""
    buffer = io.BytesIO()
    plots.curves(history, epochs, augmented).savefig(buffer)
    png = buffer.getvalue()
    if folder:
        write_atomically(folder / "curves.png", lambda file: file.write(png))
    return png


class LiveCurves:
    """A callback of `fit` that redraws the curves in place, in at most 5 % of the run's time, and saves them.

    Args:
        epochs: of the whole run.
        augmented: see `plots.curves`.
    """

    def __init__(self, epochs: int, augmented: bool = True):
        from IPython.display import Pretty, display

        self.epochs = epochs
        self.augmented = augmented
        self._next = 0.0
        # Shown before the progress bar, which it would otherwise cut in two.
        self._display = display(Pretty("The curves appear after the first epoch."), display_id=True)

    def __call__(self, history: list[dict], folder: Path | None) -> None:
        is_last = len(history) == self.epochs
        start = time.perf_counter()
        if start < self._next and not is_last:
            return
        self._update(draw_curves(history, folder, self.epochs, self.augmented))
        self._next = time.perf_counter() + 30 * (time.perf_counter() - start)

    def _update(self, png: bytes) -> None:
        from IPython.display import Image

        if self._display:  # there is none outside of a notebook
            self._display.update(Image(png))
