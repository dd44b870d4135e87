"""What can be known of a run before anything is read or trained: whether its paths and its model serve."""

import os
from pathlib import Path

from common.errors import InputError
from common.files import check_writable, storage_error
from config import Config
from models import input_size
from runs import checkpoint
from runs.state import is_state_name

SUFFIX = 120  # letters at most that a run adds to the name of save_path


def check_paths(config: Config) -> None:
    """Raise an error if a run could not start, or not leave its record or its checkpoint; nothing is written.

    Raises:
        InputError: `save_path` names a folder, or a file that no run may replace; `init_from` cannot be read; an
            unknown model, or one that does not take the input size.
        StorageError: a folder that cannot be written, or a name that is too long.
    """
    if config.record_path:
        check_writable(Path(config.record_path))
    if config.save_path:
        _check_save_path(config, Path(config.save_path))
    if config.init_from:
        checkpoint.read(config.init_from, tensors=False)
    try:
        input_size(config.model, config.input_size)
    except ValueError as error:
        raise InputError(str(error)) from None


def _check_save_path(config: Config, path: Path) -> None:
    text = config.save_path or ""
    if os.path.basename(text) in ("", ".", "..") or path.is_dir():
        remedy = os.path.join(text, f"{config.model}_best.ckpt")
        raise InputError(f"save_path {text!r} names a folder: name a file in it, such as {remedy!r}")
    if is_state_name(path.name):
        raise InputError(f"save_path {text!r} is a name that interrupted runs use: choose one without '_last'")
    if path.absolute() == Path(config.data_path).absolute():
        raise InputError(f"save_path and data_path are both {text!r}: choose another save_path")
    check_writable(path.parent)
    try:
        os.lstat(path.with_name(path.name + "x" * SUFFIX))
    except FileNotFoundError:
        pass
    except OSError as error:
        raise storage_error(path, error) from error
    if not os.path.lexists(path):
        return
    keep = "it is not replaced: choose another save_path, or move that file"
    if not path.is_file():  # a pipe, a device, a broken link
        raise InputError(f"save_path {text!r} is not a file; {keep}")
    try:
        checkpoint.read(path, tensors=False)
    except InputError as error:
        raise InputError(f"save_path: {error}; {keep}") from None
