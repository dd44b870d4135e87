"""The training pipelines that benchmarks.speed compares: ours, the report's, a plain loop, and those of four libraries.

Each takes a CharDataset and the options of that benchmark, and returns the seconds of its last epoch.
"""

import os
import tempfile
import time
from functools import partial
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms

from benchmarks.common import CLASSES, NOTHING_SAVED
from classifier import CNNClassifier
from config import AUGMENTATION, Config
from dataset import CharDataset
from init import pick_device
from models import MODELS

EPOCHS = 4  # per round: three to warm up, one to measure


def new_model(options) -> nn.Module:
    return MODELS[options.model](1, len(CLASSES))


def report_loader(images: CharDataset, options) -> DataLoader:
    """Return the report's batches: torchvision's transforms, image by image."""
    transform = transforms.Compose([transforms.Resize((options.size, options.size)), transforms.ToTensor()])
    return DataLoader(images.with_transform(transform), batch_size=options.batch_size, shuffle=True)


def resized(images: CharDataset, size: int) -> torch.Tensor:
    """Return the images as float (N, 1, size, size) in [0, 1]."""
    x = torch.from_numpy(images.x)[:, None] / 255
    return functional.interpolate(x, (size, size), mode="bilinear", antialias=True)


def ours(images, options, **changes) -> float:
    """Our recipe, with changes."""
    config = Config(
        model=options.model, epochs=EPOCHS, batch_size=options.batch_size, input_size=options.size,
        device=options.device, **NOTHING_SAVED, **changes,
    )  # fmt: skip
    return CNNClassifier(config, CLASSES).fit(images)[-1]["seconds"]


def report(images, options) -> float:
    """The report's: a Dataset with torchvision's transforms, a DataLoader, Adam, a loop."""
    device, loader = pick_device(options.device), report_loader(images, options)
    model = new_model(options).to(device)
    criterion, optimizer = nn.CrossEntropyLoss(), torch.optim.Adam(model.parameters(), lr=0.001)
    for _ in range(EPOCHS):
        start, total = time.perf_counter(), 0.0
        for x, y in loader:
            x, y = x.to(device), y.to(device)
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            total += loss.item()
    return time.perf_counter() - start


def plain_loop(images, options) -> float:
    """A loop over a tensor of resized images that lies on the device."""
    device = pick_device(options.device)
    x, y = resized(images, options.size).to(device), torch.from_numpy(images.y).to(device)
    model = new_model(options).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    for _ in range(EPOCHS):
        start = time.perf_counter()
        for batch in torch.randperm(len(x), device=device).split(options.batch_size):
            loss = functional.cross_entropy(model(x[batch]), y[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        loss.item()  # waits for the device
    return time.perf_counter() - start


def lightning(images, options) -> float:
    """A LightningModule and the Trainer, with the report's loader."""
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = new_model(options)

        def training_step(self, batch, index):
            x, y = batch
            return functional.cross_entropy(self.model(x), y)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.001)

        def on_train_epoch_start(self):
            self.start = time.perf_counter()

        def on_train_epoch_end(self):
            self.seconds = time.perf_counter() - self.start

    module = Module()
    trainer = L.Trainer(
        max_epochs=EPOCHS, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu" if options.device == "cpu" else "auto",
    )  # fmt: skip
    trainer.fit(module, report_loader(images, options))
    return module.seconds


def skorch(images, options) -> float:
    """A NeuralNetClassifier on an array of resized images."""
    from skorch import NeuralNetClassifier

    net = NeuralNetClassifier(
        new_model(options), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam, lr=0.001, max_epochs=EPOCHS,
        batch_size=options.batch_size, train_split=None, verbose=0, iterator_train__shuffle=True,
        device=str(pick_device(options.device)),
    )  # fmt: skip
    net.fit(resized(images, options.size).numpy(), images.y)
    return net.history[-1]["dur"]


def keras(images, options) -> float:
    """LeNet as a Sequential model on an array of resized images."""
    os.environ.setdefault("KERAS_BACKEND", "torch")
    import keras
    from keras import layers

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds = time.perf_counter() - self.start

    model = keras.Sequential([
        layers.Input((options.size, options.size, 1)),
        layers.Conv2D(6, 5, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(16, 5, activation="relu"), layers.MaxPooling2D(2),
        layers.Conv2D(120, 5, activation="relu"), layers.Flatten(),
        layers.Dense(84, activation="relu"), layers.Dense(len(CLASSES), activation="softmax"),
    ])  # fmt: skip
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    clock, x = Clock(), resized(images, options.size).permute(0, 2, 3, 1).numpy()
    model.fit(x, images.y, batch_size=options.batch_size, epochs=EPOCHS, verbose=0, callbacks=[clock])
    return clock.seconds


def fastai(images, options) -> float:
    """A Learner with loaders from a folder of PNG files."""
    from fastai.vision.all import Callback, ImageDataLoaders, Learner, PILImageBW, Resize, accuracy

    class Clock(Callback):
        def before_train(self):
            self.start = time.perf_counter()

        def after_train(self):
            self.seconds = time.perf_counter() - self.start

    with tempfile.TemporaryDirectory() as folder:
        for i, (image, label) in enumerate(zip(images.x, images.y, strict=True)):
            path = Path(folder) / str(label)
            path.mkdir(exist_ok=True)
            Image.fromarray(image).save(path / f"{i}.png")
        loaders = ImageDataLoaders.from_folder(
            folder, valid_pct=0.1, item_tfms=Resize(options.size), bs=options.batch_size, num_workers=0,
            img_cls=PILImageBW, device=pick_device(options.device),
        )  # fmt: skip
        learner = Learner(loaders, new_model(options), loss_func=nn.CrossEntropyLoss(), metrics=accuracy)
        clock = Clock()
        with learner.no_bar(), learner.no_logging():
            learner.fit(EPOCHS, cbs=[clock])
    return clock.seconds * len(images) / len(loaders.train_ds)  # it needs some images to validate on


NOT_AUGMENTED = dict.fromkeys(AUGMENTATION, 0)  # as in the other pipelines
PIPELINES = {
    "ours": partial(ours, **NOT_AUGMENTED), "ours, augmented": ours, "plain loop": plain_loop, "report": report,
    "Keras": keras, "Lightning": lightning, "skorch": skorch, "fastai": fastai,
    "ours, compiled": partial(ours, compile="on", **NOT_AUGMENTED),
}  # fmt: skip
