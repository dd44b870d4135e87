"""The notebook's steps that commands of the shell share: the data, and a checkpoint with its data."""

import argparse
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import init
from apps.options import given, read_config
from classifier import CNNClassifier
from common.errors import InputError
from config import DEFAULT_RAW, Config
from dataset import CharDataset, add_drawn, load_parts, split
from readers.store import find_data
from training.distributed import common_errors, is_first_here

SOURCE = ("raw_data_path", "characters")  # what images are made from
Data = tuple[tuple[CharDataset, CharDataset], tuple[CharDataset, CharDataset, CharDataset, str]]


def read_data(config: Config) -> Data:
    """Return (images, test) at `data_path`, and their split: (train, val, held out, the part that the latter is).

    Characters that are drawn in addition (`dataset.add_drawn`) are in `train` alone.
    """
    images, val, test = load_parts(config.data_path).values()
    train = images
    if not len(val):
        train, val = split(images, config.val_fraction, config.split_seed)
    train = add_drawn(train, config)
    return (images, test), (train, val, test, "test") if len(test) else (train, val, val, "validation")


def load_data(config: Config, prepared: bool = False) -> Data:
    """Prepare the data, on each machine once, unless that was done, and return it as `read_data` does."""
    with common_errors():
        if is_first_here() and not prepared:
            init.prepare(config)
    with common_errors():
        data = read_data(config)
    return data


def load_checkpoint(options: argparse.Namespace, for_training: bool = True) -> tuple[CNNClassifier, Data]:
    """Return the classifier of a checkpoint, and the data of its own run, or of the parameters that were given.

    Their labels are indices into the checkpoint's classes. No data are replaced: if `data_path` holds others, those
    that are wanted are prepared in a temporary folder.

    Args:
        options: checkpoint, or None for that at save_path, and those of `add_parameters`.
        for_training: see `init.prepare`; without it, `train` may lack the characters that are drawn in addition.

    Raises:
        InputError: no checkpoint is named, or it or the data cannot be read.
    """
    config = read_config(options)
    path = options.checkpoint or config.save_path
    if not path:
        raise InputError("name the checkpoint")
    best = CNNClassifier.load(path, config.device)
    if not options.config:
        changes = given(options)
        if not changes.keys().isdisjoint(SOURCE):  # those images, without what the run's were named by
            changes = {"raw_data_path": DEFAULT_RAW, "characters": None, "labels_from": None} | changes
        config = replace(best.config, **changes)
    with TemporaryDirectory(ignore_cleanup_errors=True) as elsewhere:  # Windows keeps what is mapped
        path = find_data(config.data_path)
        if options.config or not _names_data_alone(given(options)) or not path.exists():
            path = init.prepare(replace(config, mode="test"), Path(elsewhere), for_training)
        parts, (*split_parts, part) = read_data(replace(config, data_path=str(path)))
        images, test, train, val, held_out = (one.with_classes(best.classes_) for one in (*parts, *split_parts))
        return best, ((images, test), (train, val, held_out, part))


def _names_data_alone(changes: dict) -> bool:
    """Return whether parameters say where the data are, and not what to make them from."""
    return "data_path" in changes and changes.keys().isdisjoint(SOURCE)
