"""Each part of the recipe does what it is called, beside torch's own."""

import copy
import threading

import pytest
import torch
from torch.nn import functional

import classifier as room
from classifier import CNNClassifier
from config import Config
from models import LeNet
from training.trainer import Training, one_cycle

PLAIN = {"bfloat16": False, "channels_last": False, "fused": False, "compile": False}


@pytest.mark.parametrize("optimizer", ["adam", "adamw"])
def test_steps_are_those_of_torch(optimizer):
    torch.manual_seed(0)
    config = Config(optimizer=optimizer, weight_decay=0.1, label_smoothing=0.2, weight_average=0.0, warmup=0.5)
    model = LeNet(1, 3)
    theirs = copy.deepcopy(model)
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[optimizer]
    reference = kind(theirs.parameters(), weight_decay=0.1)
    training = Training(config, model, PLAIN, steps=4)
    for step in range(4):
        x, y = torch.rand(6, 1, 32, 32), torch.randint(0, 3, (6,))
        loss = functional.cross_entropy(theirs(x), y, label_smoothing=0.2)
        reference.param_groups[0]["lr"] = config.learning_rate * one_cycle(step, 4, 0.5)
        reference.zero_grad()
        loss.backward()
        reference.step()
        torch.testing.assert_close(training.step(x, y)[0], loss.detach())
    for ours, other in zip(model.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(ours, other, atol=1e-5, rtol=1e-4)


def test_an_epoch_gives_the_mean_loss_and_the_share_read_rightly():
    training = Training(Config(), LeNet(1, 3), PLAIN, steps=2)
    batches = [(torch.rand(n, 1, 32, 32), torch.randint(0, 3, (n,))) for n in (6, 2)]
    taken, step = [], training.step
    training.step = lambda *batch: taken.append(step(*batch)) or taken[-1]
    result = training.epoch(batches, threading.Event())
    (first, right), (second, also) = taken
    assert result["loss"] == pytest.approx(float(6 * first + 2 * second) / 8)
    assert (result["accuracy"], result["n"]) == (int(right + also) / 8, 8)


def test_the_rate_follows_the_schedule_and_the_averaged_weights_are_kept(drawn, quick, monkeypatch):
    made = []

    class Watched(Training):
        def __init__(self, *arguments):
            super().__init__(*arguments)
            made.append(self)

        def epoch(self, *arguments):
            result = super().epoch(*arguments)
            self.live = copy.deepcopy(self.model.state_dict())
            return result

    monkeypatch.setattr(room, "Training", Watched)
    config = quick(epochs=4, batch_size=100)  # five steps an epoch
    classifier = CNNClassifier(config, drawn.classes)
    history = classifier.fit(drawn)
    expected = [config.learning_rate * one_cycle(step, 20, config.warmup) for step in (4, 9, 14, 19)]
    assert [row["learning_rate"] for row in history] == pytest.approx(expected)
    (training,) = made
    for name, kept in classifier.model.state_dict().items():
        assert torch.equal(kept, training.averaged.state_dict()[name])
    assert not torch.equal(training.live["fc7.weight"], classifier.model.fc7.weight)
