"""Checkpoints: files that describe themselves, hold tensors and plain values only, and run nothing when read."""

import io
import logging
import os
import pickle
import pickletools
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock

from common.errors import InputError
from common.files import write_atomically

log = logging.getLogger("fit_char")

FORMAT = 2
STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
ALLOWED_GLOBALS = {
    "collections OrderedDict", "torch._utils _rebuild_tensor_v2", *(f"torch {name}Storage" for name in STORAGES),
}  # fmt: skip
PLAIN = str | int | float | None
STYLE = {"dark", "side", "row", "column", "stroke"}


def _is_input_spec(spec: dict) -> bool:
    """Return whether these are the plain values of an InputSpec."""
    if spec.keys() != {"input_size", "source_shape", "cropped", "transformed", "style"}:
        return False
    size, shape, style = spec["input_size"], spec["source_shape"], spec["style"]
    return (
        type(size) is int and 16 <= size <= 1024
        and type(shape) is list and len(shape) == 2 and all(type(n) is int and 1 <= n <= 4096 for n in shape)
        and type(spec["cropped"]) is bool and type(spec["transformed"]) is bool
        and (style is None or type(style) is dict and style.keys() == STYLE
             and all(isinstance(value, int | float) and 0 <= value <= 1 for value in style.values()))
    )  # fmt: skip


# key → type, and whether a value is valid, if the type does not say it; metrics, epoch and run are None for weights
# that no fit has made
SCHEMA: dict[str, tuple] = {
    "model": (str, len),
    "in_channels": (int, lambda count: count == 1),
    "classes": (list, lambda names: 2 <= len(names) < 65_536 and all(isinstance(name, str) for name in names)),
    "input_spec": (dict, _is_input_spec),
    "config": (dict, lambda config: all(type(k) is str and isinstance(v, PLAIN) for k, v in config.items())),
    "epoch": (int | None, None),
    "metrics": (  # of the validation set
        dict | None, lambda found: found is None or {"loss", "accuracy", "n", "interval"} <= found.keys()
    ),
    "temperature": (float, lambda value: 1e-3 < value < 1e3),  # of the logits
    "run": (  # its name, and the fingerprints of its training and validation images
        dict | None, lambda run: run is None or all(isinstance(value, str | None) for value in run.values())
    ),
    "state_dict": (dict, lambda state: all(type(k) is str and isinstance(v, torch.Tensor) for k, v in state.items())),
}  # fmt: skip

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


def read(path: str | Path, schema: dict[str, tuple] = SCHEMA) -> dict[str, Any]:
    """Read a checkpoint and check its structure; no code in it is run.

    Args:
        schema: key → (type, function that returns whether a value is valid, or None).

    Raises:
        InputError: no such file, damaged, not a checkpoint of ours, of a newer format, or holding pickled code.
    """
    content = _load(path)
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


def _load(path: str | Path) -> Any:
    try:
        _check_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"checkpoint {path} does not exist: train first (mode train_and_test)") from None
    except pickle.UnpicklingError:
        raise InputError(
            f"{path} holds more than tensors and plain values: it is refused, nothing in it was run"
        ) from None
    except Exception as error:  # torch raises nearly anything for a damaged file
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} is damaged or not a checkpoint: {reason:.200}") from error


def _check_file(path: str | Path) -> None:
    """Raise InputError for a file that torch.load should not see, before its content is read.

    torch stores tensors uncompressed, so that a file which expands is not its own. And some of the types that
    weights_only lets a file build take as much memory as it asks for.
    """
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > Path(path).stat().st_size:
            raise InputError(f"{path} is damaged or not a checkpoint: it claims to be larger than it is")
        for info in infos:
            if info.filename.endswith(".pkl"):
                opcodes = pickletools.genops(archive.read(info))
                found = {str(value) for code, value, _ in opcodes if code.name == "GLOBAL"}
                if foreign := sorted(found - ALLOWED_GLOBALS):
                    what = f"more than tensors and plain values ({foreign[0]:.100})"
                    raise InputError(f"{path} holds {what}: it is refused, nothing in it was run")


def publish(own: Path, path: Path) -> Path:
    """Move a run's best checkpoint to the path of the best, one run at a time, and return where it is.

    An earlier run's file there stays if it did better on the same images, and is put aside if it is of another model or
    other data; either is logged.
    """
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.exists():
            ours = read(own)
            try:
                former = read(path)
            except InputError as error:
                former = {"run": None}
                log.warning("%s", error)
            run, former_run = ours["run"], former["run"] or {"name": "earlier"}
            comparable = all(ours[key] == former.get(key) for key in ("model", "classes"))
            comparable = comparable and all(run[key] == former_run.get(key) for key in ("train", "val"))
            if comparable and run["val"] and former["metrics"]["accuracy"] > ours["metrics"]["accuracy"]:
                log.info("%s keeps the better weights of %s; this run's are in %s.", path, former_run["name"], own)
                return own
            if not comparable:
                aside = path.with_name(f"{path.stem}.{former_run['name']}{path.suffix}")
                os.replace(path, aside)
                log.info("%s was of another model or other images: it is now %s.", path, aside)
        os.replace(own, path)
        return path
