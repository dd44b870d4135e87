"""The progress bar shows the last epoch and leaves the lines below it alone."""

import logging
from types import SimpleNamespace

import pytest

from metrics import format_epoch
from training.progress import ProgressBar

ROWS = [
    {f"{part}_{key}": value for part in ("train", "val") for key, value in values.items()} | {"epoch": epoch}
    for epoch, values in enumerate(
        [{"loss": loss, "accuracy": 0.75, "low": 0.5, "high": 0.875, "n": 8} for loss in (1.5, 0.25)], 1
    )
]


def test_it_shows_name_epochs_and_the_last_scores(capsys):
    bar = ProgressBar("LeNet 8a7e8d55", epochs=3)
    for n in (1, 2):
        bar.on_epoch_end(SimpleNamespace(history=ROWS[:n]))
    bar.close()
    out, err = capsys.readouterr()
    last = out.rstrip("\n").split("\r")[-1]
    assert last.startswith("LeNet 8a7e8d55:") and "2/3" in last
    shown = last.split("epoch/s, ")[1].rstrip("]")  # older versions of tqdm cut it at the terminal's width
    assert len(shown) >= 20 and format_epoch(ROWS[1]).startswith(shown)
    assert "val loss 0.2500  val accuracy 75.00% (50.00% to 87.50%, n = 8)" in last
    assert out.endswith("\n") and err == "", "what follows stands below the bar"


def test_it_begins_where_an_interrupted_run_ended(capsys):
    bar = ProgressBar("run", epochs=10, done=7)
    bar.on_epoch_end(SimpleNamespace(history=ROWS))
    bar.close()
    out = capsys.readouterr().out
    assert "7/10" in out.split("\r")[1] and "8/10" in out.split("\r")[-1]


def test_it_is_closed_once_whatever_happens(capsys):
    with pytest.raises(KeyboardInterrupt), ProgressBar("run", epochs=2) as progress:
        progress.on_epoch_end(SimpleNamespace(history=ROWS))
        raise KeyboardInterrupt
    out = capsys.readouterr().out
    assert out.endswith("\n") and "1/2" in out
    progress.close(SimpleNamespace(history=ROWS))  # as the trainer's callback
    assert capsys.readouterr().out == ""


def test_a_log_line_stands_on_a_line_of_its_own(capsys):
    with ProgressBar("run", epochs=2) as progress:
        logging.getLogger("fit_char").warning("mind the gap")
        progress.on_epoch_end(SimpleNamespace(history=ROWS))
    lines = [line.rpartition("\r")[2].strip() for line in capsys.readouterr().out.split("\n")]
    assert lines[0] == "mind the gap" and lines[1].startswith("run:")
