"""What a run starts with: random seeds, the device, logging, and raw data made into data.npz."""

import hashlib
import io
import json
import logging
import sys
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from common.errors import InputError, did_you_mean
from common.files import check_file, write_bytes
from common.memory import available_memory
from common.seeds import preserve_random_state, set_seed
from config import DEFAULT_RAW, Config
from imaging.channels import check_channels, count_channels
from imaging.ink import hash_images
from imaging.photo import SAMPLE, measure_each
from imaging.pictures import as_images
from readers import open_source
from readers.characters import CharactersSource
from readers.container import is_empty
from readers.corrections import corrections_path
from readers.drawn import SYNTHETIC, DrawnSource
from readers.npz import NpzStore, read_npz
from readers.preparation import prepare_images
from readers.source import PARTS, Source
from readers.splits import leak_groups, validation_mask
from readers.store import SUFFIX, drawn_path, find_data, folder_of, kept_hashes, read_about
from readers.store_writer import FolderStore, remove_store
from readers.summary import format_summary
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
UNUSED = ("corrections.py", "ink.py", "input_spec.py", "planes.py")  # by the preparation
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
    if config.resume and config.save_path:
        for identity in unfinished_identities(Path(config.save_path), config.model):
            for one in configs:
                parameters = {key: value for key, value in one.identity().items() if value != "auto"}  # as it was set
                if parameters.items() <= identity.items():
                    size = default_input_size(one, device)
                    log.info("%s is trained at %d×%d pixels, as in the interrupted run.", config.model, size, size)
                    return one
    return pace.first_quick(configs, device)


def prepare(config: Config, elsewhere: Path | None = None) -> Path:
    """Make `config.data_path` from the raw images, or from drawn characters if there are none, and return its path.

    If `config.characters` are set, these are drawn, whatever lies in DEFAULT_RAW. If the user has named raw images too,
    the characters are drawn in their style, and put beside them, where `dataset.add_drawn` finds them.

    If there are no raw images, a data.npz of the user's own is used as it is. Of a set that is too large for an npz,
    see `preprocess`, the path is that of a folder.

    Args:
        elsewhere: a folder for the data if `data_path` holds others, which then stay; by default they are replaced.

    Raises:
        InputError: see `readers.open_source`, `CharactersSource` and `preprocess`; unless the mode is "test", also
            `check_paths`, so that a run which could not be saved ends here.
        StorageError: a folder cannot be written.
    """
    if config.mode != "test":
        check_paths(config)
    with terminated_as_interrupted():
        return _prepare(config, elsewhere)


def _prepare(config: Config, elsewhere: Path | None) -> Path:
    path = find_data(config.data_path)
    source: Source
    characters = _characters(config)
    if characters is not None and not config.adds_drawn:
        source = characters
    elif config.raw_data_path != DEFAULT_RAW or not is_empty(Path(DEFAULT_RAW)):
        source = open_source(config.raw_data_path, config.labels_from, config.channels)
    elif not path.exists() or (arrays := read_npz(path)).source.startswith(SYNTHETIC):
        source = DrawnSource(config.stored_size)
    else:
        check_channels(count_channels(arrays.x.shape[1:]), config.channels)
        log.info("%s is used as it is: there are no images in %s.", path, config.raw_data_path)
        return path
    source.channels = config.channels
    if characters is not None and config.adds_drawn:
        _check_same_classes(source, characters)
    data_path = Path(config.data_path)
    if elsewhere is not None and _holds_others(data_path, _stamp(source, config.stored_size, config.photos)):
        log.info("%s was made from other images or settings and stays as it is.", path)
        corrections, data_path = corrections_path(data_path), elsewhere / "data.npz"
        if corrections.exists():  # which belong to images, wherever these are
            write_bytes(corrections_path(data_path), corrections.read_bytes())
    preprocess(source, data_path, config.stored_size, config.photos, config.npz_limit)
    path = find_data(data_path)
    if characters is not None and config.adds_drawn:
        characters.channels, characters.like = config.channels, _measure_style(path, config)
        preprocess(characters, drawn_path(path), config.stored_size, False, config.npz_limit)
    return path


def _characters(config: Config) -> CharactersSource | None:
    """Return the characters that are to be drawn, if any."""
    if config.characters is None:
        return None
    return CharactersSource(config.characters, config.drawn_per_class, config.stored_size, hanzi_path=config.hanzi_path)


def _measure_style(path: Path, config: Config) -> np.ndarray | None:
    """Return what `measure_each` finds in SAMPLE of the images at a path to train on; None if all are blank.

    Those that `dataset.split` will hold out are left out, unless corrections change the split.
    """
    train, val, _ = (read_npz(path, part) for part in PARTS)
    chosen = np.arange(len(train.x))
    if not len(val.x):
        writers = np.full(len(train.x), "") if train.group is None else train.group
        hashes = kept_hashes(train.x)
        groups = leak_groups(hash_images(train.x) if hashes is None else hashes, writers)
        chosen = np.flatnonzero(
            ~validation_mask(train.y, train.classes, groups, config.val_fraction, config.split_seed)
        )
    sample = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), SAMPLE)).astype(np.int64)]
    found = measure_each(np.asarray(as_images(train.x[sample])))
    return found if len(found) else None


def _check_same_classes(real: Source, drawn: Source) -> None:
    """Raise InputError if images are not of the characters that are to be drawn in addition."""
    other = sorted(map(str, set(real.classes) ^ set(drawn.classes)))
    if other:
        raise InputError(
            f"the classes of {real.name} are not the characters: {', '.join(other[:20])} are in one of them only. Name "
            "the classes by their characters, with classes.txt if not by the folders, or leave characters out"
        )


def _forms(path: Path) -> tuple[Path, Path]:
    """Return where the data of a path may be: an npz, and the folder that takes its place."""
    return path.with_suffix(".npz") if path.suffix == SUFFIX else path, folder_of(path)


def _holds_others(path: Path, stamp: str) -> bool:
    """Return whether there are data at a path, all of them made from other images or settings."""
    former = [_read_summary(form)["fingerprint"] for form in _forms(path) if form.exists()]
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
    former = {form: _read_summary(form) for form in (npz, folder) if form.exists()}
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


def _read_summary(path: Path) -> dict:
    check_file(path)
    try:
        if path.is_dir():
            summary = read_about(path)["summary"]
        else:
            with open(path, "rb") as file, np.load(file, allow_pickle=False) as npz:
                summary = json.loads(str(npz["summary"]))
        format_summary(summary)
        return summary | {"fingerprint": summary["fingerprint"]}
    except Exception as error:  # whatever it is, it is no file of ours
        raise InputError(
            f"{path} was not made by this program and is not overwritten: move it or set another data_path"
        ) from error
