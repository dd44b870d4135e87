"""How long a run takes on this CPU, and what its recipe is reduced to if that is too long."""

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import replace

import torch

from common.seeds import preserve_random_state
from config import RECIPES, Config
from models import build
from training.backend import default_input_size, keep_freed_memory, select_backend, smallest_input_size
from training.trainer import Trainer
from training.waiting import WaitingThreads

LONGEST = 600.0  # seconds of training steps that a default run may take
STEPS = 3  # that are timed
# Changes of a model's recipe on a CPU, from the most accurate to the quickest (figures: benchmarks/README.md).
REDUCTIONS: dict[str, list[dict]] = {
    "ResNet18": [{"input_size": 48}, {"input_size": 32}, {"input_size": 32, "samples_seen": 66_960}]
}
measured: dict[str, float] = {}  # images/s that this process has measured, by model and input size
log = logging.getLogger("fit_char")


def reductions(config: Config, device: torch.device) -> list[Config]:
    """Return the configs to which a run may be reduced; none on a GPU, nor if the user has chosen size or budget."""
    usual = RECIPES.get(config.model, RECIPES["default"])["samples_seen"]
    is_default = config.recipe == "default" and config.samples_seen == usual and config.pipeline == "resident"
    if device.type != "cpu" or not is_default or config.input_size or config.epochs:
        return []
    smallest = smallest_input_size(config.stored_size)
    configs = [config]
    for changes in REDUCTIONS.get(config.model, []):
        size = max(smallest, changes["input_size"])
        reduced = replace(config, **changes | {"input_size": size}, hash_id=None)
        if (size, reduced.samples_seen) != (default_input_size(configs[-1], device), configs[-1].samples_seen):
            configs.append(reduced)
    return configs[1:]


def find_interrupted(configs: list[Config], identities: Iterable[dict], device: torch.device) -> Config | None:
    """Return the config of an interrupted run and log it, or None if none of the configs is that of one.

    Args:
        configs: of one model.
        identities: of the unfinished runs of that model (`runs.state.unfinished_identities`).
    """
    for identity in identities:
        for config in configs:
            parameters = {key: value for key, value in config.identity().items() if value != "auto"}  # as it was set
            if parameters.items() <= identity.items():
                size = default_input_size(config, device)
                log.info("%s is trained at %d×%d pixels, as in the interrupted run.", config.model, size, size)
                return config
    return None


def first_quick(
    configs: list[Config], device: torch.device, speed: Callable[[Config, torch.device], float] | None = None
) -> Config:
    """Return the first config whose run takes at most LONGEST, else the last, and log what was measured.

    Args:
        configs: of one model, from the most accurate to the quickest.
        speed: gives the images/s of a config; by default `measured_speed`.
    """
    rates: dict[int, float] = {}
    for config in configs:
        size = default_input_size(config, device)
        if size not in rates:
            rates[size] = (speed or measured_speed)(config, device)
        seconds = config.samples_seen / rates[size]
        if seconds <= LONGEST:
            break
    measured.update({f"{config.model} {size}×{size}": round(rate, 1) for size, rate in rates.items()})
    speeds = ", ".join(f"{rate:.0f} images/s of {size}×{size} pixels" for size, rate in rates.items())
    log.info("%s trains on %s here.", config.model, speeds)
    if config is not configs[0]:
        usual = configs[0].samples_seen
        log.info(
            "So that training takes about %.0f minutes, rather than %.0f (longer with more than %d images or dozens of "
            "classes), the run has input_size = %d and samples_seen = %d. Set either of them, or epochs, to choose for "
            "yourself.",
            seconds / 60, usual / next(iter(rates.values())) / 60, usual // 20, size, config.samples_seen,
        )  # fmt: skip
    return config


def measured_speed(config: Config, device: torch.device) -> float:
    """Return how many random images training takes per second; of STEPS steps, the quickest counts."""
    size = default_input_size(config, device)
    with preserve_random_state(device):
        model = build(config.model, config.channels, 12)
        backend = select_backend(config, model, device)
        trainer = Trainer(config, backend.place(model, device), backend, [None] * (STEPS + 1))
        images = torch.rand(config.batch_size, config.channels, size, size)
        labels = torch.zeros(config.batch_size, dtype=torch.int64)
        keep_freed_memory()
        model.train()
        seconds = []
        with WaitingThreads(device) as threads:
            for _ in range(STEPS + 1):  # one to warm up
                start = time.perf_counter()
                trainer.train_step(images, labels)
                seconds.append(time.perf_counter() - start)
                threads.check()
    return config.batch_size / min(seconds[1:])
