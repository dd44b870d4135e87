"""Image files as a model's input, decoded by several processes."""

import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice

import numpy as np

from common.errors import InputError
from imaging.decoding import decode
from imaging.input_spec import InputSpec

CHUNK = 32  # files that a process gets at once
File = tuple[str, bytes | str]  # name and content, or the reason why there is none


def fit_files(files: Iterable[File], spec: InputSpec, processes: int = 1) -> Iterator[tuple[str, np.ndarray | str]]:
    """Yield (name, image uint8 of the spec's source shape, or the reason why it cannot be read), in order.

    Args:
        files: are read when they are needed.
        processes: that decode; 1: this one.
    """
    if processes == 1:
        for name, data in files:
            yield name, _fit(data, spec)
        return
    rest = iter(files)
    waiting = deque[tuple[list[File], Future]]()
    with ProcessPoolExecutor(processes, _context(), _ignore_interrupts) as pool:
        for chunk in iter(lambda: list(islice(rest, CHUNK)), []):
            waiting.append((chunk, pool.submit(_fit_all, [data for _, data in chunk], spec)))
            if len(waiting) > 4 * processes:  # so that not all files are in memory at once
                yield from _results(*waiting.popleft())
        for chunk, future in waiting:
            yield from _results(chunk, future)


def _results(chunk: list[File], future: Future) -> Iterator[tuple[str, np.ndarray | str]]:
    for (name, _), fitted in zip(chunk, future.result(), strict=True):
        yield name, fitted


def usable_cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def _context() -> multiprocessing.context.BaseContext:
    """Return how processes start: not as copies of this one, whose threads may hold locks."""
    return multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the process that waits for the results."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _fit_all(contents: list[bytes | str], spec: InputSpec) -> list[np.ndarray | str]:
    return [_fit(data, spec) for data in contents]


def _fit(data: bytes | str, spec: InputSpec) -> np.ndarray | str:
    if isinstance(data, str):
        return data
    try:
        return spec.fit_unseen(decode(data, spec.channels)[0])
    except InputError as error:
        return str(error)
    except Exception as error:  # Pillow's decoders raise nearly anything for damaged files
        return f"not readable as an image: {error}"
