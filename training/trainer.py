"""Trainer: the epochs and steps of a run. It knows no file: records, progress and checkpoints are its callbacks."""

import math
import time
from collections.abc import Callable, Iterable
from threading import Event

import torch
from torch import nn
from torch.nn import functional

from common.errors import TrainingError
from common.seeds import preserve_random_state, set_seed
from config import Config
from metrics import MIN_VALIDATION, accuracy, fit_temperature, kept_epoch
from training import distributed
from training.backend import Backend, deterministic, keep_freed_memory
from training.evaluation import Predictions, predict, sample_logits, score
from training.interrupt import deferred_interrupt
from training.optimizer import flatten_parameters, learning_rate, make_ema, make_optimizer
from training.waiting import WaitingThreads


class Trainer:
    """Train a model, epoch by epoch, and end with the weights of the epoch that `metrics.kept_epoch` names.

    Args:
        config: the run's parameters.
        model: on its device; its parameters become views of one tensor.
        backend: what `select_backend` gave.
        train_loader: batches (images, labels) on the device, a new order in each iteration.
        val_loader: batches of validation images, or None.
        epochs: of the whole run.
        class_weights: float (C,), of the loss of each class's images; None: all count 1.

    Attributes:
        history: list of dicts, one per epoch; see `CNNClassifier.fit`.
        best: the epoch that is kept so far, a dict of epoch, metrics, state_dict; or None.
        temperature: what logits are divided by before they become probabilities, fitted to the validation images when
            the run ends; 1 if they are fewer than MIN_VALIDATION.
        on_epoch_end, on_run_end: lists of functions that are called with the trainer after each epoch, and after the
            last one, an interrupt or a TrainingError, when the best weights are loaded.
        global_step: number of steps taken.
        ema_model: the model of averaged weights, which is validated.
        finished: whether `run` has ended for good, rather than by an interrupt.
    """

    def __init__(
        self, config: Config, model: nn.Module, backend: Backend, train_loader, val_loader=None, epochs: int = 1,
        class_weights: torch.Tensor | None = None,
    ):  # fmt: skip
        self.config, self.model, self.backend, self.epochs = config, model, backend, epochs
        self.train_loader, self.val_loader = train_loader, val_loader
        self.history: list[dict] = []
        self.best: dict | None = None
        self.global_step, self.finished = 0, False
        weights = self._weights = flatten_parameters(model)
        self.device = weights.device
        distributed.copy_from_main([weights, *model.buffers()])
        self.class_weights = None if class_weights is None else class_weights.to(self.device)
        self.optimizer = make_optimizer(config, weights)
        self.ema_model, self._update_ema = make_ema(model, weights, config.ema_decay)
        self._forward = backend.training_forward(model, self.device)
        self._threads = WaitingThreads(self.device)
        self.temperature = 1.0
        self.on_epoch_end: list[Callable[[Trainer], object]] = []
        self.on_run_end: list[Callable[[Trainer], object]] = []

    def run(self) -> list[dict]:
        """Train until the last epoch or an interrupt, load the best weights into the model, and return the history.

        Raises:
            TrainingError: the loss is not finite. The epochs before are kept, and the run is finished: it would fail
                again.
        """
        repeatable = self.device.type == "cuda" and self.config.deterministic == "on"
        if self.device.type == "cpu":
            keep_freed_memory()
        failure = None
        with (
            preserve_random_state(self.device), deterministic(repeatable),
            deferred_interrupt(second_acts=distributed.processes() == 1) as event, self._threads,
        ):  # fmt: skip
            interrupt = distributed.CommonEvent(event)
            try:
                while len(self.history) < self.epochs and not interrupt.is_set():
                    self._run_epoch(interrupt)
            except TrainingError as error:
                failure = error
            finally:
                self.model.load_state_dict(self.best["state_dict"] if self.best else self.ema_model.state_dict())
            self.finished = failure is not None or len(self.history) == self.epochs
            if self.history or failure is None:
                self._calibrate()
                for callback in self.on_run_end:
                    callback(self)
        if failure is not None:
            raise failure
        return self.history

    def _run_epoch(self, interrupt: distributed.CommonEvent) -> None:
        start = time.perf_counter()
        epoch = len(self.history) + 1
        set_seed(self.config.random_seed * 100_003 + epoch)  # an epoch's batches depend on seed and epoch alone
        trained = self.train_epoch(self.train_loader, interrupt)
        if interrupt.is_set():
            return
        distributed.average(_float_buffers(self.model))
        if self.ema_model is not self.model:
            distributed.average(_float_buffers(self.ema_model))
        validated = (
            None if self.val_loader is None else score(Predictions.join(self._validate(predict, self.ema_model)))
        )
        row = {"epoch": epoch} | _columns("train", trained) | _columns("val", validated)
        row["learning_rate"] = self.optimizer.param_groups[0]["lr"]
        row["seconds"] = time.perf_counter() - start
        self.history.append(distributed.broadcast(lambda: row))  # so that all keep the same epoch
        if kept_epoch(self.history)[0] is self.history[-1]:
            weights = {name: tensor.clone() for name, tensor in self.ema_model.state_dict().items()}
            self.best = {"epoch": epoch, "metrics": validated, "state_dict": weights}
        for callback in self.on_epoch_end:
            callback(self)

    def _validate(self, function: Callable, model: nn.Module, *options: float) -> list:
        """Return what a function of `evaluation` gives for each process's share of the validation images."""
        mine = function(model, self.val_loader, *options) if len(self.val_loader) else None
        return [part for part in distributed.gather(mine) if part is not None]

    def _calibrate(self) -> None:
        """Fit the temperature to the validation images, and bring the metrics of the kept epoch up to date with it."""
        if self.best is None or self.history[-1]["val_n"] < MIN_VALIDATION:
            return
        logits, labels = map(torch.cat, zip(*self._validate(sample_logits, self.model), strict=True))
        self.temperature = fit_temperature(logits.numpy(), labels.numpy())
        self.best["metrics"] = score(Predictions.join(self._validate(predict, self.model, self.temperature)))

    def train_step(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take one step; return the loss and the number of correct predictions, on the device.

        Args:
            images: float (B, 1 or 3, S, S), this process's share of a batch, which may be empty.
            labels: int64 (B,).
        """
        self.optimizer.zero_grad(set_to_none=False)  # the gradients stay views of one tensor
        loss, correct = self._backward(images, labels) if len(labels) else self._weights.new_zeros(2)
        distributed.weighted_mean(self._weights.grad, self._weight(labels))
        self.optimizer.param_groups[0]["lr"] = self.learning_rate
        self.optimizer.step()
        self._update_ema(self.global_step)
        self.global_step += 1
        return loss, correct

    def _backward(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Compute the gradient of a batch; return the loss and the number of correct predictions, on the device."""
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.backend.bfloat16):
            logits = self._forward(images)  # (B, C)
            smoothing = self.config.label_smoothing
            loss = functional.cross_entropy(logits, labels, self.class_weights, label_smoothing=smoothing)
        loss.backward()
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    def _weight(self, labels: torch.Tensor) -> torch.Tensor | int:
        """Return how much these images count in the mean over a batch."""
        return len(labels) if self.class_weights is None else self.class_weights[labels].sum()

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        return learning_rate(self.config, self.global_step, self.epochs * len(self.train_loader))

    def train_epoch(self, loader: Iterable, interrupt: Event | distributed.CommonEvent) -> dict:
        """Take one step per batch until interrupted; return the loss and `metrics.accuracy`.

        They stay on the device until the end of the epoch.

        Raises:
            TrainingError: the loss is not finite.
        """
        self.model.train()
        losses, counts, weights, correct = [], [], [], torch.zeros((), device=self.device)
        for images, labels in loader:
            loss, batch_correct = self.train_step(images, labels)
            losses.append(loss)
            counts.append(len(labels))
            weights.append(self._weight(labels))
            correct += batch_correct
            self._threads.check()
            if interrupt.is_set():
                break
        epoch_losses = torch.stack(losses).cpu()
        sizes = torch.tensor(counts)
        distributed.weighted_mean(epoch_losses, torch.tensor([float(weight) for weight in weights]))
        distributed.add_up(sizes)
        distributed.add_up(correct)
        self._check_finite(epoch_losses)
        loss_sum = epoch_losses @ sizes.float()
        return {"loss": float(loss_sum / sizes.sum())} | accuracy(int(correct), int(sizes.sum()))

    def _check_finite(self, losses: torch.Tensor) -> None:
        """Raise TrainingError if a loss of this epoch, float (steps,), is not finite."""
        if losses.isfinite().all():
            return
        batch = int((~losses.isfinite()).nonzero()[0])
        step = self.global_step - len(losses) + batch
        rate = learning_rate(self.config, step, self.epochs * len(self.train_loader))
        raise TrainingError(
            f"epoch {len(self.history) + 1}: the loss is {losses[batch]} in batch {batch + 1} of {len(losses)}, at a "
            f"learning rate of {rate:.2g}: try learning_rate={self.config.learning_rate / 10:.1g}, or "
            "precision='float32'"
        )

    def state_dict(self) -> dict:
        """Return all that the next epoch depends on, except for random numbers, which depend on seed and epoch."""
        parts = {"model": self.model, "ema": self.ema_model, "optimizer": self.optimizer}
        states = {name: part.state_dict() for name, part in parts.items()}
        return {"history": self.history, "best": self.best, "training": states | {"global_step": self.global_step}}

    def load_state_dict(self, state: dict) -> None:
        """Continue from a `state_dict`."""
        training = state["training"]
        self.model.load_state_dict(training["model"])
        self.ema_model.load_state_dict(training["ema"])
        self.optimizer.load_state_dict(training["optimizer"])
        self.global_step, self.history, self.best = training["global_step"], state["history"], state["best"]


def _float_buffers(model: nn.Module) -> list[torch.Tensor]:
    return [buffer for buffer in model.buffers() if buffer.is_floating_point()]


def _columns(part: str, result: dict | None) -> dict:
    """Return a score as columns of the history, named after the part of the data that it is of."""
    if result is None:
        return {f"{part}_{key}": None for key in ("loss", "accuracy", "low", "high")} | {f"{part}_n": 0}
    low, high = result["interval"]
    values = {"loss": result["loss"], "accuracy": result["accuracy"], "low": low, "high": high, "n": result["n"]}
    return {f"{part}_{key}": value for key, value in values.items()}


def stuck_at_chance(config: Config, history: list[dict], classes: int) -> bool:
    """Return, once, five epochs after the warm-up, whether the training loss has not fallen below chance."""
    epochs = config.epochs_for(history[0]["train_n"], classes)
    warmup = config.warmup * epochs if config.schedule == "one_cycle" else 0
    if len(history) != 5 + math.ceil(warmup):
        return False
    return min(row["train_loss"] for row in history) > 0.98 * math.log(classes)
