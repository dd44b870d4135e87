"""CNNClassifier: fit a model to labelled images, evaluate it, predict with it, save it and load it."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn

from common.errors import InputError
from common.files import fingerprint
from common.seeds import preserve_random_state
from common.text import first_names, plural
from config import Config
from dataset import CharDataset, as_dataset
from export import bundle
from export.trained import Trained
from imaging.channels import check_channels
from imaging.input_spec import InputSpec
from imaging.planes import from_planes
from init import pick_device
from metrics import MIN_VALIDATION, fit_temperature, per_class
from models import advice, build, input_size
from runs import checkpoint, weights
from runs.identity import identity
from runs.record import RunRecord
from runs.resume import Run
from training import distributed
from training.backend import default_input_size, request_deterministic_cublas, select_backend
from training.class_weights import class_weights
from training.description import describe_run
from training.evaluation import Predictions, Shifted, check_finite, predict, predict_logits, sample_logits, score
from training.loader import check_transform, make_loader
from training.progress import ProgressBar
from training.trainer import Trainer, stuck_at_chance

log = logging.getLogger("fit_char")

# what a checkpoint holds of a classifier: key → attribute
CHECKPOINT_FIELDS = {
    "classes": "classes_", "epoch": "best_epoch_", "metrics": "metrics_", "temperature": "temperature_", "run": "_run",
}  # fmt: skip

TOO_FEW = (
    "%s: too few to choose an epoch or to calibrate probabilities, which takes %d. The last epoch is kept, "
    "uncalibrated. To measure the accuracy on all images, use analysis.validation.cross_validate."
)


class CNNClassifier:
    """Classify images of characters with one of our models.

    Args:
        config: the run's parameters.
        classes: names of the C classes, in label order.

    Attributes:
        classes_: list of str (C,).
        history_: list of dicts, one per epoch.
        best_epoch_: the epoch whose weights the model has (`metrics.kept_epoch`).
        metrics_: what `evaluate` gives for the validation set at that epoch, or None.
        record_: the RunRecord of the last fit, or None.
        checkpoint_: Path of the file with the best weights, or None.
        input_spec_: the InputSpec: what the model expects of an image.
        temperature_: what logits are divided by before they become probabilities, fitted to the validation set.

    Raises:
        InputError: fewer than two classes, two of one name, a device that this machine does not have, an unknown model,
            or an input size that it does not take.
    """

    record_: RunRecord | None = None
    checkpoint_: Path | None = None

    def __init__(self, config: Config | None = None, classes: Sequence = ()):
        self.config = config or Config()
        self.classes_ = [str(name) for name in classes]
        if len(self.classes_) < 2 or len(set(self.classes_)) != len(self.classes_):
            raise InputError(f"a classifier needs two or more classes of different names, not {self.classes_}")
        self.device = pick_device(self.config.device)
        if self.config.deterministic == "on":
            request_deterministic_cublas()
        try:
            size = default_input_size(self.config, self.device)
            self._reset()
        except ValueError as error:
            raise InputError(str(error)) from None
        shape = (self.config.stored_size,) * 2
        self.input_spec_ = InputSpec(size, shape if self.config.channels == 1 else (*shape, 3))

    def _reset(self) -> None:
        """Start with the config's first weights and no history."""
        self.history_: list[dict] = []
        self.best_epoch_: int | None = None
        self.metrics_: dict | None = None
        self.temperature_ = 1.0
        self._run: dict | None = None  # its name, and the fingerprints of its images
        with preserve_random_state(self.device):  # the same first weights on any device
            torch.manual_seed(self.config.random_seed)
            options = self.config.model_options or {}
            model = build(self.config.model, self.config.channels, len(self.classes_), **options)
        self.backend = select_backend(self.config, model, self.device)
        self.model: nn.Module = self.backend.place(model, self.device)

    def fit(
        self,
        train: CharDataset,
        val: CharDataset | None = None,
        callbacks: Sequence[Callable[[list[dict], Path | None], object]] = (),
    ) -> list[dict]:
        """Train from scratch (or from `config.init_from`) and end with the weights of the epoch that is kept.

        Which one that is says `metrics.kept_epoch`. The validation set also gives the temperature. The run is recorded
        below `config.record_path`; the weights go to `config.save_path`.

        Args:
            train: N images.
            val: images to choose the epoch on, at least `metrics.MIN_VALIDATION`: otherwise the last epoch is kept.
            callbacks: each is called with (history so far, the record's folder or None) after every epoch.

        Returns:
            The history: a dict per epoch, with epoch, learning_rate, seconds, and loss, accuracy, low, high (its 95 %
            interval) and n after `train_` and, for the averaged weights, after `val_`.

        Raises:
            InputError: images or labels that do not fit the classes; an `init_from` of another model or classes.
            StorageError: record, checkpoint or state cannot be written.
            TrainingError: the loss is not finite.
        """
        self._check_fit(train, val)
        self.input_spec_ = InputSpec.from_images(train, self.input_spec_.input_size)
        self._reset()
        for images in (train, val):
            if images and images.transform:
                check_transform(images, self.model, self.input_spec_.input_size)
        if self.config.init_from and distributed.is_main():  # the trainer gives its weights to all processes
            self._start_from(self.config.init_from, train, val)
        epochs = self.config.epochs_for(len(train), len(self.classes_))
        title = f"{self.config.model} {self.config.hash_id}"
        balanced = self.config.class_weights == "balanced"
        loaders = self._loader(train, True), self._validation_loader(val) if val else None
        run = self._open_run(train, val, epochs)
        try:
            with run, ProgressBar(title, epochs, len(run.former["history"]) if run.former else 0) as progress:
                loss_weights = class_weights(train.y, len(self.classes_)) if balanced else None
                trainer = Trainer(self.config, self.model, self.backend, *loaders, epochs, loss_weights)
                self._train(trainer, run, progress, callbacks)
        finally:
            self.record_, self.checkpoint_ = run.record, run.checkpoint
        return self.history_

    def _check_fit(self, train: CharDataset, val: CharDataset | None) -> None:
        """Raise InputError if a fit cannot use these images, and log what it cannot do with them."""
        self._check(train)
        if val is not None and not len(val):
            raise InputError("there are no validation images: add images to the classes, or give no val")
        if val is not None:
            self._check(val)
        for images in filter(None, (train, val)):
            check_channels(images.channels, self.config.channels)
        if self.config.devices > distributed.processes():
            log.warning("This fit runs in one process; apps.launch.fit starts %d (devices).", self.config.devices)
        if val and len(val) < MIN_VALIDATION:
            log.warning(TOO_FEW, plural(len(val), "validation image"), MIN_VALIDATION)

    def _train(self, trainer: Trainer, run: Run, progress: ProgressBar, callbacks: Sequence[Callable]) -> None:
        """Let the trainer make the run, from the beginning or from where it was interrupted."""
        former = distributed.broadcast(lambda: run.former)
        if former is not None:
            trainer.load_state_dict(former)
        self._follow(trainer)
        folder = run.record.folder if run.record else None
        users = [lambda trainer, call=call: call(trainer.history, folder) for call in callbacks]
        trainer.on_epoch_end = [self._follow, progress.on_epoch_end, self._warn_if_stuck, run.on_epoch_end]
        trainer.on_epoch_end += users if distributed.is_main() else []
        trainer.on_run_end = [self._follow, progress.close, run.on_run_end]
        trainer.run()

    def _follow(self, trainer: Trainer) -> None:
        """Take over the results of the trainer so far."""
        self.history_, self.temperature_ = trainer.history, trainer.temperature
        if trainer.best is not None:
            self.best_epoch_, self.metrics_ = trainer.best["epoch"], trainer.best["metrics"]

    def _warn_if_stuck(self, trainer: Trainer) -> None:
        if stuck_at_chance(self.config, trainer.history, len(self.classes_)):
            epochs = len(trainer.history)
            log.warning("The loss is no better than chance after %d epochs: try another learning_rate.", epochs)

    def _loader(self, images: CharDataset, training: bool = False, augment: bool = False):
        """Return a loader of images of any size, prepared as in training."""
        if self.input_spec_.transformed and not images.transform:
            raise InputError(
                "this model was trained on images that a transform made: give a CharDataset with the same transform"
            )
        if not images.transform:
            images = images.fitted(self.input_spec_)
        return make_loader(images, self.input_spec_, self.config, self.device, training, augment)

    def _validation_loader(self, images: CharDataset):
        """Return a loader of this process's share of the validation images; an empty list if it has none."""
        mine = images.subset(np.arange(len(images))[distributed.share(len(images))])
        return self._loader(mine) if len(mine) else []

    def _check(self, images: CharDataset) -> None:
        if not isinstance(images, CharDataset):
            what = type(images).__name__
            raise InputError(f"images and labels belong together: give CharDataset(x, y, classes=…), not {what}")
        if not len(images):
            raise InputError(f"there are no images (source: {images.source or 'unnamed'})")
        if images.classes != self.classes_:
            raise InputError(
                f"the images have the classes {first_names(images.classes)}, the classifier "
                f"{first_names(self.classes_)}: give images.with_classes(classifier.classes_)"
            )

    def predict_labelled(self, images: CharDataset, shifts: bool = False) -> Predictions:
        """Return what the model says of N labelled images of the same classes, a few numbers per image."""
        self._check(images)
        return predict(self._predictor(shifts), self._loader(images), self.temperature_).checked()

    def _predictor(self, shifts: bool) -> nn.Module:
        return Shifted(self.model) if shifts else self.model

    def evaluate(self, images: CharDataset, classes: bool = False, shifts: bool = False) -> dict:
        """Compare predictions with labels; the model is not changed.

        Args:
            images: N ≥ 1 labelled images of the same classes.
            classes: whether to add `classes`: precision, recall, f1-score and support of each (`metrics.per_class`).
            shifts: see `predict_proba`.

        Returns:
            loss (mean cross-entropy, nats), accuracy, n, interval (`metrics.accuracy`), calibration_error and, if
            there are many classes or they differ in size, further accuracies: see `training.evaluation.score`.
        """
        predictions = self.predict_labelled(images, shifts)
        result = score(predictions)
        if classes:
            result["classes"] = per_class(predictions.y, predictions.predicted, self.classes_)
        return result

    def calibrate(self, images: CharDataset) -> float:
        """Fit the temperature to images that the model was not trained on, and return it; `save` stores it."""
        self._check(images)
        logits, labels = sample_logits(self.model, self._loader(images))
        check_finite(logits)
        self.temperature_ *= fit_temperature((logits / self.temperature_).numpy(), labels.numpy())
        return self.temperature_

    def predict_proba(self, images, shifts: bool = False) -> np.ndarray:
        """Return the probability of each class, float32 (N, C); rows sum to 1.

        Args:
            images: uint8 (N, H, W), one image (H, W), a dataset, or whatever else `imaging.pictures.as_images` takes:
                colour, PIL images, paths, lists of these. They may have any size and ink of either polarity, and are
                fitted to the training images' size as these were, with the aspect kept.
            shifts: whether to average over the image and four copies of it that are shifted a little
                (`training.evaluation.Shifted`): five times the work, and more often correct on handwriting unlike that
                of the training images.

        Raises:
            InputError: another rank or dtype, or a file that cannot be read.
        """
        images = as_dataset(images, self.classes_, self.input_spec_)
        if not len(images):
            return np.zeros((0, len(self.classes_)), np.float32)
        logits, _ = predict_logits(self._predictor(shifts), self._loader(images))
        probabilities = (logits / self.temperature_).softmax(1).numpy()
        check_finite(probabilities)
        return probabilities

    def predict(self, images, shifts: bool = False) -> np.ndarray:
        """Return the most probable class of each image, int64 (N,): indices into `classes_`. See `predict_proba`."""
        images = as_dataset(images, self.classes_, self.input_spec_)
        if not len(images):
            return np.zeros(0, np.int64)
        return predict(self._predictor(shifts), self._loader(images)).checked().predicted

    def model_input(self, images, augment: bool = False) -> np.ndarray:
        """Return images as the model sees them, float32 (N, S, S[, 3]), augmented if wanted. See `predict_proba`."""
        loader = self._loader(as_dataset(images, self.classes_, self.input_spec_), augment=augment)
        return from_planes(torch.cat([x.cpu() for x, _ in loader])).numpy()

    def match_style(self, picture: np.ndarray) -> np.ndarray:
        """Return the character of a photo, scan or drawing as an image uint8 (H, W) like the training images.

        `predict` takes the result. See `imaging.photo.match_style`, also for what is raised. A model that sees colours
        gets the picture as it is, only fitted, uint8 (H, W, 3).

        Args:
            picture: uint8 (h, w) of any size, of one character; in colour also (h, w, 3).
        """
        return self.input_spec_.match_style(picture)

    def save(self, path: str | Path, state_dict: dict[str, torch.Tensor] | None = None) -> None:
        """Write a checkpoint: the weights, the model's or others, and all that `load` needs, as plain values."""
        content = {key: getattr(self, name) for key, name in CHECKPOINT_FIELDS.items()}
        content |= {"model": self.config.model, "in_channels": self.config.channels, "config": asdict(self.config)}
        content["input_spec"] = self.input_spec_.as_dict()
        content["state_dict"] = {
            key: tensor.cpu().clone(memory_format=torch.contiguous_format)
            for key, tensor in (state_dict or self.model.state_dict()).items()
        }
        checkpoint.write(path, content)

    def export(
        self,
        path: str | Path,
        held_out: CharDataset | None = None,
        train: CharDataset | None = None,
        page: bool | str | Path = False,
    ) -> dict[str, Path]:
        """Write the classifier as an ONNX file that prepares images itself, its weights, and a model card beside it.

        The file's input is `images`, uint8 (batch, H, W[, 3]) in the size of the training images, its output
        `probabilities`, float32 (batch, C). Its metadata say the rest.

        Args:
            path: of the file, ending in .onnx. Best in a folder of its own, as further files are written beside it.
            held_out: test or validation images, on which the file is compared with torch, and the accuracy measured.
            train: the images that it was trained on. With both, there also is a file in int8, if that is faster.
            page: whether to write a web page to the folder `page`, with the int8 file if there is one. It needs npm's
                package of onnxruntime-web, in the current folder or where this path says.

        Returns:
            Part → Path of what was written.

        Raises:
            ExportError: a package is missing, or the model cannot be exported, or the file disagrees with torch.
            InputError: another suffix, a file in the way that no export has made, images of other classes, held-out
                images that it was trained on, or `train` that it was not trained on.
            StorageError: a file cannot be written.
        """
        for images in filter(None, (held_out, train)):
            self._check(images)
        trained = Trained(
            self.model, self.config, self.input_spec_, self.classes_, self.temperature_, self.metrics_, self._run
        )
        return bundle.export(trained, path, held_out, train, page)

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> "CNNClassifier":
        """Read a checkpoint; no code in it is run. Raises InputError, see `runs.checkpoint.read`."""
        content = checkpoint.read(path)
        try:
            config = replace(Config.from_dict(content["config"]), device=device)
            classifier = cls(config, content["classes"])
            input_size(config.model, content["input_spec"]["input_size"])  # is one that the model takes
        except ValueError as error:  # also a model that is not in models/
            raise InputError(f"{path}: {error}") from None
        for key, name in CHECKPOINT_FIELDS.items():
            setattr(classifier, name, content[key])
        classifier.input_spec_ = InputSpec.from_dict(content["input_spec"])
        classifier.checkpoint_ = Path(path)
        weights.load(path, content["state_dict"], classifier.model, classifier.input_spec_)
        return classifier

    def trained_on(self, images: CharDataset) -> bool:
        """Return whether the weights were trained on exactly these images."""
        return self._run is not None and self._run["train"] == images.fingerprint()

    def validated_on(self, images: CharDataset) -> bool:
        """Return whether exactly these images were held out for validation when the weights were trained."""
        return self._run is not None and self._run["val"] == images.fingerprint()

    def _start_from(self, path: str, train: CharDataset, val: CharDataset | None) -> None:
        """Load the weights of a checkpoint that fits this run."""
        content = checkpoint.read(path)
        if val and content["run"] and content["run"]["train"] != train.fingerprint():
            log.warning("%s was trained on other images: some of the validation images may be among them.", path)
        ours = {
            "model": self.config.model, "model_options": self.config.model_options, "classes": self.classes_,
            "input_size": self.input_spec_.input_size, "pipeline": self.config.pipeline,
            "in_channels": self.config.channels,
        }  # fmt: skip
        weights.check_same(path, content, ours)
        weights.load(path, content["state_dict"], self.model, self.input_spec_)
        self._run = content["run"]

    def _open_run(self, train: CharDataset, val: CharDataset | None, epochs: int) -> Run:
        """Open the run on these images: a new one, or an interrupted one that had the same of all it depends on."""
        images = {"train": train.fingerprint(), "val": val.fingerprint() if val else None}
        self._check_same_images(images)
        first = fingerprint(*(tensor.numpy(force=True) for tensor in self.model.state_dict().values()))
        size = self.input_spec_.input_size
        processes = distributed.processes()
        same = {"first weights": first, "classes": self.classes_, "input size": size} | asdict(self.backend)
        same |= identity(self.model, [train.transform, val.transform if val else None], self.device)
        same |= {"processes": processes} if processes > 1 else {}
        about = describe_run(self.config, self.backend, size, epochs, train, val)
        start = self._run["name"] if self._run else None
        writing = self.config if distributed.is_main() else replace(self.config, record_path=None, save_path=None)
        run = Run(writing, self.device, images, same, about, self.save, start)
        self.record_, self.checkpoint_, self._run = run.record, run.checkpoint, run.description
        for text in filter(None, (advice(self.model), about.get("class_weights"))):
            log.info("%s.", text)
        return run

    def _check_same_images(self, images: dict) -> None:
        """Raise InputError in all processes unless all train on the same images, given their fingerprints."""
        found = distributed.gather(images)
        for number, others in enumerate(found):
            if others != found[0]:
                raise InputError(f"process {number} has other images than the first: give all machines the same data")
