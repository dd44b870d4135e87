"""Every tensor of a run on CUDA is on the device that it must be on, and no step waits for the device.

Traced without a GPU: a FakeTensor has a shape and a device, but no data. An operation on tensors of two devices is an
error, and so is one that has to read data, such as `.item()`, which on CUDA waits for all that was queued.
"""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode, unset_fake_temporarily

from config import Config
from dataset import CharDataset
from imaging.input_spec import InputSpec
from models import build
from training import augmentation, optimizer
from training.backend import Backend, select_backend
from training.evaluation import predict_logits
from training.loader import PerImageLoader, ResidentLoader, make_loader
from training.trainer import Trainer

CUDA, CLASSES = torch.device("cuda"), 3
SPEC = InputSpec(32, (28, 28))
OLD = torch.__version__ < "2.11" and not torch.cuda.is_available()
pytestmark = [
    pytest.mark.skipif(OLD, reason="this version of torch traces CUDA only with a driver"),
    pytest.mark.filterwarnings(
        "ignore:CUDA is not available",
        "ignore:Accessing the data pointer of FakeTensor",
        "ignore:User provided device_type",
    ),
]


@pytest.fixture
def images():
    pixels = np.random.default_rng(0).integers(0, 256, (33, 28, 28)).astype(np.uint8)
    return CharDataset(pixels, np.arange(33) % CLASSES)


def copy_module(module: nn.Module) -> nn.Module:
    """Copy a module of FakeTensors, whose storage copy.deepcopy would read."""
    copies = {id(tensor): tensor.detach().clone() for tensor in module.buffers()}
    copies |= {id(tensor): nn.Parameter(tensor.detach().clone()) for tensor in module.parameters()}
    return copy.deepcopy(module, copies)


def pixels(loader: ResidentLoader, chosen: torch.Tensor) -> torch.Tensor:
    """Replace ResidentLoader._pixels, which indexes an array with numbers that a FakeTensor does not have."""
    if loader._resident is not None:
        return loader._resident[chosen]
    return torch.zeros(len(chosen), 28, 28, dtype=torch.uint8)


@pytest.fixture
def tracing(monkeypatch):
    """Trace, on a machine that seems to have a GPU with 1 GiB free."""
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (2**30, 2**30))
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **options: True)
    monkeypatch.setattr(torch.Tensor, "pin_memory", lambda tensor: tensor)
    monkeypatch.setattr(torch.Tensor, "backward", lambda loss: None)  # the engine for CUDA needs a GPU
    monkeypatch.setattr(optimizer, "copy", SimpleNamespace(deepcopy=copy_module))
    monkeypatch.setattr(ResidentLoader, "_pixels", pixels)
    caches = augmentation.resize_matrix, augmentation._grid_basis
    for cache in caches:
        cache.cache_clear()
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield
    for cache in caches:
        cache.cache_clear()


def trainer_on(device: torch.device, config: Config, images: CharDataset) -> Trainer:
    with device:
        model = build(config.model, 1, CLASSES)
    backend = select_backend(config, model, CUDA) if device == CUDA else Backend()
    loaders = [make_loader(images, SPEC, config, device, training) for training in (True, False)]
    for loader in loaders:
        if isinstance(loader, PerImageLoader):
            with unset_fake_temporarily():  # torch's DataLoader reads numbers that it draws, on the CPU
                batches = list(loader._loader)
            loader._loader = [[tensor.clone() for tensor in batch] for batch in batches]  # FakeTensors on the CPU
    return Trainer(config, model, backend, *loaders, epochs=2)


def take_steps(trainer: Trainer) -> None:
    for batch, labels in trainer.train_loader:
        assert batch.device.type == labels.device.type == "cuda"
        loss, correct = trainer.train_step(batch, labels)
        assert loss.device.type == correct.device.type == "cuda"
    logits, labels = predict_logits(trainer.ema_model, trainer.val_loader)
    assert logits.shape == (33, CLASSES) and logits.device.type == labels.device.type == "cpu"


RUNS = [
    pytest.param(dict(model=model, pipeline=pipeline, optimizer=name), id=f"{model}-{pipeline}-{name}")
    for model in ("LeNet", "ResNet18")
    for pipeline, name in (("resident", "adamw"), ("per_image", "adam"))
]


@pytest.mark.parametrize("run", RUNS)
def test_steps_and_evaluation(run, images, tracing):
    trainer = trainer_on(CUDA, Config(batch_size=16, input_size=32, **run), images)
    assert {tensor.device.type for tensor in trainer.model.state_dict().values()} == {"cuda"}
    take_steps(trainer)


def test_images_that_the_device_has_no_room_for_are_streamed(images, tracing, monkeypatch):
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device=None: (2**10, 2**30))
    trainer = trainer_on(CUDA, Config(batch_size=16), images)
    assert trainer.train_loader._resident is None
    take_steps(trainer)


@pytest.mark.parametrize("model", ["LeNet", "ResNet18"])
def test_a_state_that_was_written_on_a_cpu_goes_on(model, images, tracing):
    config = Config(model=model, batch_size=16, input_size=32)
    on_cpu = trainer_on(torch.device("cpu"), config, images)
    for batch, labels in on_cpu.train_loader:
        on_cpu.train_step(batch, labels)
    trainer = trainer_on(CUDA, config, images)
    trainer.load_state_dict(on_cpu.state_dict())
    take_steps(trainer)


def test_tracing_finds_what_is_on_the_wrong_device_and_what_waits(tracing):
    with pytest.raises(Exception, match="two different devices|same device"):
        torch.ones(2, device=CUDA) + torch.ones(2)
    with pytest.raises(DataDependentOutputException):
        bool(torch.ones(2, device=CUDA).sum() > 1)
