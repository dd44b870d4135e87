"""The images of a source, prepared chunk by chunk by several processes."""

import logging
import math
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, fields
from itertools import islice

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from common.errors import InputError
from common.files import fingerprint
from imaging.files import usable_cores
from imaging.ink import hash_images
from imaging.input_spec import InputSpec
from imaging.photo import is_photo
from readers.source import PARTS, Sample, Source

CHUNK_BYTES = 2**24  # of a chunk's images
MOST = 1024  # images of a chunk
FEW = 20_000  # images that one process reads as soon as several have started
MOST_PROCESSES = 8
log = logging.getLogger("fit_char")
Columns = dict[str, np.ndarray]


@dataclass
class Found:
    """What was found in some images of a source.

    Attributes:
        sizes: how many images have which size (width, height) in pixels, before they were prepared.
        photos: how many are photos.
        blank: (file, reason) of photos in which there is no character.
        damaged, modes, notes, counts: what a share of the source says about its images (`Source`).
    """

    sizes: Counter[tuple[int, int]] = field(default_factory=Counter)
    photos: int = 0
    blank: list[tuple[str, str]] = field(default_factory=list)
    damaged: list[tuple[str, str]] = field(default_factory=list)
    modes: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, other: "Found") -> None:
        """Add what was found in further images."""
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        self.notes = list(dict.fromkeys(self.notes))

    def report_to(self, source: Source) -> None:
        """Let the source, all of whose images were read, say what was found in them. Raises InputError."""
        source.check_damaged(self.damaged)
        source.skipped = self.damaged + source.skipped + self.blank
        source.modes = self.modes or source.modes
        source.notes = list(dict.fromkeys(source.notes + self.notes))
        source.counts = self.counts or source.counts


def chunk_length(spec: InputSpec) -> int:
    """Return how many images of a source make a chunk."""
    return max(1, min(MOST, CHUNK_BYTES // math.prod(spec.source_shape)))


def read_chunks(source: Source, spec: InputSpec, first: int = 0, processes: int | None = None):
    """Yield the images of a source in chunks, and what was found in them.

    Args:
        source: read by several processes if it can be divided and has more than FEW images; on Linux only, where a
            process can be forked. Should one of them die, this one goes on alone.
        spec: what the images are made to fit; photos in which no character is found are left out.
        first: number of the chunk to begin with.
        processes: by default one per core, at most MOST_PROCESSES.

    Yields:
        (columns, Found): x uint8 (n, H, W[, 3]), y int64 (n,), files str (n,), digests bytes (n,) of the images before
        they were fitted, group and part str (n,), hashes uint64 (n, 2) of x.
    """
    if source.share(0, 0) is None:
        yield from _read_whole(source, spec, first)
        return
    shares = _Shares(source, spec)
    for chunk in _in_processes(shares, first, _count_processes(len(source)) if processes is None else processes):
        yield chunk
        first += 1
    for number in range(first, len(shares)):
        yield shares[number]


def _count_processes(images: int) -> int:
    if sys.platform != "linux" or images <= FEW:
        return 1
    return min(usable_cores(), MOST_PROCESSES)


class _Shares(Dataset):
    """The chunks of a source by number."""

    def __init__(self, source: Source, spec: InputSpec):
        self.source, self.spec, self.length = source, spec, chunk_length(spec)

    def __len__(self) -> int:
        return -(-len(self.source) // self.length)

    def __getitem__(self, number: int) -> tuple[Columns, Found]:
        start, stop = number * self.length, min((number + 1) * self.length, len(self.source))
        share = self.source.share(start, stop)
        assert share is not None
        columns, found = _prepare(share, self.spec, stop - start)
        found.damaged, found.modes, found.notes, found.counts = share.skipped, share.modes, share.notes, share.counts
        return columns, found


def _in_processes(shares: _Shares, first: int, processes: int) -> Iterator[tuple[Columns, Found]]:
    """Yield the chunks from number `first` on, in order; end early if a process dies."""
    if processes < 2:
        return
    order = range(first, len(shares))
    generator = torch.Generator()  # torch's global one is left alone
    loader = DataLoader(
        shares, batch_size=None, sampler=order, num_workers=processes, collate_fn=_as_it_is, generator=generator,
        multiprocessing_context="fork",
    )  # fmt: skip
    chunks = None
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "This process .* is multi-threaded", DeprecationWarning)
            warnings.filterwarnings("ignore", "This DataLoader will create", UserWarning)  # more than there are cores
            chunks = iter(loader)
        yield from chunks
    except RuntimeError as error:
        log.warning("One of %d processes that read images has died; this one goes on alone. (%s)", processes, error)
    finally:
        with suppress(RuntimeError):  # the others may have been ended, too, which torch says at any moment
            if chunks is not None:
                chunks._shutdown_workers()


def _as_it_is(chunk):
    return chunk


def _read_whole(source: Source, spec: InputSpec, first: int) -> Iterator[tuple[Columns, Found]]:
    """Yield the chunks of a source that cannot be divided; those before number `first` are read in vain."""
    length = chunk_length(spec)
    samples = islice(source, first * length, None)
    while True:
        columns, found = _prepare(islice(samples, length), spec, length)
        if not found.sizes:
            return
        yield columns, found


def _prepare(samples: Iterable[Sample], spec: InputSpec, most: int) -> tuple[Columns, Found]:
    """Return the columns of at most so many samples, see `read_chunks`, and what was found in them."""
    x = np.empty((most, *spec.source_shape), np.uint8)
    found = Found()
    columns: dict[str, list] = {"y": [], "files": [], "digests": [], "group": [], "part": []}
    for sample in samples:
        found.sizes[sample.image.shape[1], sample.image.shape[0]] += 1
        if spec.channels == 1:
            found.photos += is_photo(sample.image)
        try:
            x[len(columns["y"])] = spec.fit(sample.image)
        except InputError as error:
            found.blank.append((sample.file, str(error)))
            continue
        values = (sample.label, sample.file, fingerprint(sample.image), sample.group, sample.part)
        for column, value in zip(columns.values(), values, strict=True):
            column.append(value)
    types = {"y": np.int64, "digests": np.bytes_}
    arrays = {name: np.array(values, types.get(name, str)) for name, values in columns.items()}
    x = x[: len(arrays["y"])]
    return {"x": x} | arrays | {"hashes": hash_images(x)}, found


def divide(columns: Columns) -> dict[str, Columns]:
    """Return part → the rows of a chunk that belong to it, of those parts that have any."""
    chosen = {part: columns["part"] == part for part in PARTS}
    return {
        part: {name: values[own] for name, values in columns.items() if name != "part"}
        for part, own in chosen.items()
        if own.any()
    }
