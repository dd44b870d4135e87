"""CNNClassifier: fit a model to labelled images, evaluate it, predict with it, save it and load it."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from threading import Event

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from common.errors import InputError, TrainingError
from common.files import fingerprint
from config import Config
from dataset import CharDataset, as_dataset
from init import pick_device, random_numbers_kept, set_seed
from metrics import accuracy, calibration_error, columns, fit_temperature, in_words, per_class
from models import build, image_size
from runs import checkpoint as checkpoints
from runs.resume import Run, postponed_interrupt
from training import loader as batches
from training.backend import choose, deterministic, keep_freed_memory, place
from training.trainer import Training, better, learns_nothing

# what a checkpoint holds of a classifier: key → attribute
KEPT = {
    "classes": "classes_", "image_size": "image_size", "source_shape": "source_shape", "style": "style_",
    "cropped": "_cropped", "transformed": "_transformed", "epoch": "best_epoch_", "metrics": "metrics_",
    "temperature": "temperature_", "run": "_run",
}  # fmt: skip


class CNNClassifier:
    """Classify images of characters with one of our models.

    Args:
        config: the run's parameters.
        classes: names of the C classes, in label order.

    Attributes:
        classes_: list of str (C,).
        history_: list of dicts, one an epoch.
        best_epoch_: the epoch whose weights the model has, chosen on validation images.
        metrics_: what `evaluate` gives for the validation images at that epoch, or None.
        record_: the RunRecord of the last fit, or None.
        checkpoint_: Path of the file the best weights are in, or None.
        style_: how characters stand in the training images (`scan.style_of`), or None.
        temperature_: what logits are divided by before they become probabilities; 1 unless `calibrate` has set it.

    Raises:
        InputError: a device that is not there.
        ValueError: an unknown model, or an image size that it does not take.
    """

    def __init__(self, config: Config | None = None, classes: Sequence[str] = ()):
        self.config = config or Config()
        self.classes_ = [str(name) for name in classes]
        if len(self.classes_) < 2 or len(set(self.classes_)) != len(self.classes_):
            raise InputError(f"a classifier needs two or more classes of different names, not {self.classes_}")
        self.device = pick_device(self.config.device)
        self.history_, self.best_epoch_, self.metrics_ = [], None, None
        self.record_, self.checkpoint_, self._run, self.temperature_ = None, None, None, 1.0
        self.source_shape = [self.config.raw_size] * 2  # pixels (H, W) of the images it is trained on
        self.style_, self._cropped, self._transformed = None, False, False
        self.model = self._build()
        at_most = 64 if self.device.type == "cpu" and self.config.pipeline == "resident" else None
        self.image_size = image_size(self.config.model, self.config.image_size, at_most)

    def _build(self) -> nn.Module:
        with random_numbers_kept(self.device):  # the same first weights on any device
            torch.manual_seed(self.config.random_seed)
            model = build(self.config.model, 1, len(self.classes_))
        self._uses = choose(self.config, model, self.device)
        return place(model, self.device, self._uses)

    def fit(
        self,
        train: CharDataset,
        val: CharDataset | None = None,
        callbacks: Sequence[Callable[[list[dict], Path | None], None]] = (),
    ) -> list[dict]:
        """Train from scratch (or from `config.init_from`) and end with the weights of the best validation epoch.

        The best epoch has the highest validation accuracy, then the lowest loss. Without validation images it is the
        last one. The run is recorded below `config.record_path`; the best weights go to `config.save_path`.

        Args:
            train: N images.
            val: images to choose the best epoch on.
            callbacks: each is called with (history so far, the record's folder or None) after every epoch.

        Returns:
            The history: a dict an epoch, with epoch, learning_rate, seconds, and loss, accuracy, low, high (its 95 %
            interval) and n after `train_` and, for the averaged weights, after `val_`.

        Raises:
            InputError: images or labels that do not fit the classes; an `init_from` of another model or classes.
        """
        self._check(train)
        if val is not None:
            self._check(val)
        from imaging.photo import style_of  # here, since it takes a quarter of a second to import

        self.source_shape, self.style_ = list(train.x.shape[1:]), style_of(train.x)
        self._cropped, self._transformed = train.cropped, train.transform is not None
        self.history_, self.best_epoch_, self.metrics_, self.temperature_ = [], None, None, 1.0
        self.model = self._build()
        if self.config.init_from:
            self._start_from(self.config.init_from, train, val)
        if self.device.type == "cpu":
            keep_freed_memory()
        repeatable = self.device.type == "cuda" and self.config.deterministic == "on"
        with (
            self._open_run(train, val) as run, random_numbers_kept(self.device), deterministic(repeatable),
            postponed_interrupt() as interrupted,
        ):  # fmt: skip
            try:
                self._run_epochs(train, val, callbacks, run, interrupted)
            except TrainingError:
                if self.history_:
                    self._publish(run, finished=True)
                raise
            complete = len(self.history_) == self.config.epochs_for(len(train))
            if not complete:
                place = f"Interrupted in epoch {len(self.history_) + 1}"
                print(f"\n{place}: the best weights so far are kept." + " Run again to go on." * bool(run.checkpoint))
            self._publish(run, finished=complete)
        return self.history_

    def _run_epochs(self, train, val, callbacks, run: Run, interrupted: Event) -> None:
        """Train to the end, or to an interrupt, and end with the best weights so far."""
        config, best, kept = self.config, None, None  # the best epoch so far, and the one that is in its checkpoint
        epochs, steps = config.epochs_for(len(train)), batches.steps(len(train), config.batch_size)  # steps an epoch
        training = Training(config, self.model, self._uses, epochs * steps)
        if run.former:
            training.restore(run.former["training"])
            self.history_, best = run.former["history"], run.former["best"]
            self.best_epoch_, self.metrics_ = best["epoch"], best["metrics"]
        train_batches, val_batches = self._batches(train, training=True), val and self._batches(val)
        done = range(1, epochs + 1)[len(self.history_) :]
        progress = tqdm(done, f"{config.model} {config.hash_id}", epochs, initial=len(self.history_), unit="epoch",
                        file=sys.stdout)  # fmt: skip
        try:
            for epoch in progress:
                start = time.perf_counter()
                set_seed(config.random_seed * 100_003 + epoch)  # the batches of an epoch depend on seed and epoch
                trained = training.epoch(train_batches(), interrupted)
                if interrupted.is_set():
                    break
                checked = self._score(training.averaged, val_batches()) if val else None
                row = {"epoch": epoch} | columns("train", trained) | columns("val", checked)
                rate = training.optimizer.param_groups[0]["lr"]
                self.history_.append(row | {"learning_rate": rate, "seconds": time.perf_counter() - start})
                best = better(best, epoch, checked, training.averaged)
                self.best_epoch_, self.metrics_ = best["epoch"], best["metrics"]
                written = run.write(epoch == epochs, history=self.history_, best=best, training=training.state())
                if written and best is not kept:
                    self.save(run.checkpoint, best["state_dict"])
                    kept = best
                self._tell(trained, checked, progress, callbacks)
        finally:
            progress.close()
            self.model.load_state_dict(best["state_dict"] if best else training.averaged.state_dict())

    def _batches(self, images: CharDataset, training: bool = False, augment: bool = False) -> Callable[[], Iterator]:
        """Return a function that gives an epoch's batches, (images, labels) on the device."""
        if self._transformed and not images.transform:
            raise InputError(
                "these weights have learnt what a transform made of their images: give a CharDataset with the same one"
            )
        config = self.config
        if not images.transform:
            images = images.fitted(*self.source_shape, self._cropped)
        batch_size = config.batch_size if training else 512
        if config.pipeline == "per_image" or images.transform:
            return lambda: batches.loaded(images, batch_size, self.image_size, self.device, shuffle=training)
        x, y = torch.from_numpy(images.x), torch.from_numpy(images.y)
        parts = x, batches.backgrounds(x), y
        if self._has_room_for(x):
            parts = [part.to(self.device) for part in parts]
        strengths = config if (training or augment) and config.augments else None
        return lambda: batches.prepared(*parts, batch_size, self.image_size, self.device, strengths, shuffle=training)

    def _has_room_for(self, x: torch.Tensor) -> bool:
        """Return whether the device can hold a data set beside the model; one it cannot comes batch by batch."""
        return self.device.type != "cuda" or x.nbytes < torch.cuda.mem_get_info(self.device)[0] / 2

    def _check(self, images: CharDataset) -> None:
        if not len(images):
            raise InputError(f"there are no images to work on (source: {images.source or 'unnamed'})")
        if images.classes != self.classes_:
            raise InputError(f"the images are of the classes {images.classes}, the classifier of {self.classes_}")

    def evaluate(self, images: CharDataset, classes: bool = False) -> dict:
        """Compare predictions with labels; the model is not changed.

        Args:
            images: N ≥ 1 labelled images of the same classes.
            classes: whether to add `classes`: precision, recall, f1-score and support of each (`metrics.per_class`).

        Returns:
            loss (mean cross-entropy, nats), accuracy, n, interval (`metrics.accuracy`), and calibration_error
            (`metrics.calibration_error`).
        """
        self._check(images)
        result = self._score(self.model, self._batches(images)())
        if classes:
            result["classes"] = per_class(images.y, self.predict(images), self.classes_)
        return result

    def _score(self, model: nn.Module, batches: Iterator) -> dict:
        logits, labels = self._forward(model, batches)
        result = {"loss": functional.cross_entropy(logits, labels).item()}
        result |= accuracy((logits.argmax(1) == labels).sum(), len(labels))
        return result | {"calibration_error": calibration_error(logits.softmax(1).numpy(), labels.numpy())}

    def calibrate(self, images: CharDataset) -> float:
        """Fit the temperature to images that the model was not trained on, and return it; `save` stores it."""
        self._check(images)
        logits, labels = self._forward(self.model, self._batches(images)())
        self.temperature_ *= fit_temperature(logits.numpy(), labels.numpy())
        return self.temperature_

    @torch.inference_mode()
    def _forward(self, model: nn.Module, batches: Iterator) -> tuple[torch.Tensor, torch.Tensor]:
        """Return logits float32 (N, C), divided by the temperature, and labels int64 (N,), both on the CPU."""
        model.eval()
        results = [(model(images), labels) for images, labels in batches]
        logits, labels = (torch.cat(parts).cpu() for parts in zip(*results, strict=True))
        return logits / self.temperature_, labels

    def predict_proba(self, images: np.ndarray | CharDataset) -> np.ndarray:
        """Return the probability of each class, float32 (N, C); rows sum to 1.

        Args:
            images: uint8 (N, H, W), or one image (H, W), of any size, or a dataset. They are prepared as in training:
                ink dark on light or light on dark, brought to the training images' size with the aspect kept, or if
                they have it already, taken as they are.

        Raises:
            InputError: another rank or dtype.
        """
        images = as_dataset(images, self.classes_)
        if not len(images):
            return np.zeros((0, len(self.classes_)), np.float32)
        return self._forward(self.model, self._batches(images)())[0].softmax(1).numpy()

    def predict(self, images: np.ndarray | CharDataset) -> np.ndarray:
        """Return the likeliest class of each image, int64 (N,): indices into `classes_`. See `predict_proba`."""
        return self.predict_proba(images).argmax(1)

    def prepared(self, images: np.ndarray | CharDataset, augment: bool = False) -> np.ndarray:
        """Return images as the model sees them, float32 (N, S, S), in training if `augment`. See `predict_proba`."""
        batches = self._batches(as_dataset(images, self.classes_), augment=augment)()
        return torch.cat([x.cpu() for x, _ in batches])[:, 0].numpy()

    def like_training(self, picture: np.ndarray) -> np.ndarray:
        """Return the character of a photo, a scan or a drawing as an image uint8 (H, W) like the training images.

        What `predict` then makes of it, it makes of those. See `scan.like_training`, also for what is raised.

        Args:
            picture: uint8 (h, w) of any size, of one character.
        """
        from imaging.photo import like_training  # here, since it takes a quarter of a second to import

        if self.style_ is None:
            raise InputError(
                "these weights do not say how their training images looked: fit again, or use predict alone"
            )
        return like_training(picture, self.style_, self.source_shape)

    def save(self, path: str | Path, weights: dict[str, torch.Tensor] | None = None) -> None:
        """Write a checkpoint: the weights, the model's or others, and all that `load` needs, as plain values."""
        content = {key: getattr(self, name) for key, name in KEPT.items()}
        content |= {"model": self.config.model, "in_channels": 1, "config": asdict(self.config)}
        content["state_dict"] = {
            key: tensor.cpu().clone(memory_format=torch.contiguous_format)
            for key, tensor in (weights or self.model.state_dict()).items()
        }
        checkpoints.write(path, content)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> "CNNClassifier":
        """Read a checkpoint; no code in it is run. Raises InputError, see `checkpoints.read`."""
        checkpoint = checkpoints.read(path)
        try:
            config = replace(Config.from_dict(checkpoint["config"]), device=device)
            classifier = cls(config, checkpoint["classes"])
        except ValueError as error:  # also a model that is not in models/
            raise InputError(f"{path}: {error}") from None
        for key, name in KEPT.items():
            setattr(classifier, name, checkpoint[key])
        classifier.checkpoint_ = Path(path)
        classifier._take_weights(path, checkpoint)
        classifier.model.eval()
        return classifier

    def trained_on(self, images: CharDataset) -> bool:
        """Return whether these very images, and no others, were those that the weights have learnt."""
        return self._run is not None and self._run["train"] == images.fingerprint()

    def _start_from(self, path: str | Path, train: CharDataset, val: CharDataset | None) -> None:
        checkpoint = checkpoints.read(path)
        if val and checkpoint["run"] and checkpoint["run"]["train"] != train.fingerprint():
            print(f"{path} has learnt other images than these: some of the validation images may be among them.")
        theirs = checkpoint | {"pipeline": checkpoint["config"].get("pipeline")}  # which prepares the pixels
        ours = {"model": self.config.model, "classes": self.classes_, "image_size": self.image_size}
        for key, value in (ours | {"pipeline": self.config.pipeline}).items():
            if theirs[key] != value:
                raise InputError(f"init_from {path} has {key} {theirs[key]}, this run {value}: they must be the same")
        self._take_weights(path, checkpoint)

    def _take_weights(self, path: str | Path, checkpoint: dict) -> None:
        try:
            self.model.load_state_dict(checkpoint["state_dict"])
        except (RuntimeError, AttributeError, TypeError) as error:
            raise InputError(f"{path} does not hold the weights of a {self.config.model}: {error}") from None

    def _open_run(self, train: CharDataset, val: CharDataset | None) -> Run:
        """Open the run of these images: what it depends on is what a stopped one must have to go on."""
        images = {"train": train.fingerprint(), "val": val and val.fingerprint()}
        first = fingerprint(*(tensor.numpy(force=True) for tensor in self.model.state_dict().values()))
        same = {"first weights": first, "classes": self.classes_, "image size": self.image_size} | self._uses
        about = {"image_size": self.image_size, "source": train.source, "corrections": train.corrections}
        about |= {"epochs": self.config.epochs_for(len(train)), "train_images": len(train)}
        about |= {"val_images": len(val or ())} | self._uses
        run = Run(self.config, self.device, images, same, about)
        self.record_, self.checkpoint_, self._run = run.record, run.checkpoint, run.described
        return run

    def _publish(self, run: Run, finished: bool) -> None:
        if run.checkpoint:
            self.save(run.checkpoint)
        self.checkpoint_ = run.publish(self.history_, self.best_epoch_, self.metrics_, finished)

    def _tell(self, trained: dict, checked: dict | None, progress: tqdm, callbacks: Sequence[Callable]) -> None:
        row = self.history_[-1]
        text = f"loss {trained['loss']:.4f}  accuracy {in_words(trained)}"
        if checked:
            text += f"  val loss {checked['loss']:.4f}  val accuracy {in_words(checked)}"
        progress.set_postfix_str(text, refresh=False)
        if learns_nothing(self.config, self.history_, len(self.classes_)):
            advice = f"The loss is no better than chance after {len(self.history_)} epochs: try another learning_rate."
            tqdm.write(advice)
            text += f"\n{advice}"
        if self.record_:
            self.record_.epoch(row)
            self.record_.log(f"epoch {row['epoch']}/{progress.total}  {text}  {row['seconds']:.1f} s")
        for callback in callbacks:
            callback(self.history_, self.record_ and self.record_.folder)
