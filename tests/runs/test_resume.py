"""A stopped run goes on as if nothing had been; other runs keep their files to themselves."""

import contextlib
import csv
import json
import os
import signal
import threading

import numpy as np
import pytest
import torch

from classifier import CNNClassifier
from common.errors import StorageError, TrainingError
from config import Config
from dataset import split
from runs.record import read_runs
from runs.resume import LastState, postponed_interrupt


@pytest.fixture
def halves(drawn):
    return split(drawn, 0.2)


class Stop(Exception):
    """Stands for whatever ends a process."""


def stop_after(epoch: int):
    def callback(history, folder):
        if len(history) == epoch:
            raise Stop

    return callback


def same(one: dict, other: dict) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def fitted(config, halves, stop=None) -> CNNClassifier:
    classifier = CNNClassifier(config, halves[0].classes)
    callbacks = [stop_after(stop)] if stop else []
    with contextlib.suppress(Stop):
        classifier.fit(*halves, callbacks)
    return classifier


def timeless(history) -> list[dict]:
    return [{key: value for key, value in row.items() if key != "seconds"} for row in history]


@pytest.mark.parametrize("recipe", ["default", "report"])
def test_a_stopped_run_goes_on_as_if_nothing_had_been(halves, quick, tmp_path, capsys, recipe):
    options = {"recipe": recipe, "epochs": 5, "batch_size": 64, "learning_rate": 0.01}
    whole = fitted(quick(**options, save_path=str(tmp_path / "whole/best.ckpt")), halves)
    stopped = fitted(quick(**options), halves, stop=2)
    folder = stopped.record_.folder
    with open(folder / "history.csv", "a") as file:
        file.write("3,of an epoch whose end was not reached\n")
    capsys.readouterr()
    resumed = fitted(quick(**options), halves)
    assert f"going on after epoch 2 of {folder.name}" in capsys.readouterr().out
    assert timeless(resumed.history_) == timeless(whole.history_)
    assert same(resumed.model.state_dict(), whole.model.state_dict())
    assert (resumed.best_epoch_, resumed.metrics_) == (whole.best_epoch_, whole.metrics_)
    kept, other = (torch.load(c.checkpoint_, weights_only=True) for c in (resumed, whole))
    assert same(kept["state_dict"], other["state_dict"]) and kept["metrics"] == other["metrics"]
    assert resumed.record_.folder == folder and len(list((tmp_path / "record").iterdir())) == 2
    with open(folder / "history.csv", encoding="utf-8") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4", "5"]
    assert json.loads((folder / "metrics.json").read_text())["best_epoch"] == whole.best_epoch_
    fitted(quick(**options), halves)  # a finished run is not gone on with
    assert "going on" not in capsys.readouterr().out


def test_what_differs_starts_afresh_and_says_why(halves, quick, tmp_path, capsys):
    fitted(quick(epochs=4), halves, stop=2)
    other = fitted(quick(epochs=5), halves)
    said = capsys.readouterr().out
    assert "unfinished after epoch 2: it has epochs 4, now 5. This run starts from the beginning" in said
    assert len(other.history_) == 5
    assert [path.name for path in (tmp_path / "save").glob("*LeNet_last*") if "lock" not in path.name] == [
        "LeNet_last.ckpt"
    ], "a finished run's own file goes"
    assert [path.name for path in (tmp_path / "save").glob(".*_last*.lock")] in ([], [".LeNet_last.ckpt.lock"])
    fitted(quick(epochs=4), (halves[0].subset(range(100)), halves[1]), stop=1)
    assert "it has train '" in capsys.readouterr().out
    fitted(quick(epochs=4, resume=False), halves, stop=1)
    assert "going on" not in capsys.readouterr().out
    fitted(quick(epochs=4), halves)  # the first is still there
    assert "going on after epoch 2" in capsys.readouterr().out


def test_a_state_that_takes_long_is_written_in_a_tenth_of_the_time(halves, quick, monkeypatch):
    written, now = [], [100.0]

    def write(self, **content):
        written.append(len(content["history"]))
        now[0] += 2.0

    monkeypatch.setattr("runs.resume.LONG", 1.0)
    monkeypatch.setattr(LastState, "write", write)
    monkeypatch.setattr("runs.resume.time.perf_counter", lambda: now[0])

    def an_epoch_takes_6_seconds(history, folder):
        now[0] += 6.0

    CNNClassifier(quick(epochs=9), halves[0].classes).fit(*halves, [an_epoch_takes_6_seconds])
    assert written == [1, 4, 7, 9]


def test_two_live_runs_have_a_file_each(tmp_path):
    first, second = (LastState(tmp_path / "best.ckpt", "LeNet", name, {"a": 1}, True) for name in ("x", "y"))
    assert (first.path.name, second.path.name) == ("LeNet_last.ckpt", "LeNet_last.y.ckpt")
    for state in (first, second):
        state.own |= {"run": {}, "record": None}
        state.write(history=[{}], best={}, training={})
        state.close()
    again = [LastState(tmp_path / "best.ckpt", "LeNet", "z", {"a": 1}, True) for _ in range(3)]
    assert [state.path.name for state in again] == ["LeNet_last.ckpt", "LeNet_last.y.ckpt", "LeNet_last.z.ckpt"]
    assert [state.content is None for state in again] == [False, False, True]


def test_a_run_that_cannot_begin_lets_the_next_one_have_its_file(halves, quick, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written") as caught:
        CNNClassifier(quick(record_path=str(tmp_path / "file/record")), halves[0].classes).fit(*halves)
    CNNClassifier(quick(), halves[0].classes).fit(*halves)
    assert list(tmp_path.glob("save/LeNet_last*")) == [tmp_path / "save/LeNet_last.ckpt"], caught


def test_a_save_folder_that_cannot_be_is_named(halves, quick, tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StorageError, match="file cannot be written"):
        fitted(quick(save_path=str(tmp_path / "file/best.ckpt"), record_path=None), halves)


def test_a_damaged_state_is_said_and_left(halves, quick, tmp_path, capsys):
    (tmp_path / "save").mkdir()
    (tmp_path / "save/LeNet_last.ckpt").write_bytes(b"not a state")
    fitted(quick(), halves)
    assert "; it is left as it is" in capsys.readouterr().out
    assert (tmp_path / "save/LeNet_last.ckpt").read_bytes() == b"not a state"


@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupt_ends_the_fit_at_the_next_batch(halves, quick, tmp_path, capsys, epoch, monkeypatch):
    """The best weights so far are there, one sentence is printed, and the next call goes on."""
    config = quick(epochs=4, batch_size=64, learning_rate=0.01)
    whole = fitted(quick(epochs=4, batch_size=64, learning_rate=0.01, save_path=str(tmp_path / "w/b.ckpt")), halves)
    from training.trainer import Training

    step, taken = Training.step, []

    def interrupting(self, *batch):
        taken.append(1)
        if len(taken) == 6 * (epoch - 1) + 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *batch)

    monkeypatch.setattr(Training, "step", interrupting)
    classifier = fitted(config, halves)
    monkeypatch.undo()
    assert len(taken) == 6 * (epoch - 1) + 3, "it stops after the batch"
    assert f"Interrupted in epoch {epoch}: the best weights so far are kept. Run again" in capsys.readouterr().out
    assert [run["epochs"] for run in read_runs(config.record_path)] == [4] * (1 + (epoch > 1)), (
        "one without an epoch is none"
    )
    assert len(classifier.history_) == epoch - 1 and classifier.evaluate(halves[1])["n"] == len(halves[1])
    assert CNNClassifier.load(classifier.checkpoint_, device="cpu").predict(halves[1].x[:3]).shape == (3,)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    again = fitted(config, halves)
    assert timeless(again.history_) == timeless(whole.history_)
    assert same(again.model.state_dict(), whole.model.state_dict())


def test_a_second_interrupt_acts_at_once():
    with pytest.raises(KeyboardInterrupt), postponed_interrupt() as interrupted:
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted.is_set()
        os.kill(os.getpid(), signal.SIGINT)
    found = []

    def elsewhere():
        with postponed_interrupt() as event:  # only the main thread may handle signals
            found.append(event.is_set())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [False]


def test_a_loss_that_is_not_finite_stops_the_run(halves, quick, tmp_path, monkeypatch):
    from training.trainer import Training

    step, taken = Training.step, []

    def breaking(self, images, labels):
        taken.append(1)
        return step(self, images * float("nan") if len(taken) == 9 else images, labels)

    monkeypatch.setattr(Training, "step", breaking)
    classifier = CNNClassifier(quick(epochs=4, batch_size=64, learning_rate=0.02), halves[0].classes)
    with pytest.raises(TrainingError) as caught:
        classifier.fit(*halves)
    assert str(caught.value).startswith("epoch 2: the loss is nan in batch 3 of 6, at a learning rate of 0.0")
    assert "try learning_rate=0.002, or precision='float32'" in str(caught.value)
    assert classifier.best_epoch_ == 1 and np.isfinite(classifier.predict_proba(halves[1])).all()
    loaded = CNNClassifier.load(tmp_path / "save/LeNet_best.ckpt", device="cpu")
    assert loaded.best_epoch_ == 1


def test_a_run_that_learns_nothing_says_so(halves, quick, capsys):
    fitted(quick(epochs=6, recipe="report", learning_rate=1e-9), halves)
    said = capsys.readouterr().out
    assert said.count("no better than chance after 5 epochs") == 1 and "try another learning_rate" in said
    fitted(Config(epochs=12, batch_size=32, learning_rate=0.01, device="cpu", record_path=None, save_path=None), halves)
    assert "chance" not in capsys.readouterr().out


def test_random_numbers_of_the_user_are_kept(halves, quick):
    import random

    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    fitted(quick(), halves)
    found = random.random(), np.random.rand(), torch.rand(()).item()
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    assert found == (random.random(), np.random.rand(), torch.rand(()).item())
