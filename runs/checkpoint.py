"""Checkpoints: files that describe themselves, hold tensors and plain values only, and run nothing when read."""

import io
import os
import pickle
import pickletools
import zipfile
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock

from common.errors import InputError
from common.files import write_atomically

FORMAT = 1
STORAGES = ("Float", "Double", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
TYPES = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2", *(f"torch {name}Storage" for name in STORAGES)}
PLAIN = str | int | float | None
STYLE = {"dark", "side", "row", "column", "stroke"}


# key → type, and what its value must be; metrics, epoch, run and style are None for weights that no fit has made
CONTENT = {
    "model": (str, len),
    "in_channels": (int, lambda count: count == 1),
    "classes": (list, lambda names: 2 <= len(names) < 65_536 and all(isinstance(name, str) for name in names)),
    "image_size": (int, lambda side: 16 <= side <= 1024),  # pixels a side that the model sees
    "source_shape": (  # pixels (H, W) of the images it was trained on
        list, lambda shape: len(shape) == 2 and all(type(side) is int and 1 <= side <= 4096 for side in shape)
    ),
    "config": (dict, lambda config: all(type(k) is str and isinstance(v, PLAIN) for k, v in config.items())),
    "epoch": (int | None, lambda epoch: True),
    "metrics": (  # of the validation images
        dict | None, lambda found: found is None or {"loss", "accuracy", "n", "interval"} <= found.keys()
    ),
    "style": (  # how characters stand in the images it was trained on (`scan.style_of`)
        dict | None, lambda style: style is None or (
            style.keys() == STYLE and all(isinstance(v, int | float) and 0 <= v <= 1 for v in style.values())
        )
    ),
    "cropped": (bool, lambda cropped: True),  # whether those images were cropped to their ink
    "transformed": (bool, lambda transformed: True),  # whether a transform of the user's own made them
    "temperature": (float, lambda value: 1e-3 < value < 1e3),  # of logits
    "run": (  # its name, and the fingerprints of its training and validation images
        dict | None, lambda run: run is None or all(isinstance(v, str | None) for v in run.values())
    ),
    "state_dict": (dict, lambda state: all(type(k) is str and isinstance(v, torch.Tensor) for k, v in state.items())),
}  # fmt: skip

FIRST = {"temperature": 1.0, "style": None, "cropped": False, "transformed": False}  # what the first files did not say


def write(path: str | Path, content: dict) -> None:
    """Write a checkpoint, whole or not at all."""
    versions = {"torch": str(torch.__version__), "numpy": np.__version__}  # a TorchVersion would be no plain value
    whole = {"format": FORMAT, "versions": versions} | content
    buffer = io.BytesIO()  # a full disk is met outside of torch, which would not say so
    torch.save(whole, buffer)
    write_atomically(path, lambda file: file.write(buffer.getbuffer()))


def read(path: str | Path, expected: dict = CONTENT) -> dict:
    """Read a checkpoint and check its structure; no code in it is run.

    Args:
        expected: key → (type, what its value must be), like CONTENT.

    Raises:
        InputError: no such file, damaged, not a checkpoint of ours, of a newer format, or holding pickled code.
    """
    try:
        _check_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except InputError:
        raise
    except FileNotFoundError:
        raise InputError(f"checkpoint {path} does not exist: train first (mode train_and_test)") from None
    except pickle.UnpicklingError:
        raise InputError(
            f"{path} holds more than tensors and plain values: it is refused, nothing in it was run"
        ) from None
    except Exception as error:  # torch raises nearly anything on a damaged file
        reason = str(error).partition("\n")[0]
        raise InputError(f"{path} is damaged or not a checkpoint: {reason:.200}") from error
    if not isinstance(content, dict) or not isinstance(content.get("format"), int):
        raise InputError(f"{path} is not a checkpoint of this program")
    if content["format"] > FORMAT:
        raise InputError(f"{path} has format {content['format']}, newer than {FORMAT}: update this program")
    content = FIRST | content
    for key, (kind, holds) in expected.items():
        value = content.get(key)
        if key not in content or not isinstance(value, kind):
            raise InputError(f"{path} is not a whole checkpoint: {key} is {type(value).__name__}")
        if not holds(value):
            raise InputError(f"{path} is not a checkpoint that can be used: its {key} makes no sense")
    return content


def _check_file(path: str | Path) -> None:
    """Raise InputError for a file that torch.load should not see: what it holds is refused before it is read.

    torch stores tensors uncompressed, so a file that expands is not its; and among the types that weights_only lets a
    file build are some that take as much memory as it asks for.
    """
    with zipfile.ZipFile(path) as archive:
        infos = archive.infolist()
        if sum(info.file_size for info in infos) > Path(path).stat().st_size:
            raise InputError(f"{path} is damaged or not a checkpoint: it claims to be larger than it is")
        for info in infos:
            if info.filename.endswith(".pkl"):
                names = {
                    str(value) for code, value, _ in pickletools.genops(archive.read(info)) if code.name == "GLOBAL"
                }
                if names := sorted(names - TYPES):
                    what = f"more than tensors and plain values ({names[0]:.100})"
                    raise InputError(f"{path} holds {what}: it is refused, nothing in it was run")


def publish(own: Path, path: Path) -> Path:
    """Move a run's best checkpoint to the path of the best, one run at a time, and return where it is.

    An earlier run's file there stays if it did better on the same images, and is put aside if it is of another
    model or other data; either is said.
    """
    with FileLock(path.with_name(f".{path.name}.lock")):
        if path.exists():
            ours = read(own)
            try:
                former = read(path)
            except InputError as error:
                former = {"run": None}
                print(error)
            mine, other = ours["run"], former["run"] or {"name": "earlier"}
            same = all(ours[key] == former.get(key) for key in ("model", "classes"))
            same = same and all(mine[key] == other.get(key) for key in ("train", "val"))
            if same and mine["val"] and former["metrics"]["accuracy"] > ours["metrics"]["accuracy"]:
                print(f"{path} keeps the better weights of {other['name']}; this run's are in {own}.")
                return own
            if not same:
                aside = path.with_name(f"{path.stem}.{other['name']}{path.suffix}")
                os.replace(path, aside)
                print(f"{path} was not of this model and these images: it is now {aside}.")
        os.replace(own, path)
        return path
