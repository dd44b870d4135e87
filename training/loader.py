"""Loaders: batches of a data set as a model sees them, on the device."""

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import torch
from torch import nn
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, Sampler, SequentialSampler, default_collate

from common.errors import InputError
from common.files import mapped_file
from common.seeds import preserve_random_state
from config import Config
from imaging.ink import backgrounds, ink
from imaging.input_spec import InputSpec
from imaging.planes import to_planes
from training import distributed
from training.augmentation import ALL, resample

EVALUATION_BATCH = 512  # images
Item = TypeVar("Item")
Result = TypeVar("Result")


def make_loader(
    images, spec: InputSpec, config: Config, device: torch.device, training: bool = False, augment: bool = False
) -> "ResidentLoader | PerImageLoader":
    """Return a loader of a CharDataset.

    Args:
        images: a CharDataset whose images have the spec's source shape, or a transform.
        training: whether batches are shuffled, augmented and of the config's size.
        augment: whether batches are augmented without that.
    """
    batch_size = config.batch_size if training else EVALUATION_BATCH
    if config.pipeline == "per_image" or images.transform:
        return PerImageLoader(images, spec, batch_size, device, shuffle=training)
    strengths = config if config.augments and (training or augment) else None
    return ResidentLoader(images, spec, batch_size, device, strengths, shuffle=training)


def check_transform(images, model: nn.Module, input_size: int) -> None:
    """Raise InputError if the transform of a CharDataset makes images that a model does not take."""
    device = next(model.parameters()).device
    with preserve_random_state(device):
        image = images[0][0]
    remedy = f"let it end with Resize(({input_size}, {input_size})) and ToTensor(), in this order"
    if not isinstance(image, torch.Tensor):
        made = type(image).__name__
        wanted = f"({images.channels}, S, S)"
        raise InputError(f"the transform makes a {made}, not a float tensor {wanted}: {remedy}")
    try:
        with preserve_random_state(device), torch.inference_mode():
            model.eval()(image[None].to(device))
    except RuntimeError:
        what = f"{str(image.dtype).removeprefix('torch.')} {tuple(image.shape)}"
        raise InputError(f"{type(model).__name__} does not take what the transform makes, {what}: {remedy}") from None


def has_singleton_batch(count: int, batch_size: int) -> bool:
    """Return whether the last batch would hold one image, of which batch normalization cannot compute a variance."""
    return count > 1 and count % batch_size == 1


class ResidentLoader:
    """Batches from images that are kept as uint8 on the device, resized and augmented per batch.

    Images that the device has no room for stay in host memory, or on disk if they are a memory map. Their next batch is
    then read while the model is busy with this one.

    Args:
        images: a CharDataset of N images without a transform.
        augmentation: the strengths, or None.
        shuffle: whether the order is random, from torch's global generator; a last batch of one image is dropped.
    """

    def __init__(
        self, images, spec: InputSpec, batch_size: int, device: torch.device, augmentation: Config | None = None,
        shuffle: bool = False,
    ):  # fmt: skip
        self.images, self.spec, self.batch_size, self.device = images, spec, batch_size, device
        self.augmentation, self.shuffle = augmentation, shuffle
        self._labels = torch.from_numpy(images.y)  # int64 (N,)
        self._resident = None
        if self._fits_device():
            self._resident = torch.empty(images.shape, dtype=torch.uint8, device=device)  # (N, H, W[, 3])
        self._background, start = torch.empty(len(images), dtype=torch.uint8), 0  # (N,)
        for chunk in images.chunks():
            pixels = torch.from_numpy(chunk)
            if spec.channels == 1:
                self._background[start : start + len(chunk)] = backgrounds(pixels)
            if self._resident is not None:
                self._resident[start : start + len(chunk)] = pixels
            start += len(chunk)
        if self._resident is not None:
            self._background, self._labels = self._background.to(device), self._labels.to(device)

    def _fits_device(self) -> bool:
        """Return whether images go to the device: not to a CPU, nor if they exceed half of CUDA's free memory.

        Processes that train together do the same.
        """
        if self.device.type != "cuda":
            return self.device.type != "cpu"
        fits = math.prod(self.images.shape) < torch.cuda.mem_get_info(self.device)[0] / 2
        return all(distributed.gather(fits)) if self.shuffle else fits

    def __len__(self) -> int:
        count = len(self.images)
        dropped = 0
        if self.shuffle and has_singleton_batch(count, self.batch_size):
            dropped = 1
        return math.ceil(count / self.batch_size) - dropped

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (float (B, C, S, S) in [0, 1], int64 (B,)) on the device: of a batch that is shuffled, this process's.

        The order and the augmentation of an image are the same on any number of processes.
        """
        count = len(self.images)
        order = torch.randperm(count) if self.shuffle else torch.arange(count)  # on the CPU: the same on any device
        order = order[: len(self) * self.batch_size]
        whole = order.to(self._labels.device).split(self.batch_size)
        parts = [distributed.share(len(batch)) if self.shuffle else ALL for batch in whole]
        mine = [batch[part] for batch, part in zip(whole, parts, strict=True)]
        on_disk = self._resident is None and mapped_file(self.images.array) is not None
        pixels = ahead(self._pixels, mine) if on_disk else map(self._pixels, mine)
        for batch, part, chosen, images in zip(whole, parts, mine, pixels, strict=True):
            is_grey = self.spec.channels == 1
            labels = self._labels[chosen]
            seen = self._to_device(ink(images, self._background[chosen]) if is_grey else to_planes(images))
            inputs = resample(seen, self.spec.input_size, self.augmentation, len(batch), part)
            yield inputs, self._to_device(labels)

    def _pixels(self, chosen: torch.Tensor) -> torch.Tensor:
        """Return images uint8 (B, H, W[, 3]), on the device if resident; others are read in their order on disk."""
        if self._resident is not None:
            return self._resident[chosen]
        places = self.images.indices[chosen.numpy()]
        pixels = np.empty((len(places), *self.images.shape[1:]), np.uint8)
        order = np.argsort(places)
        pixels[order] = self.images.array[places[order]]
        return torch.from_numpy(pixels)

    def _to_device(self, values: torch.Tensor) -> torch.Tensor:
        """Return values on the device; CUDA fetches them from pinned memory while it is busy with earlier batches."""
        if self.device.type == "cuda" and self._resident is None:
            return values.pin_memory().to(self.device, non_blocking=True)
        return values.to(self.device)


def ahead(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield the function's result for each item; a thread computes the next ones meanwhile, at most two."""
    with ThreadPoolExecutor(1) as thread:
        pending: deque[Future[Result]] = deque()
        try:
            for item in items:
                pending.append(thread.submit(function, item))
                if len(pending) > 2:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()


class PerImageLoader:
    """Batches from a dataset whose transform, or the report's Resize and ToTensor, is applied image by image.

    Args:
        images: a CharDataset.
        shuffle: whether the order is random, from torch's global generator; a last batch of one image is dropped.
    """

    def __init__(self, images, spec: InputSpec, batch_size: int, device: torch.device, shuffle: bool = False):
        if images.transform is None:
            from torchvision import transforms  # imported here, as it takes as long as torch

            size = (spec.input_size, spec.input_size)
            images = images.with_transform(transforms.Compose([transforms.Resize(size), transforms.ToTensor()]))
        drop_last = shuffle and has_singleton_batch(len(images), batch_size)
        order: Sampler = RandomSampler(images) if shuffle else SequentialSampler(images)
        batches = _Shares(order, batch_size, drop_last) if shuffle else BatchSampler(order, batch_size, drop_last)
        self.device, self._images = device, images
        self._loader = DataLoader(images, batch_sampler=batches, collate_fn=self._collate)

    def _collate(self, items: list) -> list[torch.Tensor]:
        """Return items as a batch, which may be empty."""
        return [part[: len(items)] for part in default_collate(items or [self._images[0]])]

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Yield (float (B, …), int64 (B,)) on the device: of a batch that is shuffled, this process's.

        Random numbers that a transform draws depend on the number of processes.
        """
        for images, labels in self._loader:
            yield images.to(self.device), labels.to(self.device)


class _Shares(BatchSampler):
    """The batches' indices that are this process's."""

    def __iter__(self) -> Iterator[list[int]]:
        for batch in super().__iter__():
            yield batch[distributed.share(len(batch))]
