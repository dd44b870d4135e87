"""The Trainer takes torch's own steps, keeps the best epoch, and knows no file."""

import copy
import math
import os
import signal
import threading

import numpy as np
import pytest
import torch
from conftest import same, without_seconds
from torch.nn import functional

from classifier import CNNClassifier
from common.errors import TrainingError
from config import Config
from dataset import CharDataset
from imaging.input_spec import InputSpec
from metrics import MIN_VALIDATION, fit_temperature, kept_epoch
from models import LeNet
from training.backend import Backend
from training.evaluation import Predictions, predict_logits, score
from training.loader import make_loader
from training.optimizer import one_cycle
from training.trainer import Trainer, stuck_at_chance

CPU = torch.device("cpu")


def make_trainer(train: CharDataset, val: CharDataset | None = None, epochs: int = 2, **changes) -> Trainer:
    """Return a Trainer of a LeNet whose first weights are always the same, which writes nothing."""
    config = Config(**{"epochs": epochs, "batch_size": 100, "record_path": None, "save_path": None} | changes)
    spec = InputSpec(32, (28, 28))
    torch.manual_seed(0)
    val_loader = make_loader(val, spec, config, CPU) if val else None
    return Trainer(config, LeNet(1, 12), Backend(), make_loader(train, spec, config, CPU, True), val_loader, epochs)


# ---------------------------------------------------------------------------------------------- steps and epochs


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_steps_are_those_of_torch(optimizer):
    torch.manual_seed(0)
    config = Config(optimizer=optimizer, weight_decay=0.1, label_smoothing=0.2, ema_decay=0.0, warmup=0.5)
    model = LeNet(1, 3)
    theirs = copy.deepcopy(model)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
    reference = kind(theirs.parameters(), weight_decay=0.1)
    batches = [(torch.rand(6, 1, 32, 32), torch.randint(0, 3, (6,))) for _ in range(4)]
    trainer = Trainer(config, model, Backend(), batches)
    for step, (x, y) in enumerate(batches):
        logits = theirs(x)
        loss = functional.cross_entropy(logits, y, label_smoothing=0.2)
        reference.param_groups[0]["lr"] = config.learning_rate * one_cycle(step, 4, 0.5)
        reference.zero_grad()
        loss.backward()
        reference.step()
        our_loss, correct = trainer.train_step(x, y)
        torch.testing.assert_close(our_loss, loss.detach())
        assert int(correct) == int((logits.argmax(1) == y).sum()) and trainer.global_step == step + 1
    for ours, other in zip(model.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours, other, atol=1e-5, rtol=1e-4)


def test_an_epoch_gives_the_mean_loss_and_the_accuracy():
    batches = [(torch.rand(n, 1, 32, 32), torch.randint(0, 3, (n,))) for n in (6, 2)]
    trainer = Trainer(Config(), LeNet(1, 3), Backend(), batches)
    results, step = [], trainer.train_step
    trainer.train_step = lambda *batch: results.append(step(*batch)) or results[-1]
    result = trainer.train_epoch(batches, threading.Event())
    (first, first_correct), (second, second_correct) = results
    assert result["loss"] == pytest.approx(float(6 * first + 2 * second) / 8)
    assert (result["accuracy"], result["n"]) == (int(first_correct + second_correct) / 8, 8)


def test_the_rate_follows_the_schedule_and_the_averaged_weights_are_kept(drawn):
    trainer = make_trainer(drawn, epochs=4)  # five steps per epoch
    live = []
    trainer.on_epoch_end.append(lambda trainer: live.append(copy.deepcopy(trainer.model.state_dict())))
    history = trainer.run()
    rate, warmup = trainer.config.learning_rate, trainer.config.warmup
    expected = [rate * one_cycle(step, 20, warmup) for step in (4, 9, 14, 19)]
    assert [row["learning_rate"] for row in history] == pytest.approx(expected) and trainer.global_step == 20
    assert same(trainer.model.state_dict(), trainer.ema_model.state_dict())
    assert not torch.equal(live[-1]["fc7.weight"], trainer.model.fc7.weight)


# ---------------------------------------------------------------------------------------------- callbacks, state


def test_callbacks_are_called_in_order_at_each_event(halves):
    trainer, calls = make_trainer(*halves), []
    for event in ("on_run_end", "on_epoch_end"):
        for name in ("first", "second"):

            def callback(one, event=event, name=name):
                assert one is trainer
                calls.append((event, name, len(one.history), one.best["epoch"] <= len(one.history), one.finished))

            getattr(trainer, event).append(callback)
    assert trainer.run() is trainer.history
    assert calls == [
        ("on_epoch_end", "first", 1, True, False), ("on_epoch_end", "second", 1, True, False),
        ("on_epoch_end", "first", 2, True, False), ("on_epoch_end", "second", 2, True, False),
        ("on_run_end", "first", 2, True, True), ("on_run_end", "second", 2, True, True),
    ]  # fmt: skip


def test_run_end_finds_the_best_weights_loaded(halves):
    trainer, found = make_trainer(*halves, epochs=3, learning_rate=0.03, schedule="constant"), []
    trainer.on_run_end.append(lambda one: found.append(same(one.model.state_dict(), one.best["state_dict"])))
    history = trainer.run()
    assert found == [True]
    best = max(history, key=lambda row: (row["val_accuracy"], -row["val_loss"]))
    assert trainer.best["epoch"] == best["epoch"]
    assert (trainer.best["metrics"]["accuracy"], trainer.best["metrics"]["n"]) == (best["val_accuracy"], best["val_n"])


def test_it_writes_no_file_and_prints_nothing(halves, tmp_path, monkeypatch, capfd):
    trainer, opened, original = make_trainer(*halves, epochs=1), [], open

    def watched(file, mode="r", *arguments, **options):
        if set(mode) & set("wax+"):
            opened.append(file)
        return original(file, mode, *arguments, **options)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("builtins.open", watched)
    trainer.run()
    monkeypatch.undo()
    assert opened == list(tmp_path.iterdir()) == [] and capfd.readouterr() == ("", "")


def test_a_state_continues_bit_for_bit(halves):
    states, whole = [], make_trainer(*halves, epochs=4)
    whole.on_epoch_end.append(lambda trainer: states.append(copy.deepcopy(trainer.state_dict())))
    whole.run()
    continued = make_trainer(*halves, epochs=4)
    with torch.no_grad():
        continued.model.fc7.weight.zero_()  # whatever it had before
    continued.load_state_dict(states[1])
    assert len(continued.history) == 2 and continued.global_step == 8
    continued.run()
    assert without_seconds(continued.history) == without_seconds(whole.history)
    assert same(continued.model.state_dict(), whole.model.state_dict())
    assert same(continued.ema_model.state_dict(), whole.ema_model.state_dict())


def test_an_interrupt_leaves_the_run_unfinished(halves):
    trainer, found = make_trainer(*halves), []
    trainer.on_epoch_end.append(lambda trainer: os.kill(os.getpid(), signal.SIGINT))
    trainer.on_run_end.append(lambda trainer: found.append((len(trainer.history), trainer.finished)))
    assert len(trainer.run()) == 1 and found == [(1, False)]
    assert same(trainer.model.state_dict(), trainer.best["state_dict"])


def test_the_kept_epochs_weights_are_a_copy(halves):
    trainer, weights = make_trainer(*halves, epochs=6), []
    trainer.on_epoch_end.append(lambda one: weights.append(copy.deepcopy(one.ema_model.state_dict())))
    history = trainer.run()
    kept = kept_epoch(history)[0]["epoch"]
    assert trainer.best["epoch"] == kept and same(trainer.model.state_dict(), weights[kept - 1])


def test_the_temperature_is_fitted_to_the_validation_images(halves):
    trainer = make_trainer(*halves)
    trainer.run()
    logits, labels = predict_logits(trainer.model, trainer.val_loader)
    assert trainer.temperature == fit_temperature(logits.numpy(), labels.numpy()) != 1
    assert trainer.best["metrics"] == score(Predictions.from_logits(logits / trainer.temperature, labels))
    few = make_trainer(halves[0], halves[1].subset(range(MIN_VALIDATION - 1)), epochs=3)
    few.run()
    assert few.temperature == 1 and few.best["epoch"] == 3


# ---------------------------------------------------------------------------------------------- what goes wrong


def break_step(monkeypatch, number: int) -> None:
    """Let the images of one step be NaN."""
    step, count = Trainer.train_step, []

    def breaking(self, images, labels):
        count.append(1)
        return step(self, images * float("nan") if len(count) == number else images, labels)

    monkeypatch.setattr(Trainer, "train_step", breaking)


def test_a_loss_that_is_not_finite_stops_the_run(halves, quick, tmp_path, monkeypatch, capsys):
    break_step(monkeypatch, 9)
    config = quick(epochs=4, batch_size=64, learning_rate=0.02)
    classifier = CNNClassifier(config, halves[0].classes)
    with pytest.raises(TrainingError) as caught:
        classifier.fit(*halves)
    rate = 0.02 * one_cycle(8, 24, config.warmup)
    assert str(caught.value) == (
        f"epoch 2: the loss is nan in batch 3 of 6, at a learning rate of {rate:.2g}: try learning_rate=0.002, or "
        "precision='float32'"
    )
    assert classifier.best_epoch_ == 1 and np.isfinite(classifier.predict_proba(halves[1])).all()
    loaded = CNNClassifier.load(tmp_path / "save/LeNet_best.ckpt", device="cpu")
    assert loaded.best_epoch_ == 1
    monkeypatch.undo()
    CNNClassifier(config, halves[0].classes).fit(*halves)
    assert "continuing" not in capsys.readouterr().out, "it would fail again"


@pytest.mark.parametrize("number, ends", [(1, []), (5, [(1, True)])])
def test_a_failure_ends_the_run_for_good(drawn, monkeypatch, number, ends):
    break_step(monkeypatch, number)
    trainer, found = make_trainer(drawn.subset(range(0, 480, 2)), batch_size=64), []  # four steps per epoch
    trainer.on_run_end.append(lambda trainer: found.append((len(trainer.history), trainer.finished)))
    with pytest.raises(TrainingError, match=f"^epoch {len(ends) + 1}: the loss is nan in batch 1 of 4, "):
        trainer.run()
    assert found == ends and trainer.finished
    assert all(weight.isfinite().all() for weight in trainer.model.parameters()) == bool(ends)


def test_a_run_that_stays_at_chance_says_so(halves, quick, capsys):
    config = quick(epochs=6, recipe="report", learning_rate=1e-9)
    CNNClassifier(config, halves[0].classes).fit(halves[0].subset(range(0, 384, 2)))
    line = "The loss is no better than chance after 5 epochs: try another learning_rate.\n"
    assert capsys.readouterr().out.count(line) == 1
    config = Config(epochs=10, batch_size=32, learning_rate=0.01, device="cpu", record_path=None, save_path=None)
    CNNClassifier(config, halves[0].classes).fit(*halves)
    assert "chance" not in capsys.readouterr().out


def test_chance_is_judged_once_five_epochs_after_the_warmup():
    def judged(config, losses):
        history = [{"train_loss": loss, "train_n": 480} for loss in losses]
        return [stuck_at_chance(config, history[:n], 12) for n in range(1, len(history) + 1)]

    chance, constant, rising = math.log(12), Config(recipe="report"), Config(epochs=20, warmup=0.2)
    assert judged(constant, [chance] * 8) == [False] * 4 + [True] + [False] * 3
    assert judged(rising, [chance] * 12) == [False] * 8 + [True] + [False] * 3
    assert not any(judged(constant, [chance] * 4 + [0.97 * chance] + [chance] * 3))
