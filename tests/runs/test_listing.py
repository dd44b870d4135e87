"""A folder of checkpoints says what they are."""

import contextlib
import time

import numpy as np
import torch

from classifier import CNNClassifier
from common.files import try_lock
from dataset import split
from runs.listing import format_checkpoints, list_checkpoints
from runs.state import remove_states


class Stop(Exception):
    """Ends a run."""


def test_checkpoints_are_listed_with_what_they_are(drawn, quick, tmp_path):
    few = drawn.subset(drawn.y < 12)
    CNNClassifier(quick(), few.classes).fit(*split(few, 0.2))
    other = drawn.subset(np.arange(0, 480, 2))
    CNNClassifier(quick(), other.classes).fit(*split(other, 0.3))

    def stop(history, folder):
        raise Stop

    with contextlib.suppress(Stop):
        CNNClassifier(quick(epochs=5), few.classes).fit(*split(few, 0.2), [stop])
    CNNClassifier(quick(), ["a", "b"]).save(tmp_path / "save/by_hand.ckpt")
    (tmp_path / "save/notes.txt").write_text("mine")
    (tmp_path / "save/folder.ckpt").mkdir()
    found = list_checkpoints(tmp_path / "save")
    by_kind = {one["file"].split(".")[0]: one for one in found}
    assert len(found) == 5 and [one["modified"] for one in found] == sorted(one["modified"] for one in found)[::-1]
    best, state = by_kind["LeNet_best"], by_kind["LeNet_last"]
    best = next(one for one in found if one["file"] == "LeNet_best.ckpt")
    assert (best["kind"], best["model"], best["classes"]) == ("weights", "LeNet", 12)
    assert best["source"] == state["source"] == "drawn for a test"
    assert best["n"] == 72 and best["low"] <= best["accuracy"] <= best["high"] and best["epoch"] <= 2
    assert best["bytes"] == (tmp_path / "save/LeNet_best.ckpt").stat().st_size
    assert (state["kind"], state["model"], state["classes"], state["epoch"]) == ("unfinished run", "LeNet", 12, 1)
    assert (by_kind["by_hand"]["source"], by_kind["by_hand"]["n"], by_kind["by_hand"]["epoch"]) == ("", None, None)
    kept = [one["file"] for one in found if ".drawn-for-a-test" in one["file"]]
    assert len(kept) == 2 and all(name.startswith("LeNet_best.2") and "_LeNet_" in name for name in kept)
    lines = format_checkpoints(found).splitlines()
    assert len(lines) == 6 and lines[0].split() == (
        ["modified", "MB", "model", "classes", "epoch", "validation", "accuracy", "file,", "images"]
    )
    (line,) = (line for line in lines if "LeNet_last" in line)
    assert line.startswith(time.strftime("%Y-")) and line.endswith("LeNet_last.ckpt (unfinished run), drawn for a test")
    assert any(line.endswith("not validated                         by_hand.ckpt") for line in lines)


def test_the_states_of_runs_that_do_not_run_are_removed(drawn, quick, tmp_path, capsys):
    folder = tmp_path / "save"

    def stop(history, folder):
        raise Stop

    for epochs in (3, 4, 5):
        with contextlib.suppress(Stop):
            CNNClassifier(quick(epochs=epochs), drawn.classes).fit(*split(drawn, 0.2), [stop])
    first, second, third = sorted(folder.glob("LeNet_last*"))
    out = capsys.readouterr().out
    assert f"{folder} holds unfinished runs: LeNet_last.ckpt (1.2 MB), LeNet_last.2" in out
    assert f"MB). runs.state.remove_states('{folder}') deletes them.\n" in out
    (folder / "LeNet_last.mine.ckpt").write_bytes(b"mine")
    torch.save({"mine": 1}, folder / "theirs_last.ckpt")
    lock = try_lock(second)
    assert remove_states(folder) == [first, third]
    out = capsys.readouterr().out
    assert f"{first} removed (1.2 MB)\n" in out and f"{second} stays: its run is still running\n" in out
    lock.release()
    assert remove_states(folder) == [second]
    left = {path.name for path in folder.glob("[!.]*")}
    assert {"LeNet_last.mine.ckpt", "theirs_last.ckpt"} < left and len(left) == 5, "and the weights of three runs"
