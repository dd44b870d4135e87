"""Several processes that train one model, as torchrun starts them: what each does, and what they agree on.

Every process holds all images and draws the same random numbers for the whole batch, of which it takes its share. If
there is one process, or no group of them, everything here returns at once what it was given.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from threading import Event
from typing import TypeVar

import torch
from torch import distributed as dist
from torch.distributed.rendezvous import rendezvous

from common.errors import InputError, LostProcessError

PATIENCE = timedelta(hours=2)  # that processes wait for each other, such as while one of them prepares the data
T = TypeVar("T")


def launched() -> bool:
    """Return whether torchrun, or another launcher that sets the same variables, has started this process."""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()


def is_first_here() -> bool:
    """Return whether this process is the first on its machine, which prepares the data and reports errors."""
    return not launched() or os.environ.get("LOCAL_RANK", "0") == "0"


def is_main() -> bool:
    """Return whether this process is the one that writes: record, checkpoints, state, progress."""
    return _rank() == 0


def processes() -> int:
    """Return how many processes train together."""
    return dist.get_world_size() if _is_active() else 1


def _is_active() -> bool:
    return dist.is_available() and dist.is_initialized()


def _rank() -> int:
    return dist.get_rank() if _is_active() else 0


@contextmanager
def process_group(device: torch.device) -> Iterator[None]:
    """Join the processes that were started together: nccl connects GPUs, gloo CPUs. Alone, do nothing.

    Args:
        device: what `pick_device` gave; on CUDA each process takes the GPU of its own number.

    Raises:
        InputError: fewer GPUs than processes, one GPU for all of them, or a device that they cannot use together.
    """
    if not launched():
        yield
        return
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    if device.type == "cuda":
        if here > torch.cuda.device_count() or (here > 1 and device.index is not None):
            found = f"{device}, of {torch.cuda.device_count()} GPUs"
            raise InputError(f"{here} processes on this machine for {found}: start one per GPU, with device='cuda'")
        torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")) if device.index is None else device.index)
    elif device.type != "cpu":
        raise InputError(f"processes cannot train together on {device}: set device='cpu'")
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    with _connected():
        store, rank, size = next(rendezvous("env://", timeout=PATIENCE))
        # torchrun's store outlives a restart, and so do the addresses of processes that are gone. On several machines
        # the count may differ between them: see TORCH_DISABLE_SHARE_RDZV_TCP_STORE.
        if os.environ.get("GROUP_WORLD_SIZE", "1") == "1":
            store = dist.PrefixStore(f"attempt {os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        dist.init_process_group(backend, store=store, rank=rank, world_size=size, timeout=PATIENCE)
    yield
    # Not after an error, when others may wait: the end of this process tells them. Otherwise nobody closes a connection
    # before all have ended their last operation, which would fail.
    store.set(f"ended {rank}", "")
    with suppress(RuntimeError):  # the process that keeps the store may be gone already
        store.wait([f"ended {number}" for number in range(size)], PATIENCE)
    dist.destroy_process_group()


@contextmanager
def _connected() -> Iterator[None]:
    """Raise LostProcessError if another process cannot be reached."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).partition("\n")[0]
        raise LostProcessError(
            f"another process of this run has ended or cannot be reached ({reason:.200}): see its own message; run the "
            "same command again to continue"
        ) from error


@contextmanager
def common_errors() -> Iterator[None]:
    """Wait for all processes at the end, and raise in each of them the error that one of them has met."""
    own: Exception | None = None
    try:
        yield
    except (ValueError, OSError) as error:
        own = error
    for number, met in enumerate(gather(own)):
        if met is not None:
            raise met if number in (0, _rank()) else type(met)(f"process {number}: {met}")


def broadcast(make: Callable[[], T]) -> T:
    """Return in all processes what `make` returns in the main one."""
    if processes() == 1:
        return make()
    box = [make() if is_main() else None]
    with _connected():
        dist.broadcast_object_list(box, device=torch.device("cpu"))
    return box[0]  # type: ignore[return-value]


def gather(value: T) -> list[T]:
    """Return the values of all processes, in their order."""
    if processes() == 1:
        return [value]
    values: list = [None] * processes()
    with _connected():
        dist.all_gather_object(values, value)
    return values


def share(count: int) -> slice:
    """Return which of the `count` images of a batch are this process's: about as many as any other's.

    Nobody gets a single image, of which batch normalization could not compute a variance; some may get none.
    """
    sharers, rank = max(1, min(processes(), count // 2)), _rank()
    if rank >= sharers:
        return slice(count, count)
    size, larger = divmod(count, sharers)  # as torch.tensor_split divides
    start = rank * size + min(rank, larger)
    return slice(start, start + size + (1 if rank < larger else 0))


@torch.no_grad()
def copy_from_main(tensors: Iterable[torch.Tensor]) -> None:
    """Overwrite tensors with those of the main process."""
    if processes() > 1:
        with _connected():
            for tensor in tensors:
                dist.broadcast(tensor, 0)


@torch.no_grad()
def average(tensors: Iterable[torch.Tensor]) -> None:
    """Replace float tensors by their mean over all processes."""
    if processes() > 1:
        for tensor in tensors:
            _add_up(tensor)
            tensor /= processes()


@torch.no_grad()
def weighted_mean(values: torch.Tensor, weights: torch.Tensor | int) -> None:
    """Replace values by their weighted mean over all processes, with one operation between these.

    Args:
        values: float (n,), means over this process's images; without images, 0.
        weights: how much these images count; float (n,), or one number for all values.
    """
    if processes() > 1:
        weights = values.new_full((1,), weights) if isinstance(weights, int) else weights.reshape(-1)
        sums = torch.cat([values * weights, weights])  # (n + n,) or (n + 1,)
        _add_up(sums)
        torch.div(sums[: len(values)], sums[len(values) :], out=values)


def add_up(value: torch.Tensor) -> None:
    """Replace a tensor by its sum over all processes."""
    if processes() > 1:
        _add_up(value)


def _add_up(tensor: torch.Tensor) -> None:
    with _connected():
        dist.all_reduce(tensor)


class CommonEvent:
    """An event that all processes see in the same call of `is_set`, one call after it was set in any of them.

    Messages travel while the next batch is computed. In a single process it is the event itself.

    Args:
        event: of this process.
    """

    def __init__(self, event: Event):
        self._event, self._seen = event, False
        self._under_way: tuple[dist.Work, torch.Tensor] | None = None

    def is_set(self) -> bool:
        """Return whether it is set; all processes must call it equally often."""
        if processes() == 1:
            return self._event.is_set()
        if self._under_way:
            work, found = self._under_way
            with _connected():
                work.wait()
            self._seen, self._under_way = bool(found), None
        if not self._seen:
            found = torch.tensor(float(self._event.is_set()))
            with _connected():
                self._under_way = dist.all_reduce(found, async_op=True), found
        return self._seen
