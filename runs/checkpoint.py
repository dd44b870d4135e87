"""Checkpoints: files that describe themselves, hold tensors and plain values only, and run nothing when read."""

import filecmp
import io
import logging
import os
import re
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch

from common.errors import InputError
from common.files import check_file, locked, remove_unfinished, storage_error, write_atomically
from common.memory import available_memory
from common.seeds import preserve_random_state
from models import build
from runs import unpickling

log = logging.getLogger("fit_char")

FORMAT = 2
MEMORY = 3  # times its size that a file takes: the tensors as they are read, and the model
SMALL = 2**28  # bytes that any model may have
PLAIN = str | int | float | None
STYLE = {"dark", "side", "row", "column", "stroke"}
STROKES = {"thickest", "faintest", "darkest", "contrast"}  # which styles of earlier files lack


def _is_input_spec(spec: dict) -> bool:
    """Return whether these are the plain values of an InputSpec."""
    if spec.keys() - {"photos"} != {"input_size", "source_shape", "cropped", "transformed", "style"}:
        return False
    size, shape, style = spec["input_size"], spec["source_shape"], spec["style"]
    return (
        type(size) is int and 16 <= size <= 1024
        and type(shape) is list and (len(shape) == 2 or shape[2:] == [3])
        and all(type(n) is int and 1 <= n <= 4096 for n in shape)
        and all(type(spec.get(flag, False)) is bool for flag in ("cropped", "transformed", "photos"))
        and (style is None or type(style) is dict and style.keys() - STROKES == STYLE
             and all(isinstance(value, int | float) and 0 <= value <= 1 for value in style.values()))
    )  # fmt: skip


def is_run(run: dict) -> bool:
    """Return whether these are the name of a run and the fingerprints of its images."""
    return type(run.get("name")) is str and all(type(k) is str and isinstance(v, str | None) for k, v in run.items())


def _is_metrics(found: dict) -> bool:
    """Return whether these are the results of `evaluate`."""
    values = [found.get("loss"), found.get("accuracy"), found.get("n"), *_as_list(found.get("interval"))]
    return len(values) == 5 and all(type(value) in (int, float) for value in values) and 0 <= found["accuracy"] <= 1


def _is_config(config: dict) -> bool:
    """Return whether these are names and plain values, or options of a model, which are such names and values."""
    options = config.get("model_options") or {}
    others = {key: value for key, value in config.items() if key != "model_options"}
    return isinstance(options, dict) and all(
        type(k) is str and isinstance(v, PLAIN) for values in (others, options) for k, v in values.items()
    )


def _as_list(value: object) -> list:
    return list(value) if isinstance(value, list | tuple) else []


# key → type, and whether a value is valid, if the type does not say it; metrics, epoch and run are None for weights
# that no fit has made
SCHEMA: dict[str, tuple] = {
    "model": (str, len),
    "in_channels": (int, lambda count: count in (1, 3)),
    "classes": (list, lambda names: 2 <= len(names) < 65_536 and all(isinstance(name, str) for name in names)),
    "input_spec": (dict, _is_input_spec),
    "config": (dict, _is_config),
    "epoch": (int | None, None),
    "metrics": (dict | None, lambda found: found is None or _is_metrics(found)),  # of the validation set
    "temperature": (float, lambda value: 1e-3 < value < 1e3),  # of the logits
    "run": (dict | None, lambda run: run is None or is_run(run)),  # its name, its images: source and fingerprints
    "state_dict": (dict, lambda weights: all(isinstance(value, torch.Tensor | None) for value in weights.values())),
}

# Format 1 had the values of the input spec as keys of its own; its first files lacked some of them.
FORMAT_1_DEFAULTS = {"temperature": 1.0, "style": None, "cropped": False, "transformed": False}
FORMAT_1_INPUT_SPEC = {
    "image_size": "input_size", "source_shape": "source_shape", "cropped": "cropped", "transformed": "transformed",
    "style": "style",
}  # fmt: skip


def _from_format_1(content: dict) -> dict:
    """Return the content of a file of format 1 as format 2 has it; what does not fit is left for the schema."""
    content = FORMAT_1_DEFAULTS | content
    spec = {new: content.pop(old, None) for old, new in FORMAT_1_INPUT_SPEC.items()}
    training = content.get("training")
    if isinstance(training, dict):  # the state of an interrupted run
        renamed = {"averaged": "ema", "taken": "global_step"}
        content["training"] = {renamed.get(key, key): value for key, value in training.items()}
    return content | {"input_spec": spec}


def write(path: str | Path, content: dict) -> None:
    """Write a checkpoint, completely or not at all. Raises StorageError."""
    versions = {"torch": str(torch.__version__), "numpy": np.__version__}  # a TorchVersion is no plain value
    buffer = io.BytesIO()  # so that a full disk is met outside of torch, which would not say so
    torch.save(content | {"format": FORMAT, "versions": versions}, buffer)
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))


def read(path: str | Path, schema: dict[str, tuple] = SCHEMA, tensors: bool = True) -> dict[str, Any]:
    """Read a checkpoint and check its structure; no code in it is run.

    Args:
        schema: key → (type, function that returns whether a value is valid, or None).
        tensors: whether to read the tensors; otherwise each is None, and a large file is read as fast as a small one.

    Raises:
        InputError: no such file, damaged, not a checkpoint of ours, of a newer format, or holding pickled code.
    """
    check_file(path)
    if tensors:
        _check_size(Path(path), read(path, schema, tensors=False))
    content = _load(path, tensors)
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise InputError(f"{path} is not a checkpoint of this program")
    if content["format"] > FORMAT:
        raise InputError(f"{path} has format {content['format']}, newer than {FORMAT}: update this program")
    if content["format"] < 2:
        content = _from_format_1(content)
    for key, (kind, is_valid) in schema.items():
        value = content.get(key)
        if key not in content or not isinstance(value, kind):
            raise InputError(f"{path} is not a complete checkpoint: {key} is {type(value).__name__}")
        if is_valid and not is_valid(value):
            raise InputError(f"{path} is not a usable checkpoint: its {key} makes no sense")
    return content


def _check_size(path: Path, content: dict) -> None:
    """Raise InputError for a file larger than the memory, or whose weights are not those of its model, by their size.

    Args:
        content: of the file, without tensors.
    """
    size = path.stat().st_size
    free = available_memory()
    if size > max(SMALL, free / MEMORY):  # what is free may not count what the system can give back
        raise InputError(
            f"{path} has {size / 2**20:,.0f} MiB and takes {MEMORY} times as much memory, of which {free / 2**20:,.0f} "
            "MiB are free: end other programs"
        )
    needed = _model_bytes(content) if "state_dict" in content else None
    if needed is None:
        return
    if size > 2 * needed + unpickling.MAX_PICKLE or needed > max(SMALL, 4 * size):
        raise InputError(
            f"{path} is not a usable checkpoint: it has {size / 2**20:,.1f} MiB, and the weights of its model "
            f"{needed / 2**20:,.1f}"
        )


def _model_bytes(content: dict) -> int | None:
    """Return how many bytes the weights of a checkpoint's model take, without making them; None if it is unknown."""
    with preserve_random_state(torch.device("cpu")), torch.device("meta"):
        try:
            model = build(content["model"], 1, len(content["classes"]), **(model_options(content) or {}))
        except ValueError:  # the classifier will say so
            return None
    return sum(tensor.nbytes for tensor in model.state_dict().values())


def _load(path: str | Path, tensors: bool) -> Any:
    try:
        return unpickling.load(path, tensors)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"checkpoint {path} does not exist: train first (mode train_and_test)") from None
    except Exception as error:  # zipfile and pickle raise nearly anything for a damaged file
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} is damaged or not a checkpoint: {reason:.200}") from error


def model_options(content: dict) -> dict | None:
    """Return the options of the model in a checkpoint, or None if they are the paper's."""
    return content["config"].get("model_options")


def file_of_run(save_path: Path, name: str, source: str | None) -> Path:
    """Return the path beside `save_path` of a run's own checkpoint: its name without suffix, the run's, the images'."""
    words = [re.sub(r"[^\w-]+", "-", word)[:40].strip("-") for word in (name, source or "")]
    return save_path.with_name(".".join([save_path.stem, *filter(None, words)]) + save_path.suffix)


def publish(own: Path, path: Path) -> Path:
    """Move the checkpoint of a finished run to the path of the best, one run at a time, and return where it is.

    A file of ours that is there stays if it did better on the same images, and a copy of it is kept if it is of another
    model or other images. Any other file stays. What stays or is kept is logged.

    Raises:
        InputError: the run's own checkpoint is gone.
        StorageError: the folder cannot be written.
    """
    with locked(path):
        ours = read(own, tensors=False)
        if os.path.lexists(path):
            try:
                former = read(path, tensors=False)
            except InputError as error:
                log.warning("%s; it stays, and this run's weights are in %s.", error, own)
                return own
            run, former_run = ours["run"], former["run"] or {"name": "earlier"}
            comparable = all(ours[key] == former[key] for key in ("model", "classes"))
            comparable = comparable and model_options(ours) == model_options(former)
            comparable = comparable and all(run[key] == former_run.get(key) for key in ("train", "val"))
            if comparable and run["val"] and former["metrics"]["accuracy"] > ours["metrics"]["accuracy"]:
                log.info("%s keeps the better weights of %s; this run's are in %s.", path, former_run["name"], own)
                return own
            if not comparable:
                kept = _keep_copy(path, file_of_run(path, former_run["name"], former_run.get("source")))
                log.info("%s was of another model or other images: it is now %s.", path, kept)
        try:
            os.replace(own, path)
        except OSError as error:
            raise storage_error(path, error) from error
        return path


def _keep_copy(path: Path, copy: Path) -> Path:
    """Copy a file, unless that was done before, to a path that no other file has, and return it.

    The file itself stays until another replaces it, so that a run which starts from it never finds it missing.
    """
    for number in count(2):
        remove_unfinished(copy)
        if not os.path.lexists(copy):
            write_atomically(copy, lambda file: file.write(path.read_bytes()))
            return copy
        if filecmp.cmp(path, copy, shallow=False):
            return copy
        copy = copy.with_name(f"{copy.stem.removesuffix(f'_{number - 1}')}_{number}{copy.suffix}")
    raise AssertionError("there is always another number")
