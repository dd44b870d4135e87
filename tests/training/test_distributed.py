"""Several processes train as one does: the same batches, gradients, counts and decisions."""

import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from benchmarks.common import NOTHING_SAVED, together
from classifier import CNNClassifier
from common.errors import InputError, LostProcessError
from common.seeds import set_seed
from config import Config
from dataset import CharDataset, split
from imaging.input_spec import InputSpec
from models import LeNet, ResNet18
from training import distributed
from training.backend import Backend
from training.interrupt import deferred_interrupt
from training.loader import make_loader
from training.optimizer import learning_rate
from training.trainer import Trainer

CPU = torch.device("cpu")


def some(drawn: CharDataset, count: int) -> CharDataset:
    """Return `count` of the drawn characters, of all classes. Processes are given them: drawing takes two seconds."""
    return drawn.subset(np.arange(count) * len(drawn) // count)


def weights_of(model: nn.Module) -> dict[str, np.ndarray]:
    return {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}


def assert_close(ours: dict, theirs: dict, atol: float) -> None:
    assert ours.keys() == theirs.keys()
    for name, values in ours.items():
        np.testing.assert_allclose(values, theirs[name], atol=atol, rtol=0, err_msg=name)


# ---------------------------------------------------------------------------------------------- one and many


def with_sgd(trainer: Trainer) -> Trainer:
    """Return a trainer whose steps are as large as the gradient: Adam's would turn the rounding of a 0 into a step."""
    trainer.optimizer = torch.optim.SGD([trainer._weights], momentum=0.9)
    return trainer


def train_lenet(data: CharDataset, pipeline: str = "resident") -> dict:
    """Train for two epochs on batches of 50, validate on 61 images, and return what is to be the same."""
    config = Config(epochs=2, batch_size=50, precision="float32", pipeline=pipeline, learning_rate=0.1, **NOTHING_SAVED)
    images, spec = len(data) - 61, InputSpec(32, (28, 28))
    train, val = data.subset(range(images)), data.subset(range(images, images + 61))
    torch.manual_seed(distributed.is_main())  # the first weights are those of the main process
    mine = val.subset(np.arange(61)[distributed.share(61)])
    loaders = make_loader(train, spec, config, CPU, True), make_loader(mine, spec, config, CPU)
    weights = torch.linspace(0.5, 1.5, 12) if pipeline == "per_image" else None
    trainer = with_sgd(Trainer(config, LeNet(1, 12), Backend(), *loaders, 2, weights))
    trainer.run()
    rows = [{key: value for key, value in row.items() if key != "seconds"} for row in trainer.history]
    return {"weights": weights_of(trainer.model), "rows": rows, "temperature": trainer.temperature}


RESNET = Config(model="ResNet18", epochs=1, batch_size=16, precision="float32", learning_rate=1e-6, **NOTHING_SAVED)


def resnet_trainer(drawn: CharDataset) -> Trainer:
    torch.manual_seed(0)
    loader = make_loader(some(drawn, 43), InputSpec(32, (28, 28)), RESNET, CPU, True)  # the last batch has 11 images
    return with_sgd(Trainer(replace(RESNET, ema_decay=0.0), ResNet18(1, 12), Backend(), loader))


def train_resnet(drawn: CharDataset) -> dict:
    trainer = resnet_trainer(drawn)
    trainer.run()
    return weights_of(trainer.model)


def resnet_reference(drawn: CharDataset, parts: list[list[slice]]) -> dict:
    """Return the weights that a plain loop gives, whose batches are normalized part by part."""
    trainer = resnet_trainer(drawn)
    model, optimizer = trainer.model.train(), trainer.optimizer
    set_seed(RESNET.random_seed * 100_003 + 1)
    for step, ((images, labels), slices) in enumerate(zip(trainer.train_loader, parts, strict=True)):
        optimizer.zero_grad(set_to_none=False)
        before = [buffer.clone() for buffer in model.buffers()]
        after = []
        for part in slices:
            for buffer, value in zip(model.buffers(), before, strict=True):
                buffer.copy_(value)
            loss = functional.cross_entropy(
                model(images[part]), labels[part], reduction="sum", label_smoothing=RESNET.label_smoothing
            )
            (loss / len(labels)).backward()
            after.append([buffer.clone() for buffer in model.buffers()])
        for buffer, *values in zip(model.buffers(), *after, strict=True):
            buffer.copy_(torch.stack(values).double().mean(0))
        optimizer.param_groups[0]["lr"] = learning_rate(RESNET, step, 3)
        optimizer.step()
    return weights_of(model)


def train_lenets(drawn: CharDataset) -> dict:
    """Train LeNet on 203 images, and on 101 by the other pipeline."""
    return {name: train_lenet(some(drawn, count), name) for name, count in (("resident", 264), ("per_image", 162))}


def try_everything(drawn: CharDataset) -> dict:
    """Return what two processes say of each part of `training.distributed`, and what they train."""
    rank = int(os.environ["RANK"])
    event = distributed.CommonEvent(threading.Event())
    calls = 0
    while not event.is_set():
        calls += 1
        if calls == 3 and rank == 1:
            event._event.set()
    errors = []
    for guilty in (0, 1):
        try:
            with distributed.common_errors():
                if rank == guilty:
                    raise InputError("no such file")
        except InputError as error:
            errors.append(str(error))
    tensor = torch.tensor([float(rank), 1.0])
    distributed.average([tensor])
    with deferred_interrupt(second_acts=False) as interrupted:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)
    return {
        "calls": calls, "still set": event.is_set(), "errors": errors, "average": tensor.tolist(),
        "gathered": distributed.gather(rank), "from the first": distributed.broadcast(lambda: f"of {rank}"),
        "interrupted": interrupted.is_set(), "lenets": train_lenets(drawn), "resnet": train_resnet(drawn),
    }  # fmt: skip


def test_two_processes_do_what_one_does(drawn):
    first, second = together(2, try_everything, drawn)
    assert first["calls"] == second["calls"] == 4, "one call after it was set"
    assert first["still set"] and second["still set"] and first["interrupted"]
    assert first["errors"] == ["no such file", "process 1: no such file"]
    assert second["errors"] == ["no such file", "no such file"]
    assert first["average"] == [0.5, 1.0] and first["gathered"] == [0, 1] and second["from the first"] == "of 0"
    for name, alone in train_lenets(drawn).items():
        assert_same_runs([first["lenets"][name], second["lenets"][name]], alone)
    reference = resnet_reference(drawn, [[slice(0, 8), slice(8, 16)]] * 2 + [[slice(0, 6), slice(6, 11)]])
    assert_close(first["resnet"], second["resnet"], 0)
    start = weights_of(resnet_trainer(drawn).model)
    for name, before in start.items():  # steps are so small that they do not amplify the rounding of earlier ones
        ours, theirs = first["resnet"][name] - before, reference[name] - before
        rounding = np.spacing(np.abs(before).max())  # of a weight, which may be a few per cent of so small a step
        assert np.abs(ours - theirs).max() <= 0.02 * np.abs(theirs).max() + rounding, name


def assert_same_runs(runs: list[dict], alone: dict) -> None:
    for other in runs[1:]:
        assert other["rows"] == runs[0]["rows"], "all have the same history"
        assert_close(other["weights"], runs[0]["weights"], 0)
    assert_close(runs[0]["weights"], alone["weights"], 1e-5)
    assert runs[0]["temperature"] == pytest.approx(alone["temperature"], rel=1e-3)
    for row, other in zip(runs[0]["rows"], alone["rows"], strict=True):
        assert row == pytest.approx(other, rel=1e-4)
        assert (row["train_n"], row["val_n"]) == (other["train_n"], 61)


def fit(config: Config, data: CharDataset, interrupted_in: int | None = None) -> dict:
    """Fit LeNet as one of several processes, of which the last is interrupted in a batch of that number."""
    train, val = split(data, 0.25)
    classifier, steps, step = CNNClassifier(config, train.classes), [], Trainer.train_step

    def counted(self, *batch):
        steps.append(len(batch[1]))
        if len(steps) == interrupted_in and int(os.environ["RANK"]) == int(os.environ["WORLD_SIZE"]) - 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, *batch)

    Trainer.train_step = counted
    classifier.fit(train, val)
    record = classifier.record_.folder if classifier.record_ else None
    return {"epochs": len(classifier.history_), "steps": steps, "record": record, "saved": classifier.checkpoint_}


def test_an_interrupt_stops_all_and_the_run_goes_on_in_any_number_of_processes(quick, drawn, tmp_path):
    """The steps of an epoch have 50, 50, 50 and 30 images."""
    config, data = quick(batch_size=50, epochs=3), some(drawn, 240)
    first, second = together(2, fit, config, data, 6)
    assert first["epochs"] == second["epochs"] == 1
    assert first["steps"] == second["steps"] and len(first["steps"]) in (6, 7), "at most one batch after it"
    assert first["record"] and not second["record"] and not second["saved"]
    assert len(list((tmp_path / "record").iterdir())) == 1
    several = together(4, fit, config, data, 6)
    assert [one["epochs"] for one in several] == [2] * 4 and several[0]["record"] == first["record"]
    assert sum(one["steps"][3] for one in several) == 30, "every image once"
    train, val = split(data, 0.25)
    alone = CNNClassifier(config, train.classes)
    assert len(alone.fit(train, val)) == 3 and alone.record_.folder == first["record"]
    log = (first["record"] / "log.txt").read_text()
    assert "Those epochs ran in 2 processes, the next in 4: sums are rounded differently." in log
    assert "Those epochs ran in 4 processes, the next in 1: sums are rounded differently." in log
    assert log.count("  Interrupted in epoch ") == 2 and [row["train_n"] for row in alone.history_] == [180] * 3


# ---------------------------------------------------------------------------------------------- shares


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 50, 51])
@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_shares_are_a_partition_in_which_nobody_has_a_single_image(monkeypatch, count, number):
    monkeypatch.setattr(distributed, "processes", lambda: number)
    parts = []
    for rank in range(number):
        monkeypatch.setattr(distributed, "_rank", lambda rank=rank: rank)
        parts.append(torch.arange(count)[distributed.share(count)])
    assert torch.cat(parts).tolist() == list(range(count))
    sizes = [len(part) for part in parts]
    assert sizes[0] > 0 and (1 not in sizes or count == 1)
    if count >= 2 * number:
        assert sizes == [len(part) for part in torch.arange(count).tensor_split(number)]


def test_a_loaders_shares_are_its_batches(drawn, monkeypatch):
    """The images and their augmentation are those that a single process sees."""
    data = some(drawn, 203)
    for pipeline in ("resident", "per_image"):
        loader = make_loader(data, InputSpec(32, (28, 28)), Config(batch_size=50, pipeline=pipeline), CPU, True)
        set_seed(5)
        whole = list(loader)
        monkeypatch.setattr(distributed, "processes", lambda: 3)
        shares = []
        for rank in range(3):
            monkeypatch.setattr(distributed, "_rank", lambda rank=rank: rank)
            set_seed(5)
            shares.append(list(loader))
        monkeypatch.undo()
        for (images, labels), *parts in zip(whole, *shares, strict=True):
            torch.testing.assert_close(torch.cat([part for part, _ in parts]), images, atol=1e-6, rtol=0)
            assert torch.equal(torch.cat([part for _, part in parts]), labels)
        assert [len(labels) for _, labels in shares[2]] == [16, 16, 16, 16, 0]


# ---------------------------------------------------------------------------------------------- what goes wrong


def test_a_group_needs_a_device_for_each_process(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR"):
        monkeypatch.setenv(name, "0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    for device, said in (
        ("cuda", "2 processes on this machine for cuda, of 1 GPUs: start one per GPU, with device='cuda'"),
        ("mps", "processes cannot train together on mps: set device='cpu'"),
    ):
        with pytest.raises(InputError) as caught, distributed.process_group(torch.device(device)):
            raise AssertionError
        assert str(caught.value) == said


def test_a_process_that_is_gone_is_an_error_that_says_how_to_go_on():
    with pytest.raises(LostProcessError, match="run the same command again to continue"), distributed._connected():
        raise RuntimeError("Connection closed by peer\nmore")


def test_other_images_in_another_process_are_refused(quick, drawn, monkeypatch):
    monkeypatch.setattr(distributed, "gather", lambda value: [value, {"train": "other"}])
    with pytest.raises(InputError, match="process 1 has other images than the first: give all machines the same data"):
        CNNClassifier(quick(), drawn.classes).fit(drawn)
