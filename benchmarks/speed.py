"""Training speed, images/s: ours beside the report's pipeline, a plain loop, Keras, Lightning, skorch and fastai.

    python benchmarks/speed.py                                       LeNet, an epoch of 6,696 drawn characters
    python benchmarks/speed.py --model ResNet18 --images 128         at 224, as in the report
    python benchmarks/speed.py --rounds 1 --images 256 --only ours report
    python benchmarks/speed.py --only ours "ours, compiled"          for which torch.compile needs a C++ compiler

Every pipeline has a process of its own and trains four epochs a round, of which the last counts; the rounds alternate
between the pipelines. The peers are used as their documentation tells a newcomer to; those that are not installed are
left out (pip install -r benchmarks/requirements.txt). The table goes to the terminal, the figures to a JSON file.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "torch")
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader
from torchvision import transforms

from classifier import CNNClassifier
from config import Config
from dataset import CharDataset
from init import pick_device
from models import MODELS
from readers import strokes
from runs.record import environment

EPOCHS = 4  # a round: three to warm up, one to measure
CLASSES = list(strokes.CHARACTERS)


def ours(images, options, **changes) -> float:
    config = Config(
        model=options.model, epochs=EPOCHS, batch_size=options.batch_size, image_size=options.size,
        device=options.device, record_path=None, save_path=None, **changes,
    )  # fmt: skip
    return CNNClassifier(config, CLASSES).fit(images)[-1]["seconds"]


def ours_plain(images, options, **changes) -> float:
    return ours(images, options, rotation=0, scale=0, shear=0, shift=0, elastic=0, **changes)


def ours_compiled(images, options) -> float:
    return ours_plain(images, options, compile="on")


def report(images, options) -> float:
    """The report's: a Dataset with torchvision's transforms, a DataLoader, Adam, a loop."""
    device, size = pick_device(options.device), options.size
    prepared = images.with_transform(transforms.Compose([transforms.Resize((size, size)), transforms.ToTensor()]))
    loader = DataLoader(prepared, batch_size=options.batch_size, shuffle=True)
    model = MODELS[options.model](1, len(CLASSES)).to(device)
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
    model = MODELS[options.model](1, len(CLASSES)).to(device)
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
    import lightning as L

    class Module(L.LightningModule):
        def __init__(self):
            super().__init__()
            self.model = MODELS[options.model](1, len(CLASSES))

        def training_step(self, batch, index):
            x, y = batch
            return functional.cross_entropy(self.model(x), y)

        def configure_optimizers(self):
            return torch.optim.Adam(self.parameters(), lr=0.001)

        def on_train_epoch_start(self):
            self.start = time.perf_counter()

        def on_train_epoch_end(self):
            self.seconds = time.perf_counter() - self.start

    transform = transforms.Compose([transforms.Resize((options.size, options.size)), transforms.ToTensor()])
    module = Module()
    trainer = L.Trainer(
        max_epochs=EPOCHS, logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, accelerator="cpu" if options.device == "cpu" else "auto",
    )  # fmt: skip
    trainer.fit(module, DataLoader(images.with_transform(transform), batch_size=options.batch_size, shuffle=True))
    return module.seconds


def skorch(images, options) -> float:
    from skorch import NeuralNetClassifier

    net = NeuralNetClassifier(
        MODELS[options.model](1, len(CLASSES)), criterion=nn.CrossEntropyLoss, optimizer=torch.optim.Adam,
        lr=0.001, max_epochs=EPOCHS, batch_size=options.batch_size, train_split=None, verbose=0,
        iterator_train__shuffle=True, device=str(pick_device(options.device)),
    )  # fmt: skip
    net.fit(resized(images, options.size).numpy(), images.y)
    return net.history[-1]["dur"]


def keras(images, options) -> float:
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            layers.Input((options.size, options.size, 1)),
            layers.Conv2D(6, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(16, 5, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(120, 5, activation="relu"),
            layers.Flatten(),
            layers.Dense(84, activation="relu"),
            layers.Dense(len(CLASSES), activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")

    class Clock(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            self.seconds = time.perf_counter() - self.start

    clock, x = Clock(), resized(images, options.size).permute(0, 2, 3, 1).numpy()
    model.fit(x, images.y, batch_size=options.batch_size, epochs=EPOCHS, verbose=0, callbacks=[clock])
    return clock.seconds


def fastai(images, options) -> float:
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
        learner, clock = (
            Learner(loaders, MODELS[options.model](1, len(CLASSES)), loss_func=nn.CrossEntropyLoss(), metrics=accuracy),
            Clock(),
        )
        with learner.no_bar(), learner.no_logging():
            learner.fit(EPOCHS, cbs=[clock])
    return clock.seconds * len(images) / len(loaders.train_ds)  # it needs some images to validate on


def resized(images: CharDataset, size: int) -> torch.Tensor:
    """Return the images as float (N, 1, size, size) in [0, 1]."""
    x = torch.from_numpy(images.x)[:, None] / 255
    return functional.interpolate(x, (size, size), mode="bilinear", antialias=True)


PIPELINES = {
    "ours": ours_plain, "ours, augmented": ours, "plain loop": plain_loop, "report": report, "Keras": keras,
    "Lightning": lightning, "skorch": skorch, "fastai": fastai, "ours, compiled": ours_compiled,
}  # fmt: skip
USUAL = [name for name in PIPELINES if name != "ours, compiled"]  # which on a CPU takes minutes, and does not pay


def measure(name: str, options) -> float:
    """Return the seconds of an epoch."""
    warnings.filterwarnings("ignore", module="lightning|fastai|skorch|keras")  # advice to their users
    x, y = strokes.draw(per_class=-(-options.images // len(CLASSES)))
    order = np.random.default_rng(0).permutation(len(x))[: options.images]
    return PIPELINES[name](CharDataset(x[order], y[order], classes=CLASSES), options)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="LeNet", choices=MODELS)
    parser.add_argument("--size", type=int, help="pixels a side that the model sees; by default the paper's")
    parser.add_argument("--images", type=int, default=6696, help="an epoch")
    parser.add_argument("--batch-size", type=int, help="by default that of our recipe, for every pipeline")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--only", nargs="+", choices=PIPELINES, default=USUAL)
    parser.add_argument("--output", default="speed.json")
    options = parser.parse_args()
    options.batch_size = options.batch_size or Config(options.model).batch_size
    options.size = options.size or MODELS[options.model].image_size
    peers = ("keras", "lightning", "skorch", "fastai")
    names = [name for name in options.only if name.lower() not in peers or find_spec(name.lower())]
    own = get_context("spawn")  # so that no pipeline profits or suffers from what another has set
    workers = {name: ProcessPoolExecutor(1, own) for name in names if (name, options.model) != ("Keras", "ResNet18")}
    seconds = {name: [] for name in workers}  # Keras has no ResNet18 of its own
    for _ in range(options.rounds):
        for name, worker in workers.items():
            seconds[name].append(worker.submit(measure, name, options).result())
    for worker in workers.values():
        worker.shutdown()
    speed = {name: options.images / statistics.median(values) for name, values in seconds.items()}
    about = environment(pick_device(options.device)) | {"cores": os.cpu_count(), "machine": platform.machine()}
    print(f"\n{options.model} at {options.size}, batches of {options.batch_size}, {options.rounds} rounds")
    print(f"{about['device_name']}, {about['threads']} threads, torch {about['packages']['torch']}")
    for name, rate in speed.items():
        ratio = f"{rate / speed['report']:.2f} × the report's" if "report" in speed else ""
        print(f"{name:20}{rate:12,.0f} images/s   {ratio}")
    result = {"options": vars(options), "environment": about, "seconds": seconds, "images_per_second": speed}
    Path(options.output).write_text(json.dumps(result, indent=2), encoding="utf-8")


if __name__ == "__main__":
    main()
