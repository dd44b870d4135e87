"""An interrupt waits for the end of a batch; a second one acts at once."""

import os
import signal
import sys
import threading

import pytest
import torch
from conftest import without_seconds

from classifier import CNNClassifier
from common.errors import LostProcessError
from runs.comparison import read_runs
from training.interrupt import deferred_interrupt
from training.trainer import Trainer


@pytest.mark.parametrize("epoch", [1, 3])
def test_an_interrupt_ends_the_fit_at_the_next_batch(halves, quick, tmp_path, capsys, epoch, monkeypatch):
    """The best weights so far are there, one sentence is printed, and the next call continues."""
    options = {"epochs": 4, "batch_size": 64, "learning_rate": 0.01}  # six batches per epoch
    config = quick(**options)
    whole = CNNClassifier(quick(**options, save_path=str(tmp_path / "w/b.ckpt")), halves[0].classes)
    whole.fit(*halves)
    step, steps = Trainer.train_step, []

    def interrupting(self, *batch):
        steps.append(1)
        if len(steps) == 6 * (epoch - 1) + 3:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *batch)

    monkeypatch.setattr(Trainer, "train_step", interrupting)
    classifier = CNNClassifier(config, halves[0].classes)
    classifier.fit(*halves)
    monkeypatch.undo()
    assert len(steps) == 6 * (epoch - 1) + 3, "it stops after the batch"
    assert len(classifier.history_) == epoch - 1 and classifier.evaluate(halves[1])["n"] == len(halves[1])
    records, saved = list((tmp_path / "record").iterdir()), list((tmp_path / "save").glob("*.*"))
    if epoch == 1:
        assert "Interrupted in epoch 1: nothing is kept.\n" in capsys.readouterr().out
        assert (classifier.checkpoint_, classifier.record_) == (None, None)
        assert len(records) == 1 and not [path for path in saved if not path.name.startswith(".")]
    else:
        where = f"in {classifier.checkpoint_}. Run again to continue.\n"
        assert f"Interrupted in epoch 3: the best weights so far are {where}" in capsys.readouterr().out
        assert len(records) == 2 and len(read_runs(config.record_path)) == 2
        assert CNNClassifier.load(classifier.checkpoint_, device="cpu").predict(halves[1].x[:3]).shape == (3,)
        assert not (tmp_path / "save/LeNet_best.ckpt").exists(), "it is that of a finished run"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    again = CNNClassifier(config, halves[0].classes)
    again.fit(*halves)
    assert without_seconds(again.history_) == without_seconds(whole.history_)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(again.model.state_dict()[name], tensor)


@pytest.mark.skipif(sys.platform == "win32", reason="its signals are those of POSIX")
def test_a_signal_to_end_leaves_a_run_that_can_go_on(halves, quick, capsys):
    config = quick(epochs=3)
    with deferred_interrupt() as interrupted:
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupted.is_set() and signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "a second one ends it"

    def stop(history, folder):
        os.kill(os.getpid(), signal.SIGTERM)

    CNNClassifier(config, halves[0].classes).fit(*halves, [stop])
    assert "Interrupted in epoch 2: the best weights so far are in " in capsys.readouterr().out
    assert len(CNNClassifier(config, halves[0].classes).fit(*halves)) == 3
    assert "continuing after epoch 1 of " in capsys.readouterr().out


@pytest.mark.skipif(sys.platform == "win32", reason="its signals are those of POSIX")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_ignored_stays_ignored(number):
    former = signal.signal(number, signal.SIG_IGN)
    try:
        with deferred_interrupt() as interrupted:
            os.kill(os.getpid(), number)
            assert not interrupted.is_set() and signal.getsignal(number) is signal.SIG_IGN
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, former)


def test_the_first_interrupt_sets_the_event_and_the_second_acts_at_once():
    with pytest.raises(KeyboardInterrupt), deferred_interrupt() as interrupted:
        assert not interrupted.is_set()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted.is_set()
        os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_users_handler_is_back_afterwards(request):
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, signal.default_int_handler))
    received = []
    handler = lambda number, frame: received.append(number)  # noqa: E731
    signal.signal(signal.SIGINT, handler)
    with deferred_interrupt():
        assert signal.getsignal(signal.SIGINT) is not handler
    with pytest.raises(ValueError, match="mine"), deferred_interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        assert received == []
        os.kill(os.getpid(), signal.SIGINT)
        assert received == [signal.SIGINT]
        raise ValueError("mine")
    assert signal.getsignal(signal.SIGINT) is handler


def test_in_another_thread_nothing_is_handled():
    found, handler = [], signal.getsignal(signal.SIGINT)

    def elsewhere():
        with deferred_interrupt() as event:  # only the main thread may handle signals
            found.append((event.is_set(), signal.getsignal(signal.SIGINT) is handler))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert found == [(False, True)]


def test_a_process_whose_fellow_is_lost_says_so_before_it_is_ended():
    """torchrun ends the others of a group with SIGTERM, which may come while the error is on its way to its reader."""
    former = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(LostProcessError, match="gone"), deferred_interrupt(second_acts=False):
            raise LostProcessError("gone")
        os.kill(os.getpid(), signal.SIGTERM)  # would end this process
        assert signal.getsignal(signal.SIGTERM) is not former
    finally:
        for number, handler in ((signal.SIGTERM, former), (signal.SIGINT, signal.default_int_handler)):
            signal.signal(number, handler)
