"""Training: a run's steps, from a batch to new weights and their average."""

import math
from collections.abc import Iterable
from threading import Event

import torch
from torch import nn
from torch.nn import functional

from common.errors import TrainingError
from config import Config
from metrics import accuracy
from training.backend import averaging, joined_parameters


def one_cycle(step: int, steps: int, warmup: float) -> float:
    """Return the learning rate of a step, 0 ≤ step ≤ steps, as a fraction of its peak.

    Half a cosine rises from 1/25 over the first `warmup` of the steps, another falls to 0 over the rest: Smith and
    Topin, "Super-convergence", arXiv 1708.07120.
    """
    rise = warmup * steps
    start, end, part = (0.04, 1.0, step / rise) if step < rise else (1.0, 0.0, (step - rise) / (steps - rise))
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


class Training:
    """The steps of a run.

    Args:
        config: the run's parameters.
        model: on its device; its parameters become views of one tensor.
        uses: what `compute.choose` gave.
        steps: of the whole run.

    Attributes:
        averaged: the model of averaged weights.
        taken: how many steps have been taken.
    """

    def __init__(self, config: Config, model: nn.Module, uses: dict[str, bool], steps: int):
        self.config, self.model, self.uses, self.steps, self.taken = config, model, uses, steps, 0
        weights = joined_parameters(model)
        self.device = weights.device
        self.optimizer = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[config.optimizer](
            [weights], config.learning_rate, weight_decay=config.weight_decay, fused=True
        )
        self.averaged, self._average = averaging(model, weights, config.weight_average)
        mode = "reduce-overhead" if self.device.type == "cuda" else None  # CUDA graphs: all kernels launched at once
        self._forward = torch.compile(model, mode=mode, dynamic=False) if uses["compile"] else model

    @property
    def learning_rate(self) -> float:
        """The learning rate of the next step."""
        peak = self.config.learning_rate
        constant = self.config.schedule == "constant"
        return peak if constant else peak * one_cycle(self.taken, self.steps, self.config.warmup)

    def step(self, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Take a step; return the loss and how many images were read rightly, on the device.

        Args:
            images: float (B, 1, S, S).
            labels: int64 (B,).
        """
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.uses["bfloat16"]):
            logits = self._forward(images)
            loss = functional.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        self.optimizer.zero_grad(set_to_none=False)  # the gradients stay views of one
        loss.backward()
        self.optimizer.param_groups[0]["lr"] = self.learning_rate
        self.optimizer.step()
        self._average(self.taken)
        self.taken += 1
        return loss.detach(), (logits.detach().argmax(1) == labels).sum()

    def epoch(self, batches: Iterable, interrupted: Event) -> dict:
        """Take a step a batch, until interrupted; return loss and `metrics.accuracy`, which stay on the device so long.

        Raises:
            TrainingError: a loss that is not finite.
        """
        self.model.train()
        losses, counts, correct, first = [], [], torch.zeros((), device=self.device), self.taken
        for images, labels in batches:
            loss, right = self.step(images, labels)
            losses.append(loss)
            counts.append(len(labels))
            correct += right
            if interrupted.is_set():
                break
        losses, counts = torch.stack(losses).cpu(), torch.tensor(counts)
        if not losses.isfinite().all():
            batch = int((~losses.isfinite()).nonzero()[0])
            self.taken = first + batch
            place = (
                f"epoch {first // len(losses) + 1}: the loss is {losses[batch]} in batch {batch + 1} of {len(losses)}"
            )
            lower = self.config.learning_rate / 10
            raise TrainingError(
                f"{place}, at a learning rate of {self.learning_rate:.2g}: try learning_rate={lower:.1g}, or "
                "precision='float32'"
            )
        return {"loss": float(losses @ counts.float() / counts.sum())} | accuracy(int(correct), int(counts.sum()))

    def state(self) -> dict:
        """Return all that the next step depends on, but for the random numbers of the batches."""
        parts = {"model": self.model, "averaged": self.averaged, "optimizer": self.optimizer}
        return {name: part.state_dict() for name, part in parts.items()} | {"taken": self.taken}

    def restore(self, state: dict) -> None:
        """Go on from a `state`."""
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.taken = state["taken"]


def better(best: dict | None, epoch: int, checked: dict | None, model: nn.Module) -> dict:
    """Return the best epoch so far, which may be this one, of this model."""
    score = [checked["accuracy"], -checked["loss"]] if checked else [epoch]
    if best and score <= best["score"]:
        return best
    weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    return {"score": score, "epoch": epoch, "metrics": checked, "state_dict": weights}


def learns_nothing(config: Config, history: list[dict], classes: int) -> bool:
    """Return, once, five epochs after the warm-up, whether the training loss has not moved from chance."""
    rise = config.warmup * config.epochs_for(history[0]["train_n"]) if config.schedule == "one_cycle" else 0
    if len(history) != 5 + math.ceil(rise):
        return False
    return min(row["train_loss"] for row in history) > 0.98 * math.log(classes)
