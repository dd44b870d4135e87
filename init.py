"""What a run starts with: random seeds, the device, logging, and raw data made into data.npz."""

import hashlib
import io
import logging
import sys
from pathlib import Path

import torch
from tqdm import tqdm

from common.errors import InputError, did_you_mean
from common.files import write_bytes
from common.memory import available_memory
from common.seeds import preserve_random_state, set_seed
from config import DEFAULT_RAW, Config
from imaging.channels import check_channels, count_channels
from readers import open_source
from readers.added import check_same_classes, measure_training_images
from readers.characters import CharactersSource
from readers.container import is_empty
from readers.corrections import corrections_path
from readers.drawn import SYNTHETIC, DrawnSource
from readers.npz import NpzStore, read_npz
from readers.preparation import prepare_images
from readers.source import Source
from readers.store import SUFFIX, drawn_path, find_data, folder_of
from readers.store_writer import FolderStore, remove_store
from readers.summary import format_summary, read_summary
from runs import checkpoint
from runs.paths import check_paths
from runs.state import unfinished_identities
from training import pace
from training.backend import default_input_size
from training.interrupt import terminated_as_interrupted

__all__ = [
    "pick_device", "prepare", "preprocess", "preserve_random_state", "set_seed", "start_logging", "suit_cpu",
]  # fmt: skip
log = logging.getLogger("fit_char")
UNUSED = ("corrections.py", "planes.py")  # by the preparation
NPZ_LIMIT = 1024  # MiB of images at most in a data.npz, unless the config says otherwise


class _ConsoleHandler(logging.Handler):
    """Write lines to standard output as it is at that moment, without breaking a progress bar."""

    def emit(self, record: logging.LogRecord) -> None:
        tqdm.write(self.format(record))


def start_logging(level: int | str = "INFO") -> logging.Logger:
    """Let the project's logger print its lines, and return it; calling it again only changes the level.

    Args:
        level: the lowest level to print; "ERROR" silences everything, also in the records' log.txt.
    """
    if isinstance(sys.stdout, io.TextIOWrapper) and sys.stdout.errors == "strict":
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that it cannot encode does not end a run
    if not any(isinstance(handler, _ConsoleHandler) for handler in log.handlers):
        log.addHandler(_ConsoleHandler())
    log.setLevel(level)
    log.propagate = False  # otherwise a root logger that the user has set up would print every line again
    return log


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of that name; "auto" picks CUDA, then Apple's MPS, then the CPU.

    Raises:
        InputError: an unknown device, or one that this machine does not have.
    """
    available = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind, present in available.items() if present))
    kind, _, index = name.partition(":")
    if kind not in available or (index and not index.isdigit()):
        raise InputError(f"unknown device {name!r}: {did_you_mean(kind, ['auto', *available])}")
    if not available[kind] or (kind == "cuda" and int(index or 0) >= torch.cuda.device_count()):
        raise InputError(f"device {name!r} is not on this machine: use device='auto'")
    return torch.device(name)


def suit_cpu(config: Config) -> Config:
    """Return the config, on a slow CPU with an input size and a budget with which it trains for about ten minutes.

    Only the models of `pace.REDUCTIONS` are reduced, and only if the user has set neither input_size nor epochs nor
    samples_seen. A few training steps are timed, unless there is an interrupted run, which keeps what was chosen for
    it. What is chosen becomes part of the config, and so of its hash_id.

    Raises:
        InputError: a device that this machine does not have, or an `init_from` that cannot be read.
    """
    device = pick_device(config.device)
    reduced = pace.reductions(config, device) if config.mode != "test" else []
    if not reduced:
        return config
    configs = [config, *reduced]
    if config.init_from:  # whose weights are those of a model of one input size
        size = checkpoint.read(config.init_from, tensors=False)["input_spec"]["input_size"]
        configs = [one for one in configs if default_input_size(one, device) == size] or [config]
    save_path = config.save_path if config.resume else None
    unfinished = unfinished_identities(Path(save_path), config.model) if save_path else []
    return pace.find_interrupted(configs, unfinished, device) or pace.first_quick(configs, device)


def prepare(config: Config, elsewhere: Path | None = None, for_training: bool = True) -> Path:
    """Make `config.data_path` from the raw images, or from drawn characters if there are none, and return its path.

    If `config.characters` are set, these are drawn, whatever lies in DEFAULT_RAW. If the user has named raw images too,
    the characters are drawn in their style, and put beside them, where `dataset.add_drawn` finds them.

    If there are no raw images, a data.npz of the user's own is used as it is. Of a set that is too large for an npz,
    see `preprocess`, the path is that of a folder.

    Args:
        elsewhere: a folder for the data if `data_path` holds others, which then stay; by default they are replaced.
        for_training: whether characters beside raw images are drawn, which are there to train on alone.

    Raises:
        InputError: see `readers.open_source`, `CharactersSource` and `preprocess`; unless the mode is "test", also
            `check_paths`, so that a run which could not start or be saved ends here.
        StorageError: a folder cannot be written.
    """
    if config.mode != "test":
        check_paths(config)
    with terminated_as_interrupted():
        return _prepare(config, elsewhere, for_training)


def _prepare(config: Config, elsewhere: Path | None, for_training: bool) -> Path:
    added = _characters(config) if config.adds_drawn and for_training else None
    path = find_data(config.data_path)
    source = _find_source(config, path)
    if source is None:
        log.info("%s is used as it is: there are no images in %s.", path, config.raw_data_path)
        return path
    source.channels = config.channels
    if added is not None:
        check_same_classes(source, added)
    data_path = Path(config.data_path)
    if elsewhere is not None and _holds_others(data_path, _stamp(source, config.stored_size, config.photos)):
        log.info("%s was made from other images or settings and stays as it is.", path)
        corrections = corrections_path(data_path)
        data_path = elsewhere / "data.npz"
        if corrections.exists():  # which belong to images, wherever these are
            write_bytes(corrections_path(data_path), corrections.read_bytes())
    preprocess(source, data_path, config.stored_size, config.photos, config.npz_limit)
    path = find_data(data_path)
    if added is not None:
        added.channels, added.like = config.channels, measure_training_images(path, config)
        preprocess(added, drawn_path(path), config.stored_size, False, config.npz_limit)
    return path


def _find_source(config: Config, path: Path) -> Source | None:
    """Return where the images come from, given where their data are; None if these are used as they are.

    Raises:
        InputError: see `readers.open_source`; these are grey and the config is in colour, or the reverse.
    """
    if config.characters is not None and not config.adds_drawn:
        if not is_empty(Path(DEFAULT_RAW)):
            log.warning("The images in %s are not used: set raw_data_path=data/raw to use both.", DEFAULT_RAW)
        return _characters(config)
    if config.raw_data_path != DEFAULT_RAW or not is_empty(Path(DEFAULT_RAW)):
        return open_source(config.raw_data_path, config.labels_from, config.channels)
    data = read_npz(path) if path.exists() else None
    if data is None or data.source.startswith(SYNTHETIC):
        return DrawnSource(config.stored_size)
    check_channels(count_channels(data.x.shape[1:]), config.channels)
    return None


def _characters(config: Config) -> CharactersSource:
    """Return the characters that are to be drawn."""
    assert config.characters is not None
    return CharactersSource(config.characters, config.drawn_per_class, config.stored_size, hanzi_path=config.hanzi_path)


def _forms(path: Path) -> tuple[Path, Path]:
    """Return where the data of a path may be: an npz, and the folder that takes its place."""
    return path.with_suffix(".npz") if path.suffix == SUFFIX else path, folder_of(path)


def _holds_others(path: Path, stamp: str) -> bool:
    """Return whether there are data at a path, all of them made from other images or settings."""
    former = [read_summary(form)["fingerprint"] for form in _forms(path) if form.exists()]
    return bool(former) and stamp not in former


def preprocess(
    source: Source, data_path: str | Path, size: int = 28, photos: bool | None = None, npz_limit: float | None = None
) -> dict:
    """Make data.npz from a source and log a summary; do nothing if it was made from the same images with this size.

    If more than half of the images have one size, characters keep their place and scale. Otherwise somebody cut them
    out, and the margin left around a character means nothing: all are cropped to their ink. If more than half are
    photos, the character is looked for in each and brought to one style, without the paper and its light.

    A large set becomes a folder in place of the npz, data.arrays, that is read by memory map (`readers.store`). It is
    written in one pass with little memory, and a later call continues one that was killed.

    Args:
        source: see `readers.open_source`. If it has 3 channels, those of grey images are equal, and photos are not
            looked for, as characters are told from paper by their grey.
        data_path: the npz to write: x uint8 (N, size, size[, 3]), ink as in the source, y int64 (N,), classes str (C,),
            source str, files str (N,), digests bytes (N,) of the pixels in the source, group str (N,) of the writers if
            known, cropped and photos bool, summary str (JSON). Keys of the other parts end in _val and _test.
        size: pixels per side; images of other sizes are fitted (see `fit_image`).
        photos: whether the images are photos; None: see above.
        npz_limit: MiB of images in an npz; None: a quarter of the memory that is available, at most NPZ_LIMIT.

    Returns:
        The summary: source, fingerprint, images per class, sizes, modes, skipped files, identical images.

    Raises:
        InputError: an empty class, most images damaged, photos in colour, or a data_path that holds a file which this
            function did not make.
        StorageError: it cannot be written, or another process is writing the folder.
    """
    npz, folder = _forms(Path(data_path))
    stamp = _stamp(source, size, photos)
    former = {form: read_summary(form) for form in (npz, folder) if form.exists()}
    current = next((form for form, summary in former.items() if summary["fingerprint"] == stamp), None)
    if current is not None:
        log.info("%s is up to date.\n%s", current, format_summary(former[current]))
        return former[current]
    for form in former:
        log.info("%s was made from other images or settings and is replaced.", form)
    limit = min(NPZ_LIMIT, available_memory() / 4 / 2**20) if npz_limit is None else npz_limit
    if len(source) * size * size * source.channels > limit * 2**20:
        log.info("%d images are more than the %.4g MiB of an npz: they go to %s.", len(source), limit, folder)
        summary = prepare_images(source, FolderStore, folder, stamp, size, photos)
        npz.unlink(missing_ok=True)
    else:
        summary = prepare_images(source, NpzStore, npz, stamp, size, photos)
        remove_store(folder)
    log.info(format_summary(summary))
    return summary


def _stamp(source: Source, size: int, photos: bool | None) -> str:
    """Return what changes with the images, the settings and the code that prepares them."""
    folder = Path(__file__).parent
    modules = [folder / "init.py", *sorted(folder.glob("imaging/*.py")), *sorted(folder.glob("readers/*.py"))]
    code = [file.read_bytes() for file in modules if file.name not in UNUSED]
    values = (code, source.name, source.stamp(), size, photos, source.channels)
    return hashlib.sha256(repr(values).encode()).hexdigest()[:16]
